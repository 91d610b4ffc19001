//! The flow of an HTTP/1.1 connection: greet, and for each request route, balance, forward, account.
//!
//! ```text
//! request -> admit -> route -> pick -> kept or new connection -> send -> head of the response -> body -> record
//!              |400     |404     |503        |502 503 504          |502 504                        '- cut
//! ```
//! Everything of one connection, its upstream side included, runs in one task.

use super::account::Exchange;
use super::body::{Link, RequestBody, ResponseBody};
use super::client::{Client, ClientStream, Turn};
use super::forward::{Forwarded, forward};
use super::greeting::{Guest, greet};
use super::headers;
use super::listener::{Accepted, Seat};
use super::outcome::Outcome;
use super::relay::{Peer, relay};
use super::watch::Patience;
use super::worker::Worker;
use crate::net::{Stream, reset_on_close};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::time::Instant;

/// Why a response comes from this node and not from an endpoint; the values are [`Outcome::reason`].
const REASON: HeaderName = HeaderName::from_static("x-zoogate-reason");

/// Longest head of a request, and most bytes of a body read ahead, in bytes. Longer heads get status 431.
const MAX_BUFFER: usize = 64 * 1024;

/// Serves one client connection to its end.
pub async fn serve(worker: Rc<Worker>, accepted: Accepted) {
    let Some((client, stream, seat)) = welcome(&worker, accepted).await else {
        return;
    };
    let io = TokioIo::new(ClientStream::new(stream, client.clone()));
    let service = service_fn(|request| answer(client.clone(), request));
    let mut connection = Builder::new()
        .max_buf_size(MAX_BUFFER)
        .max_header_size(MAX_BUFFER)
        .serve_connection(io, service);
    let is_draining = || worker.draining.is_cancelled() || seat.listener.is_leaving();
    let mut told_to_drain = false;
    let outcome = poll_fn(|cx| {
        // A late response is for the exchange to answer; everything else ends the connection.
        match client.watch.verdict(cx) {
            None | Some(Outcome::ResponseTimeout) => {}
            Some(verdict) => return Poll::Ready(verdict),
        }
        let mut polled = Pin::new(&mut connection).poll(cx);
        if polled.is_pending() && is_draining() && !told_to_drain {
            told_to_drain = true;
            Pin::new(&mut connection).graceful_shutdown();
            polled = Pin::new(&mut connection).poll(cx);
        }
        polled.map(|ended| ended.map_or_else(|error| classify(&error), |()| Outcome::Done))
    })
    .await;

    let parts = connection.into_parts();
    let stream = parts.io.into_inner().into_inner();
    let upgraded = client.upgraded.take();
    let outcome = match upgraded {
        Some((upstream, mut turn)) if outcome == Outcome::Done => {
            let early = parts.read_buf;
            let outcome = relay(
                Peer { stream, early },
                upstream,
                &client.watch,
                &worker.stock,
            )
            .await;
            turn.exchange.end(outcome);
            outcome
        }
        _ => {
            if client.cut.get() {
                reset_on_close(stream.socket());
            }
            outcome
        }
    };
    seat.end(outcome);
}

/// The client, its socket and its seat, once it has greeted; one that has not done so rightly is accounted for here.
async fn welcome(worker: &Rc<Worker>, accepted: Accepted) -> Option<(Rc<Client>, Stream, Seat)> {
    let (watch, started) = (worker.watches.add(), Instant::now());
    let (listener, from) = (accepted.seat.listener.clone(), accepted.client);
    let (seat, greeted) = greet(accepted, &watch).await;
    match greeted {
        Ok(Guest { peer, mut origin }) => {
            origin.locate(peer.stream.socket());
            let client = Client::new(worker.clone(), listener, watch, origin);
            Some((Rc::new(client), peer.stream, seat))
        }
        Err(outcome) => {
            Exchange::begin(worker, &watch, &listener, from)
                .since(started)
                .end(outcome);
            seat.end(outcome);
            None
        }
    }
}

/// What went wrong on a client's connection.
fn classify(error: &hyper::Error) -> Outcome {
    if error.is_user() {
        // Only the body of a response fails here, and only because the endpoint did.
        Outcome::UpstreamTruncated
    } else if error.is_parse() {
        Outcome::BadRequest
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Outcome::ClientClosed
    } else {
        Outcome::ClientReset
    }
}

/// One exchange up to the head of its response; what remains is in the response's body.
async fn answer(
    client: Rc<Client>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut turn = Turn::begin(&client);
    let (mut parts, incoming) = request.into_parts();
    let body = RequestBody::new(incoming, &client.watch);
    let forwarded = match headers::admit(&mut parts) {
        Ok(()) => forward(&mut turn, parts, body).await,
        Err(outcome) => Err(outcome),
    };
    Ok(match forwarded {
        Ok(forwarded) => pass_on(turn, forwarded).await,
        Err(outcome) => refuse(turn, outcome),
    })
}

/// Passes an endpoint's response on to the client.
async fn pass_on(mut turn: Turn, forwarded: Forwarded) -> Response<ResponseBody> {
    let Forwarded {
        mut response,
        connection,
        endpoint,
        service,
        upgrade,
        version,
    } = forwarded;
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switches != (switches && upgrade.is_some())
        || !headers::has_plain_framing(response.headers())
    {
        return refuse(turn, Outcome::UpstreamProtocol);
    }
    let client = turn.client.clone();
    client.watch.expect(Patience::of(
        service.policy.idle_timeout,
        Outcome::IdleTimeout,
    ));
    client.watch.heard();
    turn.exchange.answered(response.status().as_u16());
    match response.status().is_server_error() {
        true => service.failed(&endpoint),
        false => service.succeeded(&endpoint),
    }
    headers::towards_client(response.headers_mut(), upgrade.filter(|_| switches));
    *response.version_mut() = Version::HTTP_11;
    // An HTTP/1.0 client takes the end of the connection for the end of such a response.
    let ends_by_close =
        version == Version::HTTP_10 && !response.headers().contains_key(CONTENT_LENGTH);
    client.cut.set(ends_by_close);
    if switches {
        client.watch.live(service.policy.max_lifetime);
        let (stream, early) = connection.into_upgraded().await;
        client
            .upgraded
            .replace(Some((Peer { stream, early }, turn)));
        return response.map(|_| ResponseBody::Own(None));
    }
    if client.has_lived(service.policy.max_lifetime) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response.map(|incoming| {
        let link = Link {
            connection,
            endpoint,
            told: service.policy.send_proxy,
            turn,
        };
        ResponseBody::streamed(incoming, link)
    })
}

/// A response from this node: the exchange ended before an endpoint answered.
fn refuse(mut turn: Turn, outcome: Outcome) -> Response<ResponseBody> {
    turn.exchange.end(outcome);
    turn.exchange.answered(outcome.status());
    let text = format!("{}\n", outcome.explanation());
    let mut response = Response::new(ResponseBody::Own(Some(Bytes::from(text))));
    *response.status_mut() =
        StatusCode::from_u16(outcome.status()).expect("every outcome has a valid status");
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(REASON, HeaderValue::from_static(outcome.reason()));
    if matches!(outcome, Outcome::BadRequest | Outcome::MethodRefused) {
        // What follows on this connection cannot be trusted to be a request.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
