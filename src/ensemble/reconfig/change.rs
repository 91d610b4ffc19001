//! The leader changes the members, step by step.

use super::grant::invite;
use super::plan::{Members, Plan};
use super::transfer::{hand_over, transfer};
use super::{Alteration, Altered, ReconfigError, Reconfiguration};
use crate::ensemble::handle::{Applied, Ensemble};
use crate::ensemble::limits::{
    CATCH_UP_TIMEOUT, RECONFIG_ASK, RECONFIG_PROBE, RECONFIG_RETRY, SYNCED_LAG,
};
use crate::ensemble::peer::{Ask, Link};
use crate::ensemble::types::Member;
use crate::tree::{Actor, Command, ErrorCode, Reply, Stage, Zxid};
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Instant, sleep, timeout};

/// One change of membership, as openraft takes it.
pub(super) type Step = ChangeMembers<u64, Member>;

/// Changes the members, if this member leads and no other change is under way.
///
/// # Errors
/// [`ReconfigError`].
pub(in crate::ensemble) async fn change(
    ensemble: &Ensemble,
    wanted: &Alteration,
) -> Result<Altered, ReconfigError> {
    let inner = ensemble.inner();
    let Ok(_turn) = inner.reconfiguring.try_lock() else {
        return Err(ReconfigError::InProgress);
    };
    let change = Change { ensemble };
    change.leads().await?;
    change.finish_the_one_before().await?;
    match wanted {
        Alteration::TransferLeader(to) => return transfer(ensemble, *to).await,
        Alteration::Invite {
            name,
            address,
            observer,
        } => return invite(&change, name, address, *observer).await,
        _ => {}
    }
    let (now, plan) = examine(ensemble, wanted)?;
    if now.voters.contains(&ensemble.member()) && !plan.voters.contains(&ensemble.member()) {
        hand_over(ensemble, &plan.voters).await?;
        // Whoever leads now is asked next.
        return Err(ReconfigError::NoLeader);
    }
    let version = ensemble.read(|tree| tree.config_version());
    tracing::info!(?plan, "changing the members");
    let result = change
        .carry_out(&now, plan, version.unwrap_or(Zxid(0)))
        .await;
    if let Err(error) = &result {
        tracing::warn!(%error, "the members were not changed");
    }
    let member = None;
    result.map(|zxid| Altered { zxid, member })
}

/// Finishes a change that a lost leader had begun, if this member leads and there is one, and has another one lead if
/// this one has no vote.
///
/// # Errors
/// [`ReconfigError`].
pub(in crate::ensemble) async fn finish(ensemble: &Ensemble) -> Result<(), ReconfigError> {
    // Who holds it is at work on a change, and finishes it.
    let Ok(_turn) = ensemble.inner().reconfiguring.try_lock() else {
        return Ok(());
    };
    let change = Change { ensemble };
    let (voters, is_joint) = change.outcome();
    if !is_joint && voters.contains(&ensemble.member()) {
        return Ok(());
    }
    change.leads().await?;
    change.finish_the_one_before().await
}

/// What `wanted` comes to, by what this member knows, beside the members there are.
///
/// # Errors
/// [`ReconfigError`], where that can be told without asking anybody.
fn examine(ensemble: &Ensemble, wanted: &Alteration) -> Result<(Members, Plan), ReconfigError> {
    let now = Change { ensemble }.members();
    let me = now.nodes.get(&ensemble.member());
    if me.is_some_and(|me| me.address.is_empty()) {
        return Err(ReconfigError::Standalone);
    }
    if let Alteration::Reconfigure(Reconfiguration {
        from_version: Some(from),
        ..
    }) = wanted
        && ensemble.read(|tree| tree.config_version()) != Some(Zxid(*from))
    {
        return Err(ReconfigError::BadVersion);
    }
    let numbers = ensemble.read(|tree| tree.numbers().clone());
    let replaced = |number| numbers.get(&number)?.replaces;
    let plan = Plan::new(&now, wanted, replaced)?;
    let is_over = |number: &&u64| {
        let record = numbers.get(*number);
        record.is_some_and(|record| record.stage == Stage::Removed)
    };
    if let Some(number) = plan.set.keys().find(is_over) {
        let why = format!("number {number} was used before and belongs to nobody any more");
        return Err(ReconfigError::BadArguments(why));
    }
    if plan.voters != now.voters {
        check_quorum(ensemble, &now, &plan)?;
    }
    Ok((now, plan))
}

/// Makes sure that a majority of those that are to vote is there. No flag overrides this: with a minority that was
/// made a majority by force, the others may go on as well, and two histories cannot be made one again. Whoever
/// has lost a majority for good restores a backup into a new ensemble.
fn check_quorum(ensemble: &Ensemble, now: &Members, plan: &Plan) -> Result<(), ReconfigError> {
    let is_away = |id: &&u64| now.voters.contains(*id) && !ensemble.is_in_reach(**id);
    let away: Vec<u64> = plan.voters.iter().filter(is_away).copied().collect();
    match away.first() {
        Some(first) if (plan.voters.len() - away.len()) * 2 <= plan.voters.len() => {
            Err(ReconfigError::NoQuorum(*first))
        }
        _ => Ok(()),
    }
}

/// What the leader does, step by step.
pub(super) struct Change<'e> {
    /// This member.
    pub(super) ensemble: &'e Ensemble,
}

impl Change<'_> {
    /// Makes sure that this member leads and has applied everything.
    pub(super) async fn leads(&self) -> Result<(), ReconfigError> {
        let raft = &self.ensemble.inner().raft;
        let me = self.ensemble.member();
        if raft.server_metrics().borrow_watched().current_leader != Some(me) {
            return Err(ReconfigError::NoLeader);
        }
        let caught_up = self.ensemble.barrier().await;
        caught_up.map_err(|_| ReconfigError::NoLeader)
    }

    /// Who the members are, changes under way included.
    pub(super) fn members(&self) -> Members {
        let facts = self.ensemble.inner().raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        Members {
            nodes: membership.nodes().map(|(id, m)| (*id, m.clone())).collect(),
            voters: membership.voter_ids().collect(),
        }
    }

    /// A leader may have been lost between the two entries of a change. If its successor is one that loses its vote by
    /// it, another one leads first, and finishes it: Raft lets a leader without a vote lead on.
    pub(super) async fn finish_the_one_before(&self) -> Result<(), ReconfigError> {
        let (voters, is_joint) = self.outcome();
        if !voters.contains(&self.ensemble.member()) {
            hand_over(self.ensemble, &voters).await?;
            return Err(ReconfigError::NoLeader);
        }
        if is_joint {
            self.step(Step::AddVoterIds(BTreeSet::new()), true).await?;
        }
        Ok(())
    }

    /// Who votes once the change under way is finished, and whether there is one.
    fn outcome(&self) -> (BTreeSet<u64>, bool) {
        let facts = self.ensemble.inner().raft.server_metrics();
        let facts = facts.borrow_watched();
        let configs = facts.membership_config.membership().get_joint_config();
        (
            configs.last().cloned().unwrap_or_default(),
            configs.len() > 1,
        )
    }

    async fn carry_out(
        &self,
        now: &Members,
        plan: Plan,
        version: Zxid,
    ) -> Result<Zxid, ReconfigError> {
        let mut last = version;
        self.probe(now, &plan).await?;
        for (id, client) in &plan.clients {
            last = last.max(self.introduce(*id, client).await?);
        }
        if !plan.set.is_empty() {
            last = self.step(Step::SetNodes(plan.set.clone()), true).await?;
            if let Err(late) = self.catch_up(now, &plan).await {
                self.take_back(now, &plan).await?;
                return Err(late);
            }
        } else {
            self.catch_up(now, &plan).await?;
        }
        let leave: BTreeSet<u64> = plan.removed.difference(&now.voters).copied().collect();
        if plan.voters == now.voters {
            return match leave.is_empty() {
                true => Ok(last),
                false => self.step(Step::RemoveNodes(leave), true).await,
            };
        }
        // Those that lose their vote are no members any more, unless some of them become observers.
        let demoted = now.voters.difference(&plan.voters);
        let retain = demoted.clone().any(|id| !plan.removed.contains(id));
        let change = Step::Batch(vec![
            Step::ReplaceAllVoters(plan.voters.clone()),
            Step::RemoveNodes(leave),
        ]);
        let last = self.step(change, retain).await?;
        let left: BTreeSet<u64> = plan.removed.intersection(&now.voters).copied().collect();
        match retain && !left.is_empty() {
            true => self.step(Step::RemoveNodes(left), true).await,
            false => Ok(last),
        }
    }

    /// Makes sure that those who are to vote and did not, or not there, answer.
    async fn probe(&self, now: &Members, plan: &Plan) -> Result<(), ReconfigError> {
        let me = &self.ensemble.inner().me;
        let deadline = Instant::now() + RECONFIG_PROBE;
        for id in &plan.voters {
            let Member { name, address, .. } = match (plan.set.get(id), now.nodes.get(id)) {
                (Some(member), _) => member,
                (None, Some(member)) if !now.voters.contains(id) => member,
                _ => continue,
            };
            if *id == me.member {
                continue;
            }
            me.transport.hear(*id, name);
            let vote = self
                .ensemble
                .inner()
                .raft
                .server_metrics()
                .borrow_watched()
                .vote;
            let mut link = Link::new(me, Some(*id), address);
            while let Err(error) = link.ask(&Ask::Leads(vote), RECONFIG_ASK).await {
                tracing::debug!(member = id, %error, "a new voter does not answer");
                if Instant::now() >= deadline {
                    return Err(ReconfigError::NoQuorum(*id));
                }
                sleep(RECONFIG_RETRY).await;
            }
        }
        Ok(())
    }

    async fn introduce(&self, member: u64, client: &str) -> Result<Zxid, ReconfigError> {
        let command = Command::Introduce {
            member,
            client: Some(client.to_owned()),
        };
        let applied = self.applied(command).await?;
        match applied.result {
            Ok(_) => Ok(applied.zxid),
            Err(code) => Err(ReconfigError::BadArguments(format!("{client:?}: {code}"))),
        }
    }

    /// Has a command applied and returns its answer.
    pub(super) async fn propose(&self, command: Command) -> Result<Reply, ReconfigError> {
        let refused = |code: ErrorCode| ReconfigError::BadArguments(code.to_string());
        self.applied(command).await?.result.map_err(refused)
    }

    async fn applied(&self, command: Command) -> Result<Applied, ReconfigError> {
        let pending = self.ensemble.propose(Actor::Ensemble, command).await;
        let pending = pending.map_err(|_| ReconfigError::NoLeader)?;
        pending.await.map_err(|_| ReconfigError::OutcomeUnknown)
    }

    /// Waits until the new voters have nearly all of the log.
    async fn catch_up(&self, now: &Members, plan: &Plan) -> Result<(), ReconfigError> {
        let mut facts = self.ensemble.inner().raft.metrics();
        let goal = facts.borrow_watched().last_log_index.unwrap_or(0);
        let goal = goal.saturating_sub(SYNCED_LAG);
        for id in plan.voters.difference(&now.voters) {
            let caught_up = async {
                loop {
                    let matched = {
                        let facts = facts.borrow_and_update();
                        let replication = facts.replication.as_ref();
                        replication.and_then(|r| r.get(id).cloned().flatten())
                    };
                    if matched.is_some_and(|log_id| log_id.index() >= goal) {
                        return true;
                    }
                    if facts.changed().await.is_err() {
                        return false;
                    }
                }
            };
            if !timeout(CATCH_UP_TIMEOUT, caught_up).await.unwrap_or(false) {
                return Err(ReconfigError::NoQuorum(*id));
            }
        }
        Ok(())
    }

    /// Makes the members those that they were before they were set.
    async fn take_back(&self, now: &Members, plan: &Plan) -> Result<(), ReconfigError> {
        let (old, new): (BTreeSet<u64>, BTreeSet<u64>) =
            plan.set.keys().partition(|id| now.nodes.contains_key(id));
        let old: BTreeMap<u64, Member> = old
            .iter()
            .filter_map(|id| Some((*id, now.nodes.get(id)?.clone())))
            .collect();
        let back = Step::Batch(vec![Step::SetNodes(old), Step::RemoveNodes(new)]);
        self.step(back, true).await.map(|_| ())
    }

    /// Commits a change of membership and returns its zxid once this member has applied it.
    pub(super) async fn step(&self, step: Step, retain: bool) -> Result<Zxid, ReconfigError> {
        let raft = &self.ensemble.inner().raft;
        match raft.change_membership(step, retain).await {
            Ok(written) => Ok(Zxid(written.log_id.index())),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(ReconfigError::OutcomeUnknown)
            }
            Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(why))) => {
                Err(match why {
                    ChangeMembershipError::InProgress(_) => ReconfigError::InProgress,
                    other => ReconfigError::BadArguments(other.to_string()),
                })
            }
            Err(error) => {
                tracing::warn!(%error, "a change of the members failed");
                Err(ReconfigError::OutcomeUnknown)
            }
        }
    }
}
