//! The balancer: the endpoints of a service that get traffic, arranged for its strategy.

use super::strategy::{ConsistentHash, Random, RoundRobin, Weighted};
use super::turn::Turn;
use super::{Endpoint, Lease, PickError, PickInput, Queue};
use crate::config::Strategy;
use std::sync::Arc;

/// The endpoints of a service that get traffic, arranged for one strategy. Immutable but for counters.
pub struct Balancer {
    endpoints: Box<[Arc<Endpoint>]>,
    arranged: Arranged,
    queue: Arc<Queue>,
}

/// What each strategy needs besides the endpoints.
enum Arranged {
    RoundRobin(RoundRobin),
    Weighted(Weighted),
    Random(Random),
    ConsistentHash(ConsistentHash),
}

impl Balancer {
    /// Arranges `endpoints`, all of which may be picked. Positions and the queue carry on from `previous`, and so
    /// does its arrangement if it still fits.
    pub fn new(
        strategy: Strategy,
        endpoints: Vec<Arc<Endpoint>>,
        previous: Option<&Balancer>,
    ) -> Balancer {
        let arranged = match strategy {
            Strategy::RoundRobin => Arranged::RoundRobin(RoundRobin::new(turn_after(previous))),
            Strategy::Random => Arranged::Random(Random),
            Strategy::Weighted => {
                let before = previous.and_then(|p| match &p.arranged {
                    Arranged::Weighted(weighted) => Some((&*p.endpoints, weighted)),
                    _ => None,
                });
                Arranged::Weighted(Weighted::new(&endpoints, turn_after(previous), before))
            }
            Strategy::ConsistentHash => {
                let before = previous.and_then(|p| match &p.arranged {
                    Arranged::ConsistentHash(hash) => Some((&*p.endpoints, hash)),
                    _ => None,
                });
                Arranged::ConsistentHash(ConsistentHash::new(&endpoints, before))
            }
        };
        Balancer {
            endpoints: endpoints.into(),
            arranged,
            queue: previous.map(|p| Arc::clone(&p.queue)).unwrap_or_default(),
        }
    }

    /// Picks an endpoint that `input` allows. Takes no lock and makes no allocation.
    ///
    /// # Errors
    /// [`PickError`] when there is none.
    pub fn pick(&self, input: &PickInput<'_>) -> Result<Lease, PickError> {
        let endpoints = &*self.endpoints;
        if endpoints.is_empty() {
            return Err(PickError::NoEndpoints);
        }
        while let Some(at) = self.choose(input) {
            if let Some(lease) = Lease::within(&endpoints[at], input.limit, &self.queue) {
                return Ok(lease);
            }
            // Another exchange has taken the last slot meanwhile: the next choice passes the endpoint over.
        }
        match endpoints.iter().all(|endpoint| input.has_tried(endpoint)) {
            true => Err(PickError::AllTried),
            false => Err(PickError::AllFull),
        }
    }

    fn choose(&self, input: &PickInput<'_>) -> Option<usize> {
        let endpoints = &*self.endpoints;
        match &self.arranged {
            Arranged::RoundRobin(strategy) => strategy.pick(endpoints, input),
            Arranged::Weighted(strategy) => strategy.pick(endpoints, input),
            Arranged::Random(strategy) => strategy.pick(endpoints, input),
            Arranged::ConsistentHash(strategy) => strategy.pick(endpoints, input),
        }
    }

    /// Where exchanges wait while every endpoint is full; one queue for a service, whatever its table.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// The endpoints it picks among, in the order they were given.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// The strategy it is arranged for.
    pub fn strategy(&self) -> Strategy {
        match self.arranged {
            Arranged::RoundRobin(_) => Strategy::RoundRobin,
            Arranged::Weighted(_) => Strategy::Weighted,
            Arranged::Random(_) => Strategy::Random,
            Arranged::ConsistentHash(_) => Strategy::ConsistentHash,
        }
    }
}

/// The turn to go on from: the one of `previous`, even when that goes round in another way.
fn turn_after(previous: Option<&Balancer>) -> Arc<Turn> {
    match previous.map(|p| &p.arranged) {
        Some(Arranged::RoundRobin(strategy)) => Arc::clone(strategy.turn()),
        Some(Arranged::Weighted(strategy)) => Arc::clone(strategy.turn()),
        _ => Arc::default(),
    }
}
