//! Queueing as theory has it, simulated with a virtual clock: what strategies do to waiting times.
//!
//! The supermarket model: customers arrive at `n` equal servers, 0.9 per server and service time, each joins the shorter
//! of two queues drawn at random, and is served in turn. As `n` grows the mean time in the system tends to
//! `sum of 0.9^(2^i - 2)`, 2.6141 service times; with one queue drawn, to `1 / (1 - 0.9)`, 10.
//!
//! Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001, theorem 1
//! and table 1.

use crate::balance::fixture::{AnyPick, Numbers, endpoints, index_of, whole};
use crate::balance::{Balancer, Lease, PickInput};
use crate::config::Strategy;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Servers, as many as the theorem's limit is reached with to within a fraction of a percent.
const SERVERS: usize = 500;

/// Arrivals per server and service time.
const LOAD: f64 = 0.9;

/// What theory says of two choices, in service times.
const TWO_CHOICES: f64 = 2.6141;

/// A mean service time, in milliseconds: a thousandth of the time in which latencies are forgotten.
const SERVICE_MS: f64 = 10.0;

/// What is measured of each customer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Measure {
    /// Nothing.
    Nothing,
    /// The way to the server, which is the same to all.
    Way,
    /// The whole time it took.
    Answer,
}

struct Customer {
    lease: Lease,
    /// Nothing for one that was there when the simulation began.
    arrived: Option<f64>,
}

struct Simulation {
    balancer: Balancer,
    measure: Measure,
    numbers: Numbers,
    queues: Vec<VecDeque<Customer>>,
    /// When each busy server is done with its first customer. Times are positive, so their bits order as they do.
    done: BinaryHeap<Reverse<(u64, usize)>>,
    /// How much longer than one each server takes.
    slowness: Vec<f64>,
}

impl Simulation {
    fn new(strategy: Strategy, measure: Measure, slowness: Vec<f64>) -> Simulation {
        let endpoints = endpoints(&vec![1; slowness.len()]);
        Simulation {
            balancer: Balancer::new(strategy.into(), whole(&endpoints), None),
            measure,
            numbers: Numbers::new(61),
            queues: slowness.iter().map(|_| VecDeque::new()).collect(),
            done: BinaryHeap::new(),
            slowness,
        }
    }

    /// Queues as they are in the long run if each is drawn alone: of length `k` with probability `(1 - load) load^k`.
    /// Single queues take hundreds of service times to get there by themselves.
    fn with_single_queues(mut self) -> Simulation {
        for at in 0..self.queues.len() {
            let length = self.exponential(-1.0 / LOAD.ln()) as usize;
            for _ in 0..length {
                let lease = Lease::new(Arc::clone(&self.balancer.endpoints()[at]));
                let arrived = None;
                self.queues[at].push_back(Customer { lease, arrived });
            }
            if length > 0 {
                self.serve(at, 0.0);
            }
        }
        self
    }

    /// A number from the exponential distribution with that mean.
    fn exponential(&mut self, mean: f64) -> f64 {
        let number = self.numbers.next().unwrap() >> 11;
        -mean * ((number as f64 + 1.0) / (1_u64 << 53) as f64).ln()
    }

    /// The mean time in the system of `count` customers, after `before` others, in service times, while `rate` arrive
    /// in each.
    fn run(mut self, rate: f64, before: usize, count: usize) -> f64 {
        let (mut now, mut left, mut sum) = (0.0, 0, 0.0);
        for arrived in 0.. {
            assert!(arrived < 2 * (before + count), "queues grow without end");
            now += self.exponential(1.0 / rate);
            while let Some(&Reverse((bits, at))) = self.done.peek()
                && f64::from_bits(bits) <= now
            {
                self.done.pop();
                if let Some(took) = self.leave(at, f64::from_bits(bits)) {
                    left += 1;
                    sum += if left > before { took } else { 0.0 };
                }
                if left == before + count {
                    return sum / count as f64;
                }
            }
            self.arrive(now);
        }
        unreachable!("there is always another arrival")
    }

    fn arrive(&mut self, now: f64) {
        let input = PickInput {
            random: self.numbers.next().unwrap(),
            now_ms: (now * SERVICE_MS) as u64,
            ..PickInput::any()
        };
        let lease = self.balancer.pick(&input).unwrap();
        if self.measure == Measure::Way {
            lease.observe(Duration::from_micros(100), input.now_ms);
        }
        let at = index_of(&lease);
        let arrived = Some(now);
        self.queues[at].push_back(Customer { lease, arrived });
        if self.queues[at].len() == 1 {
            self.serve(at, now);
        }
    }

    fn serve(&mut self, at: usize, now: f64) {
        let done = now + self.exponential(self.slowness[at]);
        self.done.push(Reverse((done.to_bits(), at)));
    }

    /// The first customer of a queue leaves; says how long it was in the system, if that is known.
    fn leave(&mut self, at: usize, now: f64) -> Option<f64> {
        let customer = self.queues[at].pop_front().unwrap();
        let took = customer.arrived.map(|arrived| now - arrived);
        if let (Measure::Answer, Some(took)) = (self.measure, took) {
            let took = Duration::from_secs_f64(took * SERVICE_MS / 1000.0);
            customer.lease.observe(took, (now * SERVICE_MS) as u64);
        }
        if !self.queues[at].is_empty() {
            self.serve(at, now);
        }
        took
    }
}

/// Equal servers under [`LOAD`].
fn equal(strategy: Strategy, measure: Measure) -> Simulation {
    Simulation::new(strategy, measure, vec![1.0; SERVERS])
}

/// Arrivals per service time at [`SERVERS`] servers.
const RATE: f64 = LOAD * SERVERS as f64;

// How far the means below lie from their theory by chance, found with ten other seeds: with 160,000 customers p2c's have
// a standard deviation of 0.9 %, and at 500 servers a mean that is 0.4 % above the limit; random's of 400,000 one of
// 2.4 %.

#[test]
fn p2c_has_the_mean_of_the_supermarket_model() {
    for measure in [Measure::Nothing, Measure::Way] {
        let mean = equal(Strategy::PowerOfTwo, measure).run(RATE, 40_000, 160_000);
        println!("p2c, {measure:?}: {mean:.4}, theory {TWO_CHOICES}");
        assert!((mean / TWO_CHOICES - 1.0).abs() < 0.03, "{mean}");
    }
}

#[test]
fn random_has_the_mean_of_single_queues() {
    let simulation = equal(Strategy::Random, Measure::Nothing).with_single_queues();
    let mean = simulation.run(RATE, 0, 400_000);
    println!("random: {mean:.4}, theory 10");
    assert!((mean / 10.0 - 1.0).abs() < 0.1, "{mean}");
}

#[test]
fn among_equals_measuring_answers_costs_p2c_little() {
    let mean = equal(Strategy::PowerOfTwo, Measure::Answer).run(RATE, 40_000, 160_000);
    println!("p2c, Answer: {mean:.4}, without {TWO_CHOICES}");
    assert!((1.0..1.06).contains(&(mean / TWO_CHOICES)), "{mean}");
}

#[test]
fn with_slow_servers_measuring_answers_gains_p2c_much() {
    let mean = |measure| {
        // Every fifth server takes five times as long, and 70 % of what all can do is asked for.
        let slowness: Vec<f64> = (0..100)
            .map(|at| [5.0, 1.0, 1.0, 1.0, 1.0][at % 5])
            .collect();
        let rate = 0.7 * slowness.iter().map(|slow| 1.0 / slow).sum::<f64>();
        Simulation::new(Strategy::PowerOfTwo, measure, slowness).run(rate, 40_000, 80_000)
    };
    let (without, with) = (mean(Measure::Nothing), mean(Measure::Answer));
    println!("p2c with slow servers: {without:.4} by load alone, {with:.4} by answers");
    assert!(with < without * 0.85, "{with} against {without}");
}

#[test]
fn least_connections_is_nearly_one_queue_for_all() {
    // With one queue, nine in ten of 500 servers busy, next to nobody would wait.
    let mean = equal(Strategy::LeastConnections, Measure::Nothing).run(RATE, 20_000, 20_000);
    println!("least-connections: {mean:.4}");
    assert!((mean - 1.0).abs() < 0.04, "{mean}");
}
