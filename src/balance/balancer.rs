//! The balancer: the endpoints of a service that get traffic, arranged for its strategy.

use super::arrangement::{Arrangement, shares};
use super::strategy::{
    Bounded, ConsistentHash, LeastConnections, Maglev, PowerOfTwo, Random, RoundRobin, Weighted,
};
use super::turn::Turn;
use super::{Candidate, Endpoint, Lease, PickError, PickInput, Queue};
use crate::config::{ServicePolicy, Strategy};
use std::sync::Arc;

/// How a balancer picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The strategy.
    pub strategy: Strategy,
    /// For [`Strategy::ConsistentHash`]: most load of an endpoint, in percent of the average, above 100. Absent, any.
    pub load_factor: Option<u16>,
}

impl From<Strategy> for Method {
    fn from(strategy: Strategy) -> Method {
        Method {
            strategy,
            load_factor: None,
        }
    }
}

impl From<&ServicePolicy> for Method {
    fn from(policy: &ServicePolicy) -> Method {
        Method {
            strategy: policy.strategy,
            load_factor: (policy.load_factor > 0).then_some(policy.load_factor),
        }
    }
}

/// The endpoints of a service that get traffic, arranged for one strategy. Immutable but for counters.
pub struct Balancer {
    method: Method,
    endpoints: Box<[Arc<Endpoint>]>,
    scales: Box<[u32]>,
    shares: Box<[u64]>,
    arranged: Arranged,
    queue: Arc<Queue>,
}

/// What each strategy needs besides the endpoints.
enum Arranged {
    RoundRobin(RoundRobin),
    Weighted(Weighted),
    Random(Random),
    LeastConnections(LeastConnections),
    PowerOfTwo(PowerOfTwo),
    ConsistentHash(ConsistentHash),
    Bounded(Bounded),
    Maglev(Maglev),
}

/// What `previous` has arranged for the same strategy, and for which endpoints.
macro_rules! before {
    ($previous:ident, $Variant:ident) => {
        $previous.and_then(|previous: &Balancer| match &previous.arranged {
            Arranged::$Variant(strategy) => Some((previous.arrangement(), strategy)),
            _ => None,
        })
    };
}

impl Balancer {
    /// Arranges `candidates`, all of which may be picked. Positions and the queue carry on from `previous`, and so
    /// does its arrangement if it still fits.
    pub fn new(
        method: Method,
        candidates: Vec<Candidate>,
        previous: Option<&Balancer>,
    ) -> Balancer {
        let shares = shares(&candidates, method.strategy.knows_weights());
        let scales = candidates.iter().map(|candidate| candidate.scale).collect();
        let endpoints = candidates.into_iter().map(|candidate| candidate.endpoint);
        let endpoints: Box<[Arc<Endpoint>]> = endpoints.collect();
        let of = Arrangement {
            endpoints: &endpoints,
            shares: &shares,
        };
        Balancer {
            arranged: Arranged::new(method, of, previous),
            method,
            endpoints,
            scales,
            shares,
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
            let lease = match &self.arranged {
                Arranged::Bounded(strategy) => strategy.take(at, endpoints, input, &self.queue),
                _ => Lease::within(&endpoints[at], input.limit, &self.queue),
            };
            if let Some(lease) = lease {
                return Ok(lease.measuring(self.method.strategy.knows_latency()));
            }
            // Another exchange has taken the last slot meanwhile: the next choice passes the endpoint over.
        }
        match endpoints
            .iter()
            .all(|endpoint| input.has_tried(&endpoint.state))
        {
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
            Arranged::LeastConnections(strategy) => strategy.pick(endpoints, input),
            Arranged::PowerOfTwo(strategy) => strategy.pick(endpoints, input),
            Arranged::ConsistentHash(strategy) => strategy.pick(endpoints, input),
            Arranged::Bounded(strategy) => strategy.ring().pick(endpoints, input),
            Arranged::Maglev(strategy) => strategy.pick(endpoints, input),
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

    /// How much of the weight of each counts, as [`Candidate::scale`] has it.
    pub fn scales(&self) -> &[u32] {
        &self.scales
    }

    /// How it picks.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The strategy it is arranged for.
    pub fn strategy(&self) -> Strategy {
        self.method.strategy
    }

    fn arrangement(&self) -> Arrangement<'_> {
        Arrangement {
            endpoints: &self.endpoints,
            shares: &self.shares,
        }
    }
}

impl Arranged {
    fn new(method: Method, of: Arrangement<'_>, previous: Option<&Balancer>) -> Arranged {
        let turn = || turn_after(previous);
        match (method.strategy, method.load_factor) {
            (Strategy::RoundRobin, _) => {
                Arranged::RoundRobin(RoundRobin::new(of, turn(), before!(previous, RoundRobin)))
            }
            (Strategy::Weighted, _) => {
                Arranged::Weighted(Weighted::new(of, turn(), before!(previous, Weighted)))
            }
            (Strategy::Random, _) => Arranged::Random(Random::new(of, before!(previous, Random))),
            (Strategy::LeastConnections, _) => Arranged::LeastConnections(LeastConnections::new(
                of,
                turn(),
                before!(previous, LeastConnections),
            )),
            (Strategy::PowerOfTwo, _) => {
                Arranged::PowerOfTwo(PowerOfTwo::new(of, before!(previous, PowerOfTwo)))
            }
            (Strategy::ConsistentHash, None) => {
                let bounded = before!(previous, Bounded).map(|(of, it)| (of, it.ring()));
                let before = before!(previous, ConsistentHash).or(bounded);
                Arranged::ConsistentHash(ConsistentHash::new(of, before))
            }
            (Strategy::ConsistentHash, Some(factor)) => {
                Arranged::Bounded(Bounded::new(factor, of, before!(previous, Bounded)))
            }
            (Strategy::Maglev, _) => Arranged::Maglev(Maglev::new(of, before!(previous, Maglev))),
        }
    }
}

/// The turn to go on from: the one of `previous`, even when that goes round in another way.
fn turn_after(previous: Option<&Balancer>) -> Arc<Turn> {
    match previous.map(|p| &p.arranged) {
        Some(Arranged::RoundRobin(strategy)) => Arc::clone(strategy.turn()),
        Some(Arranged::Weighted(strategy)) => Arc::clone(strategy.turn()),
        Some(Arranged::LeastConnections(strategy)) => Arc::clone(strategy.turn()),
        _ => Arc::default(),
    }
}
