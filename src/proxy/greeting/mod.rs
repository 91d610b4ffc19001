//! Between accepting and routing: everything that a client, or the proxy in front of it, says before its own bytes.
//!
//! ```text
//! accepted --> PROXY header --> ClientHello --> Guest: the stream at its first byte, and its Origin
//!                |                |               each only if the listener wants it
//!                |                '- not-tls         none; the client gets an alert
//!                | proxy-refused                     not from these networks
//!                '-proxy-malformed                   none, or a wrong one
//!   handshake-timeout                                all of it has one deadline, drip or not
//! ```
//! The client has its seat already, so those that never finish are bounded like all others.

mod hello;
mod proxied;

use super::listener::{Accepted, Listener, Seat};
use super::origin::{Origin, canonical};
use super::outcome::Outcome;
use super::relay::Peer;
use super::watch::{Patience, Watch};
use crate::config::{ListenerConfig, Protocol};
use crate::net::{Alert, reset_on_close};
use ipnet::IpNet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What a listener wants to hear before a client's own bytes.
pub struct Greeting {
    /// The networks of the proxies that alone may connect.
    proxies: Option<Vec<IpNet>>,
    /// A ClientHello, which is among the client's own bytes nevertheless.
    hello: bool,
    within: Duration,
}

impl Greeting {
    /// What `config` says.
    pub fn of(config: &ListenerConfig) -> Greeting {
        Greeting {
            proxies: config.accept_proxy.clone(),
            hello: config.protocol == Protocol::Tls,
            within: config.handshake_timeout,
        }
    }

    /// Whether it says who the client is.
    pub fn tells_the_client(&self) -> bool {
        self.proxies.is_some()
    }

    /// Nothing: the first byte is the client's own.
    fn is_none(&self) -> bool {
        self.proxies.is_none() && !self.hello
    }
}

/// A client that has greeted.
pub struct Guest {
    /// Its connection, at its own first byte.
    pub peer: Peer<TcpStream>,
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
    pub async fn dismiss(self, mut stream: TcpStream) -> Outcome {
        if self.alert.is_empty() || stream.write_all(&self.alert).await.is_err() {
            reset_on_close(&stream);
        }
        self.outcome
    }

    /// A client of `listener` for which there is no rule.
    pub fn without_route(listener: &Listener, origin: &Origin) -> Unwelcome {
        let alert = match (listener.greeting.hello, &origin.sni) {
            (false, _) => Vec::new(),
            (true, Some(_)) => Alert::UnrecognizedName.record().to_vec(),
            (true, None) => Alert::MissingExtension.record().to_vec(),
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
    let mut guest = Guest {
        peer: stream.into(),
        origin: Origin::of(client),
    };
    let listener = seat.listener.clone();
    let greeting = &listener.greeting;
    if greeting.is_none() {
        return (seat, Ok(guest));
    }
    watch.expect(Patience::of(greeting.within, Outcome::HandshakeTimeout));
    // Boxed: it is large, soon over, and not there for most listeners.
    let heard = until_decided(watch, Box::pin(hear(greeting, &mut seat, &mut guest))).await;
    watch.expect(Patience::Endless);
    let greeted = match heard {
        Ok(()) => Ok(guest),
        Err(unwelcome) => Err(unwelcome.dismiss(guest.peer.stream).await),
    };
    (seat, greeted)
}

async fn hear(greeting: &Greeting, seat: &mut Seat, guest: &mut Guest) -> Result<(), Unwelcome> {
    let Guest { peer, origin } = guest;
    if let Some(proxies) = &greeting.proxies {
        let proxy = origin.client.ip();
        if !proxies.iter().any(|network| network.contains(&proxy)) {
            return Err(Outcome::ProxyRefused.into());
        }
        let header = proxied::read(&mut peer.stream).await?;
        if let Some(addresses) = header.addresses {
            origin.client = canonical(addresses.source);
            origin.destination = Some(canonical(addresses.destination));
        }
        origin.tlvs = header.tlvs;
        seat.comes_from(origin.client.ip())?;
    }
    if greeting.hello {
        let (hello, bytes) = hello::read(&mut peer.stream).await?;
        origin.sni = hello.server_name;
        peer.early = bytes;
    }
    Ok(())
}

/// What `future` comes to, unless the watch decides before.
async fn until_decided(
    watch: &Watch,
    future: impl Future<Output = Result<(), Unwelcome>>,
) -> Result<(), Unwelcome> {
    let mut future = pin!(future);
    poll_fn(|cx| match watch.verdict(cx) {
        Some(verdict) => Poll::Ready(Err(verdict.into())),
        None => future.as_mut().poll(cx),
    })
    .await
}
