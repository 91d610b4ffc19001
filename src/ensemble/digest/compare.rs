//! The task that compares this member's digests with the others', and acts on what it finds.

use super::rebuild::Rebuilder;
use super::verdict::{Verdict, judge};
use super::{Condition, DigestPoint, mark};
use crate::ensemble::contact::Contact;
use crate::ensemble::fault::Fault;
use crate::ensemble::limits::{
    ASK_TIMEOUT, DIGEST_INTERVAL, DIGEST_PATIENCE, DIGEST_PAUSE, HANDOVER_TIMEOUT,
};
use crate::ensemble::machine::Machine;
use crate::ensemble::peer::{Answer, Ask, Link};
use crate::ensemble::state::Shared;
use crate::ensemble::types::Types;
use crate::net::off_runtime;
use crate::telemetry::Metrics;
use openraft::async_runtime::WatchReceiver;
use openraft::{Raft, RaftMetrics};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::{Instant, sleep, timeout};

/// The task.
pub(in crate::ensemble) struct Comparer {
    /// Gets the right tree when this one is wrong.
    rebuilder: Rebuilder,
    raft: Raft<Types, Machine>,
    shared: Arc<Shared>,
    contact: Arc<Contact>,
    metrics: Arc<Metrics>,
    data_dir: PathBuf,
    links: BTreeMap<u64, (String, Link)>,
    /// Up to where all is compared.
    compared: Option<u64>,
    /// Where members differed last and nobody could tell who is right.
    disputed: u64,
    /// Where this member was found wrong.
    found: u64,
    /// Voters that were right then.
    right: BTreeSet<u64>,
}

/// The other members as this one knows them.
struct Others {
    leader: Option<u64>,
    /// Without this member.
    addresses: BTreeMap<u64, String>,
    voters: Vec<BTreeSet<u64>>,
}

impl Comparer {
    /// Compares the tree in `shared`.
    pub(in crate::ensemble) fn new(
        rebuilder: Rebuilder,
        shared: Arc<Shared>,
        contact: Arc<Contact>,
        metrics: Arc<Metrics>,
        data_dir: PathBuf,
    ) -> Comparer {
        Comparer {
            raft: rebuilder.raft.clone(),
            rebuilder,
            shared,
            contact,
            metrics,
            data_dir,
            links: BTreeMap::new(),
            compared: None,
            disputed: 0,
            found: 0,
            right: BTreeSet::new(),
        }
    }

    /// Runs for ever.
    pub(in crate::ensemble) async fn run(mut self) {
        loop {
            // Whether woken or not makes no difference to what there is to do.
            let _ = timeout(DIGEST_INTERVAL, self.shared.soundness.woken()).await;
            self.round().await;
            sleep(DIGEST_PAUSE).await;
        }
    }

    async fn round(&mut self) {
        let suspicion = self.shared.soundness.take_suspicion();
        let condition = self.shared.soundness.condition();
        let others = self.others();
        if condition == Condition::Wrong {
            return self.mend(&others).await;
        }
        let compared = match condition {
            Condition::Sound => self.compared,
            // What was equal before that, says nothing.
            Condition::Disputed => Some(self.disputed.saturating_sub(1)),
            // The tree is another one than was compared.
            Condition::Wrong | Condition::Unproven => None,
        };
        let me = self.rebuilder.me.member;
        match others.leader {
            Some(leader) if leader == me => {
                let of = |index| self.point_at(index);
                let latest = || self.shared.points(|points| points.latest());
                let point = match suspicion.and_then(of) {
                    Some(point) => Some(point),
                    None if condition == Condition::Sound => None,
                    None => latest(),
                };
                if let Some(point) = point {
                    self.settle(point, &others).await;
                }
            }
            Some(leader) => {
                let next = self.shared.points(|points| points.after(compared));
                let Some(point) = next else { return };
                match self.ask(leader, point, &others).await {
                    Some(theirs) if theirs == point.digest => self.agree(point).await,
                    Some(_) => {
                        self.metrics.coordination.digests_differing.inc();
                        self.settle(point, &others).await;
                    }
                    None => {}
                }
            }
            None => {}
        }
    }

    fn point_at(&self, index: u64) -> Option<DigestPoint> {
        let digest = self.shared.points(|points| points.at(index))?;
        Some(DigestPoint { index, digest })
    }

    /// A member differs at `point`, or this one has still to prove itself: the voters decide.
    async fn settle(&mut self, point: DigestPoint, others: &Others) {
        let me = self.rebuilder.me.member;
        let mut votes = BTreeMap::new();
        if others.voters.iter().any(|set| set.contains(&me)) {
            votes.insert(me, point.digest);
        }
        let deadline = Instant::now() + DIGEST_PATIENCE;
        let verdict = loop {
            let silent: Vec<u64> = others.voters.iter().flatten().copied().collect();
            for voter in silent {
                if !votes.contains_key(&voter)
                    && let Some(digest) = self.ask(voter, point, others).await
                {
                    votes.insert(voter, digest);
                }
            }
            match judge(point.digest, &votes, &others.voters) {
                Verdict::Open if Instant::now() < deadline => sleep(DIGEST_PAUSE).await,
                verdict => break verdict,
            }
        };
        tracing::warn!(
            index = point.index,
            mine = point.digest,
            ?votes,
            ?verdict,
            "digests differ"
        );
        match verdict {
            Verdict::Right => self.agree(point).await,
            Verdict::Wrong => {
                let differs = |(_, digest): &(&u64, &u64)| **digest != point.digest;
                self.right = votes.iter().filter(differs).map(|(id, _)| *id).collect();
                self.found = point.index;
                self.shared.soundness.set(Condition::Wrong);
                self.mend(others).await;
            }
            Verdict::Open | Verdict::Split => {
                if self.shared.soundness.condition() == Condition::Sound {
                    self.disputed = point.index;
                    self.shared.soundness.set(Condition::Disputed);
                    self.say(point.index).await;
                }
            }
        }
    }

    /// The digest of `member` at the index of `point`, which it is told; `None` if it cannot say.
    async fn ask(&mut self, member: u64, point: DigestPoint, others: &Others) -> Option<u64> {
        let address = others.addresses.get(&member)?;
        let me = &self.rebuilder.me;
        let link = self.links.entry(member);
        let (at, link) =
            link.or_insert_with(|| (address.clone(), Link::new(me, Some(member), address)));
        if at != address {
            (*at, *link) = (address.clone(), Link::new(me, Some(member), address));
        }
        match link.ask(&Ask::Digest(point), ASK_TIMEOUT).await {
            Ok(Answer::Digest(digest)) => digest,
            Ok(_) | Err(_) => None,
        }
    }

    /// This member is right about `point`.
    async fn agree(&mut self, point: DigestPoint) {
        self.compared = Some(point.index);
        self.metrics
            .coordination
            .digest_index
            .set(point.index as i64);
        if self.shared.soundness.set(Condition::Sound) == Condition::Sound {
            return;
        }
        let dir = self.data_dir.clone();
        if let Ok(Err(error)) = off_runtime(move || mark::clear(&dir)).await {
            tracing::warn!(%error, "the next start will compare the tree before it serves");
        }
        self.contact.set_unfit(false);
        self.contact
            .clear_fault(|fault| matches!(fault, Fault::Diverged { .. }));
        tracing::info!(
            index = point.index,
            "this member's tree is the others' again"
        );
    }

    /// Stops serving, before anything else, and notes it on disk.
    async fn say(&mut self, index: u64) {
        let known = self.contact.faults();
        if !known
            .iter()
            .any(|fault| matches!(fault, Fault::Diverged { .. }))
        {
            self.contact.set_fault(Fault::Diverged { index });
        }
        let dir = self.data_dir.clone();
        if let Ok(Err(error)) = off_runtime(move || mark::set(&dir, index)).await {
            tracing::error!(%error, "cannot note on disk that this member's tree is doubted");
        }
    }

    /// This member is wrong: it leads no more, then gets the leader's tree.
    async fn mend(&mut self, others: &Others) {
        if self.found == 0 {
            self.found = self
                .shared
                .points(|points| points.latest())
                .map_or(0, |p| p.index);
        }
        self.contact.set_unfit(true);
        self.say(self.found).await;
        let me = self.rebuilder.me.member;
        let rebuilt = match others.leader {
            Some(leader) if leader == me && others.addresses.is_empty() => {
                self.rebuilder.reload().await
            }
            Some(leader) if leader == me => return self.hand_over().await,
            Some(leader) => {
                let Some(address) = others.addresses.get(&leader) else {
                    return;
                };
                self.rebuilder.rebuild(leader, address, self.found).await
            }
            None => return,
        };
        match rebuilt {
            Ok(index) => {
                tracing::warn!(leader = others.leader, index, "rebuilt from a snapshot");
                self.metrics.coordination.tree_rebuilds.inc();
                self.shared.soundness.set(Condition::Unproven);
                self.found = 0;
            }
            Err(error) => {
                tracing::warn!(leader = others.leader, %error, "rebuilding failed; it is tried again");
                sleep(DIGEST_INTERVAL).await;
            }
        }
        self.shared.soundness.wake();
    }

    async fn hand_over(&self) {
        let (me, successor) = {
            let facts = self.raft.metrics();
            let facts = facts.borrow_watched();
            let voters: BTreeSet<u64> = facts.membership_config.membership().voter_ids().collect();
            let others = facts.replication.iter().flatten();
            let fit = others.filter(|(id, _)| **id != facts.id && voters.contains(id));
            let best = fit.max_by_key(|(id, matched)| (self.right.contains(id), **matched));
            (facts.id, best.map(|(id, _)| *id))
        };
        let Some(successor) = successor else { return };
        if self.raft.trigger().transfer_leader(successor).await.is_ok() {
            let other = |facts: &RaftMetrics<Types>| {
                facts.current_leader.is_some_and(|leader| leader != me)
            };
            let wait = self.raft.wait(Some(HANDOVER_TIMEOUT));
            let done = wait.metrics(other, "another member leads").await.is_ok();
            tracing::warn!(
                successor,
                done,
                "leadership handed over, for this tree is wrong"
            );
            self.shared.soundness.wake();
        }
    }

    fn others(&self) -> Others {
        let facts = self.raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        let nodes = membership.nodes().filter(|(id, _)| **id != facts.id);
        Others {
            leader: facts.current_leader,
            addresses: nodes
                .map(|(id, member)| (*id, member.address.clone()))
                .collect(),
            voters: membership.get_joint_config().clone(),
        }
    }
}
