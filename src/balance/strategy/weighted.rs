//! Weighted round-robin, smooth as nginx's: in proportion to the weights, and interleaved, so that a heavy
//! endpoint never gets its whole share in one burst. (5, 1, 1) gives `a a b a c a a`, not `a a a a a b c`.
//!
//! nginx computes the next pick from running totals under a lock. Those totals repeat after a fixed number of
//! picks, so here one period is computed when the table is built, and a pick is one atomic step through it.
//!
//! Source: nginx, `ngx_http_upstream_get_peer` in `src/http/ngx_http_upstream_round_robin.c`.

use crate::balance::arrangement::{Arrangement, reduced};
use crate::balance::turn::Turn;
use crate::balance::{Endpoint, PickInput};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest sequence, in picks of 4 bytes each. Weights that would need a longer one are scaled to it: each
/// share of the traffic is then off by at most half a pick in 32,768 (0.0015 % of the whole), or rounded up
/// to one pick. Raising it costs memory, and time when weights change: computing a sequence takes one step per
/// pick and distinct weight, and at most 256 distinct weights add up to a period of this length.
const MAX_PERIOD: u64 = 32_768;

/// Smooth weighted round-robin.
pub(in crate::balance) struct Weighted {
    turn: Arc<Turn>,
    /// One period: positions among the endpoints.
    sequence: Arc<[u32]>,
}

impl Weighted {
    /// Goes on from `turn`, with the sequence of the `previous` table if the shares are the same.
    pub(in crate::balance) fn new(
        of: Arrangement<'_>,
        turn: Arc<Turn>,
        previous: Option<(Arrangement<'_>, &Weighted)>,
    ) -> Weighted {
        let sequence = match previous {
            Some((before, weighted)) if before.has_shares_of(&of) => Arc::clone(&weighted.sequence),
            _ => smooth(&fit(of.shares)).into(),
        };
        Weighted { turn, sequence }
    }

    /// What the next table goes on from.
    pub(in crate::balance) fn turn(&self) -> &Arc<Turn> {
        &self.turn
    }

    pub(in crate::balance) fn pick(
        &self,
        endpoints: &[Arc<Endpoint>],
        input: &PickInput<'_>,
    ) -> Option<usize> {
        let start = self.turn.of(input, self.sequence.len());
        let ahead = self.sequence[start..].iter().chain(&self.sequence[..start]);
        // A heavy endpoint that was tried may fill thousands of steps; after as many as there are endpoints
        // the next one in order is good enough for a retry, and the walk stays short.
        ahead
            .take(endpoints.len())
            .map(|&at| at as usize)
            .find(|&at| input.allows(&endpoints[at]))
            .or_else(|| input.first_from(endpoints, start % endpoints.len()))
    }
}

/// The smallest weights in the same proportion, adding up to about [`MAX_PERIOD`] at most.
fn fit(shares: &[u64]) -> Vec<u64> {
    let mut weights: Vec<u64> = reduced(shares).collect();
    let total = weights.iter().sum::<u64>();
    if total > MAX_PERIOD {
        for weight in &mut weights {
            *weight = ((*weight * MAX_PERIOD + total / 2) / total).max(1);
        }
    }
    weights
}

/// Endpoints of one weight. nginx serves them in order, so one running total stands for all of them: that of
/// the member whose turn is next.
struct Group {
    weight: i64,
    members: Vec<u32>,
    next: usize,
    current: i64,
}

impl Group {
    fn front(&self) -> u32 {
        self.members[self.next]
    }
}

/// One period of nginx's sequence: at each step every total grows by its weight, the largest is picked (the
/// first of equals), and the sum of all weights is taken from it.
fn smooth(weights: &[u64]) -> Vec<u32> {
    let total = weights.iter().sum::<u64>() as i64;
    let mut members: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (at, &weight) in weights.iter().enumerate() {
        members.entry(weight).or_default().push(at as u32);
    }
    let mut groups: Vec<Group> = members
        .into_iter()
        .map(|(weight, members)| Group {
            weight: weight as i64,
            members,
            next: 0,
            current: 0,
        })
        .collect();
    let mut sequence = Vec::with_capacity(total as usize);
    for _ in 0..total {
        for group in &mut groups {
            group.current += group.weight;
        }
        let best = groups
            .iter_mut()
            .max_by_key(|group| (group.current, std::cmp::Reverse(group.front())))
            .expect("a positive total has a weight in it");
        sequence.push(best.front());
        best.next += 1;
        if best.next == best.members.len() {
            best.next = 0;
            best.current -= total;
        }
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::{MAX_PERIOD, fit, smooth};
    use crate::balance::fixture::{
        AnyPick, Numbers, balancer, endpoints, index_of, picks, scaled, sequence, whole,
    };
    use crate::balance::{Balancer, PickInput};
    use crate::config::Strategy::Weighted;
    use std::sync::Arc;

    /// nginx's algorithm as written there.
    fn reference(weights: &[u64]) -> Vec<u32> {
        let total = weights.iter().sum::<u64>() as i64;
        let mut current = vec![0_i64; weights.len()];
        let mut sequence = Vec::new();
        for _ in 0..total {
            let mut best = 0; // all before it have grown when an endpoint is compared with it
            for at in 0..weights.len() {
                current[at] += weights[at] as i64;
                if current[at] > current[best] {
                    best = at;
                }
            }
            current[best] -= total;
            sequence.push(best as u32);
        }
        sequence
    }

    #[test]
    fn five_one_one_gives_the_sequence_of_nginx() {
        let balancer = balancer(Weighted, &[5, 1, 1]);
        assert_eq!(sequence(&balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(
            sequence(&balancer, 7),
            [0, 0, 1, 0, 2, 0, 0],
            "and so it goes on"
        );
    }

    #[test]
    fn any_weights_give_the_sequence_of_nginx() {
        let mut numbers = Numbers::new(3);
        for _ in 0..200 {
            let count = numbers.next().unwrap() % 12 + 1;
            let weights: Vec<u64> = (0..count)
                .map(|_| numbers.next().unwrap() % 9 + 1)
                .collect();
            assert_eq!(smooth(&weights), reference(&weights), "{weights:?}");
        }
    }

    #[test]
    fn each_endpoint_gets_exactly_its_share() {
        let balancer = balancer(Weighted, &[50, 30, 20]);
        assert_eq!(picks(&balancer, 100_000), [50_000, 30_000, 20_000]);
    }

    #[test]
    fn one_that_warms_up_gets_as_much_less() {
        let candidates = scaled(&endpoints(&[2, 1, 1]), &[1000, 1000, 200]);
        let balancer = Balancer::new(Weighted.into(), candidates, None);
        assert_eq!(picks(&balancer, 3200), [2000, 1000, 200]);
    }

    #[test]
    fn weights_are_reduced_to_the_shortest_period() {
        for (weights, expected) in [
            (&[100_u64, 100, 100][..], &[1_u64, 1, 1][..]),
            (&[100, 50], &[2, 1]),
            (&[7], &[1]),
            (&[1000, 300, 1000], &[10, 3, 10]),
            (&[], &[]),
        ] {
            assert_eq!(fit(weights), expected);
        }
    }

    #[test]
    fn weights_beyond_the_longest_period_keep_their_proportion() {
        let mut numbers = Numbers::new(4);
        let weights: Vec<u64> = (0..1000)
            .map(|_| numbers.next().unwrap() % 65_535 + 1)
            .collect();
        let total: f64 = weights.iter().map(|&w| w as f64).sum();
        let reduced = fit(&weights);
        let period = reduced.iter().sum::<u64>();
        assert!(
            period <= MAX_PERIOD + weights.len() as u64,
            "period {period}"
        );
        for (&before, &after) in weights.iter().zip(&reduced) {
            let exact = before as f64 / total * MAX_PERIOD as f64;
            assert!((after as f64 - exact).abs() <= 0.5 || after == 1);
        }
    }

    #[test]
    fn the_lightest_endpoint_is_never_left_out() {
        let balancer = balancer(Weighted, &[65_535, 1]);
        assert!(picks(&balancer, 100_000)[1] >= 1);
    }

    #[test]
    fn a_heavy_endpoint_that_was_tried_is_passed_over() {
        let balancer = balancer(Weighted, &[65_535, 1, 1]);
        let tried = [Arc::clone(&balancer.endpoints()[0].state)];
        for _ in 0..100 {
            let input = PickInput {
                tried: &tried,
                ..PickInput::any()
            };
            assert_ne!(index_of(&balancer.pick(&input).unwrap()), 0);
        }
    }

    #[test]
    fn the_next_table_shares_the_sequence_while_weights_stay() {
        let before = Balancer::new(Weighted.into(), whole(&endpoints(&[5, 1, 1])), None);
        assert_eq!(sequence(&before, 3), [0, 0, 1]);
        let same = Balancer::new(
            Weighted.into(),
            whole(&endpoints(&[5, 1, 1])),
            Some(&before),
        );
        assert_eq!(sequence(&same, 4), [0, 2, 0, 0]);
        let other = Balancer::new(Weighted.into(), whole(&endpoints(&[1, 1])), Some(&before));
        assert_eq!(sequence(&other, 2), [1, 0]);
    }
}
