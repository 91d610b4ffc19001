//! The lease on an endpoint: what a pick hands out.

use super::Endpoint;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The right to use an endpoint now; dropping it gives the slot back.
#[derive(Debug)]
pub struct Lease {
    endpoint: Arc<Endpoint>,
}

impl Lease {
    /// Takes a slot on `endpoint`.
    pub fn new(endpoint: Arc<Endpoint>) -> Lease {
        // Relaxed: the counters order nothing, they only have to add up.
        endpoint.state.active.fetch_add(1, Ordering::Relaxed);
        endpoint.state.picks.fetch_add(1, Ordering::Relaxed);
        Lease { endpoint }
    }

    /// The leased endpoint.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.state.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::fixture::endpoints;

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
}
