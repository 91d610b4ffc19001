//! Signs of life, and who has given none for too long.
//!
//! ```text
//!   owner's connection --touch--> touched --report, at once or soon, as ages--> leader: deadlines
//!                                    ^                                           |  passed, and a grace
//!                                    +---- any sign since your last report? -----+
//!                                              log: CloseSession <--propose------+
//! ```
//! Deadlines exist on the leader only and by its monotonic clock only; no wall clock can expire a session.
//! A new leader knows nothing of past signs, so it gives every session its full timeout again. A deadline
//! that passes is a *proposal*: the session ends when the log says so, and the proposal names the attachment
//! it is about, so a client that came back meanwhile lives on. Nor is it one at once: a sign of life given in
//! time may still be on its way from another member, and no session may end early.

use super::deadlines::{Deadlines, Doubt, Overdue};
use super::handle::Follower;
use super::limits::{EXPIRY_GRACE, EXPIRY_INTERVAL, EXPIRY_REST, TOUCH_BATCH};
use super::peer::Touch;
use crate::tree::{Event, SessionId, Tree, Zxid};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// This member's part in keeping sessions alive.
pub(super) struct Sessions {
    /// When this process began. What an earlier one answered in its place, nobody knows.
    began: Instant,
    signs: Mutex<Signs>,
    /// Told when there is something to report again.
    fresh: Notify,
    /// Present while this member leads.
    deadlines: Mutex<Option<Deadlines>>,
    /// Told when this member begins to lead.
    leads: Notify,
}

/// Signs of life of clients here that the leader may not know of.
#[derive(Default)]
struct Signs {
    /// Since the last report.
    touched: HashMap<SessionId, Instant>,
    /// In a report that no leader has taken yet.
    under_way: HashMap<SessionId, Instant>,
}

impl Sessions {
    /// No signs of life yet.
    pub(super) fn new() -> Sessions {
        Sessions {
            began: Instant::now(),
            signs: Mutex::default(),
            fresh: Notify::new(),
            deadlines: Mutex::new(None),
            leads: Notify::new(),
        }
    }

    /// A client connected here gave a sign of life.
    pub(super) fn touch(&self, session: SessionId) {
        let mut signs = self.signs.lock();
        let first = signs.touched.is_empty();
        signs.touched.insert(session, Instant::now());
        drop(signs);
        if first {
            self.fresh.notify_one();
        }
    }

    /// Waits until there is something to report. For one task.
    pub(super) async fn touched(&self) {
        while self.signs.lock().touched.is_empty() {
            self.fresh.notified().await;
        }
    }

    /// Takes the signs of life since the last call, as ages, in messages of at most [`TOUCH_BATCH`]; one at least. For one
    /// task, which says next what became of them.
    pub(super) fn report(&self) -> Vec<Vec<Touch>> {
        let mut signs = self.signs.lock();
        signs.under_way = std::mem::take(&mut signs.touched);
        let now = Instant::now();
        let touches = signs.under_way.iter();
        let touches: Vec<Touch> = touches.map(|(id, at)| touch_of(*id, *at, now)).collect();
        match touches.is_empty() {
            true => vec![touches],
            false => touches.chunks(TOUCH_BATCH).map(<[_]>::to_vec).collect(),
        }
    }

    /// The last report was `taken` by a leader, or is to be made again.
    pub(super) fn reported(&self, taken: bool) {
        let signs = &mut *self.signs.lock();
        let under_way = std::mem::take(&mut signs.under_way);
        if !taken {
            for (session, at) in under_way {
                signs.touched.entry(session).or_insert(at);
            }
        }
    }

    /// The last that is known here of clients of these sessions, besides what a leader was told.
    pub(super) fn signs(&self, asked: &[SessionId]) -> Vec<Touch> {
        let signs = self.signs.lock();
        let now = Instant::now();
        let last = |id| {
            let sign = signs.touched.get(id).or_else(|| signs.under_way.get(id));
            sign.map_or(self.began, |at| *at)
        };
        let touches = asked.iter().map(|id| touch_of(*id, last(id), now));
        touches.collect()
    }

    /// The leader takes note of signs of life that `member` reports, of all that it had to report. False when this
    /// member does not lead.
    pub(super) fn note(&self, member: u64, touches: &[Touch]) -> bool {
        let mut deadlines = self.deadlines.lock();
        let Some(deadlines) = deadlines.as_mut() else {
            return false;
        };
        let now = Instant::now();
        for touch in touches {
            deadlines.touch(touch.session, now.checked_sub(age(touch)).unwrap_or(now));
        }
        deadlines.hear(member, now);
        true
    }

    /// This member leads in `term` from now on: every session of `tree` gets its full timeout.
    pub(super) fn lead(&self, term: u64, tree: &Tree) {
        let now = Instant::now();
        let mut deadlines = Deadlines::new(term, now);
        for (id, session) in tree.sessions() {
            deadlines.insert(id, session, now);
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

    /// Sessions whose time seems to have been up [`EXPIRY_GRACE`] ago, in whose eyes that is to be verified, and the term
    /// in which this member leads.
    pub(super) fn overdue(&self) -> (u64, Vec<(Overdue, Doubt)>) {
        let mut deadlines = self.deadlines.lock();
        let now = Instant::now();
        let Some((deadlines, known)) = deadlines.as_mut().zip(now.checked_sub(EXPIRY_GRACE)) else {
            return (0, Vec::new());
        };
        let overdue = deadlines.overdue(known).into_iter();
        let doubted = overdue.map(|it| (it, deadlines.doubt(&it, now))).collect();
        (deadlines.term, doubted)
    }

    /// The members that hold these sessions give no answer.
    pub(super) fn postpone(&self, overdue: &[Overdue]) {
        if let Some(deadlines) = self.deadlines.lock().as_mut() {
            overdue.iter().for_each(|it| deadlines.postpone(it));
        }
    }

    /// Which of these sessions are over, by all that was heard meanwhile.
    pub(super) fn over(&self, mut overdue: Vec<Overdue>) -> Vec<Overdue> {
        let mut deadlines = self.deadlines.lock();
        let known = Instant::now().checked_sub(EXPIRY_GRACE);
        let Some((deadlines, known)) = deadlines.as_mut().zip(known) else {
            return Vec::new();
        };
        overdue.retain(|it| deadlines.is_over(it, known));
        overdue
    }

    /// What is left of each session's time unless it gives another sign of life; `None` while this member does
    /// not lead.
    pub(super) fn remaining(&self) -> Option<Vec<(SessionId, Duration)>> {
        let deadlines = self.deadlines.lock();
        Some(deadlines.as_ref()?.remaining(Instant::now()))
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
                Event::SessionAttached { session, .. } => {
                    let Some(state) = tree.session(*session) else {
                        continue;
                    };
                    if let Some(deadlines) = self.deadlines.lock().as_mut() {
                        deadlines.insert(*session, state, Instant::now());
                    }
                }
                Event::SessionClosed { session, .. } => {
                    let mut signs = self.signs.lock();
                    signs.touched.remove(session);
                    signs.under_way.remove(session);
                    drop(signs);
                    if let Some(deadlines) = self.deadlines.lock().as_mut() {
                        deadlines.remove(*session);
                    }
                }
                _ => {}
            }
        }
    }

    fn replaced(&self, tree: &Tree) {
        let term = self.deadlines.lock().as_ref().map(|it| it.term);
        if let Some(term) = term {
            self.lead(term, tree);
        }
    }
}

fn touch_of(session: SessionId, at: Instant, now: Instant) -> Touch {
    let age = now.saturating_duration_since(at).as_millis();
    Touch {
        session,
        age_ms: u32::try_from(age).unwrap_or(u32::MAX),
    }
}

fn age(touch: &Touch) -> Duration {
    Duration::from_millis(touch.age_ms.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Session;

    const ME: u64 = 1;
    const ID: SessionId = SessionId(5);

    fn session(timeout: Duration) -> Session {
        Session {
            password: [0; 16],
            timeout_ms: timeout.as_millis() as u32,
            attachment: Zxid(10),
            member: ME,
        }
    }

    #[test]
    fn only_the_leader_takes_note_of_signs_of_life() {
        let sessions = Sessions::new();
        assert!(!sessions.note(ME, &[]));
        sessions.lead(1, &Tree::new());
        assert!(sessions.note(ME, &[]));
        sessions.follow();
        assert!(!sessions.note(ME, &[]));
    }

    #[test]
    fn signs_that_no_leader_took_are_reported_again_with_their_age() {
        let sessions = Sessions::new();
        sessions.touch(ID);
        assert_eq!(sessions.report().concat().len(), 1);
        std::thread::sleep(Duration::from_millis(20));
        sessions.reported(false);
        let report = sessions.report().concat();
        assert_eq!(report.len(), 1);
        assert!(report[0].age_ms >= 20);
        sessions.reported(true);
        assert!(sessions.report().concat().is_empty());
    }

    #[test]
    fn many_signs_are_reported_in_messages_of_bounded_size() {
        let sessions = Sessions::new();
        for id in 0..TOUCH_BATCH as u64 + 1 {
            sessions.touch(SessionId(id as i64));
        }
        let sizes: Vec<usize> = sessions.report().iter().map(Vec::len).collect();
        assert_eq!(sizes, [TOUCH_BATCH, 1]);
        sessions.reported(true);
        // Nothing is news too: the member lives, and its clients are silent.
        assert_eq!(sessions.report().len(), 1);
    }

    #[test]
    fn who_asks_is_told_of_signs_that_are_not_reported_yet() {
        let sessions = Sessions::new();
        std::thread::sleep(Duration::from_millis(30));
        let age = |sessions: &Sessions| sessions.signs(&[ID])[0].age_ms;
        // An earlier process in its place may have answered until this one began.
        assert!((30..5000).contains(&age(&sessions)));
        sessions.touch(ID);
        assert!(age(&sessions) < 30);
        let _report = sessions.report();
        assert!(age(&sessions) < 30, "on its way");
        sessions.reported(true);
        assert!(age(&sessions) >= 30, "the leader knows it");
    }

    #[tokio::test]
    async fn expiry_looks_when_the_next_session_is_due() {
        let sessions = Sessions::new();
        sessions.lead(1, &Tree::new());
        let begun = Instant::now();
        sessions.until_due().await;
        assert!(begun.elapsed() >= EXPIRY_REST, "nothing to look for");
        let soon = Duration::from_millis(50);
        let insert = |deadlines: &mut Deadlines| {
            deadlines.insert(ID, &session(soon), Instant::now());
        };
        sessions.deadlines.lock().as_mut().map(insert);
        let begun = Instant::now();
        sessions.until_due().await;
        assert!(begun.elapsed() >= soon);
        assert_eq!(sessions.overdue().1.len(), 1);
    }

    #[test]
    fn a_deadline_passes_only_when_signs_under_way_have_had_time_to_arrive() {
        let timeout = Duration::from_secs(4);
        let sessions = Sessions::new();
        let now = Instant::now();
        let mut deadlines = Deadlines::new(1, now);
        for (id, since) in [(1, EXPIRY_GRACE / 4), (2, EXPIRY_GRACE * 2)] {
            let touched = now.checked_sub(timeout + since).expect("the machine is up");
            deadlines.insert(SessionId(id), &session(timeout), touched);
        }
        *sessions.deadlines.lock() = Some(deadlines);
        let (term, overdue) = sessions.overdue();
        let overdue: Vec<_> = overdue.iter().map(|(it, _)| *it).collect();
        assert_eq!(term, 1);
        assert_eq!(overdue.len(), 1);
        assert_eq!(overdue[0].session, SessionId(2));
        // One that gave a sign of life in time, as its member tells now, is not over.
        assert_eq!(sessions.over(overdue.clone()), overdue);
        let age_ms = 10;
        let session = SessionId(2);
        assert!(sessions.note(ME, &[Touch { session, age_ms }]));
        assert_eq!(sessions.over(overdue), []);
    }

    #[tokio::test]
    async fn report_waits_for_the_first_sign_of_life() {
        let sessions = Sessions::new();
        let nothing = tokio::time::timeout(Duration::from_millis(20), sessions.touched());
        assert!(nothing.await.is_err());
        sessions.touch(ID);
        sessions.touched().await;
    }
}
