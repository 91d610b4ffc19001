//! The flow of a TCP connection: greet, route, balance, relay, account.

use super::account::Exchange;
use super::connect::Attempts;
use super::greeting::{Guest, Unwelcome, greet};
use super::hash_key::connection_key;
use super::listener::{Accepted, Listener, Seat};
use super::outcome::Outcome;
use super::relay::{Peer, relay};
use super::watch::Patience;
use super::worker::Worker;
use crate::config::SendProxy;
use crate::net::Stream;
use crate::routing::Asked;
use std::rc::Rc;

/// Serves one client connection to its end.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let watch = worker.watches.add();
    let mut exchange = Exchange::begin(&worker, &watch, &accepted.seat.listener, accepted.client);
    // Boxed: finding an endpoint takes several times the memory of relaying, and is soon over.
    let (seat, reached) = Box::pin(reach(&worker, accepted, &mut exchange)).await;
    let outcome = match reached {
        Ok((client, upstream)) => relay(client, upstream.into(), &watch, &worker.stock).await,
        Err(outcome) => outcome,
    };
    exchange.end(outcome);
    seat.end(outcome);
    // Before the seat: the record counts this connection among those that are open.
    drop(exchange);
}

/// The client at its own first byte, and a connection to an endpoint for it. One that gets none has been told so.
async fn reach(
    worker: &Worker,
    accepted: Accepted,
    exchange: &mut Exchange,
) -> (Seat, Result<(Peer<Stream>, Stream), Outcome>) {
    let watch = exchange.watch.clone();
    let (seat, greeted) = greet(accepted, &watch).await;
    let mut guest = match greeted {
        Ok(guest) => guest,
        Err(outcome) => return (seat, Err(outcome)),
    };
    exchange.greeted();
    let reached = match connect(worker, &seat.listener, &mut guest, exchange).await {
        Ok(upstream) => {
            watch.connected(exchange.connect_time().unwrap_or_default());
            watch.streams();
            Ok((guest.peer, upstream))
        }
        Err(unwelcome) => Err(unwelcome.dismiss(guest.peer.stream).await),
    };
    (seat, reached)
}

/// A connection to an endpoint of the service that the client's rule leads to.
async fn connect(
    worker: &Worker,
    listener: &Listener,
    guest: &mut Guest,
    exchange: &mut Exchange,
) -> Result<Stream, Unwelcome> {
    let Guest { peer, origin } = guest;
    exchange.comes_from(origin.client);
    let asked = Asked {
        sni: origin.sni.as_deref(),
        ..Asked::default()
    };
    let routed = worker.table.load().route(&listener.name, &asked).cloned();
    let service = routed.ok_or_else(|| Unwelcome::without_route(listener, origin))?;
    exchange.watch.routed(service.clone());
    exchange.watch.expect(Patience::of(
        service.policy.idle_timeout,
        Outcome::IdleTimeout,
    ));
    exchange.watch.live(service.policy.max_lifetime);
    if service.policy.send_proxy != SendProxy::Off {
        origin.locate(peer.stream.socket());
    }
    let key = connection_key(&service.policy.hash_key, origin);
    let announcement = origin.announcement(service.policy.send_proxy);
    let connected = Attempts::new(worker, service, key)
        .announcing(announcement)
        .connect(exchange)
        .await;
    Ok(connected?)
}
