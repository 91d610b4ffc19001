//! A client's HTTP connection: what it is waiting for, and how long it may.
//!
//! ```text
//! Resting --first byte--> Head --whole head--> Busy --last byte of the response--> Resting
//!  60 s                   10 s, drip or not     the exchange sets its own patience
//! ```
//! Bytes that arrive in `Head` do not extend it, so a client that sends a header line now and then is not
//! served for ever (slowloris).

use super::account::Exchange;
use super::body::RequestBody;
use super::listener::Listener;
use super::origin::Origin;
use super::outcome::Outcome;
use super::relay::Peer;
use super::watch::{Patience, Watch};
use super::worker::Worker;
use crate::config::SendProxy;
use crate::net::{Stream, now_ms};
use crate::upstream::Idle;
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest time for the head of a request, from its first byte or from the connection's start.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time a client may stay connected between two requests. Longer saves clients a connection and costs
/// about 10 KiB for each that waits.
const REST_TIMEOUT: Duration = Duration::from_secs(60);

/// A client's HTTP connection.
pub struct Client {
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// The listener it came to.
    pub listener: Arc<Listener>,
    /// Where it comes from.
    pub origin: Origin,
    /// The eye on it.
    pub watch: Rc<Watch>,
    /// Connections to endpoints that were told who this client is, so that they are for its requests only.
    pub own: Idle<RequestBody>,
    began_ms: u64,
    phase: Cell<Phase>,
    /// Closing now must not look like the end of a response: by RST.
    pub cut: Cell<bool>,
    /// The upstream side of a connection that switches protocols.
    pub upgraded: RefCell<Option<(Peer<Stream>, Turn)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Resting,
    Head,
    Busy,
}

impl Client {
    /// A connection from `origin` that `watch` has an eye on, about to send its first request.
    pub fn new(
        worker: Rc<Worker>,
        listener: Arc<Listener>,
        watch: Rc<Watch>,
        origin: Origin,
    ) -> Client {
        let client = Client {
            watch,
            own: Idle::new(worker.descriptors.clone()),
            worker,
            listener,
            origin,
            began_ms: now_ms(),
            phase: Cell::new(Phase::Resting),
            cut: Cell::new(false),
            upgraded: RefCell::new(None),
        };
        client.head_begins();
        client
    }

    /// Where connections are kept for further requests to a service of which endpoints are told so much of clients.
    pub fn idle(&self, told: SendProxy) -> &Idle<RequestBody> {
        match told {
            SendProxy::Off => &self.worker.idle,
            SendProxy::V1 | SendProxy::V2 => &self.own,
        }
    }

    /// Whether it has lived for so long; never if there is no limit.
    pub fn has_lived(&self, lifetime: Option<Duration>) -> bool {
        lifetime
            .is_some_and(|lifetime| u128::from(now_ms() - self.began_ms) >= lifetime.as_millis())
    }

    fn head_begins(&self) {
        self.phase.set(Phase::Head);
        self.watch
            .expect(Patience::of(HEAD_TIMEOUT, Outcome::HeadTimeout));
    }

    fn rests(&self) {
        self.phase.set(Phase::Resting);
        self.watch
            .expect(Patience::of(REST_TIMEOUT, Outcome::IdleTimeout));
    }

    fn has_read(&self) {
        match self.phase.get() {
            Phase::Resting => self.head_begins(),
            Phase::Head => {}
            Phase::Busy => self.watch.touch(),
        }
    }
}

/// One exchange on a client's connection; when it is dropped the connection rests.
pub struct Turn {
    /// The connection.
    pub client: Rc<Client>,
    /// The record.
    pub exchange: Exchange,
}

impl Turn {
    /// A request's head has arrived.
    pub fn begin(client: &Rc<Client>) -> Turn {
        client.phase.set(Phase::Busy);
        client.cut.set(false);
        client.watch.expect(Patience::Endless);
        Turn {
            client: client.clone(),
            exchange: Exchange::begin(
                &client.worker,
                &client.watch,
                &client.listener,
                client.origin.client,
            ),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.client.rests();
    }
}

/// A client's socket, which tells its [`Client`] when bytes move.
pub struct ClientStream {
    stream: Stream,
    client: Rc<Client>,
}

impl ClientStream {
    /// Watches over `stream`.
    pub fn new(stream: Stream, client: Rc<Client>) -> ClientStream {
        ClientStream { stream, client }
    }

    /// The bare stream.
    pub fn into_inner(self) -> Stream {
        self.stream
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.client.has_read();
        }
        polled
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if polled.is_ready() {
            self.client.watch.touch();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.client.watch.touch();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListenerConfig, Protocol};
    use crate::proxy::greeting::Greeting;
    use crate::proxy::worker::Means;
    use crate::routing::RoutingTable;
    use crate::telemetry::Metrics;
    use arc_swap::ArcSwap;

    fn client() -> Rc<Client> {
        let bind = "127.0.0.1:0".parse().unwrap();
        let config = ListenerConfig::new("web", bind, Protocol::Http);
        let metrics = Metrics::new("n1");
        let greeting = Greeting::of(&config, None, &metrics);
        let listener = Arc::new(Listener::new(&config, greeting, &metrics));
        let table = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
        let worker = Rc::new(Worker::new(table, Means::default()));
        let watch = worker.watches.add();
        let origin = Origin::of("192.0.2.1:1".parse().unwrap());
        Rc::new(Client::new(worker, listener, watch, origin))
    }

    /// Sweeps every quarter of a second for `seconds`, with a byte arriving before each.
    fn drip(client: &Client, from_ms: u64, seconds: u64) -> Option<Outcome> {
        for tick in 0..=seconds * 4 {
            client.has_read();
            client.worker.watches.sweep(from_ms + tick * 250);
        }
        client.watch.decided()
    }

    #[test]
    fn a_head_that_drips_is_not_waited_for() {
        let client = client();
        assert_eq!(drip(&client, 0, 9), None);
        assert_eq!(drip(&client, 9_250, 2), Some(Outcome::HeadTimeout));
    }

    #[test]
    fn a_body_that_drips_is() {
        let client = client();
        let turn = Turn::begin(&client);
        client
            .watch
            .expect(Patience::of(HEAD_TIMEOUT, Outcome::IdleTimeout));
        assert_eq!(drip(&client, 0, 60), None);
        drop(turn);
    }

    #[test]
    fn between_requests_patience_is_longer_until_the_first_byte() {
        let client = client();
        drop(Turn::begin(&client));
        client.worker.watches.sweep(0);
        client.worker.watches.sweep(59_000);
        assert_eq!(client.watch.decided(), None);
        assert_eq!(drip(&client, 59_250, 11), Some(Outcome::HeadTimeout));
    }
}
