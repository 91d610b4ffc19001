//! Random: every endpoint with the same probability, whatever its weight.
//!
//! While shares differ all the same, because somebody warms up or a higher tier takes part, with theirs.

use crate::balance::arrangement::Arrangement;
use crate::balance::draw::{Draw, scale};
use crate::balance::{Endpoint, PickInput};
use std::sync::Arc;

/// At random among the endpoints that may be picked.
pub(in crate::balance) struct Random {
    draw: Draw,
}

impl Random {
    /// With what the `previous` table has, if the shares are the same.
    pub(in crate::balance) fn new(
        of: Arrangement<'_>,
        previous: Option<(Arrangement<'_>, &Random)>,
    ) -> Random {
        let previous = previous.map(|(before, random)| (before, &random.draw));
        Random {
            draw: Draw::new(of, previous),
        }
    }

    pub(in crate::balance) fn pick(
        &self,
        endpoints: &[Arc<Endpoint>],
        input: &PickInput<'_>,
    ) -> Option<usize> {
        if input.allows_all() {
            return Some(self.draw.one(input.random));
        }
        // Summed and then walked, so that the neighbour of one that is passed over is not favoured.
        let allowed = || (0..endpoints.len()).filter(|&at| input.allows(&endpoints[at]));
        let sum = allowed().map(|at| self.draw.share(at)).sum();
        let mut point = scale(input.random, sum);
        allowed().find(|&at| {
            let share = self.draw.share(at);
            let is_here = point < share;
            point = point.saturating_sub(share);
            is_here
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::fixture::{
        AnyPick, Numbers, assert_fits, balancer, endpoints, index_of, scaled,
    };
    use crate::balance::{Balancer, PickInput};
    use crate::config::Strategy::Random;
    use std::sync::Arc;

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

    #[test]
    fn one_that_warms_up_is_as_much_less_likely() {
        let all = endpoints(&[1, 9, 1, 1]);
        let candidates = scaled(&all, &[1000, 100, 1000, 500]);
        let balancer = Balancer::new(Random.into(), candidates, None);
        let tried = [Arc::clone(&all[0].state)];
        for (tried, shares) in [(&[][..], [10, 1, 10, 5]), (&tried, [0, 1, 10, 5])] {
            let mut counts = [0_u64; 4];
            for random in Numbers::new(3).take(100_000) {
                let input = PickInput {
                    random,
                    tried,
                    ..PickInput::any()
                };
                counts[index_of(&balancer.pick(&input).unwrap())] += 1;
            }
            let first = tried.len();
            assert_eq!(counts[..first].iter().sum::<u64>(), 0);
            assert_fits(&counts[first..], &shares[first..]);
        }
    }
}
