//! The cost of a pick and its lease, per strategy, with 3 to 1,000 endpoints and one or two threads, and the
//! cost of arranging 1,000 endpoints.
//!
//! Two threads pick from one balancer at the same time; the figure is the time per pick of each of them.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::time::Instant;
use zoogate::balance::{
    Balancer, Candidate, Endpoint, EndpointState, Method, PickInput, UNLIMITED,
};
use zoogate::config::Strategy;

/// Every strategy, and consistent hashing with bounded loads.
fn methods() -> impl Iterator<Item = (&'static str, Method)> {
    let bounded = Method {
        strategy: Strategy::ConsistentHash,
        load_factor: Some(125),
    };
    let plain = Strategy::ALL.map(|strategy| (strategy.as_str(), strategy.into()));
    plain.into_iter().chain([("bounded", bounded)])
}

/// Endpoints of the weights 1 to 10 in turn.
fn endpoints(count: usize) -> Vec<Candidate> {
    (0..count)
        .map(|at| {
            let endpoint = Arc::new(Endpoint {
                instance: format!("instance-{at}").into(),
                address: format!("10.0.{}.{}:8080", at / 256, at % 256).into(),
                weight: (at % 10 + 1) as u16,
                tier: 0,
                state: Arc::new(EndpointState::default()),
            });
            endpoint
                .state
                .latency
                .observe(Duration::from_millis(at as u64 % 7 + 1), 0);
            Candidate::from(endpoint)
        })
        .collect()
}

/// Picks `count` times, with another key and another random number each time.
fn pick_repeatedly(balancer: &Balancer, seed: u64, count: u64) {
    let mut number = seed;
    for _ in 0..count {
        number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let input = PickInput {
            key: number,
            random: number,
            now_ms: number % 1000,
            tried: &[],
            limit: UNLIMITED,
        };
        drop(black_box(balancer.pick(&input)));
    }
}

/// How long `threads` threads take to make `count` picks each, from the moment all are ready.
fn time_together(balancer: &Balancer, threads: u64, count: u64) -> Duration {
    let ready = Barrier::new(threads as usize);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|thread| {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    let start = Instant::now();
                    pick_repeatedly(balancer, thread, count);
                    start.elapsed()
                })
            })
            .collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("picking does not panic"))
            .max()
            .unwrap_or_default()
    })
}

fn pick(c: &mut Criterion) {
    for threads in [1, 2] {
        let mut group = c.benchmark_group(format!("pick/{threads}-threads"));
        for (name, method) in methods() {
            for count in [3, 100, 1_000] {
                let balancer = Balancer::new(method, endpoints(count), None);
                group.bench_function(BenchmarkId::new(name, count), |b| {
                    b.iter_custom(|picks| time_together(&balancer, threads, picks));
                });
            }
        }
        group.finish();
    }
}

fn arrange(c: &mut Criterion) {
    let mut group = c.benchmark_group("arrange");
    for (name, method) in methods() {
        let endpoints = endpoints(1_000);
        group.bench_function(BenchmarkId::new(name, 1_000), |b| {
            b.iter(|| Balancer::new(method, black_box(endpoints.clone()), None));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = pick, arrange
}
criterion_main!(benches);
