//! Carrying a tree over into another ensemble.
//!
//! Sessions live in the ensemble that opened them: their clients will not look for them in another one, and nobody
//! there hears their signs of life. So they end, and their ephemerals with them, as if each had been closed; the
//! znodes above count the deletions. All else stays as it is: data, ACLs, quotas, containers, times to live, zxids,
//! versions and times.

use super::membership::{Member, Membership};
use super::{SessionId, Tree, Zxid};
use std::collections::BTreeMap;

/// What did not come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// Sessions.
    pub sessions: usize,
    /// Their ephemerals.
    pub ephemerals: usize,
}

impl Tree {
    /// Ends all sessions and replaces the members, as one transaction.
    ///
    /// # Panics
    /// Unless `zxid` is greater than that of every transaction applied before.
    pub fn transplant(&mut self, zxid: Zxid, members: BTreeMap<u64, Member>) -> LeftBehind {
        self.advance(zxid);
        let sessions: Vec<SessionId> = self.sessions.iter().map(|(id, _)| id).collect();
        let left = LeftBehind {
            sessions: sessions.len(),
            ephemerals: self.counts().ephemerals,
        };
        for session in sessions {
            self.close(session, false, &mut Vec::new());
        }
        let mut membership = Membership {
            members,
            ..Membership::default()
        };
        membership.note_members();
        self.replace_members(membership);
        left
    }
}
