//! The flow of a TCP connection: route, balance, relay, account.

use super::account::Exchange;
use super::connect::{Attempts, client_key};
use super::listener::Accepted;
use super::outcome::Outcome;
use super::relay::relay;
use super::watch::Patience;
use super::worker::Worker;
use crate::net::reset_on_close;
use std::rc::Rc;

/// Serves one client connection to its end.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Accepted {
        stream,
        client,
        seat,
    } = accepted;
    let watch = worker.watches.add();
    let mut exchange = Exchange::begin(&watch, &seat.listener, client);

    let routed = worker
        .table
        .load()
        .route(&seat.listener.name, None, "")
        .cloned();
    let connected = match routed {
        None => Err(Outcome::NoRoute),
        Some(service) => {
            watch.routed(service.clone());
            watch.expect(Patience::of(
                service.policy.idle_timeout,
                Outcome::IdleTimeout,
            ));
            let key = client_key(client.ip());
            Attempts::new(&worker, &service, key)
                .connect(&mut exchange)
                .await
        }
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
