//! An endpoint, and the state it keeps from one routing table to the next.
//!
//! An [`Endpoint`] is as immutable as the table it stands in. What must outlive the table (load, counters,
//! whether it is being drained) is in its [`EndpointState`], which the next table shares as long as service,
//! instance and address stay the same.

use super::cause::{EjectionCause, ProbeFailure};
use super::condition::Facts;
use super::fact::{Fact, Mark};
use super::latency::Latency;
use super::record::Record;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// One address of a service, as one routing table sees it.
#[derive(Debug)]
pub struct Endpoint {
    /// Its instance name: the znode's, or `host:port` of a static endpoint.
    pub instance: Arc<str>,
    /// `host:port`; the host may be a name, an IPv4 address or a bracketed IPv6 address.
    pub address: Arc<str>,
    /// Share of traffic relative to its neighbours, at least 1.
    pub weight: u16,
    /// Its tier: those of a higher one get traffic as those of lower ones fail.
    pub tier: u8,
    /// What outlives this table.
    pub state: Arc<EndpointState>,
}

/// What is known of an endpoint from one table to the next. All atomics: no lock on the pick path.
///
/// Aligned to two cache lines, which is what CPUs prefetch together: workers that are busy with different
/// endpoints do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct EndpointState {
    /// Exchanges under way.
    pub active: AtomicU32,
    /// Times it was picked.
    pub picks: AtomicU64,
    /// Connection attempts that failed.
    pub connect_failures: AtomicU64,
    /// How long it takes to answer, where somebody asks for that.
    pub latency: Latency,
    /// How exchanges with it went.
    pub record: Record,
    /// Zero while in use; once removed or drained, the time ([`crate::net::now_ms`]) at which exchanges still
    /// under way are to be closed.
    retire_at_ms: AtomicU64,
    recorded: Recorded,
}

/// The facts that [`EndpointState::facts`] copies. On cache lines of their own: they are read when a table is
/// assembled, not by each pick, whose counters change all the time.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Recorded {
    joined: Fact,
    drained: Fact,
    suspect: Fact,
    failing: Fact,
    ejected: Fact,
    held: Fact,
    /// The transaction of the last suspicion that it answered to; zero if none.
    answered: AtomicU64,
    /// Zero if it never was unhealthy.
    recovered_ms: AtomicU64,
    /// A [`ProbeFailure`]'s code.
    failure: AtomicU8,
    /// An [`EjectionCause`]'s code.
    ejection: AtomicU8,
}

impl EndpointState {
    /// What is recorded about it, for [`Facts::condition`].
    pub fn facts(&self) -> Facts {
        let recorded = &self.recorded;
        let details = recorded.drained.mark().unwrap_or(Mark::new(0));
        let drained = self.retire_at().map(|deadline_ms| Mark {
            until_ms: Some(deadline_ms),
            ..details
        });
        let failure = ProbeFailure::of(recorded.failure.load(Ordering::Relaxed));
        let ejection = EjectionCause::of(recorded.ejection.load(Ordering::Relaxed));
        let recovered_ms = recorded.recovered_ms.load(Ordering::Relaxed);
        Facts {
            joined: recorded.joined.mark(),
            recovered_ms: (recovered_ms != 0).then_some(recovered_ms),
            drained,
            suspect: recorded.suspect.mark(),
            failing: recorded.failing.mark().zip(failure),
            ejected: recorded.ejected.mark().zip(ejection),
            held: recorded.held.mark(),
        }
    }

    /// It came into the table.
    pub fn join(&self, mark: Mark) {
        self.recorded.joined.set(mark);
    }

    /// Who drains it says since when and by which transaction; [`EndpointState::retire`] says until when.
    pub fn note_drained(&self, mark: Mark) {
        self.recorded.drained.set(mark);
    }

    /// The connection of the session that registered it broke.
    pub fn suspect(&self, mark: Mark) {
        self.recorded.suspect.set(mark);
    }

    /// The session that registered it is back.
    pub fn trust(&self) {
        self.recorded.suspect.clear();
    }

    /// It answers, so that this suspicion was unfounded. False if it is suspect for another reason by now, or not.
    pub fn answer(&self, suspicion: Mark) -> bool {
        let zxid = suspicion.zxid.unwrap_or_default();
        self.recorded.answered.fetch_max(zxid, Ordering::Relaxed);
        self.recorded.suspect.clear_if(suspicion)
    }

    /// The transaction of the last suspicion that it answered to.
    pub fn answered(&self) -> u64 {
        self.recorded.answered.load(Ordering::Relaxed)
    }

    /// Its check fails.
    pub fn fail(&self, now_ms: u64, why: ProbeFailure) {
        self.recorded.failure.store(why.code(), Ordering::Relaxed);
        self.recorded.failing.set(Mark::new(now_ms));
    }

    /// Its check passes again.
    pub fn recover(&self, now_ms: u64) {
        self.recorded
            .recovered_ms
            .store(now_ms.max(1), Ordering::Relaxed);
        self.recorded.failing.clear();
    }

    /// It gets traffic again, after it was drained.
    pub fn come_back(&self, now_ms: u64) {
        self.recorded
            .recovered_ms
            .store(now_ms.max(1), Ordering::Relaxed);
    }

    /// Its check was taken away: nothing is known by it any more.
    pub fn forget_check(&self) {
        self.recorded.failing.clear();
    }

    /// It gets no traffic until then, because exchanges failed.
    pub fn eject(&self, now_ms: u64, until_ms: u64, why: EjectionCause) {
        self.recorded.ejection.store(why.code(), Ordering::Relaxed);
        self.recorded.ejected.set(Mark {
            until_ms: Some(until_ms),
            ..Mark::new(now_ms)
        });
    }

    /// It was not ejected, or should not have been.
    pub fn forget_ejection(&self) {
        self.recorded.ejected.clear();
    }

    /// Its registration is gone, and it stays until then nevertheless.
    pub fn hold(&self, mark: Mark) {
        self.recorded.held.set(mark);
    }

    /// It is registered again, or leaves.
    pub fn release(&self) {
        self.recorded.held.clear();
    }

    /// It does not answer, so it is not held any more. False if it was released before.
    pub fn give_up(&self, hold: Mark) -> bool {
        self.recorded.held.clear_if(hold)
    }

    /// Says that the endpoint gets no new exchanges and that those under way end at `deadline_ms`.
    pub fn retire(&self, deadline_ms: u64) {
        self.retire_at_ms
            .store(deadline_ms.max(1), Ordering::Release);
    }

    /// The endpoint is in use again.
    pub fn restore(&self) {
        self.recorded.drained.clear();
        self.retire_at_ms.store(0, Ordering::Release);
    }

    /// When exchanges under way are to be closed; `None` while the endpoint is in use.
    pub fn retire_at(&self) -> Option<u64> {
        match self.retire_at_ms.load(Ordering::Acquire) {
            0 => None,
            at => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retiring_sets_a_deadline_and_restoring_lifts_it() {
        let state = EndpointState::default();
        assert_eq!(state.retire_at(), None);
        state.retire(700);
        assert_eq!(state.retire_at(), Some(700));
        state.restore();
        assert_eq!(state.retire_at(), None);
    }

    #[test]
    fn facts_are_what_was_recorded() {
        let state = EndpointState::default();
        assert_eq!(state.facts(), Facts::default());
        let mark = |since_ms| Mark {
            since_ms,
            until_ms: Some(since_ms + 1),
            zxid: Some(since_ms + 2),
        };
        state.join(mark(10));
        state.suspect(mark(20));
        state.fail(30, ProbeFailure::TimedOut);
        state.eject(40, 50, EjectionCause::SuccessRate);
        state.hold(mark(60));
        state.note_drained(mark(70));
        assert_eq!(state.facts().drained, None, "only a deadline drains it");
        state.retire(80);
        let ejected = Mark {
            until_ms: Some(50),
            ..Mark::new(40)
        };
        let expected = Facts {
            joined: Some(mark(10)),
            recovered_ms: None,
            drained: Some(Mark {
                until_ms: Some(80),
                ..mark(70)
            }),
            suspect: Some(mark(20)),
            failing: Some((Mark::new(30), ProbeFailure::TimedOut)),
            ejected: Some((ejected, EjectionCause::SuccessRate)),
            held: Some(mark(60)),
        };
        assert_eq!(state.facts(), expected);

        assert!(!state.answer(mark(21)));
        assert!(state.answer(mark(20)));
        assert_eq!(state.answered(), 23, "the newest of them");
        state.recover(90);
        state.forget_ejection();
        state.release();
        state.restore();
        let expected = Facts {
            joined: Some(mark(10)),
            recovered_ms: Some(90),
            ..Facts::default()
        };
        assert_eq!(state.facts(), expected);
    }

    #[test]
    fn a_deadline_of_zero_is_still_a_deadline() {
        let state = EndpointState::default();
        state.retire(0);
        assert!(state.retire_at().is_some());
    }
}
