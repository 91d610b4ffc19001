//! The leader changes the members, step by step.

use super::plan::{Members, Plan};
use super::{ReconfigError, Reconfiguration};
use crate::ensemble::handle::Ensemble;
use crate::ensemble::limits::{
    CATCH_UP_TIMEOUT, RECONFIG_ASK, RECONFIG_PROBE, RECONFIG_RETRY, SYNCED_LAG,
};
use crate::ensemble::peer::{Ask, Link};
use crate::ensemble::types::Member;
use crate::tree::{Actor, Command, Zxid};
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::{Instant, sleep, timeout};

/// One change of membership, as openraft takes it.
type Step = ChangeMembers<u64, Member>;

/// Changes the members, if this member leads and no other change is under way. Returns the zxid of the last
/// entry it took.
///
/// # Errors
/// [`ReconfigError`].
pub(in crate::ensemble) async fn change(
    ensemble: &Ensemble,
    wanted: &Reconfiguration,
) -> Result<Zxid, ReconfigError> {
    let inner = ensemble.inner();
    let Ok(_turn) = inner.reconfiguring.try_lock() else {
        return Err(ReconfigError::InProgress);
    };
    let change = Change { ensemble };
    change.leads().await?;
    change.finish_the_one_before().await?;
    let (now, plan) = examine(ensemble, wanted)?;
    let version = ensemble.read(|tree| tree.config_version());
    tracing::info!(?plan, "changing the members");
    let result = change
        .carry_out(&now, plan, version.unwrap_or(Zxid(0)))
        .await;
    if let Err(error) = &result {
        tracing::warn!(%error, "the members were not changed");
    }
    result
}

/// What `wanted` comes to, by what this member knows, beside the members there are.
///
/// # Errors
/// [`ReconfigError`], where that can be told without asking anybody.
fn examine(
    ensemble: &Ensemble,
    wanted: &Reconfiguration,
) -> Result<(Members, Plan), ReconfigError> {
    let now = Change { ensemble }.members();
    let me = now.nodes.get(&ensemble.member());
    if me.is_some_and(|me| me.address.is_empty()) {
        return Err(ReconfigError::Standalone);
    }
    let version = ensemble.read(|tree| tree.config_version());
    if wanted
        .from_version
        .is_some_and(|from| version != Some(Zxid(from)))
    {
        return Err(ReconfigError::BadVersion);
    }
    let plan = Plan::new(&now, wanted)?;
    Ok((now, plan))
}

struct Change<'e> {
    ensemble: &'e Ensemble,
}

impl Change<'_> {
    /// Makes sure that this member leads and has applied everything.
    async fn leads(&self) -> Result<(), ReconfigError> {
        let raft = &self.ensemble.inner().raft;
        let me = self.ensemble.member();
        if raft.server_metrics().borrow_watched().current_leader != Some(me) {
            return Err(ReconfigError::NoLeader);
        }
        let caught_up = self.ensemble.barrier().await;
        caught_up.map_err(|_| ReconfigError::NoLeader)
    }

    fn members(&self) -> Members {
        let facts = self.ensemble.inner().raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        Members {
            nodes: membership.nodes().map(|(id, m)| (*id, m.clone())).collect(),
            voters: membership.voter_ids().collect(),
        }
    }

    /// A leader may have been lost between the two entries of a change.
    async fn finish_the_one_before(&self) -> Result<(), ReconfigError> {
        let is_joint = {
            let facts = self.ensemble.inner().raft.server_metrics();
            let facts = facts.borrow_watched();
            facts
                .membership_config
                .membership()
                .get_joint_config()
                .len()
                > 1
        };
        if is_joint {
            self.step(Step::AddVoterIds(BTreeSet::new()), true).await?;
        }
        Ok(())
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
        let me = self.ensemble.inner().me;
        let deadline = Instant::now() + RECONFIG_PROBE;
        for id in &plan.voters {
            let address = match (plan.set.get(id), now.nodes.get(id)) {
                (Some(member), _) => &member.address,
                (None, Some(member)) if !now.voters.contains(id) => &member.address,
                _ => continue,
            };
            if *id == me.member {
                continue;
            }
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
        let pending = self.ensemble.propose(Actor::Ensemble, command).await;
        let pending = pending.map_err(|_| ReconfigError::NoLeader)?;
        let applied = pending.await.map_err(|_| ReconfigError::OutcomeUnknown)?;
        match applied.result {
            Ok(_) => Ok(applied.zxid),
            Err(code) => Err(ReconfigError::BadArguments(format!("{client:?}: {code}"))),
        }
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
    async fn step(&self, step: Step, retain: bool) -> Result<Zxid, ReconfigError> {
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
