//! The lease on an endpoint: what a pick hands out.

use super::{Endpoint, Queue, UNLIMITED};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The right to use an endpoint now; dropping it gives the slot back.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
    /// Who may wait for the slot; nobody does for an endpoint without a limit.
    queue: Option<Arc<Queue>>,
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
        })
    }

    /// The leased endpoint.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
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
}
