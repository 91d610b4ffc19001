//! Judging who may take part: members that were removed, and members whose disk was put back as it was earlier.
//!
//! ```text
//!   greeting  both sides tell how often they were started, and what they drew at that (`papers`)
//!             the other side compares with the tree:  fewer, or another draw -> Outdated;  number removed -> Removed
//!   appending the leader compares the end of the member's log with what that member has acknowledged
//!   start     a member with a log asks the others before it takes part; and again whenever it hears no leader
//! ```
//! A disk that is put back has forgotten votes and entries that counted. Raft has no way to notice: openraft's leader
//! takes it for a bug (it panics in debug builds). So such a member is not talked to; it learns why, and has itself
//! admitted under a new number.
//!
//! What is not seen: a copy taken since the last start of the member and put back before the next, when the leader
//! that knew what the member had acknowledged is gone too. Nothing on the disk or in the tree differs then.
//!
//! A member believes a single other one that it was removed: that is in a log that others have committed.

use super::peer::{Answer, Ask, Caller, Link, LinkError, Me, Refusal};
use super::state::Shared;
use super::types::Member;
use crate::tree::Stage;
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What this member knows of the others, for judging them.
pub(super) struct Census {
    shared: Arc<Shared>,
    /// The highest index that each member has acknowledged to this one.
    acknowledged: Mutex<HashMap<u64, u64>>,
}

/// Why this member cannot take part any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dismissal {
    /// It was removed.
    Removed,
    /// Its disk is an older copy.
    Outdated,
}

impl Census {
    /// Nobody has acknowledged anything yet.
    pub(super) fn new(shared: Arc<Shared>) -> Census {
        Census {
            shared,
            acknowledged: Mutex::default(),
        }
    }

    /// Notes that `member` has the log up to `index`.
    pub(super) fn acknowledged(&self, member: u64, index: u64) {
        let mut known = self.acknowledged.lock();
        let highest = known.entry(member).or_default();
        *highest = index.max(*highest);
    }

    /// Whether one who says that it is this member may be talked to.
    ///
    /// # Errors
    /// [`Refusal::Removed`], [`Refusal::Outdated`].
    pub(super) fn judge(&self, caller: &Caller) -> Result<(), Refusal> {
        let refusal = self.shared.read(|tree| {
            let known = tree.numbers().get(&caller.member)?;
            if known.stage == Stage::Removed {
                return Some(Refusal::Removed(caller.member));
            }
            let is_older = caller.boots < known.boots;
            let is_other = caller.boots == known.boots && caller.boot != known.boot;
            (is_older || is_other).then_some(Refusal::Outdated(caller.member))
        });
        refusal.map_or(Ok(()), Err)
    }

    /// Whether a log that ends at `last` lacks what `member` has acknowledged and what is committed, which no
    /// leader takes back.
    pub(super) fn is_reverted(&self, member: u64, last: Option<u64>) -> bool {
        let Some(acknowledged) = self.acknowledged.lock().get(&member).copied() else {
            return false;
        };
        let (applied, _) = self.shared.applied_state();
        let committed = applied.map_or(0, |id| id.index());
        let least = acknowledged.min(committed);
        least > 0 && last.is_none_or(|last| last < least)
    }
}

/// Asks `others` whether member `me`, whose log ends at `last`, may take part. `None` if nobody objects; who does not
/// answer does not object.
pub(super) async fn objection(
    me: &Me,
    last: Option<u64>,
    others: &BTreeMap<u64, Member>,
    patience: Duration,
) -> Option<Dismissal> {
    let others = others
        .iter()
        .filter(|(id, other)| **id != me.member && !other.address.is_empty());
    let asked = others.map(|(id, other)| async move {
        let mut link = Link::new(me, Some(*id), &other.address);
        match link.ask(&Ask::MayTakePart(last), patience).await {
            Ok(Answer::MayTakePart(false)) => Some(Dismissal::Outdated),
            Err(LinkError::Refused { refusal, .. }) => match refusal {
                Refusal::Removed(_) => Some(Dismissal::Removed),
                Refusal::Outdated(_) => Some(Dismissal::Outdated),
                _ => None,
            },
            Ok(_) | Err(LinkError::Io { .. }) => None,
        }
    });
    let objections = join_all(asked).await.into_iter().flatten();
    // That it is out of date matters only while it is a member.
    objections.min_by_key(|objection| *objection != Dismissal::Removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::state::Replica;
    use crate::ensemble::tickets::Tickets;
    use crate::ensemble::types::Types;
    use crate::tree::{Actor, Command, MemberInfo, Transaction, Zxid};
    use openraft::alias::{LeaderIdOf, LogIdOf};

    fn census() -> Census {
        let mut replica = Replica::empty();
        let member = |number: u64| {
            let info = MemberInfo {
                address: format!("h{number}:1"),
                election: None,
                voter: true,
            };
            (number, info)
        };
        let all: BTreeMap<_, _> = [1, 2, 3].map(member).into();
        replica.tree.set_membership(Zxid(1), &all);
        let command = Command::Announce {
            member: 2,
            boots: 5,
            boot: 77,
            level: 1,
        };
        let transaction = Transaction {
            time_ms: 0,
            actor: Actor::Ensemble,
            command,
        };
        assert!(replica.tree.apply(Zxid(2), &transaction).result.is_ok());
        let two: BTreeMap<_, _> = [1, 2].map(member).into();
        replica.tree.set_membership(Zxid(3), &two);
        let leader = LeaderIdOf::<Types> {
            term: 1,
            node_id: 1,
        };
        replica.last_applied = Some(LogIdOf::<Types>::new(leader, 100));
        let shared = Shared::new(replica, Tickets::new(1, 1), Vec::new());
        Census::new(Arc::new(shared))
    }

    #[test]
    fn removed_and_older_members_are_refused() {
        let census = census();
        let judge = |member, boots, boot| {
            census.judge(&Caller {
                member,
                boots,
                boot,
            })
        };
        assert_eq!(judge(2, 5, 77), Ok(()));
        assert_eq!(judge(2, 6, 1), Ok(()), "started again");
        assert_eq!(judge(2, 4, 77), Err(Refusal::Outdated(2)));
        assert_eq!(judge(2, 5, 78), Err(Refusal::Outdated(2)));
        assert_eq!(judge(3, 9, 9), Err(Refusal::Removed(3)));
        assert_eq!(judge(1, 0, 0), Ok(()), "it has not told yet");
        assert_eq!(judge(4, 1, 1), Ok(()), "not known here yet");
    }

    #[test]
    fn a_log_that_lacks_what_it_acknowledged_is_noticed() {
        let census = census();
        assert!(!census.is_reverted(2, None));
        census.acknowledged(2, 90);
        census.acknowledged(2, 80);
        assert!(!census.is_reverted(2, Some(90)));
        assert!(census.is_reverted(2, Some(89)));
        assert!(census.is_reverted(2, None));
        // Beyond what is committed a log may be cut.
        census.acknowledged(2, 120);
        assert!(!census.is_reverted(2, Some(100)));
        assert!(census.is_reverted(2, Some(99)));
        assert!(!census.is_reverted(3, None));
    }
}
