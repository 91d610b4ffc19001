//! Counts of one writer, and sums of them.

use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that one task changes and any may read. With one writer, adding needs no locked instruction.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds. Only the owner may call it.
    pub(super) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed) + more, Relaxed);
    }

    /// What was added so far.
    pub(super) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What was counted, on one connection or on many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Frames received, and four-letter words.
    pub(super) received: u64,
    /// Frames sent, and answers to words.
    pub(super) sent: u64,
    /// Requests answered.
    pub(super) answered: u64,
    /// Sum of the times that took, microseconds.
    pub(super) latency_us: u64,
}

impl Totals {
    /// The mean time to answer, milliseconds.
    pub(super) fn mean_ms(&self) -> f64 {
        self.latency_us as f64 / 1000.0 / self.answered.max(1) as f64
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, more: Totals) {
        self.received += more.received;
        self.sent += more.sent;
        self.answered += more.answered;
        self.latency_us += more.latency_us;
    }
}

impl Sub for Totals {
    type Output = Totals;

    /// What was counted since `earlier`. Readers may see the parts of a moment in any order, so a part never
    /// falls below zero.
    fn sub(self, earlier: Totals) -> Totals {
        Totals {
            received: self.received.saturating_sub(earlier.received),
            sent: self.sent.saturating_sub(earlier.sent),
            answered: self.answered.saturating_sub(earlier.answered),
            latency_us: self.latency_us.saturating_sub(earlier.latency_us),
        }
    }
}
