//! Signs of life, and who has given none for too long.
//!
//! ```text
//!   owner's connection --touch--> touched --report, at once or soon, as ages--> leader: deadlines
//!                                                                                |  passed, and a grace
//!                                              log: CloseSession <--propose------+
//! ```
//! Deadlines exist on the leader only and by its monotonic clock only; no wall clock can expire a session.
//! A new leader knows nothing of past signs, so it gives every session its full timeout again. A deadline
//! that passes is a *proposal*: the session ends when the log says so, and the proposal names the attachment
//! it is about, so a client that came back meanwhile lives on. Nor is it one at once: a sign of life given in
//! time may still be on its way from another member, and no session may end early.

use super::handle::Follower;
use super::limits::{
    EXPIRY_BATCH, EXPIRY_GRACE, EXPIRY_INTERVAL, EXPIRY_REST, EXPIRY_RETRY, TOUCH_BATCH,
};
use super::peer::Touch;
use crate::tree::{Event, SessionId, Tree, Zxid};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// This member's part in keeping sessions alive.
#[derive(Default)]
pub(super) struct Sessions {
    /// Signs of life since the last report.
    touched: Mutex<HashMap<SessionId, Instant>>,
    /// Told when there is something to report again.
    fresh: Notify,
    /// Present while this member leads.
    deadlines: Mutex<Option<Deadlines>>,
    /// Told when this member begins to lead.
    leads: Notify,
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
        let mut touched = self.touched.lock();
        let first = touched.is_empty();
        touched.insert(session, Instant::now());
        drop(touched);
        if first {
            self.fresh.notify_one();
        }
    }

    /// Waits until there is something to report. For one task.
    pub(super) async fn touched(&self) {
        while self.touched.lock().is_empty() {
            self.fresh.notified().await;
        }
    }

    /// Takes the signs of life since the last call, as ages, in messages of at most [`TOUCH_BATCH`].
    pub(super) fn report(&self) -> Vec<Vec<Touch>> {
        let touched = std::mem::take(&mut *self.touched.lock());
        let now = Instant::now();
        let age =
            |at: Instant| u32::try_from(now.duration_since(at).as_millis()).unwrap_or(u32::MAX);
        let touches: Vec<Touch> = touched
            .into_iter()
            .map(|(session, at)| Touch {
                session,
                age_ms: age(at),
            })
            .collect();
        touches.chunks(TOUCH_BATCH).map(<[_]>::to_vec).collect()
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
            deadlines.insert(id, session.attachment, session.timeout(), now);
        }
        *self.deadlines.lock() = Some(deadlines);
        self.leads.notify_one();
    }

    /// This member leads no more.
    pub(super) fn follow(&self) {
        *self.deadlines.lock() = None;
    }

    /// Waits until a session is to be expired, at most [`EXPIRY_REST`] long; as long as this member does not lead,
    /// for ever. Returns by how much it overslept: the process was paused. For one task.
    pub(super) async fn until_due(&self) -> Duration {
        loop {
            let due = self.deadlines.lock().as_ref().map(Deadlines::next);
            let now = Instant::now();
            match due {
                None => self.leads.notified().await,
                Some(due) => {
                    let due = due.map_or(now + EXPIRY_REST, |due| due + EXPIRY_GRACE);
                    let due = due.clamp(now + EXPIRY_INTERVAL, now + EXPIRY_REST);
                    sleep_until(due).await;
                    return due.elapsed();
                }
            }
        }
    }

    /// Sessions whose time was up [`EXPIRY_GRACE`] ago, at most [`EXPIRY_BATCH`]; each is named again only after
    /// [`EXPIRY_RETRY`].
    pub(super) fn overdue(&self) -> Vec<Overdue> {
        let mut deadlines = self.deadlines.lock();
        let known = Instant::now().checked_sub(EXPIRY_GRACE);
        let overdue = deadlines.as_mut().zip(known);
        overdue.map(|(d, now)| d.overdue(now)).unwrap_or_default()
    }

    /// What is left of each session's time unless it gives another sign of life; `None` while this member does
    /// not lead.
    pub(super) fn remaining(&self) -> Option<Vec<(SessionId, Duration)>> {
        let deadlines = self.deadlines.lock();
        let now = Instant::now();
        let sessions = &deadlines.as_ref()?.sessions;
        let left = sessions
            .iter()
            .map(|(id, it)| (*id, it.due.saturating_duration_since(now)));
        Some(left.collect())
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
                    let Some(state) = tree.session(*session) else {
                        continue;
                    };
                    if let Some(deadlines) = self.deadlines.lock().as_mut() {
                        deadlines.insert(*session, *attachment, state.timeout(), Instant::now());
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

    /// When to look next.
    fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
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
        let report = sessions.report().concat();
        assert_eq!(report.len(), 1);
        assert!(report[0].age_ms >= 40);
    }

    #[test]
    fn many_signs_are_reported_in_messages_of_bounded_size() {
        let sessions = Sessions::default();
        for id in 0..TOUCH_BATCH as u64 + 1 {
            sessions.touch(SessionId(id as i64));
        }
        let sizes: Vec<usize> = sessions.report().iter().map(Vec::len).collect();
        assert_eq!(sizes, [TOUCH_BATCH, 1]);
        assert!(sessions.report().is_empty());
    }

    #[tokio::test]
    async fn expiry_looks_when_the_next_session_is_due() {
        let sessions = Sessions::default();
        sessions.lead(&Tree::new());
        let begun = Instant::now();
        sessions.until_due().await;
        assert!(begun.elapsed() >= EXPIRY_REST, "nothing to look for");
        let soon = Duration::from_millis(50);
        let insert = |deadlines: &mut Deadlines| {
            deadlines.insert(SessionId(1), Zxid(10), soon, Instant::now());
        };
        sessions.deadlines.lock().as_mut().map(insert);
        let begun = Instant::now();
        sessions.until_due().await;
        assert!(begun.elapsed() >= soon);
        assert_eq!(sessions.overdue().len(), 1);
    }

    #[test]
    fn a_deadline_passes_only_when_signs_under_way_have_had_time_to_arrive() {
        let sessions = Sessions::default();
        let mut deadlines = Deadlines::default();
        let now = Instant::now();
        for (id, since) in [(1, EXPIRY_GRACE / 4), (2, EXPIRY_GRACE * 2)] {
            let touched = now.checked_sub(T + since).expect("the machine is up");
            deadlines.insert(SessionId(id), Zxid(10), T, touched);
        }
        *sessions.deadlines.lock() = Some(deadlines);
        let overdue = sessions.overdue();
        let overdue: Vec<_> = overdue.iter().map(|it| it.session).collect();
        assert_eq!(overdue, [SessionId(2)]);
    }

    #[tokio::test]
    async fn report_waits_for_the_first_sign_of_life() {
        let sessions = Sessions::default();
        let nothing = tokio::time::timeout(Duration::from_millis(20), sessions.touched());
        assert!(nothing.await.is_err());
        sessions.touch(SessionId(5));
        sessions.touched().await;
    }
}
