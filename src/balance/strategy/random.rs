//! Random: every endpoint with the same probability, whatever its weight.

use crate::balance::{Endpoint, PickInput};
use std::sync::Arc;

/// Uniformly at random among the endpoints that were not tried.
pub(in crate::balance) struct Random;

impl Random {
    pub(in crate::balance) fn pick(
        &self,
        endpoints: &[Arc<Endpoint>],
        input: &PickInput<'_>,
    ) -> Option<usize> {
        if input.allows_all() {
            return Some(scale(input.random, endpoints.len()));
        }
        // Counted and then walked, so that the neighbour of one that is passed over is not favoured.
        let allowed = || (0..endpoints.len()).filter(|&at| input.allows(&endpoints[at]));
        match allowed().count() {
            0 => None,
            count => allowed().nth(scale(input.random, count)),
        }
    }
}

/// Maps a random 64-bit number to `0..length` by its place in the range, which needs no division. Its bias is
/// below `length / 2^64` (Lemire, "Fast Random Integer Generation in an Interval", 2019).
fn scale(random: u64, length: usize) -> usize {
    ((u128::from(random) * length as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::scale;
    use crate::balance::PickInput;
    use crate::balance::fixture::{AnyPick, Numbers, assert_fits, balancer, index_of};
    use crate::config::Strategy::Random;
    use std::sync::Arc;

    #[test]
    fn scales_the_whole_range() {
        for (random, length, expected) in [
            (0, 3, 0),
            (u64::MAX / 3, 3, 0),
            (u64::MAX / 3 + 1, 3, 1),
            (u64::MAX, 3, 2),
            (u64::MAX, 1, 0),
        ] {
            assert_eq!(scale(random, length), expected, "{random} of {length}");
        }
    }

    #[test]
    fn every_endpoint_is_as_likely_as_any_other() {
        let balancer = balancer(Random, &[1, 50, 3, 1, 1, 1, 1]);
        let mut counts = [0_u64; 7];
        for random in Numbers::new(1).take(140_000) {
            let input = PickInput {
                random,
                ..PickInput::any()
            };
            counts[index_of(&balancer.pick(&input).unwrap())] += 1;
        }
        assert_fits(&counts, &[1; 7]);
    }

    #[test]
    fn the_untried_are_equally_likely() {
        let balancer = balancer(Random, &[1; 5]);
        let tried = [1, 2].map(|at: usize| Arc::clone(&balancer.endpoints()[at].state));
        let mut counts = [0_u64; 5];
        for random in Numbers::new(2).take(100_000) {
            let input = PickInput {
                random,
                tried: &tried,
                ..PickInput::any()
            };
            counts[index_of(&balancer.pick(&input).unwrap())] += 1;
        }
        assert_eq!((counts[1], counts[2]), (0, 0));
        assert_fits(&[counts[0], counts[3], counts[4]], &[1; 3]);
    }
}
