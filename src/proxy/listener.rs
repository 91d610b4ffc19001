//! A listener's accept loop: how connections are let in, and how many.
//!
//! A worker takes a connection from the kernel only when it can serve it: at the limit it stops accepting, so the
//! rest waits in the backlog and clients see latency instead of errors. (The one connection that showed a worker
//! that the limit is reached waits inside the process.) The same goes for the rate; a source with too many connections
//! is reset at once, before it takes anything from others.
//!
//! A socket belongs to an address, an [`Entrance`], and which listener its connections are for is looked up when one
//! arrives: so a listener is changed, renamed or exchanged with another without touching a socket.
//!
//! Traffic has a share of the process's descriptors. When it is used up connections are taken and reset at once, so
//! that clients go elsewhere instead of waiting for a node that is full; what is not traffic still has its own. Should the process run out
//! all the same, the loop pauses and tries again, ever more slowly, instead of spinning on an accept that cannot succeed.

use super::account::Exchange;
use super::admission::{Admission, SeatTaken};
use super::greeting::Greeting;
use super::ledger::Open;
use super::outcome::Outcome;
use super::sources::Counted;
use super::worker::Worker;
use super::{http, tcp};
use crate::config::{ListenerConfig, Protocol};
use crate::net::{
    DescriptorsTaken, is_out_of_descriptors, now_ms, refuse_newcomers, reset_on_close,
};
use crate::telemetry::{Metrics, contained};
use arc_swap::ArcSwap;
use futures_util::FutureExt;
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// First and longest pause after an accept that failed for want of resources: short enough to recover at once
/// when a connection ends, long enough not to burn a core while none does.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a socket that is about to close accepts those whose handshake was under way: longer than the way to
/// another continent and back.
const LAST_CALL: Duration = Duration::from_millis(250);

/// Descriptors of a connection: its own, and its endpoint's.
const DESCRIPTORS: usize = 2;

/// Time between two lines in the log about connections that were reset for want of descriptors.
const SHED_LOGGED_MS: u64 = 10_000;

/// An address that is bound, by a socket of each worker.
pub struct Entrance {
    /// The address, with the port the kernel chose if the settings said 0.
    pub addr: SocketAddr,
    /// Every accept loop.
    pub posts: TaskTracker,
    listener: ArcSwap<Listener>,
}

impl Entrance {
    /// The way in to `listener` at `addr`.
    pub fn new(addr: SocketAddr, listener: Arc<Listener>) -> Arc<Entrance> {
        Arc::new(Entrance {
            addr,
            posts: TaskTracker::new(),
            listener: ArcSwap::new(listener),
        })
    }

    /// Whose connections they are that arrive now.
    pub fn listener(&self) -> Arc<Listener> {
        self.listener.load_full()
    }

    /// Those that arrive from now on are `listener`'s.
    pub fn leads_to(&self, listener: Arc<Listener>) {
        self.listener.store(listener);
    }

    /// The listener of a connection that has arrived, which knows of it from now on.
    fn admits(&self) -> (Arc<Listener>, TaskTrackerToken) {
        loop {
            let listener = self.listener();
            let token = listener.admission.connections.token();
            // Whoever waits for the end of a listener's connections must not have looked between these two lines. One
            // that is closing has no other listener to offer.
            if !listener.is_leaving() || Arc::ptr_eq(&listener, &self.listener.load()) {
                return (listener, token);
            }
        }
    }
}

/// A listener as one configuration has it, shared by all workers.
pub struct Listener {
    /// Its name, by which the routing table knows its rules.
    pub name: Arc<str>,
    /// What it wants to hear before a client's own bytes.
    pub greeting: Greeting,
    /// What its configurations share.
    pub admission: Arc<Admission>,
    protocol: Protocol,
    /// When the log was last told of a connection that was shed; [`now_ms`], or 0.
    shed_logged: AtomicU64,
}

impl Listener {
    /// The listener that `config` describes, with every seat free; `greeting` is what it says of that.
    pub fn new(config: &ListenerConfig, greeting: Greeting, metrics: &Metrics) -> Listener {
        Listener::with(config, greeting, Admission::new(config, metrics))
    }

    /// The same listener by another configuration. Its limits are in force once [`Admission::limit_by`] was told.
    pub fn after(config: &ListenerConfig, greeting: Greeting, previous: &Listener) -> Listener {
        Listener::with(config, greeting, previous.admission.clone())
    }

    fn with(config: &ListenerConfig, greeting: Greeting, admission: Arc<Admission>) -> Listener {
        Listener {
            name: config.name.as_str().into(),
            greeting,
            admission,
            protocol: config.protocol,
            shed_logged: AtomicU64::new(0),
        }
    }

    /// Whether it is no more: its connections end when their exchange does.
    pub fn is_leaving(&self) -> bool {
        self.admission.is_leaving()
    }

    /// Resets a connection that is not served, and accounts for it.
    fn refuse(self: &Arc<Self>, worker: &Rc<Worker>, outcome: Outcome, (stream, client): Arrival) {
        reset_on_close(&stream);
        if worker.ledger.wants_lines() {
            let watch = worker.watches.add();
            Exchange::begin(worker, &watch, self, client).end(outcome);
        }
        self.admission.metrics.connections.inc();
        self.admission.metrics.closed(outcome.reason());
    }

    /// Resets a connection for which there are no descriptors.
    fn shed(self: &Arc<Self>, worker: &Rc<Worker>, arrival: Arrival) {
        self.refuse(worker, Outcome::Exhausted, arrival);
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
    counted: Option<Counted>,
    _open: Option<Open>,
    _known: TaskTrackerToken,
    _seat: SeatTaken,
    _descriptors: DescriptorsTaken,
}

impl Seat {
    /// Counts the connection to the source it comes from, now that this is known.
    ///
    /// # Errors
    /// [`Outcome::SourceLimit`] if it has too many.
    pub fn comes_from(&mut self, client: IpAddr) -> Result<(), Outcome> {
        let counted = self.listener.admission.sources.enter(client);
        self.counted = counted.map_err(|_| Outcome::SourceLimit)?;
        Ok(())
    }

    /// Why the connection ends.
    pub fn end(&self, outcome: Outcome) {
        self.outcome.set(outcome);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.listener.admission.metrics.connections_active.dec();
        self.listener
            .admission
            .metrics
            .closed(self.outcome.get().reason());
    }
}

/// Accepts connections on one worker's socket and starts a flow for each, until it is closing.
///
/// What the kernel has completed by then is still served: closing the socket would reset it. If it closes while the
/// worker goes on, handshakes that are under way are waited for as well.
pub async fn accept(
    worker: Rc<Worker>,
    entrance: Arc<Entrance>,
    socket: Rc<TcpListener>,
    closing: CancellationToken,
) {
    let _post = entrance.posts.token();
    while let Some((stream, client)) = closing
        .run_until_cancelled(arrival(&entrance, &socket))
        .await
    {
        admit(&worker, &entrance, stream, client).await;
    }
    if !worker.draining.is_cancelled() {
        if let Err(error) = refuse_newcomers(&socket) {
            tracing::debug!(addr = %entrance.addr, %error, "newcomers of the last moment are reset");
        }
        let end = Instant::now() + LAST_CALL;
        while let Ok((stream, client)) = timeout_at(end, arrival(&entrance, &socket)).await {
            admit(&worker, &entrance, stream, client).await;
        }
    }
    while let Some((stream, client)) = arrival(&entrance, &socket).now_or_never() {
        admit(&worker, &entrance, stream, client).await;
    }
}

/// Starts the flow of a connection that has arrived, once the listener's limits let it in.
async fn admit(worker: &Rc<Worker>, entrance: &Entrance, stream: TcpStream, client: SocketAddr) {
    let (listener, known) = entrance.admits();
    let admission = &listener.admission;
    let Some(descriptors) = worker.descriptors.take(DESCRIPTORS) else {
        return listener.shed(worker, (stream, client));
    };
    // Behind a proxy the client is known only after its header: see `Seat::comes_from`.
    let counted = match listener.greeting.tells_the_client() {
        true => Ok(None),
        false => admission.sources.enter(client.ip()),
    };
    let Ok(counted) = counted else {
        return listener.refuse(worker, Outcome::SourceLimit, (stream, client));
    };
    if let Some(wait) = admission.rate.take() {
        admission.metrics.delayed_by_rate.inc();
        sleep(wait).await;
    }
    let seat = admission.seat().await;
    admission.metrics.connections.inc();
    admission.metrics.connections_active.inc();
    let protocol = listener.protocol;
    let accepted = Accepted {
        stream,
        client,
        seat: Seat {
            listener,
            outcome: Cell::new(Outcome::ClientClosed),
            counted,
            _open: worker.ledger.opened(),
            _known: known,
            _seat: seat,
            _descriptors: descriptors,
        },
    };
    let worker = worker.clone();
    let tasks = worker.tasks.clone();
    match protocol {
        Protocol::Tcp | Protocol::Tls => tasks.spawn_local(contained(tcp::serve(worker, accepted))),
        Protocol::Http => tasks.spawn_local(contained(http::serve(worker, accepted))),
    };
}

/// A connection that the kernel has completed, and its other end.
type Arrival = (TcpStream, SocketAddr);

/// The next connection.
async fn arrival(entrance: &Entrance, socket: &TcpListener) -> Arrival {
    let mut pause = PAUSE;
    loop {
        match socket.accept().await {
            Ok((stream, client)) => {
                failpoint!("traffic-accept");
                let client = SocketAddr::new(client.ip().to_canonical(), client.port());
                return (stream, client);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                if pause == PAUSE {
                    tracing::warn!(
                        listener = %entrance.listener().name, %error,
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
