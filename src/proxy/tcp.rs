//! The flow of a TCP connection: greet, route, balance, relay, account.

use super::account::Exchange;
use super::connect::Attempts;
use super::greeting::greet;
use super::hash_key::connection_key;
use super::listener::{Accepted, Seat};
use super::origin::Origin;
use super::outcome::Outcome;
use super::relay::relay;
use super::watch::Patience;
use super::worker::Worker;
use crate::config::SendProxy;
use crate::net::reset_on_close;
use std::rc::Rc;
use tokio::net::TcpStream;

/// Serves one client connection to its end.
pub async fn serve(worker: Rc<Worker>, mut accepted: Accepted) {
    let watch = worker.watches.add();
    let mut exchange = Exchange::begin(&watch, &accepted.seat.listener, accepted.client);
    let greeted = greet(&mut accepted, &watch).await;
    let Accepted { stream, seat, .. } = accepted;
    let connected = match greeted {
        Err(outcome) => Err(outcome),
        Ok(origin) => connect((&worker, &seat), origin, &stream, &mut exchange).await,
    };
    let outcome = match connected {
        Ok(upstream) => relay(stream.into(), upstream.into(), &watch, &worker.stock).await,
        Err(outcome) => {
            // A FIN would look like a service that answered with nothing.
            reset_on_close(&stream);
            outcome
        }
    };
    exchange.end(outcome);
    seat.end(outcome);
}

/// A connection to an endpoint of the service that the client's rule leads to.
async fn connect(
    (worker, seat): (&Worker, &Seat),
    mut origin: Origin,
    stream: &TcpStream,
    exchange: &mut Exchange,
) -> Result<TcpStream, Outcome> {
    exchange.comes_from(origin.client);
    let routed = worker
        .table
        .load()
        .route(&seat.listener.name, None, "")
        .cloned();
    let service = routed.ok_or(Outcome::NoRoute)?;
    exchange.watch.routed(service.clone());
    exchange.watch.expect(Patience::of(
        service.policy.idle_timeout,
        Outcome::IdleTimeout,
    ));
    if service.policy.send_proxy != SendProxy::Off {
        origin.locate(stream);
    }
    let key = connection_key(&service.policy.hash_key, &origin);
    Attempts::new(worker, &service, key)
        .announcing(origin.announcement(service.policy.send_proxy))
        .connect(exchange)
        .await
}
