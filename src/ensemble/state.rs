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

use super::handle::{Applied, Follower};
use super::tickets::Tickets;
use super::types::{Proposal, Types};
use crate::tree::{MemberInfo, Tree, Zxid};
use openraft::alias::{LogIdOf, StoredMembershipOf};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// The state machine's contents and those who depend on them.
pub(super) struct Shared {
    /// The tree and how far it reflects the log.
    replica: RwLock<Replica>,
    /// Clients of this member that wait for an outcome.
    pub(super) tickets: Tickets,
    followers: Vec<Arc<dyn Follower>>,
    applied: watch::Sender<u64>,
}

/// The applied tree together with the Raft facts that belong to the same instant.
pub(super) struct Replica {
    /// The tree.
    pub(super) tree: Tree,
    /// The last entry applied, of whatever kind.
    pub(super) last_applied: Option<LogIdOf<Types>>,
    /// The last membership applied.
    pub(super) membership: StoredMembershipOf<Types>,
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
            generation: 0,
        }
    }
}

impl Shared {
    /// State that starts from `replica`; `followers` hear of every change from now on.
    pub(super) fn new(
        replica: Replica,
        tickets: Tickets,
        followers: Vec<Arc<dyn Follower>>,
    ) -> Shared {
        let index = replica.last_applied.map_or(0, |id| id.index());
        Shared {
            replica: RwLock::new(replica),
            tickets,
            followers,
            applied: watch::Sender::new(index),
        }
    }

    /// Looks at the tree; see [`super::Ensemble::read`].
    pub(super) fn read<R>(&self, look: impl FnOnce(&Tree) -> R) -> R {
        look(&self.replica.read().tree)
    }

    /// Works on the replica itself: for snapshots.
    pub(super) fn with_replica<R>(&self, work: impl FnOnce(&mut Replica) -> R) -> R {
        work(&mut self.replica.write())
    }

    /// The last applied entry and membership.
    pub(super) fn applied_state(&self) -> (Option<LogIdOf<Types>>, StoredMembershipOf<Types>) {
        let replica = self.replica.read();
        (replica.last_applied, replica.membership.clone())
    }

    /// How far this member has applied the log.
    pub(super) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Applies one proposal.
    pub(super) fn apply(&self, log_id: LogIdOf<Types>, proposal: &Proposal) {
        let zxid = Zxid(log_id.index());
        let mut replica = self.replica.write();
        let outcome = replica.tree.apply(zxid, &proposal.transaction);
        replica.last_applied = Some(log_id);
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
    }

    /// Notes an entry without meaning.
    pub(super) fn pass(&self, log_id: LogIdOf<Types>) {
        self.replica.write().last_applied = Some(log_id);
    }

    /// Takes over who the members are. Clients see it once a change is complete, not while two sets of voters
    /// count.
    pub(super) fn member(&self, log_id: LogIdOf<Types>, membership: StoredMembershipOf<Types>) {
        let zxid = Zxid(log_id.index());
        let mut replica = self.replica.write();
        replica.last_applied = Some(log_id);
        let published = published(&membership);
        replica.membership = membership;
        let Some(members) = published else { return };
        let events = replica.tree.set_membership(zxid, &members);
        if !events.is_empty() {
            for follower in &self.followers {
                follower.applied(&replica.tree, zxid, &events);
            }
        }
    }

    /// Tells those who wait for an index that a batch of entries is applied.
    pub(super) fn publish_applied(&self) {
        let index = self.replica.read().last_applied.map_or(0, |id| id.index());
        self.applied
            .send_if_modified(|now| std::mem::replace(now, index) != index);
    }

    /// Replaces everything by a snapshot.
    pub(super) fn replace(&self, replica: Replica) {
        let mut now = self.replica.write();
        let generation = now.generation + 1;
        *now = Replica {
            generation,
            ..replica
        };
        for follower in &self.followers {
            follower.replaced(&now.tree);
        }
        drop(now);
        self.publish_applied();
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
