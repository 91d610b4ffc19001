//! How many connections per second a listener takes, over all workers, without a lock.
//!
//! One number says when the next connection is due (the generic cell rate algorithm): each that comes moves it on by
//! the time that one connection has at this rate. Whoever comes before it is due waits until then; that delays clients
//! instead of refusing them, as HAProxy's `rate-limit sessions` does. What was not used adds up to a burst of a tenth
//! of a second, so that a worker whose timer is late by a millisecond loses nothing.
//!
//! Source: ITU-T I.371, annex A.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How much of the rate may come at once, as time.
const BURST_NS: u64 = 100_000_000;

/// The rate at which connections are taken.
pub struct AcceptRate {
    /// Nanoseconds that a connection has; 0 is no limit.
    interval_ns: AtomicU64,
    /// When the next one is due, nanoseconds after `start`.
    due_ns: AtomicU64,
    start: Instant,
}

impl AcceptRate {
    /// So many connections per second; `None` is no limit.
    pub fn new(per_second: Option<u32>) -> AcceptRate {
        let rate = AcceptRate {
            interval_ns: AtomicU64::new(0),
            due_ns: AtomicU64::new(0),
            start: Instant::now(),
        };
        rate.set(per_second);
        rate
    }

    /// Another rate from the next connection on.
    pub fn set(&self, per_second: Option<u32>) {
        let interval = per_second.map_or(0, |rate| 1_000_000_000 / u64::from(rate.max(1)));
        self.interval_ns.store(interval, Ordering::Relaxed);
    }

    /// How long the connection that has come has to wait; its turn is taken. `None` is not at all.
    pub fn take(&self) -> Option<Duration> {
        let interval = self.interval_ns.load(Ordering::Relaxed);
        if interval == 0 {
            return None;
        }
        let now = self.start.elapsed().as_nanos() as u64;
        self.take_at(now, interval)
    }

    fn take_at(&self, now: u64, interval: u64) -> Option<Duration> {
        let next = |due: u64| Some(due.max(now) + interval);
        let due = self
            .due_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_else(|due| due);
        let early = due.saturating_sub(now + BURST_NS);
        (early > 0).then(|| Duration::from_nanos(early))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_let_in_and_then_one_at_a_time() {
        let rate = AcceptRate::new(Some(50));
        let interval = SECOND / 50;
        let waits: Vec<_> = (0..9).map(|_| rate.take_at(SECOND, interval)).collect();
        // A tenth of a second is five connections, and the first needs no burst.
        assert_eq!(waits[..6], [None; 6]);
        for (behind, wait) in (1..).zip(&waits[6..]) {
            assert_eq!(*wait, Some(Duration::from_millis(20 * behind)));
        }
    }

    #[test]
    fn over_a_long_time_it_is_the_rate() {
        let rate = AcceptRate::new(Some(1000));
        let mut now = 0;
        let mut taken = 0;
        while now < 10 * SECOND {
            let wait = rate.take_at(now, SECOND / 1000);
            taken += 1;
            now += wait.map_or(0, |wait| wait.as_nanos() as u64);
        }
        assert!((10_000..=10_102).contains(&taken), "{taken}");
    }

    #[test]
    fn what_was_not_used_does_not_add_up() {
        let rate = AcceptRate::new(Some(50));
        rate.take_at(0, SECOND / 50);
        let later = 3600 * SECOND;
        let at_once = (0..100).filter(|_| rate.take_at(later, SECOND / 50).is_none());
        assert_eq!(at_once.count(), 6);
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let rate = AcceptRate::new(None);
        assert!((0..1000).all(|_| rate.take().is_none()));
        rate.set(Some(1));
        rate.take();
        assert!(rate.take().is_some());
    }
}
