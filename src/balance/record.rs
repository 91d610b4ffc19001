//! How exchanges with an endpoint went: what passive ejection goes by. Counters only; who judges is elsewhere.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Results of one endpoint's exchanges, counted by every worker.
///
/// A success writes only what it must: nothing, while failures are judged by their number in a row and there was none.
#[derive(Debug, Default)]
pub struct Record {
    /// Failures since the last success.
    in_a_row: AtomicU32,
    succeeded: AtomicU64,
    failed: AtomicU64,
    /// Ejections, less one for each `eject` that passed without; see [`Record::ejections`].
    ejections: AtomicU32,
}

/// Exchanges by their result, since the endpoint was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that went well; counted only where a rate is asked for.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Record {
    /// An exchange went well. `counts` says whether somebody asks how many do.
    pub fn success(&self, counts: bool) {
        // Relaxed: a failure that is counted at the same time is as well before as after.
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        if counts {
            self.succeeded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// An exchange failed. Returns how many have in a row.
    pub fn failure(&self) -> u32 {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.in_a_row
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1)
    }

    /// How many have failed in a row.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// All of them.
    pub fn totals(&self) -> Totals {
        Totals {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// How often it was ejected lately, as it was last told.
    pub fn ejections(&self) -> u32 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// It is ejected, for the `nth` time lately; its failures in a row count from zero again.
    pub fn ejected(&self, nth: u32) {
        self.ejections.store(nth, Ordering::Relaxed);
        self.in_a_row.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_a_row_of_failures() {
        let record = Record::default();
        assert_eq!((record.failure(), record.failure()), (1, 2));
        record.success(false);
        assert_eq!(record.failure(), 1);
        record.success(true);
        let totals = Totals {
            succeeded: 1,
            failed: 3,
        };
        assert_eq!(record.totals(), totals);
        record.failure();
        record.ejected(4);
        assert_eq!((record.in_a_row(), record.ejections()), (0, 4));
    }
}
