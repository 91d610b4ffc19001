//! When each session is due, as the leader knows it.
//!
//! A member may have answered a session's client without the leader having heard of it yet. How much, is bounded: it
//! answers only while a report of its own, sent at most [`SERVING_GRACE`] ago, was taken by a leader (`contact`). So when a
//! deadline passes, the member that holds the session is asked for later signs of life; if it does not answer, the
//! session gets its full timeout from the last moment at which that member can have answered anybody.

use super::limits::{EXPIRY_BATCH, EXPIRY_RETRY, SERVING_GRACE, SILENT};
use crate::tree::{Session, SessionId, Zxid};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// A session whose time seems to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    /// The session.
    pub(super) session: SessionId,
    /// The attachment that went silent.
    pub(super) attachment: Zxid,
    /// The member that knows best.
    pub(super) member: u64,
}

/// Who may know of later signs of life of an overdue session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nobody: it is over.
    None,
    /// The member that holds it.
    AskItsMember,
    /// That member was not heard for so long that to ask is idle.
    MemberIsSilent,
}

/// `queue` holds exactly one entry per session, at its deadline or, cheaper for the many touches that only move a
/// deadline away, earlier: it is then put right when its turn comes.
pub(super) struct Deadlines {
    /// The term in which this member leads.
    pub(super) term: u64,
    /// Since when. Whatever an earlier leader was told, it was told before.
    since: Instant,
    /// When each other member last reported.
    heard: HashMap<u64, Instant>,
    sessions: HashMap<SessionId, Deadline>,
    queue: BTreeSet<(Instant, SessionId)>,
}

struct Deadline {
    attachment: Zxid,
    member: u64,
    timeout: Duration,
    due: Instant,
    queued_at: Instant,
}

impl Deadlines {
    /// No sessions yet, on a member that leads in `term` from `now` on.
    pub(super) fn new(term: u64, now: Instant) -> Deadlines {
        Deadlines {
            term,
            since: now,
            heard: HashMap::new(),
            sessions: HashMap::new(),
            queue: BTreeSet::new(),
        }
    }

    /// A session begins, or begins anew, at `now`.
    pub(super) fn insert(&mut self, id: SessionId, session: &Session, now: Instant) {
        self.remove(id);
        let timeout = session.timeout();
        let due = now + timeout;
        self.queue.insert((due, id));
        let deadline = Deadline {
            attachment: session.attachment,
            member: session.member,
            timeout,
            due,
            queued_at: due,
        };
        self.sessions.insert(id, deadline);
    }

    /// A session has ended.
    pub(super) fn remove(&mut self, id: SessionId) {
        if let Some(deadline) = self.sessions.remove(&id) {
            self.queue.remove(&(deadline.queued_at, id));
        }
    }

    /// A session gave a sign of life.
    pub(super) fn touch(&mut self, id: SessionId, at: Instant) {
        if let Some(deadline) = self.sessions.get_mut(&id) {
            deadline.due = deadline.due.max(at + deadline.timeout);
        }
    }

    /// A member has reported.
    pub(super) fn hear(&mut self, member: u64, now: Instant) {
        self.heard.insert(member, now);
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Sessions whose time is up, at most [`EXPIRY_BATCH`]; each is named again only after [`EXPIRY_RETRY`], unless its
    /// deadline moves.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        while let Some(&(at, id)) = self.queue.first() {
            if at > now || overdue.len() == EXPIRY_BATCH {
                break;
            }
            self.queue.pop_first();
            let Some(deadline) = self.sessions.get_mut(&id) else {
                continue;
            };
            if deadline.due <= now {
                overdue.push(Overdue {
                    session: id,
                    attachment: deadline.attachment,
                    member: deadline.member,
                });
                deadline.queued_at = now + EXPIRY_RETRY;
            } else {
                deadline.queued_at = deadline.due;
            }
            self.queue.insert((deadline.queued_at, id));
        }
        overdue
    }

    /// Whether `member` may know of signs of life of an overdue session that were not reported.
    pub(super) fn doubt(&self, overdue: &Overdue, now: Instant) -> Doubt {
        let silence = now.saturating_duration_since(self.last_word(overdue.member));
        let timeout = self.sessions.get(&overdue.session).map(|it| it.timeout);
        match timeout {
            Some(timeout) if silence < timeout + SERVING_GRACE => match silence < SILENT {
                true => Doubt::AskItsMember,
                false => Doubt::MemberIsSilent,
            },
            _ => Doubt::None,
        }
    }

    /// The member that holds an overdue session gives no answer: it may have given some to the client.
    pub(super) fn postpone(&mut self, overdue: &Overdue) {
        let answered = self.last_word(overdue.member) + SERVING_GRACE;
        self.touch(overdue.session, answered);
    }

    /// Whether an overdue session is still overdue, after all that was heard meanwhile.
    pub(super) fn is_over(&mut self, overdue: &Overdue, now: Instant) -> bool {
        let id = overdue.session;
        let Some(deadline) = self.sessions.get_mut(&id) else {
            return false;
        };
        if deadline.attachment != overdue.attachment {
            return false;
        }
        if deadline.due > now {
            self.queue.remove(&(deadline.queued_at, id));
            deadline.queued_at = deadline.due;
            self.queue.insert((deadline.queued_at, id));
            return false;
        }
        true
    }

    /// What is left of each session's time.
    pub(super) fn remaining(&self, now: Instant) -> Vec<(SessionId, Duration)> {
        let sessions = self.sessions.iter();
        let left = sessions.map(|(id, it)| (*id, it.due.saturating_duration_since(now)));
        left.collect()
    }

    /// Moves every deadline.
    pub(super) fn extend(&mut self, pause: Duration) {
        for deadline in self.sessions.values_mut() {
            deadline.due += pause;
        }
    }

    /// The latest moment at which a report of `member` was taken: by this leader or, before it led, by another.
    fn last_word(&self, member: u64) -> Instant {
        self.heard.get(&member).map_or(self.since, |at| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(4);
    const MEMBER: u64 = 2;
    const OVERDUE: Overdue = Overdue {
        session: SessionId(1),
        attachment: Zxid(10),
        member: MEMBER,
    };

    fn deadlines(now: Instant) -> Deadlines {
        let mut deadlines = Deadlines::new(1, now);
        let session = Session {
            password: [0; 16],
            timeout_ms: T.as_millis() as u32,
            attachment: OVERDUE.attachment,
            member: MEMBER,
        };
        deadlines.insert(OVERDUE.session, &session, now);
        deadlines
    }

    #[test]
    fn silent_session_is_overdue_at_its_timeout_and_not_before() {
        let now = Instant::now();
        let mut d = deadlines(now);
        assert_eq!(d.overdue(now + T - Duration::from_millis(1)), []);
        assert_eq!(d.overdue(now + T), [OVERDUE]);
    }

    #[test]
    fn touch_counts_from_when_it_happened_not_from_when_it_was_heard() {
        let now = Instant::now();
        let mut d = deadlines(now);
        d.touch(SessionId(1), now + Duration::from_secs(3));
        assert_eq!(d.overdue(now + Duration::from_secs(6)), []);
        assert_eq!(d.overdue(now + Duration::from_secs(7)).len(), 1);
    }

    #[test]
    fn late_report_of_an_older_sign_does_not_shorten_a_deadline() {
        let now = Instant::now();
        let mut d = deadlines(now);
        d.touch(SessionId(1), now + Duration::from_secs(3));
        d.touch(SessionId(1), now + Duration::from_secs(1));
        assert_eq!(d.overdue(now + Duration::from_secs(6)), []);
    }

    #[test]
    fn overdue_session_is_named_again_only_after_the_retry_time() {
        let now = Instant::now();
        let mut d = deadlines(now);
        assert_eq!(d.overdue(now + T).len(), 1);
        assert!(d.is_over(&OVERDUE, now + T));
        assert_eq!(d.overdue(now + T), []);
        assert_eq!(d.overdue(now + T + EXPIRY_RETRY).len(), 1);
    }

    #[test]
    fn overdue_session_that_its_member_knows_to_live_is_due_at_its_new_time() {
        let now = Instant::now();
        let mut d = deadlines(now);
        assert_eq!(d.overdue(now + T), [OVERDUE]);
        let later = Duration::from_millis(10);
        d.touch(SessionId(1), now + later);
        assert!(!d.is_over(&OVERDUE, now + T));
        assert_eq!(d.next(), Some(now + T + later));
        assert_eq!(d.overdue(now + T + later), [OVERDUE]);
    }

    #[test]
    fn overdue_session_that_was_attached_again_is_not_over() {
        let now = Instant::now();
        let mut d = deadlines(now);
        let before = Overdue {
            attachment: Zxid(9),
            ..OVERDUE
        };
        assert!(!d.is_over(&before, now + T));
    }

    #[test]
    fn member_that_reports_is_asked_and_one_that_is_silent_is_waited_for() {
        let now = Instant::now();
        let mut d = deadlines(now);
        let due = now + T;
        d.hear(MEMBER, due - SILENT / 2);
        assert_eq!(d.doubt(&OVERDUE, due), Doubt::AskItsMember);
        d.hear(MEMBER, due - SILENT);
        assert_eq!(d.doubt(&OVERDUE, due), Doubt::MemberIsSilent);
        d.overdue(due);
        d.postpone(&OVERDUE);
        assert!(!d.is_over(&OVERDUE, due));
        // It answered its clients for a while after its last report.
        let end = due - SILENT + SERVING_GRACE + T;
        assert_eq!(d.overdue(end - Duration::from_millis(1)), []);
        assert_eq!(d.overdue(end), [OVERDUE]);
        assert_eq!(d.doubt(&OVERDUE, end), Doubt::None);
        assert!(d.is_over(&OVERDUE, end));
    }

    #[test]
    fn member_that_never_reported_to_this_leader_may_have_to_the_one_before() {
        let now = Instant::now();
        let d = deadlines(now);
        assert_eq!(d.doubt(&OVERDUE, now + T), Doubt::MemberIsSilent);
        assert_eq!(d.doubt(&OVERDUE, now + T + SERVING_GRACE), Doubt::None);
    }

    #[test]
    fn removed_session_is_never_overdue() {
        let now = Instant::now();
        let mut d = deadlines(now);
        d.remove(SessionId(1));
        assert_eq!(d.overdue(now + T * 2), []);
    }

    #[test]
    fn pause_of_the_process_moves_every_deadline() {
        let now = Instant::now();
        let mut d = deadlines(now);
        d.extend(Duration::from_secs(10));
        assert_eq!(d.overdue(now + T), []);
        assert_eq!(d.overdue(now + T + Duration::from_secs(10)).len(), 1);
    }
}
