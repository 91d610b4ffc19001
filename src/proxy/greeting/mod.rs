//! Between accepting and routing: everything that a client, or the proxy in front of it, says before its own bytes.
//!
//! ```text
//! accepted --> PROXY header --> ClientHello, or all of the handshake --> Guest: the stream at its first byte, its Origin
//!                |                | not-tls          none; the client gets an alert
//!                |                '-tls-handshake    no agreement; the client gets an alert
//!                | proxy-refused                     not from these networks
//!                '-proxy-malformed                   none, or a wrong one
//!   handshake-timeout                                all of it has one deadline, drip or not
//! ```
//! Each only if the listener wants it. The client has its seat already, so those that never finish are bounded like all
//! others. What a greeting needs is on the heap and gone after it, so that connections without one pay nothing for it.

mod handshake;
mod hello;
mod proxied;

use super::listener::{Accepted, Listener, Seat};
use super::origin::{Origin, canonical};
use super::outcome::Outcome;
use super::relay::Peer;
use super::watch::{Patience, Watch};
use crate::config::{ListenerConfig, Protocol};
use crate::net::{Alert, FrontTls, Stream, reset_on_close};
use crate::telemetry::Metrics;
use bytes::Bytes;
use handshake::Handshake;
pub use handshake::load as front_tls;
use ipnet::IpNet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What a listener wants to hear before a client's own bytes.
pub struct Greeting {
    /// The networks of the proxies that alone may connect.
    proxies: Option<Vec<IpNet>>,
    tls: Tls,
    within: Duration,
}

/// What a listener does about TLS.
enum Tls {
    /// Nothing; bytes are bytes.
    Ignored,
    /// The ClientHello is read, and passed on with the rest.
    PassedOn,
    /// It is ended here.
    Ended(Handshake),
}

impl Greeting {
    /// What `config` says; `tls` is what its files hold.
    pub fn of(config: &ListenerConfig, tls: Option<Arc<FrontTls>>, metrics: &Metrics) -> Greeting {
        let tls = match tls {
            Some(tls) => Tls::Ended(Handshake {
                tls,
                failures: metrics.tls.failures_of(&tls_label(&config.name)),
            }),
            None if config.protocol == Protocol::Tls => Tls::PassedOn,
            None => Tls::Ignored,
        };
        Greeting {
            proxies: config.accept_proxy.clone(),
            tls,
            within: config.handshake_timeout,
        }
    }

    /// What is shown to clients, where TLS is ended.
    pub fn certificates(&self) -> Option<&Arc<FrontTls>> {
        match &self.tls {
            Tls::Ended(handshake) => Some(&handshake.tls),
            Tls::Ignored | Tls::PassedOn => None,
        }
    }

    /// Whether it says who the client is.
    pub fn tells_the_client(&self) -> bool {
        self.proxies.is_some()
    }

    /// Nothing: the first byte is the client's own.
    fn is_none(&self) -> bool {
        self.proxies.is_none() && matches!(self.tls, Tls::Ignored)
    }
}

/// What metrics and logs call the TLS of a listener.
pub fn tls_label(listener: &str) -> String {
    format!("listener.{listener}")
}

/// A client that has greeted.
pub struct Guest {
    /// Its connection, at its own first byte.
    pub peer: Peer<Stream>,
    /// Who it is.
    pub origin: Origin,
}

/// Why a client is not served, and what it is told.
#[derive(Debug)]
pub struct Unwelcome {
    /// Why.
    pub outcome: Outcome,
    /// An alert that tells it so; empty if there is no word for it but RST.
    pub alert: Vec<u8>,
}

impl From<Outcome> for Unwelcome {
    fn from(outcome: Outcome) -> Unwelcome {
        let alert = Vec::new();
        Unwelcome { outcome, alert }
    }
}

impl Unwelcome {
    /// Ends the connection: in order after an alert, by RST without, since a FIN would look like a service that
    /// answered with nothing.
    pub async fn dismiss(self, mut stream: Stream) -> Outcome {
        if self.alert.is_empty() || stream.write_all(&self.alert).await.is_err() {
            reset_on_close(stream.socket());
        }
        self.outcome
    }

    /// A client of `listener` for which there is no rule.
    pub fn without_route(listener: &Listener, origin: &Origin) -> Unwelcome {
        let alert = match (&listener.greeting.tls, &origin.sni) {
            (Tls::Ignored | Tls::Ended(_), _) => Vec::new(),
            (Tls::PassedOn, Some(_)) => Alert::UnrecognizedName.record().to_vec(),
            (Tls::PassedOn, None) => Alert::MissingExtension.record().to_vec(),
        };
        let outcome = Outcome::NoRoute;
        Unwelcome { outcome, alert }
    }
}

/// Hears what comes before the client's own bytes. One that is not welcome has been told so.
pub async fn greet(accepted: Accepted, watch: &Watch) -> (Seat, Result<Guest, Outcome>) {
    let Accepted {
        stream,
        client,
        mut seat,
    } = accepted;
    let origin = Origin::of(client);
    let listener = seat.listener.clone();
    let greeting = &listener.greeting;
    if greeting.is_none() {
        let peer = Stream::from(stream).into();
        return (seat, Ok(Guest { peer, origin }));
    }
    watch.expect(Patience::of(greeting.within, Outcome::HandshakeTimeout));
    // Boxed: it is large, soon over, and not there for most listeners.
    let greeted = Box::pin(received(greeting, &mut seat, (stream, origin), watch)).await;
    watch.expect(Patience::Endless);
    (seat, greeted)
}

async fn received(
    greeting: &Greeting,
    seat: &mut Seat,
    (mut stream, mut origin): (TcpStream, Origin),
    watch: &Watch,
) -> Result<Guest, Outcome> {
    let hearing = hear(greeting, seat, &mut stream, &mut origin);
    let heard = until_decided(watch, hearing).await;
    let early = match heard {
        Ok(early) => early,
        Err(unwelcome) => return Err(unwelcome.dismiss(stream.into()).await),
    };
    let stream = match &greeting.tls {
        Tls::Ignored | Tls::PassedOn => stream.into(),
        Tls::Ended(handshake) => {
            let (stream, mut secured) = handshake.with(stream, watch).await?;
            origin.sni = secured.server_name.take();
            origin.secured = Some(Box::new(secured));
            stream
        }
    };
    let peer = Peer { stream, early };
    Ok(Guest { peer, origin })
}

/// Hears what is not encrypted; gives back what the client said of its own.
async fn hear(
    greeting: &Greeting,
    seat: &mut Seat,
    stream: &mut TcpStream,
    origin: &mut Origin,
) -> Result<Bytes, Unwelcome> {
    if let Some(proxies) = &greeting.proxies {
        let proxy = origin.client.ip();
        if !proxies.iter().any(|network| network.contains(&proxy)) {
            return Err(Outcome::ProxyRefused.into());
        }
        let header = proxied::read(stream).await?;
        if let Some(addresses) = header.addresses {
            origin.client = canonical(addresses.source);
            origin.destination = Some(canonical(addresses.destination));
        }
        origin.tlvs = header.tlvs;
        seat.comes_from(origin.client.ip())?;
    }
    if !matches!(greeting.tls, Tls::PassedOn) {
        return Ok(Bytes::new());
    }
    let (hello, bytes) = hello::read(stream).await?;
    origin.sni = hello.server_name;
    Ok(bytes)
}

/// What `future` comes to, unless the watch decides before.
async fn until_decided<T>(
    watch: &Watch,
    future: impl Future<Output = Result<T, Unwelcome>>,
) -> Result<T, Unwelcome> {
    let mut future = pin!(future);
    poll_fn(|cx| match watch.verdict(cx) {
        Some(verdict) => Poll::Ready(Err(verdict.into())),
        None => future.as_mut().poll(cx),
    })
    .await
}
