//! Least connections: the endpoint with the fewest exchanges under way for its weight.
//!
//! Those with equally few take turns, in proportion to their weights; so a service without load goes round, and a
//! new endpoint, which has none, gets everything until it has as many as the others (`slow_start` is for that).
//!
//! A pick looks at every endpoint, up to a bound; of more, at that many in a row from a random place. The least loaded
//! of 256 drawn at random is, with 99.7 % probability, among the least loaded 2.3 % of all.
//!
//! Two picks at the same moment may choose the same endpoint: the alternative is a lock.

use crate::balance::arrangement::{Arrangement, narrowed};
use crate::balance::draw::scale;
use crate::balance::turn::Turn;
use crate::balance::{Endpoint, EndpointState, PickInput};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Endpoints looked at for one pick: some 2 ns each if their counters are at hand, some 100 ns if another core has just
/// changed them. Raising it makes picks from larger services a little more exact and in proportion slower.
const SCAN: usize = 256;

/// Fewest exchanges for the weight.
pub(in crate::balance) struct LeastConnections {
    turn: Arc<Turn>,
    /// Shares, reduced to 32 bits so that their products with counters fit 64.
    shares: Arc<[u32]>,
    /// By position. Reached from here, a counter is one step away, not two.
    states: Box<[Arc<EndpointState>]>,
}

/// Exchanges under way, and for which share.
#[derive(Clone, Copy)]
struct Load {
    active: u32,
    share: u32,
}

impl Load {
    /// The product by which loads compare as fractions do.
    fn against(self, other: Load) -> u64 {
        u64::from(self.active) * u64::from(other.share)
    }
}

/// The least load seen, who has it, and what those with the same load have as shares together.
struct Least {
    load: Load,
    first: usize,
    count: usize,
    shares: u64,
}

impl LeastConnections {
    /// Goes on from `turn`, with the shares of the `previous` table if they are the same.
    pub(in crate::balance) fn new(
        of: Arrangement<'_>,
        turn: Arc<Turn>,
        previous: Option<(Arrangement<'_>, &LeastConnections)>,
    ) -> LeastConnections {
        let shares = match previous {
            Some((before, least)) if before.has_shares_of(&of) => Arc::clone(&least.shares),
            _ => narrowed(of.shares).into(),
        };
        let states = of.endpoints.iter().map(|e| Arc::clone(&e.state));
        LeastConnections {
            turn,
            shares,
            states: states.collect(),
        }
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
        let start = match endpoints.len() {
            ..=SCAN => 0,
            count => scale(input.random, count as u64) as usize,
        };
        match self.least(start, input) {
            // Whoever is left is outside of what was looked at.
            None => input.first_from(endpoints, start),
            Some(least) if least.count == 1 => Some(least.first),
            Some(least) => Some(self.one_of(&least, start, input)),
        }
    }

    /// The least load among those that may be tried.
    fn least(&self, start: usize, input: &PickInput<'_>) -> Option<Least> {
        let mut least: Option<Least> = None;
        for at in self.window(start) {
            if !input.allows_state(&self.states[at]) {
                continue;
            }
            let load = self.load(at);
            match &mut least {
                Some(least) if load.against(least.load) > least.load.against(load) => {}
                Some(least) if load.against(least.load) == least.load.against(load) => {
                    least.count += 1;
                    least.shares += u64::from(load.share);
                }
                _ => {
                    least = Some(Least {
                        load,
                        first: at,
                        count: 1,
                        shares: load.share.into(),
                    });
                }
            }
        }
        least
    }

    /// Whose turn it is among those that have the least load. They may have changed since they were counted; then
    /// it is the last of them, or the first that was seen.
    fn one_of(&self, least: &Least, start: usize, input: &PickInput<'_>) -> usize {
        let length = usize::try_from(least.shares).unwrap_or(usize::MAX);
        let mut ahead = self.turn.of(input, length) as u64;
        let mut last = least.first;
        for at in self.window(start) {
            let load = self.load(at);
            let is_least = load.against(least.load) == least.load.against(load);
            if !is_least || !input.allows_state(&self.states[at]) {
                continue;
            }
            if ahead < u64::from(load.share) {
                return at;
            }
            ahead -= u64::from(load.share);
            last = at;
        }
        last
    }

    fn load(&self, at: usize) -> Load {
        Load {
            active: self.states[at].active.load(Relaxed),
            share: self.shares[at],
        }
    }

    /// The positions to look at.
    fn window(&self, start: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.states.len();
        (start..count).chain(0..start).take(SCAN)
    }
}

#[cfg(test)]
mod tests {
    use super::SCAN;
    use crate::balance::fixture::{
        AnyPick, Numbers, assert_fits, balancer, endpoints, index_of, picks, sequence, whole,
    };
    use crate::balance::{Balancer, Lease, PickInput};
    use crate::config::Strategy::LeastConnections;
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;

    /// Exchanges under way, by position.
    fn active(balancer: &Balancer) -> Vec<u32> {
        let endpoints = balancer.endpoints().iter();
        endpoints.map(|e| e.state.active.load(Relaxed)).collect()
    }

    fn take(balancer: &Balancer, random: u64) -> Lease {
        let input = PickInput {
            random,
            ..PickInput::any()
        };
        balancer.pick(&input).unwrap()
    }

    #[test]
    fn without_load_endpoints_take_turns() {
        let balancer = balancer(LeastConnections, &[1, 1, 1]);
        assert_eq!(sequence(&balancer, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn without_load_turns_are_in_proportion_to_weights() {
        let balancer = balancer(LeastConnections, &[50, 30, 20]);
        assert_eq!(picks(&balancer, 10_000), [5000, 3000, 2000]);
    }

    #[test]
    fn the_fewest_exchanges_win() {
        let balancer = balancer(LeastConnections, &[1, 1, 1]);
        let states: Vec<_> = balancer.endpoints().iter().map(|e| &e.state).collect();
        for (loads, expected) in [([3, 2, 4], 1), ([3, 3, 0], 2), ([1, 2, 2], 0)] {
            for (state, load) in states.iter().zip(loads) {
                state.active.store(load, Relaxed);
            }
            assert_eq!(index_of(&take(&balancer, 0)), expected, "{loads:?}");
        }
    }

    #[test]
    fn whoever_is_picked_had_the_fewest() {
        let balancer = balancer(LeastConnections, &[1; 10]);
        let mut held: Vec<Lease> = Vec::new();
        for number in Numbers::new(21).take(5_000) {
            let before = active(&balancer);
            let lease = take(&balancer, number);
            assert_eq!(before[index_of(&lease)], *before.iter().min().unwrap());
            held.push(lease);
            if number.is_multiple_of(3) {
                held.swap_remove((number / 3) as usize % held.len());
            }
        }
    }

    #[test]
    fn while_nobody_leaves_loads_are_within_one_of_each_other() {
        let balancer = balancer(LeastConnections, &[1; 10]);
        let _held: Vec<_> = (0..995).map(|n| take(&balancer, n)).collect();
        assert!(active(&balancer).iter().all(|n| (99..=100).contains(n)));
    }

    #[test]
    fn loads_are_in_proportion_to_weights() {
        let balancer = balancer(LeastConnections, &[5, 3, 1, 1]);
        let _held: Vec<_> = (0..1000).map(|n| take(&balancer, n)).collect();
        assert_eq!(active(&balancer), [500, 300, 100, 100]);
    }

    #[test]
    fn equally_loaded_endpoints_beside_a_busy_one_get_the_same() {
        // A neighbour of the busy one would get twice as much if its turns went to the next in line.
        let balancer = balancer(LeastConnections, &[1; 5]);
        balancer.endpoints()[2].state.active.store(9, Relaxed);
        assert_eq!(picks(&balancer, 4000), [1000, 1000, 0, 1000, 1000]);
    }

    #[test]
    fn of_more_than_are_looked_at_every_one_has_its_chance() {
        let count = SCAN * 4;
        let balancer = balancer(LeastConnections, &vec![1; count]);
        let mut counts = vec![0; count];
        for random in Numbers::new(22).take(count * 20) {
            counts[index_of(&take(&balancer, random))] += 1;
        }
        assert_fits(&counts, &vec![1; count]);
        let _held: Vec<_> = Numbers::new(23)
            .take(count * 10)
            .map(|random| take(&balancer, random))
            .collect();
        let loads = active(&balancer);
        let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        assert!(*least >= 8 && *most <= 11, "{least} to {most}");
    }

    #[test]
    fn the_last_one_untried_is_found_outside_of_what_is_looked_at() {
        let all = endpoints(&vec![1; SCAN + 2]);
        let balancer = Balancer::new(LeastConnections.into(), whole(&all), None);
        let tried: Vec<_> = all[1..].iter().map(|e| Arc::clone(&e.state)).collect();
        for random in Numbers::new(24).take(50) {
            let input = PickInput {
                random,
                tried: &tried,
                ..PickInput::any()
            };
            assert_eq!(index_of(&balancer.pick(&input).unwrap()), 0);
        }
    }
}
