//! Sockets of the admin door: how many, how long, and how they end.
//!
//! Nobody authenticates here, so each connection is bounded in every direction: the time to send a head,
//! its size, the life of the connection (which also ends clients that never read), and how many there are.
//! The numbers are [`Limits`], fields rather than constants so that tests can shrink them.

use super::AdminState;
use super::routes::{Page, answer};
use crate::telemetry::chain;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Bounds of the admin door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections served at once; more wait in the kernel's backlog.
    pub connections: usize,
    /// Longest wait for a request's head, also on an idle connection.
    pub head_timeout: Duration,
    /// Longest life of a connection, however busy.
    pub lifetime: Duration,
    /// How long a response under way may take once the connection is to end.
    pub grace: Duration,
}

/// What a node uses: 256 connections are a few scrapers, probes and people, at about 10 KiB each; heads of
/// people and scrapers arrive in milliseconds; five minutes are twenty scrapes of the usual interval.
const LIMITS: Limits = Limits {
    connections: 256,
    head_timeout: Duration::from_secs(10),
    lifetime: Duration::from_secs(300),
    grace: Duration::from_secs(5),
};

/// Largest head of a request in bytes. Nobody sends cookies here; each connection may hold this much.
const HEAD_BYTES: usize = 16 * 1024;

/// Pause after a failed `accept`: when descriptors run out, the next attempt fails as well, at full speed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the admin door until `stop` is cancelled; returns once every connection has ended.
pub async fn serve(listener: TcpListener, state: AdminState, stop: CancellationToken) {
    let state = Arc::new(state);
    let pages = move |method: Method, path: String| {
        let state = Arc::clone(&state);
        async move { answer(&state, &method, &path).await }
    };
    run(listener, LIMITS, stop, pages).await;
}

/// Accepts within `limits` until `stop`, and waits for what is under way.
pub(super) async fn run<A, P>(
    listener: TcpListener,
    limits: Limits,
    stop: CancellationToken,
    pages: A,
) where
    A: Fn(Method, String) -> P + Send + Sync + 'static,
    P: Future<Output = Page> + Send + 'static,
{
    let pages = Arc::new(pages);
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (pages, stop) = (Arc::clone(&pages), stop.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        connection(stream, limits, stop, &*pages).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "cannot accept an admin connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accept => {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection until it ends, grows too old, or `stop`.
async fn connection<A, P>(stream: TcpStream, limits: Limits, stop: CancellationToken, pages: &A)
where
    A: Fn(Method, String) -> P,
    P: Future<Output = Page>,
{
    let service = service_fn(|request: Request<_>| {
        let page = pages(request.method().clone(), request.uri().path().to_owned());
        async move { Ok::<_, Infallible>(page.await) }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = sleep(limits.lifetime) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            served.as_mut().graceful_shutdown();
            timeout(limits.grace, served).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = %chain(&error), "an admin connection failed"),
        Err(_) => tracing::debug!("an admin client did not take its response in time"),
    }
}
