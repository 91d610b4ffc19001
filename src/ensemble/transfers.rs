//! Snapshots on their way to members that lag: while there are any, this member takes no new one.
//!
//! A new snapshot purges the log behind it. A member that has received the snapshot before then finds the entries gone
//! that follow it, and needs the new one; if sending takes longer than the entries between two snapshots, without end.
//! So the log is kept until the member has had time to get on from there. The disk bounds how much:
//! [`HELD_BACK_FACTOR`] times the entries that usually lie between two snapshots.

use super::limits::{CATCH_UP_TIMEOUT, HELD_BACK_FACTOR};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::time::Instant;

/// What is being sent.
#[derive(Debug)]
pub(super) struct Transfers {
    /// Entries between two snapshots.
    interval: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    /// Until when the receivers of those that are done may need the log.
    wanted_until: Option<Instant>,
}

impl Transfers {
    /// None yet; there are so many entries between two snapshots.
    pub(super) fn new(interval: u64) -> Arc<Transfers> {
        Arc::new(Transfers {
            interval,
            state: Mutex::default(),
        })
    }

    /// One begins; it ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Transfer {
        self.state.lock().under_way += 1;
        Transfer {
            transfers: self.clone(),
            arrived: false,
        }
    }

    /// Whether a snapshot has to wait `now`, if there are so many entries since the last one.
    pub(super) fn hold_back(&self, entries: u64, now: Instant) -> bool {
        let state = self.state.lock();
        let is_wanted = state.under_way > 0 || state.wanted_until.is_some_and(|until| now < until);
        is_wanted && entries < self.interval.saturating_mul(HELD_BACK_FACTOR)
    }
}

/// A snapshot on its way.
pub(super) struct Transfer {
    transfers: Arc<Transfers>,
    arrived: bool,
}

impl Transfer {
    /// The receiver has it, and goes on with the log from there.
    pub(super) fn arrived(&mut self) {
        self.arrived = true;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut state = self.transfers.state.lock();
        state.under_way -= 1;
        if self.arrived {
            state.wanted_until = Some(Instant::now() + CATCH_UP_TIMEOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_wait_for_a_transfer_and_for_what_follows_it() {
        let transfers = Transfers::new(10);
        assert!(!transfers.hold_back(11, Instant::now()));
        let mut one = transfers.begin();
        let other = transfers.begin();
        assert!(transfers.hold_back(11, Instant::now()));
        one.arrived();
        drop(one);
        drop(other);
        assert!(transfers.hold_back(11, Instant::now()));
        let later = Instant::now() + CATCH_UP_TIMEOUT;
        assert!(!transfers.hold_back(11, later));
    }

    #[test]
    fn the_log_does_not_grow_without_bound() {
        let transfers = Transfers::new(10);
        let _slow = transfers.begin();
        assert!(transfers.hold_back(10 * HELD_BACK_FACTOR - 1, Instant::now()));
        assert!(!transfers.hold_back(10 * HELD_BACK_FACTOR, Instant::now()));
    }

    #[test]
    fn one_that_failed_needs_nothing() {
        let transfers = Transfers::new(10);
        drop(transfers.begin());
        assert!(!transfers.hold_back(11, Instant::now()));
    }
}
