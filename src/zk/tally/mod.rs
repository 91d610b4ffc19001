//! What the port has done since the process started, for the four-letter words and the metrics.
//!
//! ```text
//! connection's task --counts, without locks--> ConnectionTally --+--> cons, stat
//!                                                                '--> sum, with those that have gone --> srvr, mntr
//! ```
//! Everything is counted once, where it happens. The sums are made when somebody asks; a lock is taken when a
//! connection comes, goes, or is asked about, never for a request.

mod batch;
mod connection;
mod totals;

pub(super) use connection::{ConnectionTold, LastTold};

use crate::net::TlsFailure;
use crate::telemetry::Metrics;
use crate::tree::{SessionId, Zxid};
use crate::zk::wire::OpCode;
use batch::Batch;
use connection::{Answered, ConnectionTally};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use totals::Totals;

/// Counts of the whole port.
pub(super) struct Tally {
    metrics: Arc<Metrics>,
    started: Instant,
    connections: Mutex<Connections>,
    latency_us: Extremes,
    reply_bytes: Extremes,
}

/// The connections there are, oldest first, and what remains of the others.
#[derive(Default)]
struct Connections {
    open: BTreeMap<u64, Arc<ConnectionTally>>,
    next: u64,
    gone: Totals,
    /// When the last reply of those that have gone was queued, and its bytes.
    gone_reply: Option<(u64, u64)>,
    /// The totals at the last reset.
    reset: Totals,
}

/// The counts at one moment, since the start or the last reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tallied {
    /// Connections open.
    pub(super) connections: u64,
    /// Frames received, and words.
    pub(super) received: u64,
    /// Frames sent, and answers to words.
    pub(super) sent: u64,
    /// Requests received and not yet answered.
    pub(super) outstanding: u64,
    /// Shortest time to answer, milliseconds, rounded down.
    pub(super) latency_min_ms: u64,
    /// Mean time to answer, milliseconds.
    pub(super) latency_avg_ms: f64,
    /// Longest time to answer, milliseconds, rounded down.
    pub(super) latency_max_ms: u64,
    /// Bytes of the last, smallest and largest reply.
    pub(super) reply_bytes: Option<[u64; 3]>,
    /// Since the port was opened.
    pub(super) uptime: Duration,
}

/// The smallest and the largest of what was seen. Written by many, but only when one of them changes.
struct Extremes {
    min: AtomicU64,
    max: AtomicU64,
}

impl Extremes {
    fn new() -> Extremes {
        Extremes {
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        }
    }

    fn note(&self, value: u64) {
        if value < self.min.load(Relaxed) {
            self.min.fetch_min(value, Relaxed);
        }
        if value > self.max.load(Relaxed) {
            self.max.fetch_max(value, Relaxed);
        }
    }

    fn reset(&self) {
        self.min.store(u64::MAX, Relaxed);
        self.max.store(0, Relaxed);
    }

    /// `None` before the first.
    fn read(&self) -> Option<(u64, u64)> {
        let (min, max) = (self.min.load(Relaxed), self.max.load(Relaxed));
        (min != u64::MAX).then_some((min, max.max(min)))
    }
}

impl Tally {
    /// Nothing done yet.
    pub(super) fn new(metrics: Arc<Metrics>) -> Tally {
        Tally {
            metrics,
            started: Instant::now(),
            connections: Mutex::default(),
            latency_us: Extremes::new(),
            reply_bytes: Extremes::new(),
        }
    }

    /// Counts a connection for as long as the guard lives; one on the port with TLS `is_secure`.
    pub(super) fn connected(&self, peer: SocketAddr, is_secure: bool) -> Connected<'_> {
        self.metrics.coordination.zk_connections.inc();
        let own = Arc::new(ConnectionTally::new(peer, is_secure));
        let mut connections = self.connections.lock();
        let number = connections.next;
        connections.next += 1;
        connections.open.insert(number, own.clone());
        Connected {
            tally: self,
            own,
            number,
        }
    }

    /// Counts a client whose TLS handshake failed.
    pub(super) fn refused_tls(&self, failure: TlsFailure) {
        self.metrics.tls.failed("zookeeper", failure.as_str());
    }

    /// The counts now. Each is exact; together they may be a moment apart.
    pub(super) fn read(&self) -> Tallied {
        let connections = self.connections.lock();
        let since = connections.totals() - connections.reset;
        let outstanding = connections.open.values().map(|c| c.outstanding()).sum();
        let open = connections.open.len() as u64;
        let last_reply = connections.last_reply();
        drop(connections);
        let (min, max) = self.latency_us.read().unwrap_or_default();
        let replies = self.reply_bytes.read();
        Tallied {
            connections: open,
            received: since.received,
            sent: since.sent,
            outstanding,
            latency_min_ms: min / 1000,
            latency_avg_ms: since.mean_ms(),
            latency_max_ms: max / 1000,
            reply_bytes: replies.map(|(min, max)| [last_reply.unwrap_or(max), min, max]),
            uptime: self.started.elapsed(),
        }
    }

    /// Each connection now, oldest first. They are read after the lock is given back.
    pub(super) fn connections(&self) -> Vec<ConnectionTold> {
        let open: Vec<_> = self.connections.lock().open.values().cloned().collect();
        open.iter().map(|connection| connection.read()).collect()
    }

    /// Begins the port's counts anew, and no connection's. Prometheus' counters go on.
    pub(super) fn reset(&self) {
        let mut connections = self.connections.lock();
        connections.reset = connections.totals();
        self.latency_us.reset();
        self.reply_bytes.reset();
    }

    /// Begins every connection's counts anew, and not the port's.
    pub(super) fn reset_connections(&self) {
        for connection in self.connections.lock().open.values() {
            connection.reset();
        }
    }
}

impl Connections {
    fn totals(&self) -> Totals {
        let mut totals = self.gone;
        for connection in self.open.values() {
            totals += connection.totals();
        }
        totals
    }

    /// Bytes of the last reply of all.
    fn last_reply(&self) -> Option<u64> {
        let of_open = self.open.values().filter_map(|c| c.last_reply());
        let last = of_open.chain(self.gone_reply).max_by_key(|(at, _)| *at);
        last.map(|(_, bytes)| bytes)
    }
}

/// One open connection.
pub(super) struct Connected<'a> {
    tally: &'a Tally,
    own: Arc<ConnectionTally>,
    number: u64,
}

impl Connected<'_> {
    /// The client's address.
    pub(super) fn peer(&self) -> SocketAddr {
        self.own.peer()
    }

    /// A first frame or a word arrived.
    pub(super) fn greeted(&self) {
        self.own.received();
    }

    /// The handshake, whose frame arrived at `arrived`, gave the connection a session by
    /// transaction `zxid`.
    pub(super) fn opened(&self, session: SessionId, timeout_ms: u32, zxid: Zxid, arrived: Instant) {
        self.own.opened(session, timeout_ms, zxid);
        self.own.requested();
        self.answered(OpCode::CreateSession.to_wire(), 0, arrived);
    }

    /// Counts a request as received and, until the guard is dropped, as outstanding. `room` is what the
    /// request takes of its connection's budget.
    pub(super) fn received<'a>(
        &'a self,
        op: i32,
        xid: i32,
        room: SemaphorePermit<'a>,
    ) -> Outstanding<'a> {
        self.own.received();
        self.own.requested();
        self.tally.metrics.coordination.zk_requests.inc();
        Outstanding {
            connected: self,
            op,
            xid,
            arrived: Instant::now(),
            _room: room,
        }
    }

    /// A batch of whole frames was sent. The first one on a connection begins with the answer to the handshake.
    pub(super) fn sent(&self, frames: &[u8], is_first: bool) {
        let batch = Batch::of(frames, is_first);
        self.own.sent(&batch);
        if let Some([_, min, max]) = batch.replies {
            self.tally.reply_bytes.note(min);
            self.tally.reply_bytes.note(max);
        }
    }

    /// The answer to a word was sent.
    pub(super) fn said(&self) {
        self.own.sent(&Batch {
            frames: 1,
            zxid: -1,
            replies: None,
        });
    }

    /// Tells how long the answer took.
    fn answered(&self, op: i32, xid: i32, arrived: Instant) -> Duration {
        let now = Instant::now();
        let took = now.duration_since(arrived);
        let at = now.duration_since(self.tally.started);
        self.own.answered(Answered { op, xid, took, at });
        self.tally.latency_us.note(took.as_micros() as u64);
        took
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        let mut connections = self.tally.connections.lock();
        connections.open.remove(&self.number);
        connections.gone += self.own.totals();
        let last = connections.gone_reply.max(self.own.last_reply());
        connections.gone_reply = last;
        drop(connections);
        self.tally.metrics.coordination.zk_connections.dec();
    }
}

/// One request under way; dropped once its reply is queued.
pub(super) struct Outstanding<'a> {
    connected: &'a Connected<'a>,
    op: i32,
    xid: i32,
    arrived: Instant,
    _room: SemaphorePermit<'a>,
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        let took = self.connected.answered(self.op, self.xid, self.arrived);
        let coordination = &self.connected.tally.metrics.coordination;
        coordination.zk_request_duration.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    const PEER: ([u8; 4], u16) = ([127, 0, 0, 1], 9);

    #[test]
    fn a_request_is_outstanding_until_its_guard_is_dropped() {
        let metrics = Metrics::new("n1");
        let tally = Tally::new(metrics.clone());
        let budget = Semaphore::new(1);
        assert_eq!(tally.read().latency_min_ms, 0);
        let connected = tally.connected(PEER.into(), false);
        let request = connected.received(4, 1, budget.try_acquire().expect("free"));
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
        let guard = tally.connected(PEER.into(), false);
        assert_eq!(tally.read().connections, 1);
        assert_eq!(tally.connections()[0].peer, PEER.into());
        assert_eq!(metrics.coordination.zk_connections.get(), 1);
        drop(guard);
        assert_eq!(tally.read().connections, 0);
        assert!(tally.connections().is_empty());
        assert_eq!(metrics.coordination.zk_connections.get(), 0);
    }

    #[test]
    fn the_port_counts_connections_that_have_gone() {
        let tally = Tally::new(Metrics::new("n1"));
        for _ in 0..3 {
            let connected = tally.connected(PEER.into(), false);
            connected.greeted();
            connected.said();
        }
        assert_eq!((tally.read().received, tally.read().sent), (3, 3));
    }

    #[test]
    fn resets_of_the_port_and_of_connections_leave_one_another_alone() {
        let metrics = Metrics::new("n1");
        let tally = Tally::new(metrics.clone());
        let budget = Semaphore::new(1);
        let connected = tally.connected(PEER.into(), false);
        drop(connected.received(4, 1, budget.try_acquire().expect("free")));
        tally.reset();
        assert_eq!(tally.read().received, 0);
        assert_eq!(tally.connections()[0].received, 1);
        drop(connected.received(4, 2, budget.try_acquire().expect("free")));
        tally.reset_connections();
        assert_eq!(tally.read().received, 1);
        assert_eq!(tally.connections()[0].received, 0);
        assert_eq!(metrics.coordination.zk_requests.get(), 2);
    }

    #[test]
    fn the_sizes_of_replies_are_those_of_frames() {
        let tally = Tally::new(Metrics::new("n1"));
        let connected = tally.connected(PEER.into(), false);
        assert_eq!(tally.read().reply_bytes, None);
        let small = [&[0, 0, 0, 16][..], &[0; 16]].concat();
        let large = [&[0, 0, 0, 20][..], &[0; 20]].concat();
        connected.sent(&[&large[..], &small].concat(), false);
        assert_eq!(tally.read().reply_bytes, Some([16, 16, 20]));
        assert_eq!(tally.read().sent, 2);
        drop(connected);
        assert_eq!(tally.read().reply_bytes, Some([16, 16, 20]));
    }
}
