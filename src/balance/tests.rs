//! What holds for every strategy.

use super::fixture::{AnyPick, Numbers, balancer, endpoints, index_of};
use super::{Balancer, Lease, PickError, PickInput};
use crate::config::Strategy;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Wake, Waker};

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
                    ..PickInput::any()
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
                ..PickInput::any()
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
                            ..PickInput::any()
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

#[test]
fn full_endpoints_are_skipped_until_all_are_full() {
    for strategy in ALL {
        let balancer = balancer(strategy, &[3, 1, 2, 1]);
        let mut leases = Vec::new();
        for number in Numbers::new(9).take(8) {
            let input = PickInput {
                key: number,
                random: number,
                limit: 2,
                ..PickInput::any()
            };
            leases.push(balancer.pick(&input).unwrap());
        }
        let states = || balancer.endpoints().iter().map(|e| &e.state);
        assert!(
            states().all(|s| s.active.load(Relaxed) == 2),
            "{strategy:?}"
        );
        let two = PickInput {
            limit: 2,
            ..PickInput::any()
        };
        assert_eq!(balancer.pick(&two).err(), Some(PickError::AllFull));
        drop(leases.pop());
        assert!(balancer.pick(&two).is_ok(), "{strategy:?}");
        let three = PickInput { limit: 3, ..two };
        assert!(balancer.pick(&three).is_ok(), "{strategy:?}");
    }
}

/// A thread that is woken by being unparked.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Picks, or waits in the queue until that is possible.
fn pick_or_wait(balancer: &Balancer, input: &PickInput<'_>) -> Lease {
    if let Ok(lease) = balancer.pick(input) {
        return lease;
    }
    let place = balancer.queue().enter(usize::MAX).unwrap();
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        if place.may_try(&waker)
            && let Ok(lease) = balancer.pick(input)
        {
            return lease;
        }
        // A wake-up that is lost leaves a thread here, and the test without an end.
        std::thread::park();
    }
}

#[test]
fn no_slot_is_lost_and_no_limit_exceeded_under_concurrency() {
    const THREADS: u64 = 8;
    const PICKS: u64 = 5_000;
    for strategy in ALL {
        let balancer = balancer(strategy, &[1, 1]);
        let under_way = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for seed in 0..THREADS {
                let (balancer, under_way) = (&balancer, &under_way);
                scope.spawn(move || {
                    for number in Numbers::new(seed).take(PICKS as usize) {
                        let input = PickInput {
                            key: number,
                            random: number,
                            limit: 1,
                            ..PickInput::any()
                        };
                        let lease = pick_or_wait(balancer, &input);
                        assert!(under_way.fetch_add(1, Relaxed) < 2);
                        std::thread::yield_now();
                        under_way.fetch_sub(1, Relaxed);
                        drop(lease);
                    }
                });
            }
        });
        let picks = balancer
            .endpoints()
            .iter()
            .map(|e| e.state.picks.load(Relaxed));
        assert_eq!(picks.sum::<u64>(), THREADS * PICKS, "{strategy:?}");
        assert!(balancer.queue().is_empty());
    }
}

#[test]
fn the_next_table_has_the_same_queue() {
    let before = balancer(Strategy::RoundRobin, &[1]);
    let after = Balancer::new(Strategy::Random, endpoints(&[1]), Some(&before));
    assert!(Arc::ptr_eq(before.queue(), after.queue()));
}
