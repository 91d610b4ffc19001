//! Sockets of the admin door: how many, how long, and how they end.
//!
//! Nobody authenticates here, so each connection is bounded in every direction: the time to send a head,
//! its size, the life of the connection (which also ends clients that never read), and how many there are.
//! The numbers are [`Limits`], fields rather than constants so that tests can shrink them.

use super::AdminState;
use super::asked::{Asked, Pace};
use super::routes::{Page, answer};
use super::services::answer_member;
use crate::net::{ServerTls, TlsFailure};
use crate::telemetry::{chain, contained};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Bounds of the admin door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections served at once; more wait in the kernel's backlog.
    pub connections: usize,
    /// Longest wait for a request's head, also on an idle connection.
    pub head_timeout: Duration,
    /// Longest life of a connection, however busy, unless a page moves it.
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

/// Where operators arrive.
pub struct Door {
    /// The socket.
    pub listener: TcpListener,
    /// With it, HTTPS is spoken.
    pub tls: Option<Arc<ServerTls>>,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Door {
        Door {
            listener,
            tls: None,
        }
    }
}

/// Serves the admin door until `stop` is cancelled, and answers those of other nodes; returns once every connection
/// has ended.
pub async fn serve(door: Door, state: AdminState, stop: CancellationToken) {
    let state = Arc::new(state);
    // It must not hold the ensemble, which holds it.
    let (table, registry) = (Arc::clone(&state.table), Arc::clone(&state.registry));
    let told = move |asked: &[u8]| answer_member(&table.load(), &registry, asked);
    state.ensemble.answer_members(Arc::new(told));
    let metrics = state.metrics.clone();
    let refused = move |failure: TlsFailure| metrics.tls.failed("admin", failure.as_str());
    let pages = move |asked: Asked| {
        let state = Arc::clone(&state);
        async move { answer(&state, &asked).await }
    };
    run(door, LIMITS, stop, pages, refused).await;
}

/// Accepts within `limits` until `stop`, and waits for what is under way.
pub(super) async fn run<A, P, R>(
    door: impl Into<Door>,
    limits: Limits,
    stop: CancellationToken,
    pages: A,
    refused: R,
) where
    R: Fn(TlsFailure) + Send + Sync + 'static,
    A: Fn(Asked) -> P + Send + Sync + 'static,
    P: Future<Output = Page> + Send + 'static,
{
    let Door { listener, tls } = door.into();
    let (pages, refused) = (Arc::new(pages), Arc::new(refused));
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (pages, stop) = (Arc::clone(&pages), stop.clone());
                    let (tls, refused) = (tls.clone(), Arc::clone(&refused));
                    connections.spawn(async move {
                        let _permit = permit;
                        let served = async {
                            let Some(tls) = tls else {
                                return connection(stream, peer, limits, stop, &*pages).await;
                            };
                            match secured(stream, &tls, limits, &stop).await {
                                Ok(stream) => {
                                    connection(stream, peer, limits, stop, &*pages).await;
                                }
                                Err(failure) => refused(failure),
                            }
                        };
                        contained(served).await;
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

/// Does the handshake of TLS, in the time that a head may take.
async fn secured(
    stream: TcpStream,
    tls: &ServerTls,
    limits: Limits,
    stop: &CancellationToken,
) -> Result<TlsStream<TcpStream>, TlsFailure> {
    let handshake = timeout(limits.head_timeout, tls.accept(stream));
    match stop.run_until_cancelled(handshake).await {
        Some(Ok(Ok(accepted))) => Ok(accepted.stream),
        Some(Ok(Err(error))) => {
            tracing::debug!(error = %chain(&error), "the TLS handshake of an admin client failed");
            Err(TlsFailure::of(&error))
        }
        Some(Err(_)) => Err(TlsFailure::TimedOut),
        None => Err(TlsFailure::Closed),
    }
}

/// Answers the requests of one connection until it ends, grows too old, or `stop`.
async fn connection<S, A, P>(
    stream: S,
    peer: SocketAddr,
    limits: Limits,
    stop: CancellationToken,
    pages: &A,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Asked) -> P,
    P: Future<Output = Page>,
{
    let pace = Pace::until(Instant::now() + limits.lifetime);
    let service = service_fn(|request: Request<Incoming>| {
        let asked = Asked::new(&request, peer, &pace);
        async move {
            let asked = asked.with_body(request.into_body()).await;
            Ok::<_, Infallible>(pages(asked).await)
        }
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
        () = pace.over() => None,
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
