//! Between accepting and routing: everything that a client, or the proxy in front of it, says before its own bytes.
//!
//! ```text
//! accepted --> PROXY header, if the listener wants one --> Origin
//!                | proxy-refused   not from these networks
//!                | proxy-malformed none, or a wrong one
//!                '-- all of it within handshake_timeout, drip or not
//! ```
//! The client has its seat already, so those that never finish are bounded like all others. What a client may not do
//! is ended by RST, as on a listener whose traffic leads nowhere.

mod proxied;

use super::listener::Accepted;
use super::origin::{Origin, canonical};
use super::outcome::Outcome;
use super::watch::{Patience, Watch};
use crate::config::ListenerConfig;
use ipnet::IpNet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// What a listener wants to hear before a client's own bytes.
pub struct Greeting {
    /// The networks of the proxies that alone may connect.
    proxies: Option<Vec<IpNet>>,
    within: Duration,
}

impl Greeting {
    /// What `config` says.
    pub fn of(config: &ListenerConfig) -> Greeting {
        Greeting {
            proxies: config.accept_proxy.clone(),
            within: config.handshake_timeout,
        }
    }

    /// Nothing: the first byte is the client's own.
    fn is_none(&self) -> bool {
        self.proxies.is_none()
    }
}

/// Hears what comes before the client's own bytes on `accepted`, which is at those then.
///
/// # Errors
/// Why the client is not served.
pub async fn greet(accepted: &mut Accepted, watch: &Watch) -> Result<Origin, Outcome> {
    let listener = accepted.seat.listener.clone();
    let greeting = &listener.greeting;
    if greeting.is_none() {
        return Ok(Origin::of(accepted.client));
    }
    watch.expect(Patience::of(greeting.within, Outcome::HandshakeTimeout));
    let heard = until_decided(watch, hear(greeting, accepted)).await;
    watch.expect(Patience::Endless);
    heard
}

async fn hear(greeting: &Greeting, accepted: &mut Accepted) -> Result<Origin, Outcome> {
    let mut origin = Origin::of(accepted.client);
    if let Some(proxies) = &greeting.proxies {
        let proxy = accepted.client.ip();
        if !proxies.iter().any(|network| network.contains(&proxy)) {
            return Err(Outcome::ProxyRefused);
        }
        let header = proxied::read(&mut accepted.stream).await?;
        if let Some(addresses) = header.addresses {
            origin.client = canonical(addresses.source);
            origin.destination = Some(canonical(addresses.destination));
        }
        origin.tlvs = header.tlvs;
    }
    Ok(origin)
}

/// What `future` comes to, unless the watch decides before.
async fn until_decided<T>(
    watch: &Watch,
    future: impl Future<Output = Result<T, Outcome>>,
) -> Result<T, Outcome> {
    let mut future = pin!(future);
    poll_fn(|cx| match watch.verdict(cx) {
        Some(verdict) => Poll::Ready(Err(verdict)),
        None => future.as_mut().poll(cx),
    })
    .await
}
