//! Power of two choices: of two endpoints drawn at random, the one that is likely to be done sooner.
//!
//! What is compared is `latency x (exchanges under way + 1) / weight`: how long the new exchange would take if those
//! under way took turns. The latency is [`crate::balance::Latency`], whose worst recent value counts; where one of the
//! two has none yet, only exchanges and weights are compared. Both are drawn in proportion to weights, or a heavy
//! endpoint among many light ones would rarely be among the two.
//!
//! Two suffice: with `n` equal endpoints the longest queue falls from about `log n` to `log log n`, and a third choice
//! adds little. Unlike with the least of all, nobody looks at every endpoint, and workers (or nodes) that decide at
//! the same moment rarely decide alike.
//!
//! Sources: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001; Finagle,
//! `P2CPeakEwma`; tower, `balance/p2c`.

use crate::balance::arrangement::Arrangement;
use crate::balance::draw::{Draw, mixed};
use crate::balance::{Endpoint, PickInput};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Draws for a retry until one is found that was not tried. When all fail, most shares were tried, and the first
/// endpoint left in order will do.
const REDRAWS: usize = 8;

/// The better of two drawn at random.
pub(in crate::balance) struct PowerOfTwo {
    draw: Draw,
}

impl PowerOfTwo {
    /// With what the `previous` table has, if the shares are the same.
    pub(in crate::balance) fn new(
        of: Arrangement<'_>,
        previous: Option<(Arrangement<'_>, &PowerOfTwo)>,
    ) -> PowerOfTwo {
        let previous = previous.map(|(before, strategy)| (before, &strategy.draw));
        PowerOfTwo {
            draw: Draw::new(of, previous),
        }
    }

    pub(in crate::balance) fn pick(
        &self,
        endpoints: &[Arc<Endpoint>],
        input: &PickInput<'_>,
    ) -> Option<usize> {
        let mut random = input.random;
        if endpoints.len() == 1 {
            return input.first_from(endpoints, 0);
        }
        for _ in 0..REDRAWS {
            let first = self.draw.one(random);
            random = mixed(random);
            let second = self.draw.another(random, first);
            random = mixed(random);
            match (
                input.allows(&endpoints[first]),
                input.allows(&endpoints[second]),
            ) {
                (true, true) => return Some(self.better(endpoints, first, second, input.now_ms)),
                (true, false) => return Some(first),
                (false, true) => return Some(second),
                (false, false) => {}
            }
        }
        input.first_from(endpoints, self.draw.one(random))
    }

    /// The less loaded one; of equals the first, which is as likely to be one as the other.
    fn better(
        &self,
        endpoints: &[Arc<Endpoint>],
        first: usize,
        second: usize,
        now_ms: u64,
    ) -> usize {
        let estimate = |at: usize| endpoints[at].state.latency.estimate(now_ms);
        let (latency, other) = match (estimate(first), estimate(second)) {
            (Some(latency), Some(other)) => (latency, other),
            _ => (1.0, 1.0),
        };
        let load = |at: usize, latency: f32| {
            let exchanges = f64::from(endpoints[at].state.active.load(Relaxed)) + 1.0;
            f64::from(latency) * exchanges / self.draw.share(at) as f64
        };
        if load(second, other) < load(first, latency) {
            second
        } else {
            first
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::fixture::{AnyPick, Numbers, assert_fits, balancer, index_of};
    use crate::balance::{Balancer, PickInput};
    use crate::config::Strategy::PowerOfTwo;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    /// How often each is picked while loads stay as they are.
    fn counts(balancer: &Balancer, now_ms: u64) -> Vec<u64> {
        let mut counts = vec![0; balancer.endpoints().len()];
        for random in Numbers::new(31).take(60_000) {
            let input = PickInput {
                random,
                now_ms,
                ..PickInput::any()
            };
            counts[index_of(&balancer.pick(&input).unwrap())] += 1;
        }
        counts
    }

    fn observe(balancer: &Balancer, at: usize, took_ms: u64) {
        let latency = &balancer.endpoints()[at].state.latency;
        latency.observe(Duration::from_millis(took_ms), 0);
    }

    #[test]
    fn equals_get_the_same() {
        assert_fits(&counts(&balancer(PowerOfTwo, &[1; 5]), 0), &[1; 5]);
    }

    #[test]
    fn the_busiest_of_all_is_never_the_better_of_two() {
        let balancer = balancer(PowerOfTwo, &[1; 4]);
        balancer.endpoints()[1].state.active.store(7, Relaxed);
        let counts = counts(&balancer, 0);
        assert_eq!(counts[1], 0);
        assert_fits(&[counts[0], counts[2], counts[3]], &[1; 3]);
    }

    #[test]
    fn the_slower_of_two_gets_less_than_it_has_capacity_for_only_by_its_load() {
        let balancer = balancer(PowerOfTwo, &[1, 1]);
        observe(&balancer, 0, 10);
        observe(&balancer, 1, 40);
        assert_eq!(counts(&balancer, 0), [60_000, 0]);
        balancer.endpoints()[0].state.active.store(2, Relaxed);
        assert_eq!(counts(&balancer, 0), [60_000, 0], "30 against 40");
        balancer.endpoints()[0].state.active.store(4, Relaxed);
        assert_eq!(counts(&balancer, 0), [0, 60_000], "50 against 40");
    }

    #[test]
    fn an_endpoint_without_a_latency_is_neither_flooded_nor_left_out() {
        let balancer = balancer(PowerOfTwo, &[1, 1]);
        observe(&balancer, 0, 10);
        assert_fits(&counts(&balancer, 0), &[1, 1]);
        balancer.endpoints()[1].state.active.store(1, Relaxed);
        assert_eq!(counts(&balancer, 0), [60_000, 0]);
    }

    #[test]
    fn slowness_is_forgiven_in_time() {
        let balancer = balancer(PowerOfTwo, &[1, 1]);
        observe(&balancer, 0, 40);
        balancer.endpoints()[1]
            .state
            .latency
            .observe(Duration::from_millis(10), 20_000);
        assert_eq!(
            counts(&balancer, 20_000),
            [60_000, 0],
            "40 ms have faded to 5"
        );
    }

    #[test]
    fn without_load_weights_decide_how_often_one_is_drawn_and_with_load_who_wins() {
        let balancer = balancer(PowerOfTwo, &[100, 1, 1, 1, 1]);
        let idle = counts(&balancer, 0);
        assert!(
            idle[0] > 57_000,
            "it is nearly always among the two, and better: {idle:?}"
        );
        balancer.endpoints()[0].state.active.store(99, Relaxed);
        let as_busy = counts(&balancer, 0);
        assert!(
            as_busy[0] > 50_000,
            "100 exchanges for a weight of 100: {as_busy:?}"
        );
        balancer.endpoints()[0].state.active.store(100, Relaxed);
        assert!(counts(&balancer, 0)[0] < 2_000);
    }
}
