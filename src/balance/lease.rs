//! The lease on an endpoint: what a pick hands out.

use super::tally::Counted;
use super::{Endpoint, Queue, UNLIMITED};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The right to use an endpoint now; dropping it gives the slot back.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    /// Who may wait for the slot; nobody does for an endpoint without a limit.
    queue: Option<Arc<Queue>>,
    /// Somebody wants to know how long the endpoint takes.
    measures: bool,
    /// Somebody wants to know how many leases there are.
    _counted: Option<Counted>,
}

impl Lease {
    /// Takes a slot on `endpoint`.
    pub fn new(endpoint: Arc<Endpoint>) -> Lease {
        // Relaxed: the counters order nothing, they only have to add up.
        endpoint.state.active.fetch_add(1, Ordering::Relaxed);
        endpoint.state.picks.fetch_add(1, Ordering::Relaxed);
        Lease {
            endpoint,
            queue: None,
            measures: false,
            _counted: None,
        }
    }

    /// Takes a slot on `endpoint` unless `limit` are taken; `queue` hears when it is given back.
    pub(super) fn within(
        endpoint: &Arc<Endpoint>,
        limit: u32,
        queue: &Arc<Queue>,
    ) -> Option<Lease> {
        let endpoint = Arc::clone(endpoint);
        if limit == UNLIMITED {
            return Some(Lease::new(endpoint));
        }
        let one_more = |active: u32| (active < limit).then_some(active + 1);
        let active = &endpoint.state.active;
        active
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        endpoint.state.picks.fetch_add(1, Ordering::Relaxed);
        Some(Lease {
            endpoint,
            queue: Some(Arc::clone(queue)),
            measures: false,
            _counted: None,
        })
    }

    /// The same, and counted until it is dropped.
    pub(super) fn counted(mut self, counted: Counted) -> Lease {
        self._counted = Some(counted);
        self
    }

    /// The same; whether its holder is to measure.
    pub(super) fn measuring(mut self, measures: bool) -> Lease {
        self.measures = measures;
        self
    }

    /// The leased endpoint.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Whether [`Lease::observe`] is of use: if not, its holder need not look at a clock.
    pub fn measures(&self) -> bool {
        self.measures
    }

    /// The endpoint took that long to do something; `now_ms` is [`crate::net::now_ms`].
    pub fn observe(&self, took: Duration, now_ms: u64) {
        if self.measures {
            self.endpoint.state.latency.observe(took, now_ms);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Sequentially consistent, as is the reading of the queue's length: either this sees who has entered, or who
        // has entered sees the free slot.
        self.endpoint.state.active.fetch_sub(1, Ordering::SeqCst);
        if let Some(queue) = &self.queue {
            queue.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::fixture::endpoints;
    use std::task::Waker;

    #[test]
    fn a_lease_takes_a_slot_and_gives_it_back() {
        let endpoint = endpoints(&[1]).remove(0);
        let (first, second) = (Lease::new(endpoint.clone()), Lease::new(endpoint.clone()));
        assert_eq!(endpoint.state.active.load(Ordering::Relaxed), 2);
        drop(first);
        assert_eq!(endpoint.state.active.load(Ordering::Relaxed), 1);
        drop(second);
        assert_eq!(endpoint.state.active.load(Ordering::Relaxed), 0);
        assert_eq!(endpoint.state.picks.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_limit_is_never_exceeded_and_the_queue_hears_of_a_free_slot() {
        let endpoint = endpoints(&[1]).remove(0);
        let queue = Arc::default();
        let lease = Lease::within(&endpoint, 1, &queue).unwrap();
        assert!(Lease::within(&endpoint, 1, &queue).is_none());
        let [_first, second] = [(); 2].map(|()| queue.enter(2).unwrap());
        drop(lease);
        assert!(Lease::within(&endpoint, 1, &queue).is_some());
        assert!(!second.may_try(Waker::noop()));
    }

    #[test]
    fn only_a_lease_that_is_to_measure_leaves_a_latency() {
        let endpoint = endpoints(&[1]).remove(0);
        for (measures, expected) in [(false, None), (true, Some(5000.0))] {
            let lease = Lease::new(endpoint.clone()).measuring(measures);
            assert_eq!(lease.measures(), measures);
            lease.observe(Duration::from_millis(5), 7);
            assert_eq!(endpoint.state.latency.estimate(7), expected);
        }
    }
}
