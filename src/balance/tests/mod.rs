//! What holds for every strategy, and what queueing theory says of some.

mod supermarket;

use super::fixture::{AnyPick, Numbers, endpoints, index_of, whole};
use super::{Balancer, Lease, Method, PickError, PickInput};
use crate::config::Strategy;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Wake, Waker};

/// Every way to pick.
fn all() -> Vec<Method> {
    let bounded = Method {
        load_factor: Some(125),
        ..Strategy::ConsistentHash.into()
    };
    let plain = Strategy::ALL.into_iter().map(Method::from);
    plain.chain([bounded]).collect()
}

fn of(method: Method, weights: &[u16]) -> Balancer {
    Balancer::new(method, whole(&endpoints(weights)), None)
}

#[test]
fn nothing_can_be_picked_from_no_endpoints() {
    for method in all() {
        let balancer = of(method, &[]);
        let picked = balancer.pick(&PickInput::any()).err();
        assert_eq!(picked, Some(PickError::NoEndpoints), "{method:?}");
    }
}

#[test]
fn tried_endpoints_are_skipped_until_all_are_tried() {
    for method in all() {
        let balancer = of(method, &[3, 1, 2, 1]);
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
    for method in all() {
        let balancer = of(method, &[1, 1]);
        let input = PickInput {
            tried: &strangers,
            ..PickInput::any()
        };
        assert!(balancer.pick(&input).is_ok(), "{method:?}");
    }
}

#[test]
fn a_single_endpoint_gets_everything() {
    for method in all() {
        let balancer = of(method, &[7]);
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
    for method in all() {
        let balancer = of(method, &[5, 1, 1]);
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
        assert_eq!(picks, 4 * PICKS, "{method:?}");
        assert!(states().all(|s| s.active.load(Relaxed) == 0));
    }
}

#[test]
fn a_change_of_strategy_takes_effect_with_the_same_endpoints() {
    let endpoints = endpoints(&[1, 1]);
    let mut previous = Balancer::new(Strategy::RoundRobin.into(), whole(&endpoints), None);
    for method in all().into_iter().chain(all()) {
        let next = Balancer::new(method, whole(&endpoints), Some(&previous));
        assert_eq!(next.method(), method);
        assert!(next.pick(&PickInput::any()).is_ok());
        previous = next;
    }
}

#[test]
fn full_endpoints_are_skipped_until_all_are_full() {
    for method in all() {
        let balancer = of(method, &[3, 1, 2, 1]);
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
        assert!(states().all(|s| s.active.load(Relaxed) == 2), "{method:?}");
        let two = PickInput {
            limit: 2,
            ..PickInput::any()
        };
        assert_eq!(balancer.pick(&two).err(), Some(PickError::AllFull));
        drop(leases.pop());
        assert!(balancer.pick(&two).is_ok(), "{method:?}");
        let three = PickInput { limit: 3, ..two };
        assert!(balancer.pick(&three).is_ok(), "{method:?}");
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
    for method in all() {
        let balancer = of(method, &[1, 1]);
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
        assert_eq!(picks.sum::<u64>(), THREADS * PICKS, "{method:?}");
        assert!(balancer.queue().is_empty());
    }
}

#[test]
fn the_next_table_has_the_same_queue() {
    let before = of(Strategy::RoundRobin.into(), &[1]);
    let next = whole(&endpoints(&[1]));
    let after = Balancer::new(Strategy::Random.into(), next, Some(&before));
    assert!(Arc::ptr_eq(before.queue(), after.queue()));
}
