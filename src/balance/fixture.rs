//! What the tests of this room share: endpoints, a seeded source of numbers, and a test of fit.

use super::arrangement::{Arrangement, shares};
use super::{Balancer, Candidate, Endpoint, EndpointState, Lease, PickInput, UNLIMITED};
use crate::config::Strategy;
use std::sync::Arc;

/// Endpoints `i0`, `i1`, ... of these weights.
pub(crate) fn endpoints(weights: &[u16]) -> Vec<Arc<Endpoint>> {
    let endpoint = |(at, &weight): (usize, &u16)| {
        Arc::new(Endpoint {
            instance: format!("i{at}").into(),
            address: format!("127.0.0.1:{}", 9000 + at).into(),
            weight,
            tier: 0,
            state: Arc::new(EndpointState::default()),
        })
    };
    weights.iter().enumerate().map(endpoint).collect()
}

/// A balancer of endpoints of these weights.
pub(crate) fn balancer(strategy: Strategy, weights: &[u16]) -> Balancer {
    Balancer::new(strategy.into(), whole(&endpoints(weights)), None)
}

/// These endpoints, with all of their weights.
pub(crate) fn whole(endpoints: &[Arc<Endpoint>]) -> Vec<Candidate> {
    endpoints.iter().cloned().map(Candidate::from).collect()
}

/// These endpoints, with that many thousandths of their weights.
pub(crate) fn scaled(endpoints: &[Arc<Endpoint>], scales: &[u32]) -> Vec<Candidate> {
    let candidate = |(endpoint, &scale): (&Arc<Endpoint>, &u32)| Candidate {
        endpoint: Arc::clone(endpoint),
        scale,
    };
    endpoints.iter().zip(scales).map(candidate).collect()
}

/// Endpoints and their shares, for what is arranged without a balancer.
pub(crate) struct Parts {
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) shares: Box<[u64]>,
}

impl Parts {
    /// Endpoints of these weights, all of which count.
    pub(crate) fn of(weights: &[u16]) -> Parts {
        Parts::whole(endpoints(weights))
    }

    /// These endpoints, with all of their weights.
    pub(crate) fn whole(endpoints: Vec<Arc<Endpoint>>) -> Parts {
        let shares = shares(&whole(&endpoints), true);
        Parts { endpoints, shares }
    }

    pub(super) fn arrangement(&self) -> Arrangement<'_> {
        Arrangement {
            endpoints: &self.endpoints,
            shares: &self.shares,
        }
    }
}

/// Input for picks that depend on nothing.
pub(crate) trait AnyPick {
    fn any() -> Self;
}

impl AnyPick for PickInput<'_> {
    fn any() -> Self {
        PickInput {
            key: 0,
            random: 0,
            now_ms: 0,
            tried: &[],
            limit: UNLIMITED,
        }
    }
}

/// The position of the leased endpoint among [`endpoints`].
pub(crate) fn index_of(lease: &Lease) -> usize {
    lease.endpoint().instance[1..].parse().unwrap()
}

/// The next `count` picks.
pub(crate) fn sequence(balancer: &Balancer, count: usize) -> Vec<usize> {
    (0..count)
        .map(|_| index_of(&balancer.pick(&PickInput::any()).unwrap()))
        .collect()
}

/// How often each endpoint is among the next `count` picks.
pub(crate) fn picks(balancer: &Balancer, count: usize) -> Vec<u64> {
    let mut counts = vec![0; balancer.endpoints().len()];
    for at in sequence(balancer, count) {
        counts[at] += 1;
    }
    counts
}

/// Pseudo-random numbers (SplitMix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }
}

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }
}

/// Fails unless `counts` are as likely as not to come from these `shares`: Pearson's chi-square within four
/// standard deviations of its mean.
pub(crate) fn assert_fits(counts: &[u64], shares: &[u64]) {
    let drawn = counts.iter().sum::<u64>() as f64;
    let whole = shares.iter().sum::<u64>() as f64;
    let chi_square: f64 = counts
        .iter()
        .zip(shares)
        .map(|(&count, &share)| {
            let expected = drawn * share as f64 / whole;
            (count as f64 - expected).powi(2) / expected
        })
        .sum();
    let degrees = (counts.len() - 1) as f64;
    let limit = degrees + 4.0 * (2.0 * degrees).sqrt();
    assert!(chi_square < limit, "chi-square {chi_square}: {counts:?}");
}
