//! Signs of life, and who has given none for too long.
//!
//! ```text
//!   owner's connection --touch--> touched --report, every 100 ms, as ages--> leader: deadlines
//!                                                                                |  passed
//!                                              log: CloseSession <--propose------+
//! ```
//! Deadlines exist on the leader only and by its monotonic clock only; no wall clock can expire a session.
//! A new leader knows nothing of past signs, so it gives every session its full timeout again. A deadline
//! that passes is a *proposal*: the session ends when the log says so, and the proposal names the attachment
//! it is about, so a client that came back meanwhile lives on.

use super::handle::Follower;
use super::limits::{EXPIRY_BATCH, EXPIRY_RETRY};
use super::peer::Touch;
use crate::tree::{Event, SessionId, Tree, Zxid};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// This member's part in keeping sessions alive.
#[derive(Default)]
pub(super) struct Sessions {
    /// Signs of life since the last report.
    touched: Mutex<HashMap<SessionId, Instant>>,
    /// Present while this member leads.
    deadlines: Mutex<Option<Deadlines>>,
}

/// A session that is to be expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    /// The session.
    pub(super) session: SessionId,
    /// The attachment that went silent.
    pub(super) attachment: Zxid,
}

impl Sessions {
    /// A client connected here gave a sign of life.
    pub(super) fn touch(&self, session: SessionId) {
        self.touched.lock().insert(session, Instant::now());
    }

    /// Takes the signs of life since the last call, as ages.
    pub(super) fn report(&self) -> Vec<Touch> {
        let touched = std::mem::take(&mut *self.touched.lock());
        let now = Instant::now();
        let age =
            |at: Instant| u32::try_from(now.duration_since(at).as_millis()).unwrap_or(u32::MAX);
        touched
            .into_iter()
            .map(|(session, at)| Touch {
                session,
                age_ms: age(at),
            })
            .collect()
    }

    /// Puts signs of life back that could not be reported.
    pub(super) fn unreported(&self, touches: &[Touch], reported_at: Instant) {
        let mut touched = self.touched.lock();
        for touch in touches {
            let at = reported_at.checked_sub(age(touch)).unwrap_or(reported_at);
            touched.entry(touch.session).or_insert(at);
        }
    }

    /// The leader takes note of reported signs of life. False when this member does not lead.
    pub(super) fn note(&self, touches: &[Touch]) -> bool {
        let mut deadlines = self.deadlines.lock();
        let Some(deadlines) = deadlines.as_mut() else {
            return false;
        };
        let now = Instant::now();
        for touch in touches {
            deadlines.touch(touch.session, now.checked_sub(age(touch)).unwrap_or(now));
        }
        true
    }

    /// This member leads from now on: every session of `tree` gets its full timeout.
    pub(super) fn lead(&self, tree: &Tree) {
        let now = Instant::now();
        let mut deadlines = Deadlines::default();
        for (id, session) in tree.sessions() {
            deadlines.insert(
                id,
                session.attachment,
                Duration::from_millis(session.timeout_ms.into()),
                now,
            );
        }
        *self.deadlines.lock() = Some(deadlines);
    }

    /// This member leads no more.
    pub(super) fn follow(&self) {
        *self.deadlines.lock() = None;
    }

    /// Sessions whose time is up, at most [`EXPIRY_BATCH`]; each is named again only after [`EXPIRY_RETRY`].
    pub(super) fn overdue(&self) -> Vec<Overdue> {
        self.deadlines
            .lock()
            .as_mut()
            .map(|d| d.overdue(Instant::now()))
            .unwrap_or_default()
    }

    /// Moves every deadline: the process was paused and could hear nobody.
    pub(super) fn extend(&self, pause: Duration) {
        if let Some(deadlines) = self.deadlines.lock().as_mut() {
            deadlines.extend(pause);
        }
    }
}

impl Follower for Sessions {
    fn applied(&self, tree: &Tree, _: Zxid, events: &[Event]) {
        for event in events {
            match event {
                Event::SessionAttached {
                    session,
                    attachment,
                    ..
                } => {
                    if let (Some(deadlines), Some(state)) =
                        (self.deadlines.lock().as_mut(), tree.session(*session))
                    {
                        let timeout = Duration::from_millis(state.timeout_ms.into());
                        deadlines.insert(*session, *attachment, timeout, Instant::now());
                    }
                }
                Event::SessionClosed(session) => {
                    self.touched.lock().remove(session);
                    if let Some(deadlines) = self.deadlines.lock().as_mut() {
                        deadlines.remove(*session);
                    }
                }
                _ => {}
            }
        }
    }

    fn replaced(&self, tree: &Tree) {
        if self.deadlines.lock().is_some() {
            self.lead(tree);
        }
    }
}

/// When each session is due. `queue` holds exactly one entry per session, at its deadline or, cheaper for the
/// many touches that only move a deadline away, earlier: it is then put right when its turn comes.
#[derive(Default)]
struct Deadlines {
    sessions: HashMap<SessionId, Deadline>,
    queue: BTreeSet<(Instant, SessionId)>,
}

struct Deadline {
    attachment: Zxid,
    timeout: Duration,
    due: Instant,
    queued_at: Instant,
}

impl Deadlines {
    fn insert(&mut self, id: SessionId, attachment: Zxid, timeout: Duration, now: Instant) {
        self.remove(id);
        let due = now + timeout;
        self.queue.insert((due, id));
        self.sessions.insert(
            id,
            Deadline {
                attachment,
                timeout,
                due,
                queued_at: due,
            },
        );
    }

    fn remove(&mut self, id: SessionId) {
        if let Some(deadline) = self.sessions.remove(&id) {
            self.queue.remove(&(deadline.queued_at, id));
        }
    }

    fn touch(&mut self, id: SessionId, at: Instant) {
        if let Some(deadline) = self.sessions.get_mut(&id) {
            deadline.due = deadline.due.max(at + deadline.timeout);
        }
    }

    fn overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        while let Some(&(at, id)) = self.queue.first() {
            if at > now || overdue.len() == EXPIRY_BATCH {
                break;
            }
            self.queue.pop_first();
            let deadline = self
                .sessions
                .get_mut(&id)
                .expect("a queued session is known");
            if deadline.due <= now {
                overdue.push(Overdue {
                    session: id,
                    attachment: deadline.attachment,
                });
                deadline.queued_at = now + EXPIRY_RETRY;
            } else {
                deadline.queued_at = deadline.due;
            }
            self.queue.insert((deadline.queued_at, id));
        }
        overdue
    }

    fn extend(&mut self, pause: Duration) {
        for deadline in self.sessions.values_mut() {
            deadline.due += pause;
        }
    }
}

fn age(touch: &Touch) -> Duration {
    Duration::from_millis(touch.age_ms.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(4);

    fn deadlines(now: Instant) -> Deadlines {
        let mut deadlines = Deadlines::default();
        deadlines.insert(SessionId(1), Zxid(10), T, now);
        deadlines
    }

    #[test]
    fn silent_session_is_overdue_at_its_timeout_and_not_before() {
        let now = Instant::now();
        let mut d = deadlines(now);
        assert_eq!(d.overdue(now + T - Duration::from_millis(1)), []);
        assert_eq!(
            d.overdue(now + T),
            [Overdue {
                session: SessionId(1),
                attachment: Zxid(10)
            }]
        );
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
        assert_eq!(d.overdue(now + T), []);
        assert_eq!(d.overdue(now + T + EXPIRY_RETRY).len(), 1);
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

    #[test]
    fn only_the_leader_takes_note_of_signs_of_life() {
        let sessions = Sessions::default();
        assert!(!sessions.note(&[]));
        sessions.lead(&Tree::new());
        assert!(sessions.note(&[]));
        sessions.follow();
        assert!(!sessions.note(&[]));
    }

    #[test]
    fn unreported_signs_are_reported_again_with_their_age() {
        let sessions = Sessions::default();
        let at = Instant::now();
        sessions.unreported(
            &[Touch {
                session: SessionId(5),
                age_ms: 40,
            }],
            at,
        );
        let report = sessions.report();
        assert_eq!(report.len(), 1);
        assert!(report[0].age_ms >= 40);
    }
}
