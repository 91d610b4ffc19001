//! What a worker keeps an eye on: every client connection, without a timer for each.
//!
//! A flow only raises a flag when bytes move. One sweep per worker, four times a second, walks all connections:
//! where the flag was raised it starts counting again, where it was not for longer than the connection's
//! patience it says so and wakes the flow. The same walk enforces drain deadlines and carries byte counts to the
//! metrics, so that a stream that lasts for days is seen while it lasts. A message then costs neither a clock
//! reading nor a timer; the price is that deadlines are late by up to one sweep.
//!
//! ```text
//! flow:   touch() ....... touch() ......                  verdict() -> IdleTimeout, the flow ends
//! sweep:     since=t0 ......... since=t1 ... t1+patience: decide(IdleTimeout), wake
//! ```
//! Invariant: a verdict is given once and stays, except that the flow may take back [`Outcome::ResponseTimeout`]
//! because the client is still to be told.

use super::outcome::Outcome;
use super::stopwatch::Stopwatch;
use crate::balance::Lease;
use crate::net::now_ms;
use crate::routing::Service;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// Time between sweeps: how late a deadline may be noticed. Halving it doubles what idle connections cost,
/// about 10 ns each per sweep.
pub const SWEEP: Duration = Duration::from_millis(250);

/// Sweeps after which a connection counts as one that lasts: a second.
const LASTING: u8 = 4;

/// One client connection under watch.
#[derive(Default)]
pub struct Watch {
    touched: Cell<bool>,
    since_ms: Cell<u64>,
    patience: Cell<Patience>,
    /// When it has lived long enough; zero is never.
    ends_at_ms: Cell<u64>,
    first_byte: Cell<Option<Instant>>,
    verdict: Cell<Option<Outcome>>,
    waker: RefCell<Option<Waker>>,
    service: RefCell<Option<Arc<Service>>>,
    lease: RefCell<Option<Lease>>,
    /// How long the endpoint takes.
    stopwatch: Stopwatch,
    /// Bytes from the client towards the endpoint in the exchange under way.
    pub received: Cell<u64>,
    /// Bytes from the endpoint towards the client in the exchange under way.
    pub sent: Cell<u64>,
    reported: Cell<(u64, u64)>,
    /// The first byte from the endpoint says that the exchange goes well; nobody else will.
    is_stream: Cell<bool>,
    /// Sweeps it has seen, up to [`LASTING`] and one more when the flow knows.
    sweeps: Cell<u8>,
}

/// How long silence may last, and what it is called when it lasts longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// Something else keeps the time.
    #[default]
    Endless,
    /// Up to `limit_ms` without progress; then the exchange ends with `then`.
    Limited {
        /// Longest silence, in milliseconds.
        limit_ms: u64,
        /// What happens after it.
        then: Outcome,
    },
}

impl Patience {
    /// Patience for silence of up to `limit`.
    pub fn of(limit: Duration, then: Outcome) -> Patience {
        Patience::Limited {
            limit_ms: limit.as_millis() as u64,
            then,
        }
    }
}

impl Watch {
    /// Bytes moved.
    pub fn touch(&self) {
        self.touched.set(true);
    }

    /// From now on silence may last this long. A response that was late has come after all.
    pub fn expect(&self, patience: Patience) {
        if self.verdict.get() == Some(Outcome::ResponseTimeout) {
            self.verdict.set(None);
        }
        self.patience.set(patience);
        self.touch();
    }

    /// The endpoint has said something; the first time counts.
    pub fn heard(&self) {
        if self.first_byte.get().is_none() {
            self.first_byte.set(Some(Instant::now()));
        }
    }

    /// When the endpoint first said something in the exchange under way.
    pub fn first_byte(&self) -> Option<Instant> {
        self.first_byte.get()
    }

    /// The connection may live for so long from now on.
    pub fn live(&self, lifetime: Option<Duration>) {
        let ends_at = lifetime.map_or(0, |lifetime| now_ms() + lifetime.as_millis() as u64);
        self.ends_at_ms.set(ends_at);
    }

    /// What ended the exchange from outside, if anything did. Whoever asks is woken when that changes.
    pub fn verdict(&self, cx: &mut Context<'_>) -> Option<Outcome> {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.verdict.get()
    }

    /// The verdict, if there is one.
    pub fn decided(&self) -> Option<Outcome> {
        self.verdict.get()
    }

    /// Ends the exchange with `outcome`; the first verdict stands.
    pub fn decide(&self, outcome: Outcome) {
        if self.verdict.get().is_none() {
            self.verdict.set(Some(outcome));
            self.wake();
        }
    }

    /// True, once, when the verdict is that the response is late: the connection goes on to tell the client.
    pub fn take_response_timeout(&self) -> bool {
        let late = self.verdict.get() == Some(Outcome::ResponseTimeout);
        if late {
            self.expect(Patience::Endless);
        }
        late
    }

    /// True, once, when the connection has lasted for a second; the flow is woken for it.
    pub fn begins_to_last(&self) -> bool {
        let begins = self.sweeps.get() == LASTING;
        if begins {
            self.sweeps.set(LASTING + 1);
        }
        begins
    }

    /// Makes the flow look around.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// The exchange under way is with `service`.
    pub fn routed(&self, service: Arc<Service>) {
        self.service.replace(Some(service));
    }

    /// The exchange under way holds `lease`; an earlier lease is given back.
    pub fn leased(&self, lease: Lease) {
        self.lease.replace(Some(lease));
    }

    /// The exchange under way holds no lease any more.
    pub fn gives_back(&self) {
        self.lease.replace(None);
    }

    /// Applies `see` to what the exchange under way is with.
    pub fn subject<T>(&self, see: impl FnOnce(Option<&Arc<Service>>, Option<&Lease>) -> T) -> T {
        see(self.service.borrow().as_ref(), self.lease.borrow().as_ref())
    }

    /// Connecting to the endpoint took so long.
    pub fn connected(&self, took: Duration) {
        if let Some(lease) = self.lease.borrow().as_ref() {
            self.stopwatch.connected(lease, took, Instant::now);
        }
    }

    /// The endpoint is asked for something.
    pub fn asked(&self) {
        if let Some(lease) = self.lease.borrow().as_ref() {
            self.stopwatch.asked(lease, Instant::now);
        }
    }

    /// The endpoint has answered.
    pub fn answered(&self) {
        if let Some(lease) = self.lease.borrow().as_ref() {
            self.stopwatch.answered(lease, Instant::now);
        }
    }

    /// Bytes may have moved: looks whether they are a question or an answer. To be called after each turn of a relay.
    pub fn progressed(&self) {
        if !self.stopwatch.is_running() {
            return;
        }
        if self.sent.get() > 0 {
            self.answered();
        } else if self.received.get() > 0 {
            self.stopwatch.passed_on(Instant::now);
        }
    }

    /// The exchange under way ends so.
    pub fn ended(&self, outcome: Outcome) {
        self.subject(|service, lease| {
            if let (Some(service), Some(lease)) = (service, lease) {
                let least = service.policy.connect_timeout;
                self.stopwatch.ended(lease, outcome, least, Instant::now);
            }
        });
    }

    /// The exchange under way is a stream of bytes without answers that could be judged.
    pub fn streams(&self) {
        self.is_stream.set(true);
    }

    /// Whether it is.
    pub fn is_stream(&self) -> bool {
        self.is_stream.get()
    }

    /// Ends the exchange under way: reports its bytes, gives its lease back.
    pub fn released(&self) {
        self.report();
        self.lease.replace(None);
        self.service.replace(None);
        self.received.set(0);
        self.sent.set(0);
        self.reported.set((0, 0));
        self.is_stream.set(false);
        self.ends_at_ms.set(0);
        self.first_byte.set(None);
    }

    /// Adds to the metrics what was not added before.
    fn report(&self) {
        let now = (self.received.get(), self.sent.get());
        let before = self.reported.replace(now);
        if now != before
            && let Some(service) = self.service.borrow().as_ref()
        {
            service.metrics.received_bytes.inc_by(now.0 - before.0);
            service.metrics.sent_bytes.inc_by(now.1 - before.1);
            if self.is_stream.get()
                && before.1 == 0
                && now.1 > 0
                && let Some(lease) = self.lease.borrow().as_ref()
            {
                service.succeeded(lease.endpoint());
            }
        }
    }

    fn sweep(&self, now: u64) {
        if self.sweeps.get() < LASTING {
            self.sweeps.set(self.sweeps.get() + 1);
            if self.sweeps.get() == LASTING {
                self.wake();
            }
        }
        if self.touched.replace(false) {
            self.since_ms.set(now);
            self.report();
        } else if let Patience::Limited { limit_ms, then } = self.patience.get()
            && now.saturating_sub(self.since_ms.get()) >= limit_ms
        {
            self.decide(then);
        }
        if (1..=now).contains(&self.ends_at_ms.get()) {
            self.decide(Outcome::Lifetime);
        }
        let retired = |lease: &Lease| lease.endpoint().state.retire_at();
        if let Some(deadline) = self.lease.borrow().as_ref().and_then(retired)
            && now >= deadline
        {
            self.decide(Outcome::Drained);
        }
    }
}

/// All connections of one worker.
#[derive(Default)]
pub struct Watches {
    all: RefCell<Vec<Rc<Watch>>>,
}

impl Watches {
    /// A new connection to watch. Forgotten at the sweep after its last other holder dropped it.
    pub fn add(&self) -> Rc<Watch> {
        let watch = Rc::new(Watch::default());
        watch.since_ms.set(now_ms());
        self.all.borrow_mut().push(watch.clone());
        watch
    }

    /// Looks at every connection once; `now` is [`now_ms`].
    pub fn sweep(&self, now: u64) {
        self.all.borrow_mut().retain(|watch| {
            let alive = Rc::strong_count(watch) > 1;
            if alive {
                watch.sweep(now);
            }
            alive
        });
    }

    /// Makes every flow look around.
    pub fn wake_all(&self) {
        self.all.borrow().iter().for_each(|watch| watch.wake());
    }

    /// Ends every exchange with `outcome`.
    pub fn decide_all(&self, outcome: Outcome) {
        self.all.borrow().iter().for_each(|w| w.decide(outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Endpoint, EndpointState};
    use std::task::Waker;

    const LIMIT: Patience = Patience::Limited {
        limit_ms: 1000,
        then: Outcome::IdleTimeout,
    };

    fn verdict(watch: &Watch) -> Option<Outcome> {
        watch.verdict(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn silence_is_counted_from_the_sweep_after_the_last_touch() {
        let watch = Watch::default();
        watch.expect(LIMIT);
        watch.sweep(5000);
        watch.sweep(5999);
        assert_eq!(verdict(&watch), None);
        watch.touch();
        watch.sweep(6100);
        watch.sweep(7099);
        assert_eq!(verdict(&watch), None);
        watch.sweep(7100);
        assert_eq!(verdict(&watch), Some(Outcome::IdleTimeout));
    }

    #[test]
    fn a_connection_begins_to_last_once() {
        let watch = Watch::default();
        let mut begins = Vec::new();
        for now in 0..6 {
            watch.sweep(now * 250);
            begins.push(watch.begins_to_last());
        }
        assert_eq!(begins, [false, false, false, true, false, false]);
    }

    #[test]
    fn the_first_verdict_stands() {
        let watch = Watch::default();
        watch.decide(Outcome::Drained);
        watch.decide(Outcome::Stopped);
        assert_eq!(verdict(&watch), Some(Outcome::Drained));
    }

    #[test]
    fn a_late_response_is_taken_back_once_answered() {
        let watch = Watch::default();
        watch.decide(Outcome::ResponseTimeout);
        assert!(watch.take_response_timeout());
        assert!(!watch.take_response_timeout());
        assert_eq!(verdict(&watch), None);
        // It may also arrive between the verdict and its reading.
        watch.decide(Outcome::ResponseTimeout);
        watch.expect(LIMIT);
        assert_eq!(verdict(&watch), None);
    }

    #[test]
    fn a_retired_endpoint_ends_the_exchange_at_its_deadline() {
        let state = Arc::new(EndpointState::default());
        let endpoint = Endpoint {
            instance: "e".into(),
            address: "127.0.0.1:1".into(),
            weight: 1,
            tier: 0,
            state: state.clone(),
        };
        let watch = Watch::default();
        watch.leased(Lease::new(Arc::new(endpoint)));
        state.retire(700);
        watch.sweep(699);
        assert_eq!(verdict(&watch), None);
        watch.touch();
        watch.sweep(700);
        assert_eq!(verdict(&watch), Some(Outcome::Drained));
    }

    #[test]
    fn a_connection_ends_at_its_age_even_if_bytes_move() {
        let watch = Watch::default();
        watch.live(Some(Duration::from_secs(1)));
        let end = now_ms() + 1000;
        watch.touch();
        watch.sweep(end - 500);
        assert_eq!(verdict(&watch), None);
        watch.touch();
        watch.sweep(end);
        assert_eq!(verdict(&watch), Some(Outcome::Lifetime));
        // The next exchange on the same connection has a time of its own.
        let watch = Watch::default();
        watch.live(Some(Duration::from_secs(1)));
        watch.released();
        watch.sweep(end + 1000);
        assert_eq!(verdict(&watch), None);
    }

    #[test]
    fn connections_are_forgotten_when_their_flow_is_gone() {
        let watches = Watches::default();
        let held = watches.add();
        drop(watches.add());
        watches.sweep(1);
        assert_eq!(watches.all.borrow().len(), 1);
        drop(held);
        watches.sweep(2);
        assert!(watches.all.borrow().is_empty());
    }
}
