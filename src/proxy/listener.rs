//! A listener's accept loop: how connections are let in, and how many.
//!
//! A worker takes a connection from the kernel only when it can serve it: at the limit it stops accepting, so the
//! rest waits in the backlog and clients see latency instead of errors. (The one connection that showed a worker
//! that the limit is reached waits inside the process.)
//!
//! Traffic has a share of the process's descriptors. When it is used up connections are taken and reset at once, so
//! that clients go elsewhere instead of waiting for a node that is full; what is not traffic still has its own. Should the process run out
//! all the same, the loop pauses and tries again, ever more slowly, instead of spinning on an accept that cannot succeed.

use super::greeting::Greeting;
use super::outcome::Outcome;
use super::worker::Worker;
use super::{http, tcp};
use crate::config::{ListenerConfig, Protocol};
use crate::net::{DescriptorsTaken, is_out_of_descriptors, now_ms, reset_on_close};
use crate::telemetry::{ListenerMetrics, Metrics, contained};
use futures_util::FutureExt;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// First and longest pause after an accept that failed for want of resources: short enough to recover at once
/// when a connection ends, long enough not to burn a core while none does.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Descriptors of a connection: its own, and its endpoint's.
const DESCRIPTORS: usize = 2;

/// Time between two lines in the log about connections that were reset for want of descriptors.
const SHED_LOGGED_MS: u64 = 10_000;

/// A listener, shared by all workers.
pub struct Listener {
    /// Its name, by which the routing table knows its rules.
    pub name: Arc<str>,
    /// What it wants to hear before a client's own bytes.
    pub greeting: Greeting,
    protocol: Protocol,
    metrics: ListenerMetrics,
    seats: Arc<Semaphore>,
    /// When the log was last told of a connection that was shed; [`now_ms`], or 0.
    shed_logged: AtomicU64,
}

impl Listener {
    /// The listener that `config` describes, with every seat free.
    pub fn new(config: &ListenerConfig, metrics: &Metrics) -> Listener {
        Listener {
            name: config.name.as_str().into(),
            greeting: Greeting::of(config),
            protocol: config.protocol,
            metrics: metrics.listener(&config.name),
            seats: Arc::new(Semaphore::new(
                config.max_connections.min(Semaphore::MAX_PERMITS),
            )),
            shed_logged: AtomicU64::new(0),
        }
    }

    /// Resets a connection for which there are no descriptors, and counts it.
    fn shed(&self, stream: &TcpStream) {
        reset_on_close(stream);
        self.metrics.connections.inc();
        self.metrics.closed(Outcome::Exhausted.reason());
        let (now, before) = (now_ms(), self.shed_logged.load(Ordering::Relaxed));
        if before == 0 || now.saturating_sub(before) >= SHED_LOGGED_MS {
            self.shed_logged.store(now.max(1), Ordering::Relaxed);
            tracing::warn!(
                listener = %self.name,
                "connections are reset: traffic's share of the descriptors is used up"
            );
        }
    }
}

/// A client connection that was let in.
pub struct Accepted {
    /// The connection; its options are the listening socket's, so small writes leave at once.
    pub stream: TcpStream,
    /// The other end of it: the client, or a proxy in front of us.
    pub client: SocketAddr,
    /// Its place among the listener's connections.
    pub seat: Seat,
}

/// A place among a listener's connections; dropping it lets the next one in and counts why this one ended.
pub struct Seat {
    /// The listener.
    pub listener: Arc<Listener>,
    outcome: Cell<Outcome>,
    _permit: OwnedSemaphorePermit,
    _descriptors: DescriptorsTaken,
}

impl Seat {
    fn take(
        listener: &Arc<Listener>,
        permit: OwnedSemaphorePermit,
        descriptors: DescriptorsTaken,
    ) -> Seat {
        listener.metrics.connections.inc();
        listener.metrics.connections_active.inc();
        Seat {
            listener: listener.clone(),
            outcome: Cell::new(Outcome::ClientClosed),
            _permit: permit,
            _descriptors: descriptors,
        }
    }

    /// Why the connection ends.
    pub fn end(&self, outcome: Outcome) {
        self.outcome.set(outcome);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.listener.metrics.connections_active.dec();
        self.listener.metrics.closed(self.outcome.get().reason());
    }
}

/// Accepts connections on one worker's socket and starts a flow for each, until the worker drains.
///
/// What the kernel has completed by then is still served: closing the socket would reset it.
pub async fn accept(worker: Rc<Worker>, listener: Arc<Listener>, socket: TcpListener) {
    let draining = worker.draining.clone();
    while let Some(accepted) = draining
        .run_until_cancelled(next(&worker, &listener, &socket))
        .await
    {
        start(&worker, accepted);
    }
    while let Some(accepted) = next(&worker, &listener, &socket).now_or_never() {
        start(&worker, accepted);
    }
}

fn start(worker: &Rc<Worker>, accepted: Accepted) {
    let worker = worker.clone();
    let tasks = worker.tasks.clone();
    match accepted.seat.listener.protocol {
        Protocol::Tcp | Protocol::Tls => tasks.spawn_local(contained(tcp::serve(worker, accepted))),
        Protocol::Http => tasks.spawn_local(contained(http::serve(worker, accepted))),
    };
}

/// The next connection, once there is a seat for it.
async fn next(worker: &Worker, listener: &Arc<Listener>, socket: &TcpListener) -> Accepted {
    let mut pause = PAUSE;
    loop {
        match socket.accept().await {
            Ok((stream, client)) => {
                failpoint!("traffic-accept");
                let Some(descriptors) = worker.descriptors.take(DESCRIPTORS) else {
                    listener.shed(&stream);
                    continue;
                };
                let seats = listener.seats.clone();
                let permit = seats.acquire_owned().await;
                let permit = permit.expect("the seats of a listener are never closed");
                return Accepted {
                    stream,
                    client: SocketAddr::new(client.ip().to_canonical(), client.port()),
                    seat: Seat::take(listener, permit, descriptors),
                };
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if pause == PAUSE {
                    tracing::warn!(
                        listener = %listener.name, %error,
                        descriptors_used_up = is_out_of_descriptors(&error),
                        "accepting is paused"
                    );
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The connection failed between its handshake and its accept; the next may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
