//! The open sessions: who may act, through which attachment, and with which password to come back.
//!
//! Whether a session is *alive* is not known here: liveness is a matter of clocks, which the leader
//! watches. What arrives here is its verdict, as a command.

use super::scrub::Walk;
use super::{ErrorCode, SessionId, Zxid, digest};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::time::Duration;

/// An open session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// What the client must present to attach again.
    pub password: [u8; 16],
    /// Silence after which the leader may expire it, milliseconds.
    pub timeout_ms: u32,
    /// The transaction that opened or last attached it. Requests that came through an older attachment
    /// are refused.
    pub attachment: Zxid,
    /// The member it is attached to.
    pub member: u64,
}

impl Session {
    /// Silence after which the leader may expire it.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

impl fmt::Debug for Session {
    /// Leaves the password out: logs are no place for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("timeout_ms", &self.timeout_ms)
            .field("attachment", &self.attachment)
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}

/// All open sessions, in order of their ids, and their share of the digest.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: BTreeMap<SessionId, Session>,
    digest: u64,
    /// How far a walk that recomputes the digest has come.
    walk: Walk<Option<SessionId>>,
    /// Whether the walk over the znodes has ended, and this one goes on.
    pub(super) is_their_turn: bool,
}

impl Sessions {
    /// Adds or replaces a session.
    pub(super) fn put(&mut self, id: SessionId, session: Session) {
        self.remove(id);
        self.account(id, 0, digest::session(id, &session));
        self.open.insert(id, session);
    }

    /// Forgets a session.
    pub(super) fn remove(&mut self, id: SessionId) {
        if let Some(session) = self.open.remove(&id) {
            self.account(id, digest::session(id, &session), 0);
        }
    }

    fn account(&mut self, id: SessionId, before: u64, after: u64) {
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        // The walk stands at the last session it has seen, hence `<=`.
        if self.walk.next >= Some(id) {
            self.walk.add(after.wrapping_sub(before));
        }
    }

    /// Recomputes the terms of the next `limit` sessions. At the end: whether they add up.
    pub(super) fn scrub(&mut self, limit: usize) -> Option<bool> {
        let from = self.walk.next.map_or(Bound::Unbounded, Bound::Excluded);
        let mut seen = 0;
        for (id, session) in self.open.range((from, Bound::Unbounded)).take(limit) {
            self.walk.next = Some(*id);
            self.walk.add(digest::session(*id, session));
            seen += 1;
        }
        if seen == limit {
            return None;
        }
        self.is_their_turn = false;
        Some(self.walk.end() == self.digest)
    }

    /// To plant damage that the digest does not know of.
    #[cfg(test)]
    pub(super) fn any_mut(&mut self) -> Option<&mut Session> {
        self.open.values_mut().next()
    }

    /// Looks a session up.
    pub(super) fn find(&self, id: SessionId) -> Option<&Session> {
        self.open.get(&id)
    }

    /// The session, if it is open and still attached by `attachment`.
    ///
    /// # Errors
    /// [`ErrorCode::SessionExpired`] when it is not open, [`ErrorCode::SessionMoved`] when it was attached
    /// anew.
    pub(super) fn attached(&self, id: SessionId, attachment: Zxid) -> Result<(), ErrorCode> {
        let session = self.find(id).ok_or(ErrorCode::SessionExpired)?;
        if session.attachment == attachment {
            Ok(())
        } else {
            Err(ErrorCode::SessionMoved)
        }
    }

    /// The session, if the password is right. Unknown and wrong look the same to the caller.
    ///
    /// # Errors
    /// [`ErrorCode::SessionExpired`] otherwise.
    pub(super) fn proven(&self, id: SessionId, password: &[u8]) -> Result<&Session, ErrorCode> {
        self.find(id)
            .filter(|session| equal_in_constant_time(&session.password, password))
            .ok_or(ErrorCode::SessionExpired)
    }

    /// All of them, in order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.open.iter().map(|(id, session)| (*id, session))
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Their share of the digest.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }
}

/// Compares without stopping at the first difference, so that timing does not tell how much was right.
fn equal_in_constant_time(ours: &[u8; 16], theirs: &[u8]) -> bool {
    let difference = ours.iter().zip(theirs).fold(0, |difference, (a, b)| {
        std::hint::black_box(difference | (a ^ b))
    });
    theirs.len() == ours.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixteen_equal_bytes_match() {
        let ours = [7; 16];
        assert!(equal_in_constant_time(&ours, &[7; 16]));
        for theirs in [&[7; 15][..], &[7; 17], &[], &[0; 16]] {
            assert!(!equal_in_constant_time(&ours, theirs));
        }
        for wrong in 0..16 {
            let mut theirs = ours;
            theirs[wrong] ^= 1;
            assert!(!equal_in_constant_time(&ours, &theirs));
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let session = Session {
            password: [0xab; 16],
            timeout_ms: 4000,
            attachment: Zxid(1),
            member: 1,
        };
        assert!(!format!("{session:?}").contains("171"));
    }
}
