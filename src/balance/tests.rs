//! What holds for every strategy.

use super::fixture::{AnyPick, Numbers, balancer, endpoints, index_of};
use super::{Balancer, PickError, PickInput};
use crate::config::Strategy;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const ALL: [Strategy; 4] = [
    Strategy::RoundRobin,
    Strategy::Weighted,
    Strategy::Random,
    Strategy::ConsistentHash,
];

#[test]
fn nothing_can_be_picked_from_no_endpoints() {
    for strategy in ALL {
        let balancer = balancer(strategy, &[]);
        let picked = balancer.pick(&PickInput::any()).err();
        assert_eq!(picked, Some(PickError::NoEndpoints), "{strategy:?}");
    }
}

#[test]
fn tried_endpoints_are_skipped_until_all_are_tried() {
    for strategy in ALL {
        let balancer = balancer(strategy, &[3, 1, 2, 1]);
        for number in Numbers::new(7).take(500) {
            let mut tried = Vec::new();
            for _ in 0..4 {
                let input = PickInput {
                    key: number,
                    random: number,
                    tried: &tried,
                };
                let lease = balancer.pick(&input).unwrap();
                let state = Arc::clone(&lease.endpoint().state);
                assert!(!tried.iter().any(|t| Arc::ptr_eq(t, &state)));
                tried.push(state);
            }
            let input = PickInput {
                tried: &tried,
                ..PickInput::any()
            };
            assert_eq!(balancer.pick(&input).err(), Some(PickError::AllTried));
        }
    }
}

#[test]
fn endpoints_tried_by_an_older_table_do_not_count() {
    let strangers: Vec<_> = endpoints(&[1; 3]).iter().map(|e| e.state.clone()).collect();
    for strategy in ALL {
        let balancer = balancer(strategy, &[1, 1]);
        let input = PickInput {
            tried: &strangers,
            ..PickInput::any()
        };
        assert!(balancer.pick(&input).is_ok(), "{strategy:?}");
    }
}

#[test]
fn a_single_endpoint_gets_everything() {
    for strategy in ALL {
        let balancer = balancer(strategy, &[7]);
        for number in Numbers::new(8).take(100) {
            let input = PickInput {
                key: number,
                random: number,
                tried: &[],
            };
            assert_eq!(index_of(&balancer.pick(&input).unwrap()), 0);
        }
    }
}

#[test]
fn leases_are_counted_and_given_back_under_concurrency() {
    const PICKS: u64 = 10_000;
    for strategy in ALL {
        let balancer = balancer(strategy, &[5, 1, 1]);
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let balancer = &balancer;
                scope.spawn(move || {
                    for number in Numbers::new(seed).take(PICKS as usize) {
                        let input = PickInput {
                            key: number,
                            random: number,
                            tried: &[],
                        };
                        assert!(balancer.pick(&input).is_ok());
                    }
                });
            }
        });
        let states = || balancer.endpoints().iter().map(|e| &e.state);
        let picks: u64 = states().map(|s| s.picks.load(Relaxed)).sum();
        assert_eq!(picks, 4 * PICKS, "{strategy:?}");
        assert!(states().all(|s| s.active.load(Relaxed) == 0));
    }
}

#[test]
fn a_change_of_strategy_takes_effect_with_the_same_endpoints() {
    let all = endpoints(&[1, 1]);
    let mut previous = Balancer::new(Strategy::RoundRobin, all.clone(), None);
    for strategy in ALL {
        let next = Balancer::new(strategy, all.clone(), Some(&previous));
        assert_eq!(next.strategy(), strategy);
        assert!(next.pick(&PickInput::any()).is_ok());
        previous = next;
    }
}
