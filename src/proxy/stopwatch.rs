//! How long an endpoint takes to answer, where its service's strategy asks for that: one measurement per exchange.
//!
//! | exchange | measured |
//! |---|---|
//! | TCP, the client speaks first | connecting, and from its first byte passed on to the endpoint's first |
//! | TCP, the endpoint speaks first | connecting, and from then to its first byte |
//! | TCP, the endpoint never speaks | connecting; if the client gave up, also how long it had waited |
//! | HTTP | from the request to the head of its response |
//! | any, failed by the endpoint | the same, but `connect_timeout` at the least |
//!
//! Connecting and answering are one measurement and not two: connecting is so much quicker that a new endpoint would
//! look like the fastest of all until its first answer. And a failure counts as slowness, or an endpoint that refuses
//! at once would look fast.

use super::outcome::{Outcome, Side};
use crate::balance::Lease;
use crate::net::now_ms;
use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// Measures one exchange after the other.
#[derive(Default)]
pub struct Stopwatch {
    running: Cell<Option<Running>>,
}

#[derive(Clone, Copy)]
struct Running {
    /// What connecting took, if that counts.
    before: Duration,
    /// Since when an answer may come.
    since: Instant,
    /// Whether the endpoint has been asked for one.
    is_asked: bool,
}

impl Running {
    fn until(&self, now: Instant) -> Duration {
        self.before + now.saturating_duration_since(self.since)
    }
}

impl Stopwatch {
    /// Connecting took `took`, and the endpoint may speak from `now` on. Does nothing unless the lease is to measure,
    /// as all of this.
    pub fn connected(&self, lease: &Lease, took: Duration, now: impl FnOnce() -> Instant) {
        self.running.set(lease.measures().then(|| Running {
            before: took,
            since: now(),
            is_asked: false,
        }));
    }

    /// The endpoint is asked for something `now`: a connection, or what a request is for.
    pub fn asked(&self, lease: &Lease, now: impl FnOnce() -> Instant) {
        self.running.set(lease.measures().then(|| Running {
            before: Duration::ZERO,
            since: now(),
            is_asked: true,
        }));
    }

    /// Whether there is anything to measure.
    pub fn is_running(&self) -> bool {
        self.running.get().is_some()
    }

    /// A byte of the client's was passed on, maybe the first.
    pub fn passed_on(&self, now: impl FnOnce() -> Instant) {
        if let Some(running) = self.running.get().filter(|running| !running.is_asked) {
            self.running.set(Some(Running {
                since: now(),
                is_asked: true,
                ..running
            }));
        }
    }

    /// The endpoint has answered.
    pub fn answered(&self, lease: &Lease, now: impl FnOnce() -> Instant) {
        if let Some(running) = self.running.take() {
            lease.observe(running.until(now()), now_ms());
        }
    }

    /// The exchange is over, and if this still runs, without an answer; `least` is what a failure counts as.
    pub fn ended(
        &self,
        lease: &Lease,
        outcome: Outcome,
        least: Duration,
        now: impl FnOnce() -> Instant,
    ) {
        let Some(running) = self.running.take() else {
            return;
        };
        let took = match outcome.side() {
            Side::Upstream => running.until(now()).max(least),
            Side::Client if running.is_asked => running.until(now()),
            Side::Client | Side::Neither | Side::Us => running.before,
        };
        if !took.is_zero() {
            lease.observe(took, now_ms());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Balancer, Endpoint, EndpointState, PickInput, UNLIMITED};
    use crate::config::Strategy;
    use std::sync::Arc;

    const MS: Duration = Duration::from_millis(1);

    fn lease(strategy: Strategy) -> Lease {
        let endpoint = Arc::new(Endpoint {
            instance: "e".into(),
            address: "127.0.0.1:1".into(),
            weight: 1,
            tier: 0,
            state: Arc::new(EndpointState::default()),
        });
        let balancer = Balancer::new(strategy.into(), vec![endpoint.into()], None);
        let input = PickInput {
            key: 0,
            random: 0,
            now_ms: 0,
            tried: &[],
            limit: UNLIMITED,
        };
        balancer.pick(&input).unwrap()
    }

    /// What is known of the endpoint, in milliseconds, after 3 ms of connecting and what `happens` then; its third
    /// argument is a clock.
    fn known(happens: impl Fn(&Stopwatch, &Lease, &dyn Fn(u32) -> Instant)) -> Option<f32> {
        let (stopwatch, lease) = (Stopwatch::default(), lease(Strategy::PowerOfTwo));
        let start = Instant::now();
        stopwatch.connected(&lease, 3 * MS, || start);
        happens(&stopwatch, &lease, &|ms| start + ms * MS);
        assert!(!stopwatch.is_running());
        let estimate = lease.endpoint().state.latency.estimate(now_ms());
        estimate.map(|us| (us / 1000.0).round())
    }

    #[test]
    fn the_first_answer_counts_from_when_it_was_asked_for() {
        let client_first = known(|stopwatch, lease, at| {
            stopwatch.passed_on(|| at(100));
            stopwatch.passed_on(|| at(105));
            stopwatch.answered(lease, || at(110));
            stopwatch.answered(lease, || at(160));
        });
        assert_eq!(client_first, Some(13.0));
        let endpoint_first = known(|stopwatch, lease, at| stopwatch.answered(lease, || at(10)));
        assert_eq!(endpoint_first, Some(13.0));
    }

    #[test]
    fn an_exchange_without_an_answer_counts_by_how_it_ended() {
        for (asked, outcome, expected) in [
            (true, Outcome::Done, 3.0),
            (false, Outcome::ClientReset, 3.0),
            (true, Outcome::ClientReset, 23.0),
            (true, Outcome::IdleTimeout, 23.0),
            (true, Outcome::Drained, 3.0),
            (true, Outcome::UpstreamReset, 1000.0),
            (false, Outcome::UpstreamClosed, 1000.0),
        ] {
            let known = known(|stopwatch, lease, at| {
                if asked {
                    stopwatch.passed_on(|| at(0));
                }
                stopwatch.ended(lease, outcome, 1000 * MS, || at(20));
            });
            assert_eq!(known, Some(expected), "{outcome:?}");
        }
    }

    #[test]
    fn a_request_counts_from_when_it_was_sent() {
        for (outcome, expected) in [
            (Outcome::ClientClosed, 20.0),
            (Outcome::ConnectRefused, 1000.0),
            // Not the endpoint's doing; what was known before stays.
            (Outcome::Exhausted, 7.0),
        ] {
            let known = known(|stopwatch, lease, at| {
                lease.observe(7 * MS, now_ms());
                stopwatch.asked(lease, || at(0));
                stopwatch.ended(lease, outcome, 1000 * MS, || at(20));
            });
            assert_eq!(known, Some(expected), "{outcome:?}");
        }
    }

    #[test]
    fn nothing_is_measured_that_nobody_asks_for() {
        let (stopwatch, lease) = (Stopwatch::default(), lease(Strategy::Random));
        stopwatch.connected(&lease, MS, || panic!("the clock is not looked at"));
        stopwatch.asked(&lease, || panic!("nor here"));
        assert!(!stopwatch.is_running());
        stopwatch.answered(&lease, || panic!("nor here"));
        assert_eq!(lease.endpoint().state.latency.estimate(now_ms()), None);
    }
}
