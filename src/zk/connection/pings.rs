//! Pings: answered in order while requests move, out of order when they do not.
//!
//! Clients expect replies in order, and give a server up that has not sent a byte for two thirds of the
//! session timeout. Both are served: a ping waits for its turn, but not longer than [`PATIENCE`]. The pings
//! that overtake are always the oldest ones waiting, so counting them tells whose turn is void.

use crate::ensemble::Ensemble;
use crate::zk::outbox::Outbox;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long a ping waits for the requests before it: far below two thirds of the shortest session timeout
/// in use, 4 s, and far above what a write takes while there is a leader.
const PATIENCE: Duration = Duration::from_millis(500);

/// The pings of one connection. Their number is bounded as that of all requests is.
pub(super) struct Pings<'a> {
    ensemble: &'a Ensemble,
    outbox: &'a Outbox,
    line: Mutex<Line>,
    arrived: Notify,
}

#[derive(Default)]
struct Line {
    /// When the pings that are not answered yet have waited enough, oldest first.
    due: VecDeque<Instant>,
    /// How many were answered before their turn, which is still to come.
    overtaken: usize,
}

impl Line {
    /// Whether the ping whose turn it is has still to be answered.
    fn turn(&mut self) -> bool {
        if self.overtaken > 0 {
            self.overtaken -= 1;
            return false;
        }
        self.due.pop_front().is_some()
    }

    /// Whether the oldest ping has waited enough, and is to be answered before its turn.
    fn overtake(&mut self, now: Instant) -> bool {
        let is_due = self.due.pop_front_if(|due| *due <= now).is_some();
        self.overtaken += usize::from(is_due);
        is_due
    }
}

impl<'a> Pings<'a> {
    /// No pings yet.
    pub(super) fn new(ensemble: &'a Ensemble, outbox: &'a Outbox) -> Pings<'a> {
        Pings {
            ensemble,
            outbox,
            line: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// A ping arrived and is in line.
    pub(super) fn wait(&self) {
        let due = Instant::now() + PATIENCE;
        self.line.lock().due.push_back(due);
        self.arrived.notify_one();
    }

    /// It is the turn of the next ping in line.
    pub(super) fn turn(&self) {
        if self.line.lock().turn() {
            self.pong();
        }
    }

    /// Answers the pings that have waited enough, for as long as the connection lives.
    pub(super) async fn overtake(&self) -> Infallible {
        loop {
            let due = self.line.lock().due.front().copied();
            match due {
                None => self.arrived.notified().await,
                Some(due) => sleep_until(due).await,
            }
            while self.line.lock().overtake(Instant::now()) {
                self.pong();
            }
        }
    }

    fn pong(&self) {
        self.ensemble
            .read(|tree| self.outbox.pong(tree.last_zxid()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_answered_once_in_its_turn_or_before() {
        let start = Instant::now();
        let mut line = Line::default();
        line.due.extend([start, start + PATIENCE]);
        assert!(line.overtake(start), "the first has waited enough");
        assert!(!line.overtake(start), "the second has not");
        assert!(!line.turn(), "the first was answered already");
        assert!(line.turn(), "the second has its turn");
        assert!(!line.turn() && !line.overtake(start + PATIENCE));
    }
}
