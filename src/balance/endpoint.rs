//! An endpoint, and the state it keeps from one routing table to the next.
//!
//! An [`Endpoint`] is as immutable as the table it stands in. What must outlive the table (load, counters,
//! whether it is being drained) is in its [`EndpointState`], which the next table shares as long as service,
//! instance and address stay the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One address of a service, as one routing table sees it.
#[derive(Debug)]
pub struct Endpoint {
    /// Its instance name: the znode's, or `host:port` of a static endpoint.
    pub instance: Arc<str>,
    /// `host:port`; the host may be a name, an IPv4 address or a bracketed IPv6 address.
    pub address: Arc<str>,
    /// Share of traffic relative to its neighbours, at least 1.
    pub weight: u16,
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
    /// Zero while in use; once removed or drained, the time ([`crate::net::now_ms`]) at which exchanges still
    /// under way are to be closed.
    retire_at_ms: AtomicU64,
}

impl EndpointState {
    /// Says that the endpoint gets no new exchanges and that those under way end at `deadline_ms`.
    pub fn retire(&self, deadline_ms: u64) {
        self.retire_at_ms
            .store(deadline_ms.max(1), Ordering::Release);
    }

    /// The endpoint is in use again.
    pub fn restore(&self) {
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
    fn a_deadline_of_zero_is_still_a_deadline() {
        let state = EndpointState::default();
        state.retire(0);
        assert!(state.retire_at().is_some());
    }
}
