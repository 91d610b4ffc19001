//! What this member's tasks share: the applied tree, who follows it, and which clients wait for what.
//!
//! ```text
//!   machine (the only writer) --write lock--> tree
//!        |  still under the lock: followers hear the events, then the waiting client its answer
//!        v
//!   applied (watch channel): how far this member is
//! ```
//! The order inside the lock is invariant 5 of the design: an event is in its connection's queue before any
//! reply that could show the change, because a reader needs the lock too.

use super::digest::{DigestPoint, Points, Soundness};
use super::handle::{Applied, Follower};
use super::progress::{Look, Progress};
use super::tickets::Tickets;
use super::types::{Origin, Proposal, Types};
use crate::tree::{ErrorCode, Event, MemberInfo, Tree, Zxid};
use openraft::EntryPayload;
use openraft::alias::{EntryOf, LogIdOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// The state machine's contents and those who depend on them.
pub(super) struct Shared {
    /// The tree and how far it reflects the log.
    replica: RwLock<Replica>,
    /// Held while the tree is captured for a snapshot or a backup.
    pub(super) capturing: Mutex<()>,
    /// Clients of this member that wait for an outcome.
    pub(super) tickets: Tickets,
    /// Whether the tree can be trusted.
    pub(super) soundness: Soundness,
    followers: Vec<Arc<dyn Follower>>,
    applied: watch::Sender<u64>,
    /// Steps of whoever applies.
    progress: Progress,
    /// A snapshot from the leader is being taken over: entries wait for it, however long it takes.
    is_installing: AtomicBool,
}

/// The applied tree together with the Raft facts that belong to the same instant.
pub(super) struct Replica {
    /// The tree.
    pub(super) tree: Tree,
    /// The last entry applied, of whatever kind.
    pub(super) last_applied: Option<LogIdOf<Types>>,
    /// The last membership applied.
    pub(super) membership: StoredMembershipOf<Types>,
    /// What the digest was lately.
    pub(super) points: Points,
    /// Counts replacements by a snapshot, so that a snapshot being written notices that its tree is gone.
    pub(super) generation: u64,
}

impl Replica {
    /// Before any entry.
    pub(super) fn empty() -> Replica {
        Replica {
            tree: Tree::new(),
            last_applied: None,
            membership: StoredMembershipOf::<Types>::default(),
            points: Points::default(),
            generation: 0,
        }
    }

    /// Notes that the tree is as after this entry. True at every index that all members compare.
    fn reached(&mut self, log_id: LogIdOf<Types>) -> bool {
        self.last_applied = Some(log_id);
        self.points.record(log_id.index(), self.tree.digest())
    }

    /// Takes over who the members are; gives the events of it.
    fn member(&mut self, zxid: Zxid, membership: StoredMembershipOf<Types>) -> Vec<Event> {
        let published = published(&membership);
        self.membership = membership;
        published.map_or_else(Vec::new, |members| self.tree.set_membership(zxid, &members))
    }

    /// Applies an entry of the log to a replica that nobody follows.
    pub(super) fn replay(&mut self, entry: EntryOf<Types>) {
        let log_id = entry.log_id();
        let zxid = Zxid(log_id.index());
        match entry.payload {
            EntryPayload::Normal(proposal) => drop(self.tree.apply(zxid, &proposal.transaction)),
            EntryPayload::Blank => {}
            EntryPayload::Membership(membership) => {
                let stored = StoredMembershipOf::<Types>::new(Some(log_id), membership);
                self.member(zxid, stored);
            }
        }
        self.reached(log_id);
    }
}

impl Shared {
    /// State that starts from `replica`; `followers` hear of every change from now on.
    pub(super) fn new(
        mut replica: Replica,
        tickets: Tickets,
        followers: Vec<Arc<dyn Follower>>,
    ) -> Shared {
        let index = replica.last_applied.map_or(0, |id| id.index());
        if let Some(log_id) = replica.last_applied {
            replica.reached(log_id);
        }
        Shared {
            replica: RwLock::new(replica),
            capturing: Mutex::new(()),
            tickets,
            soundness: Soundness::default(),
            followers,
            applied: watch::Sender::new(index),
            progress: Progress::default(),
            is_installing: AtomicBool::new(false),
        }
    }

    /// How whoever applies gets on, given how far this member's log is `committed`.
    pub(super) fn progress(&self, committed: Option<u64>) -> Look {
        let is_behind = committed > Some(*self.applied.borrow());
        let is_installing = self.is_installing.load(Ordering::Relaxed);
        Look {
            is_busy: is_behind && !is_installing,
            ..self.progress.look()
        }
    }

    /// A snapshot from the leader is being taken over, or not any more.
    pub(super) fn install(&self, begins: bool) {
        self.is_installing.store(begins, Ordering::Relaxed);
    }

    /// Looks at the tree; see [`super::Ensemble::read`].
    pub(super) fn read<R>(&self, look: impl FnOnce(&Tree) -> R) -> R {
        look(&self.replica.read().tree)
    }

    /// Works on the replica itself: for snapshots, a part at a time. `apply` is next in between, if it waits: whoever
    /// comes back at once would else find the lock free before it.
    pub(super) fn with_replica<R>(&self, work: impl FnOnce(&mut Replica) -> R) -> R {
        let mut replica = self.replica.write();
        let result = work(&mut replica);
        RwLockWriteGuard::unlock_fair(replica);
        result
    }

    /// The last applied entry and membership.
    pub(super) fn applied_state(&self) -> (Option<LogIdOf<Types>>, StoredMembershipOf<Types>) {
        let replica = self.replica.read();
        (replica.last_applied, replica.membership.clone())
    }

    /// Looks at what the digest was lately.
    pub(super) fn points<R>(&self, look: impl FnOnce(&Points) -> R) -> R {
        look(&self.replica.read().points)
    }

    /// What this member's digest was where another's is `point`, unless it cannot be trusted.
    pub(super) fn testify(&self, point: DigestPoint) -> Option<u64> {
        let mine = self.points(|points| points.at(point.index))?;
        if mine != point.digest {
            self.soundness.suspect(point.index);
        }
        self.soundness.may_testify().then_some(mine)
    }

    /// How far this member has applied the log.
    pub(super) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Applies one proposal.
    pub(super) fn apply(&self, log_id: LogIdOf<Types>, proposal: &Proposal) {
        let zxid = Zxid(log_id.index());
        failpoint!("apply-before");
        let mut replica = self.replica.write();
        let outcome = replica.tree.apply(zxid, &proposal.transaction);
        let is_milestone = replica.reached(log_id);
        if !outcome.events.is_empty() {
            for follower in &self.followers {
                follower.applied(&replica.tree, zxid, &outcome.events);
            }
        }
        self.tickets.complete(
            &proposal.origin,
            Applied {
                zxid,
                result: outcome.result,
            },
        );
        drop(replica);
        failpoint!("apply-after");
        self.progress.step();
        if is_milestone {
            self.soundness.wake();
        }
    }

    /// Tells whoever waits for a proposal that the leader has no room for it: it takes no effect.
    pub(super) fn refuse(&self, origin: &Origin) {
        // Clients take no notice of this one, which is right: nothing has happened.
        let zxid = Zxid::default();
        let result = Err(ErrorCode::ThrottledOp);
        self.tickets.complete(origin, Applied { zxid, result });
    }

    /// Notes an entry without meaning.
    pub(super) fn pass(&self, log_id: LogIdOf<Types>) {
        self.replica.write().reached(log_id);
    }

    /// Takes over who the members are. Clients see it once a change is complete, not while two sets of voters
    /// count.
    pub(super) fn member(&self, log_id: LogIdOf<Types>, membership: StoredMembershipOf<Types>) {
        let zxid = Zxid(log_id.index());
        let mut replica = self.replica.write();
        let events = replica.member(zxid, membership);
        replica.reached(log_id);
        if !events.is_empty() {
            for follower in &self.followers {
                follower.applied(&replica.tree, zxid, &events);
            }
        }
    }

    /// Tells those who wait for an index that a batch of entries is applied.
    pub(super) fn publish_applied(&self) {
        let index = self.replica.read().last_applied.map_or(0, |id| id.index());
        self.progress.step();
        self.applied
            .send_if_modified(|now| std::mem::replace(now, index) != index);
    }

    /// Replaces everything by a snapshot. Gives back what there was, which may take long to drop.
    ///
    /// What this member's clients wait for may be in it: it will not be applied here one by one, so nobody here will
    /// ever know what became of it.
    #[must_use]
    pub(super) fn replace(&self, mut replica: Replica) -> Replica {
        if replica.points.latest().is_none()
            && let Some(log_id) = replica.last_applied
        {
            replica.reached(log_id);
        }
        let mut now = self.replica.write();
        replica.generation = now.generation + 1;
        let old = std::mem::replace(&mut *now, replica);
        for follower in &self.followers {
            follower.replaced(&now.tree);
        }
        drop(now);
        self.tickets.void_all();
        self.publish_applied();
        old
    }
}

/// The members as clients see them; `None` while the voters change.
fn published(membership: &StoredMembershipOf<Types>) -> Option<BTreeMap<u64, MemberInfo>> {
    let membership = membership.membership();
    let [voters] = membership.get_joint_config().as_slice() else {
        return None;
    };
    let members = membership.nodes().map(|(id, member)| {
        let info = MemberInfo {
            address: member.address.clone(),
            election: member.election,
            voter: voters.contains(id),
        };
        (*id, info)
    });
    Some(members.collect())
}

#[cfg(test)]
mod tests {
    use super::super::tickets::Waiter;
    use super::*;
    use tokio::sync::{Semaphore, oneshot};

    /// The entry that would have answered it may be among those the snapshot jumps over.
    #[test]
    fn a_snapshot_ends_the_wait_of_clients_with_an_unknown_outcome() {
        let shared = Shared::new(Replica::empty(), Tickets::new(1, 1), Vec::new());
        let (tx, mut rx) = oneshot::channel();
        let _room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        shared.tickets.issue(Waiter { tx, _room });
        drop(shared.replace(Replica::empty()));
        assert_eq!(
            rx.try_recv().unwrap_err(),
            oneshot::error::TryRecvError::Closed
        );
    }
}
