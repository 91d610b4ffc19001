//! Consistent hashing with bounded loads: keys keep their endpoint while it is not much busier than the average.
//!
//! With the factor `c`, an endpoint takes at most `ceil(c x average)` exchanges, where the average is over all, the new
//! one included, in proportion to weights. A key whose endpoint has as many goes on along the ring to the next one
//! with room, where other such keys do not all follow it: the ring scatters them. Since `c > 1` there is always room.
//! A small factor keeps loads even and moves more keys; the authors show that about `1 / (c - 1)^2` endpoints are
//! passed over at most, on average.
//!
//! The limit holds when an exchange begins. When many others end, those that are left are above the average, and
//! nobody takes exchanges away from them.
//!
//! Leases that were given out before this strategy was in use are not in the sum, but on the endpoints. Until they
//! end limits are too strict, and if nobody has room, the endpoint that the key belongs to takes it.
//!
//! Sources: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", SODA 2018; HAProxy,
//! `hash-balance-factor`.

use super::ConsistentHash;
use crate::balance::arrangement::Arrangement;
use crate::balance::tally::Tally;
use crate::balance::{Endpoint, Lease, PickInput, Queue};
use std::sync::Arc;

/// Points of the ring looked at for one with room. With a factor of 1.25, some 16 endpoints are passed over at most on
/// average; when this many points do not do, the next endpoint in the order of names that has room takes the key.
const POINTS: usize = 1024;

/// A hash ring whose endpoints take so many exchanges and no more.
pub(in crate::balance) struct Bounded {
    ring: ConsistentHash,
    /// Percent of its part of the average that an endpoint takes, above 100.
    factor: u16,
    /// Shares, and their sum.
    shares: Box<[u64]>,
    total: u64,
    tally: Arc<Tally>,
}

impl Bounded {
    /// Loads up to `factor` percent of the average. Goes on counting where the `previous` table is.
    pub(in crate::balance) fn new(
        factor: u16,
        of: Arrangement<'_>,
        previous: Option<(Arrangement<'_>, &Bounded)>,
    ) -> Bounded {
        let ring = previous.map(|(before, bounded)| (before, &bounded.ring));
        Bounded {
            ring: ConsistentHash::new(of, ring),
            factor,
            shares: of.shares.into(),
            total: of.shares.iter().sum(),
            tally: previous.map_or_else(Arc::default, |(_, bounded)| Arc::clone(&bounded.tally)),
        }
    }

    /// The ring, by which an endpoint is chosen without its load.
    pub(in crate::balance) fn ring(&self) -> &ConsistentHash {
        &self.ring
    }

    /// A lease on the endpoint at `owner`, which the ring gives for the key, or on the next with room. Nothing if the
    /// last room was taken meanwhile.
    pub(in crate::balance) fn take(
        &self,
        owner: usize,
        endpoints: &[Arc<Endpoint>],
        input: &PickInput<'_>,
        queue: &Arc<Queue>,
    ) -> Option<Lease> {
        let (counted, sum) = self.tally.count();
        let within = |at: usize| {
            let limit = self.limit(at, sum).min(input.limit);
            let is_allowed = input.allows(&endpoints[at]);
            is_allowed.then(|| Lease::within(&endpoints[at], limit, queue))?
        };
        let mut on_the_ring = self.ring.owners(input.key).take(POINTS);
        let lease = on_the_ring
            .find_map(within)
            .or_else(|| (owner..endpoints.len()).chain(0..owner).find_map(within))
            .or_else(|| Lease::within(&endpoints[owner], input.limit, queue))?;
        Some(lease.counted(counted))
    }

    /// Most exchanges of the endpoint at a position while there are `sum` in all.
    fn limit(&self, at: usize, sum: u32) -> u32 {
        let part = u128::from(sum) * u128::from(self.factor) * u128::from(self.shares[at]);
        let limit = part.div_ceil(u128::from(self.total) * 100);
        u32::try_from(limit).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::fixture::{AnyPick, Numbers, endpoints, index_of, whole};
    use crate::balance::{Balancer, Method};
    use crate::config::Strategy::ConsistentHash;
    use std::sync::atomic::Ordering::Relaxed;

    fn bounded(weights: &[u16], factor: u16) -> Balancer {
        let method = Method {
            load_factor: Some(factor),
            ..ConsistentHash.into()
        };
        Balancer::new(method, whole(&endpoints(weights)), None)
    }

    fn take(balancer: &Balancer, key: u64) -> Lease {
        let input = PickInput {
            key,
            ..PickInput::any()
        };
        balancer.pick(&input).unwrap()
    }

    /// Keys as they come in life: half of them are one of ten.
    fn keys(seed: u64) -> impl Iterator<Item = u64> {
        let popular: Vec<u64> = Numbers::new(77).take(10).collect();
        let key = move |number: u64| match number % 2 {
            0 => popular[(number >> 8) as usize % 10],
            _ => number,
        };
        Numbers::new(seed).map(key)
    }

    #[test]
    fn no_endpoint_begins_more_than_its_part_of_the_average_allows() {
        for (weights, factor) in [(&[1; 10][..], 125), (&[5, 1, 1, 3], 125), (&[1; 7], 101)] {
            let balancer = bounded(weights, factor);
            let total: u32 = weights.iter().map(|w| u32::from(*w)).sum();
            let mut held: Vec<Lease> = Vec::new();
            for key in keys(51).take(8_000) {
                let lease = take(&balancer, key);
                let at = index_of(&lease);
                held.push(lease);
                let part = f64::from(weights[at]) / f64::from(total);
                let allowed = held.len() as f64 * part * f64::from(factor) / 100.0;
                let active = balancer.endpoints()[at].state.active.load(Relaxed);
                assert!(
                    f64::from(active) <= (allowed - 1e-9).ceil(),
                    "{active}, {allowed}"
                );
                if active.is_multiple_of(3) {
                    held.swap_remove((key >> 16) as usize % held.len());
                }
            }
        }
    }

    #[test]
    fn the_limit_moves_keys_from_those_that_are_too_busy_and_no_others() {
        let balancer = bounded(&[1; 10], 125);
        let all = whole(balancer.endpoints());
        let unbounded = Balancer::new(ConsistentHash.into(), all.clone(), None);
        let mut held = Vec::new();
        let mut moved = 0;
        for key in keys(52).take(4_000) {
            let owner = index_of(&take(&unbounded, key));
            let before = balancer.endpoints()[owner].state.active.load(Relaxed);
            held.push(take(&balancer, key));
            let is_moved = index_of(&held[held.len() - 1]) != owner;
            let has_room = u64::from(before) < (held.len() as u64 * 125).div_ceil(1000);
            assert_eq!(is_moved, !has_room);
            moved += usize::from(is_moved);
        }
        assert!((40..2_000).contains(&moved), "{moved} of 4,000 moved");
    }

    #[test]
    fn a_key_that_has_to_move_always_moves_to_the_same_one() {
        let balancer = bounded(&[1; 10], 125);
        let key = 0x1234_5678_9abc_def0;
        let first = take(&balancer, key);
        // The second exchange of two would be more than 1.25 of their average of 0.2, rounded up.
        let second = || index_of(&take(&balancer, key));
        assert_ne!(second(), index_of(&first));
        assert_eq!(second(), second());
        drop(first);
        assert_eq!(second(), index_of(&take(&bounded(&[1; 10], 125), key)));
    }

    #[test]
    fn leases_of_another_strategy_make_limits_stricter_but_lock_nobody_out() {
        let all = whole(&endpoints(&[1; 3]));
        let before = Balancer::new(ConsistentHash.into(), all.clone(), None);
        let held: Vec<_> = Numbers::new(53)
            .take(30)
            .map(|k| take(&before, k))
            .collect();
        let method = bounded(&[1], 125).method();
        let after = Balancer::new(method, all, Some(&before));
        for key in Numbers::new(54).take(30) {
            assert_eq!(index_of(&take(&after, key)), index_of(&take(&before, key)));
        }
        drop(held);
        let next = Balancer::new(method, whole(after.endpoints()), Some(&after));
        let held = take(&after, 1);
        assert_ne!(
            index_of(&take(&next, 1)),
            index_of(&held),
            "tables count together"
        );
    }
}
