//! One record per exchange: filled on the way, written when it is dropped, however the exchange ends.
//!
//! Writing on drop means that no exit of a flow, a cancelled one included, can forget it. What is written: one
//! line under the log target `access` (nothing is formatted while that target is off) and the service's metrics.

use super::listener::Listener;
use super::outcome::{Outcome, Side};
use super::watch::Watch;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The log target of access lines, for filters such as `info,access=off`.
pub const ACCESS: &str = "access";

/// The record of one exchange: a TCP connection, or one HTTP request and its response.
pub struct Exchange {
    /// The connection it is on, which knows its service, its lease and its bytes.
    pub watch: Rc<Watch>,
    listener: Arc<Listener>,
    client: SocketAddr,
    started: Instant,
    queue_time: Option<Duration>,
    connect_time: Option<Duration>,
    request: Option<Box<RequestLine>>,
    status: Option<u16>,
    outcome: Option<Outcome>,
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
    pub fn begin(watch: &Rc<Watch>, listener: &Arc<Listener>, client: SocketAddr) -> Exchange {
        Exchange {
            watch: watch.clone(),
            listener: listener.clone(),
            client,
            started: Instant::now(),
            queue_time: None,
            connect_time: None,
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
        if tracing::enabled!(target: ACCESS, tracing::Level::INFO) {
            self.request = Some(Box::new(line()));
        }
    }

    /// It waited this long for an endpoint that is not full.
    pub fn queued(&mut self, waited: Duration) {
        let before = self.queue_time.unwrap_or_default();
        self.queue_time = Some(before + waited);
        self.watch.subject(|service, _| {
            if let Some(service) = service {
                service.metrics.queue_wait.observe(waited.as_secs_f64());
            }
        });
    }

    /// Another endpoint is tried.
    pub fn retried(&mut self) {
        self.watch.subject(|service, _| {
            if let Some(service) = service {
                service.metrics.retries.inc();
            }
        });
    }

    /// A new connection to the endpoint took this long.
    pub fn connected(&mut self, took: Duration) {
        self.connect_time = Some(took);
        self.watch.subject(|service, _| {
            if let Some(service) = service {
                service.metrics.connect_duration.observe(took.as_secs_f64());
            }
        });
    }

    /// How long connecting took, if it was done.
    pub fn connect_time(&self) -> Option<Duration> {
        self.connect_time
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
        if !tracing::enabled!(target: ACCESS, tracing::Level::INFO) {
            return;
        }
        let request = self.request.as_deref();
        self.watch.subject(|service, lease| {
            tracing::info!(
                target: ACCESS,
                listener = %self.listener.name,
                client = %self.client,
                service = service.map(|s| s.name.as_str()),
                endpoint = lease.map(|l| &*l.endpoint().address),
                method = request.map(|r| r.method.as_str()),
                host = request.map(|r| r.host.as_str()),
                path = request.map(|r| r.path.as_str()),
                status = self.status,
                reason = self.outcome().reason(),
                received = self.watch.received.get(),
                sent = self.watch.sent.get(),
                queue_us = self.queue_time.map(|t| t.as_micros() as u64),
                connect_us = self.connect_time.map(|t| t.as_micros() as u64),
                duration_us = self.started.elapsed().as_micros() as u64,
            );
        });
    }
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
