//! From a request to the head of its response.
//!
//! Two retries exist, each at most once, and neither can make a request take effect twice: on another endpoint
//! when connecting fails, since nothing was sent; and on a new connection when a kept one turns out to be dead,
//! if the request was not sent, or may be repeated (RFC 9110 section 9.2.2) and has no body.

use super::account::RequestLine;
use super::body::RequestBody;
use super::client::{Client, Turn};
use super::connect::Attempts;
use super::hash_key::request_key;
use super::headers;
use super::outcome::Outcome;
use super::watch::Patience;
use crate::balance::Endpoint;
use crate::net::now_ms;
use crate::routing::{Asked, Service};
use crate::upstream::{Connection, Idle};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// The head of a response, and what is needed to pass it on.
pub struct Forwarded {
    /// The endpoint's response.
    pub response: Response<Incoming>,
    /// Drives the response's body.
    pub connection: Connection<RequestBody>,
    /// Who answered.
    pub endpoint: Arc<Endpoint>,
    /// What it answered for.
    pub service: Arc<Service>,
    /// The protocol the client asked to switch to, if it may.
    pub upgrade: Option<HeaderValue>,
    /// The client's version of HTTP.
    pub version: Version,
}

/// Sends the request to an endpoint of the service its rule leads to, and waits for the head of the response.
///
/// # Errors
/// What to tell the client instead.
pub async fn forward(
    turn: &mut Turn,
    mut parts: Parts,
    body: RequestBody,
) -> Result<Forwarded, Outcome> {
    let client = turn.client.clone();
    let service = route(&client, turn, &parts)?;
    let origin = &client.origin;
    let key = match service.policy.strategy.knows_keys() {
        true => request_key(&service.policy.hash_key, &parts, origin),
        false => 0,
    };
    let version = parts.version;
    let upgrade = headers::upgrade_wanted(&parts, !body.is_empty());
    headers::towards_endpoint(&mut parts, origin, upgrade.clone());
    parts.extensions.clear();
    let told = service.policy.send_proxy;
    let mut attempts =
        Attempts::new(&client.worker, service.clone(), key).announcing(origin.announcement(told));
    let mut request = Request::from_parts(parts, body);
    client.own.sweep(now_ms());
    let mut kept = Some(client.idle(told));
    loop {
        let (mut connection, endpoint, is_kept) = reach(turn, &mut attempts, kept).await?;
        let host = request.headers_mut().entry(HOST);
        host.or_insert_with(|| HeaderValue::try_from(&*endpoint.address).unwrap_or(NO_HOST));
        let spare = if is_kept { repeatable(&request) } else { None };
        let patience = Patience::of(service.policy.response_timeout, Outcome::ResponseTimeout);
        client.watch.expect(patience);
        client.watch.asked();
        match deliver(&client, &mut connection, request).await {
            Ok(response) => {
                client.watch.answered();
                return Ok(Forwarded {
                    response,
                    connection,
                    endpoint,
                    service: service.clone(),
                    upgrade,
                    version,
                });
            }
            Err(Undelivered { outcome, unsent }) if is_kept && is_lost(outcome) => {
                request = unsent.or(spare).ok_or(outcome)?;
                turn.exchange.retried();
                kept = None;
            }
            Err(Undelivered { outcome, .. }) => return Err(outcome),
        }
    }
}

/// A request without a host whose endpoint's address is no host either; never seen by a well-formed service.
const NO_HOST: HeaderValue = HeaderValue::from_static("");

fn route(client: &Client, turn: &mut Turn, parts: &Parts) -> Result<Arc<Service>, Outcome> {
    let host = headers::host_of(&parts.headers);
    let path = parts.uri.path();
    turn.exchange.requested(|| RequestLine {
        method: parts.method.to_string(),
        host: host.clone().unwrap_or_default(),
        path: path.to_owned(),
    });
    let table = client.worker.table.load();
    let asked = Asked {
        sni: client.origin.sni.as_deref(),
        host: host.as_deref(),
        path,
    };
    let service = table.route(&client.listener.name, &asked);
    let service = service.cloned().ok_or(Outcome::NoRoute)?;
    client.watch.routed(service.clone());
    Ok(service)
}

/// A connection to an endpoint; the flag says that it was kept from an earlier exchange, in `kept`.
async fn reach(
    turn: &mut Turn,
    attempts: &mut Attempts<'_>,
    kept: Option<&Idle<RequestBody>>,
) -> Result<(Connection<RequestBody>, Arc<Endpoint>, bool), Outcome> {
    loop {
        let endpoint = attempts.next(&mut turn.exchange).await?;
        if let Some(connection) = kept.and_then(|kept| kept.take(&endpoint, now_ms())) {
            return Ok((connection, endpoint, true));
        }
        if let Some(stream) = attempts.dial(&endpoint, &mut turn.exchange).await {
            let connection = Connection::new(stream).await;
            let connection = connection.map_err(|_| Outcome::UpstreamProtocol)?;
            return Ok((connection, endpoint, false));
        }
    }
}

/// A copy of `request`, if sending it twice does what sending it once does.
fn repeatable(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let may = request.method().is_idempotent() && request.body().is_empty();
    may.then(|| {
        let mut copy = Request::new(RequestBody::Empty);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        copy
    })
}

/// A request without a response.
struct Undelivered {
    outcome: Outcome,
    /// The request, if nothing of it was sent.
    unsent: Option<Request<RequestBody>>,
}

/// Sends `request` and waits for the head of its response, or for the watch to lose patience.
async fn deliver(
    client: &Client,
    connection: &mut Connection<RequestBody>,
    request: Request<RequestBody>,
) -> Result<Response<Incoming>, Undelivered> {
    let mut sending = pin!(connection.send(request));
    poll_fn(|cx| {
        if client.watch.take_response_timeout() {
            return Poll::Ready(Err(Undelivered {
                outcome: Outcome::ResponseTimeout,
                unsent: None,
            }));
        }
        let sent = sending.as_mut().poll(cx);
        sent.map_err(|mut error| Undelivered {
            unsent: error.take_message(),
            outcome: classify(error.error()),
        })
    })
    .await
}

/// What went wrong on the way to the head of a response.
fn classify(error: &hyper::Error) -> Outcome {
    let io = error.source().and_then(|s| s.downcast_ref::<io::Error>());
    if error.is_user() {
        // Only the body of the request fails here, and only because the client did.
        Outcome::ClientClosed
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Outcome::UpstreamClosed
    } else if io.is_some() {
        Outcome::UpstreamReset
    } else {
        Outcome::UpstreamProtocol
    }
}

/// The connection ended without a response: what happens when an endpoint closes a kept connection meanwhile.
fn is_lost(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::UpstreamClosed | Outcome::UpstreamReset)
}
