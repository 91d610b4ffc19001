//! One record per exchange: filled on the way, written when it is dropped, however the exchange ends.
//!
//! Writing on drop means that no exit of a flow, a cancelled one included, can forget it. What is written: one
//! line in the access log (nothing is formatted while nobody wants it) and the service's metrics.

use super::access_line::AccessLine;
use super::listener::Listener;
use super::outcome::{Outcome, Side};
use super::termination::Phase;
use super::watch::Watch;
use super::worker::Worker;
use crate::balance::Endpoint;
use crate::routing::Service;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The log target of access lines, for filters such as `info,access=off`.
pub const ACCESS: &str = "access";

/// The record of one exchange: a TCP connection, or one HTTP request and its response.
pub struct Exchange {
    /// The connection it is on, which knows its service, its lease and its bytes.
    pub watch: Rc<Watch>,
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    client: SocketAddr,
    started: Instant,
    handshake_time: Took,
    queue_time: Took,
    connect_time: Took,
    /// Exchanges before it when it began to wait.
    ahead: u32,
    retries: u32,
    request: Option<Box<RequestLine>>,
    status: Option<u16>,
    outcome: Option<Outcome>,
}

/// How long something took, in the room of a number: an exchange is kept for each connection.
#[derive(Clone, Copy)]
struct Took(u64);

impl Took {
    /// It did not happen.
    const NOTHING: Took = Took(u64::MAX);

    fn of(time: Duration) -> Took {
        Took(time.as_micros() as u64)
    }

    /// In microseconds, if it happened.
    fn us(self) -> Option<u64> {
        (self.0 != u64::MAX).then_some(self.0)
    }
}

/// What the access line says about an HTTP request.
pub struct RequestLine {
    /// The method.
    pub method: String,
    /// The host asked for, without port.
    pub host: String,
    /// The path, without its query, which may hold secrets.
    pub path: String,
}

impl Exchange {
    /// An exchange begins.
    pub fn begin(
        worker: &Rc<Worker>,
        watch: &Rc<Watch>,
        listener: &Arc<Listener>,
        client: SocketAddr,
    ) -> Exchange {
        Exchange {
            worker: worker.clone(),
            watch: watch.clone(),
            listener: listener.clone(),
            client,
            started: Instant::now(),
            handshake_time: Took::NOTHING,
            queue_time: Took::NOTHING,
            connect_time: Took::NOTHING,
            ahead: 0,
            retries: 0,
            request: None,
            status: None,
            outcome: None,
        }
    }

    /// The client has turned out to be `client`: the connection comes from a proxy in front of it.
    pub fn comes_from(&mut self, client: SocketAddr) {
        self.client = client;
    }

    /// It has begun at `started` already.
    pub fn since(mut self, started: Instant) -> Exchange {
        self.started = started;
        self
    }

    /// The request; `line` is only called when an access line will be written.
    pub fn requested(&mut self, line: impl FnOnce() -> RequestLine) {
        if self.worker.ledger.wants_lines() {
            self.request = Some(Box::new(line()));
        }
    }

    /// What comes before the client's own bytes has been heard.
    pub fn greeted(&mut self) {
        self.handshake_time = Took::of(self.started.elapsed());
    }

    /// It waited this long for an endpoint that is not full, behind `ahead` others.
    pub fn queued(&mut self, waited: Duration, ahead: usize) {
        self.ahead = ahead as u32;
        let before = self.queue_time.us().unwrap_or(0);
        self.queue_time = Took::of(waited + Duration::from_micros(before));
        self.watch.subject(|service, _| {
            if let Some(service) = service {
                service.metrics.queue_wait.observe(waited.as_secs_f64());
            }
        });
    }

    /// Another endpoint is tried.
    pub fn retried(&mut self) {
        self.retries += 1;
        self.watch.subject(|service, _| {
            if let Some(service) = service {
                service.metrics.retries.inc();
            }
        });
    }

    /// A new connection to the endpoint took this long.
    pub fn connected(&mut self, took: Duration) {
        self.connect_time = Took::of(took);
        self.watch.subject(|service, _| {
            if let Some(service) = service {
                service.metrics.connect_duration.observe(took.as_secs_f64());
            }
        });
    }

    /// How long connecting took, if it was done.
    pub fn connect_time(&self) -> Option<Duration> {
        self.connect_time.us().map(Duration::from_micros)
    }

    /// The client gets this status.
    pub fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// How it ends; the last word counts. Without one it ended by the watch's verdict, or else because the client
    /// went away.
    pub fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    fn outcome(&self) -> Outcome {
        let otherwise = self.watch.decided().unwrap_or(Outcome::ClientClosed);
        self.outcome.unwrap_or(otherwise)
    }

    /// Has the endpoint answer for what failed after it was connected, and for a stream that went well without a byte
    /// from it. What it answers to a request is judged when it answers.
    fn judge(&self) {
        self.watch.subject(|service, lease| {
            let (Some(service), Some(lease)) = (service, lease) else {
                return;
            };
            let is_silent = self.watch.sent.get() == 0;
            match self.outcome() {
                Outcome::ResponseTimeout
                | Outcome::UpstreamProtocol
                | Outcome::UpstreamClosed
                | Outcome::UpstreamTruncated => service.failed(lease.endpoint()),
                Outcome::UpstreamReset | Outcome::UpstreamLost if is_silent => {
                    service.failed(lease.endpoint());
                }
                Outcome::Done if is_silent && self.watch.is_stream() => {
                    service.succeeded(lease.endpoint());
                }
                _ => {}
            }
        });
    }

    fn measure(&self) {
        self.watch.subject(|service, _| {
            let Some(service) = service else { return };
            if let Some(status) = self.status {
                let took = self.started.elapsed().as_secs_f64();
                service.metrics.answered(status);
                service.metrics.request_duration.observe(took);
            }
            if matches!(self.outcome().side(), Side::Upstream | Side::Us) {
                service.metrics.error(self.outcome().reason());
            }
        });
    }

    fn log(&self) {
        let ledger = &self.worker.ledger;
        if !ledger.wants_lines() {
            return;
        }
        let outcome = self.outcome();
        let us = |time: Duration| time.as_micros() as u64;
        let request = self.request.as_deref();
        let first_byte = self.watch.first_byte();
        let first_byte = first_byte.map(|at| at.saturating_duration_since(self.started));
        self.watch.subject(|service, lease| {
            let line = AccessLine {
                listener: &self.listener.name,
                client: self.client,
                service: service.map(|s| s.name.as_str()),
                endpoint: lease.map(|l| &*l.endpoint().address),
                method: request.map(|r| r.method.as_str()),
                host: request.map(|r| r.host.as_str()),
                path: request.map(|r| r.path.as_str()),
                status: self.status,
                reason: outcome.reason(),
                side: outcome.side().as_str(),
                received: self.watch.received.get(),
                sent: self.watch.sent.get(),
                handshake_us: self.handshake_time.us(),
                queue_us: self.queue_time.us(),
                connect_us: self.connect_time.us(),
                first_byte_us: first_byte.map(us),
                duration_us: us(self.started.elapsed()),
                retries: self.retries,
                ahead: self.ahead,
                connections: ledger.connections(),
                listener_connections: self.listener.admission.metrics.connections_active.get(),
                service_exchanges: service.map_or(0, |s| exchanges(s)),
                endpoint_exchanges: lease.map_or(0, |l| active(l.endpoint())),
            };
            ledger.write(&line, outcome, self.phase(service.is_some()));
        });
    }

    fn phase(&self, is_routed: bool) -> Phase {
        if !is_routed {
            Phase::Request
        } else if self.status.is_some() || self.watch.first_byte().is_some() {
            Phase::Data
        } else if self.request.is_some() && self.connect_time.us().is_some() {
            Phase::Headers
        } else if self.connect_time.us().is_some() {
            Phase::Data
        } else if self.watch.subject(|_, lease| lease.is_some()) {
            Phase::Connect
        } else {
            Phase::Queue
        }
    }
}

/// Exchanges of a service that are under way or wait; looks at each endpoint, which only whoever wants lines pays for.
fn exchanges(service: &Service) -> u64 {
    let under_way = service.endpoints.iter().map(|endpoint| active(endpoint));
    under_way.map(u64::from).sum::<u64>() + service.balancer.queue().len() as u64
}

fn active(endpoint: &Endpoint) -> u32 {
    endpoint.state.active.load(Ordering::Relaxed)
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.judge();
        self.measure();
        self.log();
        self.watch.ended(self.outcome());
        self.watch.released();
    }
}
