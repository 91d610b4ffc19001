//! What one connection has done: who it is, how much it asked, what it was told last.
//!
//! Its own task writes, without locks or locked instructions; anybody may read at any time, and then sees each
//! part as it is, all of them perhaps a moment apart. A reset takes nothing away from the counts: it notes where
//! they stood, and readers subtract. Minimum and maximum cannot be subtracted; the owner begins them anew when it
//! notices that there was a reset, and until then readers are told that nothing was answered since.

use super::batch::Batch;
use super::totals::{Count, Totals};
use crate::telemetry::unix_millis;
use crate::tree::{SessionId, Zxid};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Statistics of one connection.
#[derive(Debug)]
pub(super) struct ConnectionTally {
    peer: SocketAddr,
    is_secure: bool,
    established_ms: i64,
    session: OnceLock<(SessionId, u32)>,
    received: Count,
    sent: Count,
    requests: Count,
    answered: Count,
    latency_us: Count,
    latency_last_us: AtomicU64,
    latency_min_us: AtomicU64,
    latency_max_us: AtomicU64,
    last_op: AtomicI32,
    last_xid: AtomicI32,
    last_zxid: AtomicI64,
    last_reply_ms: AtomicU64,
    reply_bytes_last: AtomicU64,
    /// Resets that the owner has taken note of.
    resets_seen: AtomicU64,
    reset: Mutex<Totals>,
    resets: AtomicU64,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// Its opcode.
    pub(super) op: i32,
    /// Its xid.
    pub(super) xid: i32,
    /// From its arrival to its reply being queued.
    pub(super) took: Duration,
    /// When that was, since the port was opened.
    pub(super) at: Duration,
}

/// A connection at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::zk) struct ConnectionTold {
    /// The client's address.
    pub(in crate::zk) peer: SocketAddr,
    /// Whether it came by the port with TLS.
    pub(in crate::zk) is_secure: bool,
    /// When it was accepted, Unix time in milliseconds.
    pub(in crate::zk) established_ms: i64,
    /// Its session and the session's timeout in milliseconds, once the handshake is done.
    pub(in crate::zk) session: Option<(SessionId, u32)>,
    /// Requests received and not yet answered.
    pub(in crate::zk) outstanding: u64,
    /// Frames received.
    pub(in crate::zk) received: u64,
    /// Frames sent.
    pub(in crate::zk) sent: u64,
    /// The last reply, if there was one.
    pub(in crate::zk) last: Option<LastTold>,
}

/// The last reply on a connection, and how long replies took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::zk) struct LastTold {
    /// The opcode of its request.
    pub(in crate::zk) op: i32,
    /// Its xid.
    pub(in crate::zk) xid: i32,
    /// The zxid told to the client.
    pub(in crate::zk) zxid: i64,
    /// When it was queued, milliseconds since the port was opened.
    pub(in crate::zk) at_ms: u64,
    /// How long it took, milliseconds, rounded down.
    pub(in crate::zk) latency_ms: u64,
    /// The shortest.
    pub(in crate::zk) latency_min_ms: u64,
    /// The mean, rounded down.
    pub(in crate::zk) latency_avg_ms: u64,
    /// The longest.
    pub(in crate::zk) latency_max_ms: u64,
}

impl ConnectionTally {
    /// A connection just accepted from `peer`, on the port with TLS if it `is_secure`.
    pub(super) fn new(peer: SocketAddr, is_secure: bool) -> ConnectionTally {
        ConnectionTally {
            peer,
            is_secure,
            established_ms: unix_millis(),
            session: OnceLock::new(),
            received: Count::default(),
            sent: Count::default(),
            requests: Count::default(),
            answered: Count::default(),
            latency_us: Count::default(),
            latency_last_us: AtomicU64::new(0),
            latency_min_us: AtomicU64::new(0),
            latency_max_us: AtomicU64::new(0),
            last_op: AtomicI32::new(0),
            last_xid: AtomicI32::new(0),
            last_zxid: AtomicI64::new(-1),
            last_reply_ms: AtomicU64::new(0),
            reply_bytes_last: AtomicU64::new(0),
            // No reset, but nothing answered yet either.
            resets_seen: AtomicU64::new(0),
            reset: Mutex::default(),
            resets: AtomicU64::new(1),
        }
    }

    /// The client's address.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// A frame or a word arrived.
    pub(super) fn received(&self) {
        self.received.add(1);
    }

    /// A frame that arrived is a request, which will be answered.
    pub(super) fn requested(&self) {
        self.requests.add(1);
    }

    /// The handshake gave it a session by transaction `zxid`.
    pub(super) fn opened(&self, session: SessionId, timeout_ms: u32, zxid: Zxid) {
        self.last_zxid.store(zxid.to_wire(), Relaxed);
        // A connection has one handshake.
        let _ = self.session.set((session, timeout_ms));
    }

    /// A request was answered, or given up with the connection.
    pub(super) fn answered(&self, answered: Answered) {
        let micros = answered.took.as_micros() as u64;
        let resets = self.resets.load(Relaxed);
        let is_first = self.resets_seen.load(Relaxed) != resets;
        if is_first || micros < self.latency_min_us.load(Relaxed) {
            self.latency_min_us.store(micros, Relaxed);
        }
        if is_first || micros > self.latency_max_us.load(Relaxed) {
            self.latency_max_us.store(micros, Relaxed);
        }
        self.answered.add(1);
        self.latency_us.add(micros);
        self.latency_last_us.store(micros, Relaxed);
        self.last_op.store(answered.op, Relaxed);
        self.last_xid.store(answered.xid, Relaxed);
        self.last_reply_ms
            .store(answered.at.as_millis() as u64, Relaxed);
        self.resets_seen.store(resets, Relaxed);
    }

    /// A batch of frames was sent.
    pub(super) fn sent(&self, batch: &Batch) {
        self.sent.add(batch.frames);
        if batch.zxid >= 0 {
            self.last_zxid.store(batch.zxid, Relaxed);
        }
        if let Some([last, ..]) = batch.replies {
            self.reply_bytes_last.store(last, Relaxed);
        }
    }

    /// Counts since the connection was accepted, whatever was reset.
    pub(super) fn totals(&self) -> Totals {
        Totals {
            received: self.received.read(),
            sent: self.sent.read(),
            answered: self.answered.read(),
            latency_us: self.latency_us.read(),
        }
    }

    /// Requests received and not yet answered. The two counts may be read a moment apart.
    pub(super) fn outstanding(&self) -> u64 {
        let requests = self.requests.read();
        requests.saturating_sub(self.answered.read())
    }

    /// When the last reply was queued, milliseconds since the port was opened, and its bytes; `None` before it.
    pub(super) fn last_reply(&self) -> Option<(u64, u64)> {
        let bytes = self.reply_bytes_last.load(Relaxed);
        (bytes > 0).then(|| (self.last_reply_ms.load(Relaxed), bytes))
    }

    /// Begins anew.
    pub(super) fn reset(&self) {
        let mut reset = self.reset.lock();
        *reset = self.totals();
        self.resets.fetch_add(1, Relaxed);
    }

    /// The connection now.
    pub(super) fn read(&self) -> ConnectionTold {
        let since = self.totals() - *self.reset.lock();
        let is_answered = self.resets_seen.load(Relaxed) == self.resets.load(Relaxed);
        let ms = |micros: &AtomicU64| micros.load(Relaxed) / 1000;
        ConnectionTold {
            peer: self.peer,
            is_secure: self.is_secure,
            established_ms: self.established_ms,
            session: self.session.get().copied(),
            outstanding: self.outstanding(),
            received: since.received,
            sent: since.sent,
            last: is_answered.then(|| LastTold {
                op: self.last_op.load(Relaxed),
                xid: self.last_xid.load(Relaxed),
                zxid: self.last_zxid.load(Relaxed),
                at_ms: self.last_reply_ms.load(Relaxed),
                latency_ms: ms(&self.latency_last_us),
                latency_min_ms: ms(&self.latency_min_us),
                latency_avg_ms: since.mean_ms() as u64,
                latency_max_ms: ms(&self.latency_max_us),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> ConnectionTally {
        ConnectionTally::new(([127, 0, 0, 1], 4).into(), false)
    }

    fn answer(tally: &ConnectionTally, xid: i32, millis: u64) {
        tally.received();
        tally.requested();
        tally.answered(Answered {
            op: 4,
            xid,
            took: Duration::from_millis(millis),
            at: Duration::from_secs(1),
        });
    }

    #[test]
    fn a_connection_tells_its_last_reply_and_its_latencies() {
        let tally = connection();
        assert_eq!(tally.read().last, None);
        for (xid, millis) in [(1, 4), (2, 1), (3, 7)] {
            answer(&tally, xid, millis);
        }
        tally.requested();
        let told = tally.read();
        assert_eq!((told.received, told.outstanding), (3, 1));
        let last = told.last.expect("answered");
        assert_eq!((last.op, last.xid, last.at_ms), (4, 3, 1000));
        let latencies = (last.latency_min_ms, last.latency_avg_ms);
        assert_eq!(latencies, (1, 4));
        assert_eq!((last.latency_ms, last.latency_max_ms), (7, 7));
    }

    #[test]
    fn a_reset_forgets_the_past_but_not_what_is_outstanding() {
        let tally = connection();
        answer(&tally, 1, 50);
        tally.requested();
        tally.reset();
        let told = tally.read();
        assert_eq!((told.received, told.sent, told.outstanding), (0, 0, 1));
        assert_eq!(told.last, None);
        answer(&tally, 2, 5);
        let last = tally.read().last.expect("answered");
        assert_eq!((last.latency_min_ms, last.latency_max_ms), (5, 5));
        assert_eq!(last.latency_avg_ms, 5);
        assert_eq!(tally.totals().received, 2);
    }
}
