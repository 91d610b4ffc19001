//! What the port has done since the process started, for the four-letter words and the metrics.

use crate::telemetry::Metrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

/// Counts of the whole port.
pub(super) struct Tally {
    metrics: Arc<Metrics>,
    started: Instant,
    connections: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    outstanding: AtomicU64,
    answered: AtomicU64,
    latency_total_us: AtomicU64,
    latency_min_us: AtomicU64,
    latency_max_us: AtomicU64,
}

/// The counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tallied {
    /// Connections open.
    pub(super) connections: u64,
    /// Frames received.
    pub(super) received: u64,
    /// Batches of frames sent.
    pub(super) sent: u64,
    /// Requests received and not yet answered.
    pub(super) outstanding: u64,
    /// Shortest time to answer, milliseconds, rounded down.
    pub(super) latency_min_ms: u64,
    /// Mean time to answer, milliseconds.
    pub(super) latency_avg_ms: f64,
    /// Longest time to answer, milliseconds, rounded down.
    pub(super) latency_max_ms: u64,
    /// Since the port was opened.
    pub(super) uptime: Duration,
}

impl Tally {
    /// Nothing done yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Tally {
        Tally {
            metrics,
            started: Instant::now(),
            connections: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            outstanding: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            latency_total_us: AtomicU64::new(0),
            latency_min_us: AtomicU64::new(u64::MAX),
            latency_max_us: AtomicU64::new(0),
        }
    }

    /// Counts a connection for as long as the guard lives.
    pub(super) fn connected(&self) -> Connected<'_> {
        self.connections.fetch_add(1, Relaxed);
        self.metrics.coordination.zk_connections.inc();
        Connected(self)
    }

    /// Counts a request as received and, until the guard is dropped, as outstanding. `room` is what the
    /// request takes of its connection's budget.
    pub(super) fn received<'a>(&'a self, room: SemaphorePermit<'a>) -> Outstanding<'a> {
        self.received.fetch_add(1, Relaxed);
        self.outstanding.fetch_add(1, Relaxed);
        self.metrics.coordination.zk_requests.inc();
        Outstanding {
            tally: self,
            arrived: Instant::now(),
            _room: room,
        }
    }

    /// Counts a batch of frames as sent.
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    /// The counts now. Each is exact; together they may be a moment apart.
    pub(super) fn read(&self) -> Tallied {
        let answered = self.answered.load(Relaxed);
        let min = self.latency_min_us.load(Relaxed);
        let total_ms = self.latency_total_us.load(Relaxed) as f64 / 1000.0;
        Tallied {
            connections: self.connections.load(Relaxed),
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            outstanding: self.outstanding.load(Relaxed),
            latency_min_ms: if answered == 0 { 0 } else { min / 1000 },
            latency_avg_ms: total_ms / answered.max(1) as f64,
            latency_max_ms: self.latency_max_us.load(Relaxed) / 1000,
            uptime: self.started.elapsed(),
        }
    }
}

/// One open connection.
pub(super) struct Connected<'a>(&'a Tally);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
        self.0.metrics.coordination.zk_connections.dec();
    }
}

/// One request under way; dropped once its reply is queued.
pub(super) struct Outstanding<'a> {
    tally: &'a Tally,
    arrived: Instant,
    _room: SemaphorePermit<'a>,
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        let took = self.arrived.elapsed();
        let micros = took.as_micros() as u64;
        let tally = self.tally;
        tally.outstanding.fetch_sub(1, Relaxed);
        tally.answered.fetch_add(1, Relaxed);
        tally.latency_total_us.fetch_add(micros, Relaxed);
        tally.latency_min_us.fetch_min(micros, Relaxed);
        tally.latency_max_us.fetch_max(micros, Relaxed);
        let histogram = &tally.metrics.coordination.zk_request_duration;
        histogram.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[test]
    fn a_request_is_outstanding_until_its_guard_is_dropped() {
        let metrics = Metrics::new("n1");
        let tally = Tally::new(metrics.clone());
        let budget = Semaphore::new(1);
        assert_eq!(tally.read().latency_min_ms, 0);
        let request = tally.received(budget.try_acquire().expect("free"));
        assert_eq!((tally.read().received, tally.read().outstanding), (1, 1));
        drop(request);
        assert_eq!((tally.read().received, tally.read().outstanding), (1, 0));
        assert!(budget.try_acquire().is_ok());
        let counters = &metrics.coordination;
        assert_eq!(counters.zk_requests.get(), 1);
        assert_eq!(counters.zk_request_duration.get_sample_count(), 1);
    }

    #[test]
    fn a_connection_counts_while_its_guard_lives() {
        let metrics = Metrics::new("n1");
        let tally = Tally::new(metrics.clone());
        let guard = tally.connected();
        assert_eq!(tally.read().connections, 1);
        assert_eq!(metrics.coordination.zk_connections.get(), 1);
        drop(guard);
        assert_eq!(tally.read().connections, 0);
        assert_eq!(metrics.coordination.zk_connections.get(), 0);
    }
}
