//! Round-robin: each endpoint in turn, whatever its weight.
//!
//! While shares differ all the same, because somebody warms up or a higher tier takes part, turns are handed out as
//! `weighted` does.

use super::Weighted;
use crate::balance::arrangement::Arrangement;
use crate::balance::turn::Turn;
use crate::balance::{Endpoint, PickInput};
use std::sync::Arc;

/// Each endpoint in turn. An endpoint that was tried already hands its turn to the one after it.
pub(in crate::balance) struct RoundRobin {
    turn: Arc<Turn>,
    /// Whose turn it is while shares differ.
    uneven: Option<Weighted>,
}

impl RoundRobin {
    /// Goes on from `turn`.
    pub(in crate::balance) fn new(
        of: Arrangement<'_>,
        turn: Arc<Turn>,
        previous: Option<(Arrangement<'_>, &RoundRobin)>,
    ) -> RoundRobin {
        let uneven = previous.and_then(|(before, it)| Some((before, it.uneven.as_ref()?)));
        let weighted = || Weighted::new(of, Arc::clone(&turn), uneven);
        RoundRobin {
            uneven: (!of.is_even()).then(weighted),
            turn,
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
        match &self.uneven {
            None => input.first_from(endpoints, self.turn.of(input, endpoints.len())),
            Some(weighted) => weighted.pick(endpoints, input),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::balance::fixture::{AnyPick, balancer, endpoints, picks, scaled, sequence, whole};
    use crate::balance::{Balancer, PickInput};
    use crate::config::Strategy::RoundRobin;
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn goes_through_the_endpoints_in_order() {
        let balancer = balancer(RoundRobin, &[1, 1, 1]);
        assert_eq!(sequence(&balancer, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn weights_do_not_matter() {
        let balancer = balancer(RoundRobin, &[9, 1]);
        assert_eq!(sequence(&balancer, 4), [0, 1, 0, 1]);
    }

    #[test]
    fn while_one_warms_up_it_gets_its_part_and_the_others_the_same() {
        let all = endpoints(&[7, 1, 1]);
        let warming = scaled(&all, &[1000, 300, 1000]);
        let balancer = Balancer::new(RoundRobin.into(), warming, None);
        assert_eq!(picks(&balancer, 2300), [1000, 300, 1000]);
        let warm = Balancer::new(RoundRobin.into(), whole(&all), Some(&balancer));
        assert_eq!(picks(&warm, 3), [1, 1, 1], "exact again, and in turn");
    }

    #[test]
    fn a_tried_endpoint_hands_its_turn_to_the_next() {
        let balancer = balancer(RoundRobin, &[1, 1, 1]);
        let tried = [Arc::clone(&balancer.endpoints()[0].state)];
        let input = PickInput {
            tried: &tried,
            ..PickInput::any()
        };
        let lease = balancer.pick(&input).unwrap();
        assert_eq!(&*lease.endpoint().instance, "i1");
    }

    #[test]
    fn a_dead_endpoint_is_tried_first_only_in_its_own_turn() {
        let balancer = balancer(RoundRobin, &[1, 1]);
        let dead = Arc::clone(&balancer.endpoints()[0].state);
        let mut tried_first = 0;
        for _ in 0..100 {
            let first = balancer.pick(&PickInput::any()).unwrap();
            if Arc::ptr_eq(&first.endpoint().state, &dead) {
                tried_first += 1;
                let tried = [Arc::clone(&dead)];
                let retry = PickInput {
                    tried: &tried,
                    ..PickInput::any()
                };
                let second = balancer.pick(&retry).unwrap();
                assert_eq!(&*second.endpoint().instance, "i1");
            }
        }
        assert_eq!(tried_first, 50);
    }

    #[test]
    fn the_next_table_goes_on_where_this_one_is() {
        let all = endpoints(&[1, 1, 1]);
        let before = Balancer::new(RoundRobin.into(), whole(&all), None);
        assert_eq!(sequence(&before, 2), [0, 1]);
        let after = Balancer::new(RoundRobin.into(), whole(&all), Some(&before));
        assert_eq!(sequence(&after, 2), [2, 0]);
        assert_eq!(sequence(&before, 1), [1], "both tables take from one turn");
    }

    #[test]
    fn threads_divide_the_picks_exactly() {
        const THREADS: usize = 4;
        const PICKS: usize = 30_000;
        let balancer = balancer(RoundRobin, &[1; 3]);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..PICKS {
                        drop(balancer.pick(&PickInput::any()).unwrap());
                    }
                });
            }
        });
        for endpoint in balancer.endpoints() {
            assert_eq!(
                endpoint.state.picks.load(Relaxed),
                (THREADS * PICKS / 3) as u64
            );
            assert_eq!(endpoint.state.active.load(Relaxed), 0);
        }
    }
}
