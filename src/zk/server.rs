//! The listening sockets of the ZooKeeper port: plain, and with TLS if that is wanted.

use super::connection;
use super::monitor::Monitor;
use super::port::Port;
use crate::net::{ServerTls, TcpListener, TcpStream};
use crate::telemetry::contained;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections served at once; more wait in the kernel's backlog. An idle one costs some 10 KiB here and a
/// file descriptor; a busy one up to 2 MiB of requests and 16 MiB of events.
const MAX_CONNECTIONS: usize = 10_000;

/// Pause after a failure to accept that lasts, such as having no file descriptor left: long enough not to
/// burn a core, short enough not to be noticed once it is over.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The sockets on which clients arrive.
pub struct Listeners {
    /// For clients without TLS.
    pub plain: TcpListener,
    /// For clients with TLS.
    pub tls: Option<(TcpListener, Arc<ServerTls>)>,
}

impl From<TcpListener> for Listeners {
    fn from(plain: TcpListener) -> Listeners {
        Listeners { plain, tls: None }
    }
}

/// Serves ZooKeeper clients on `listeners`, those that `monitor` names, until `stop` is cancelled; returns when
/// all connections are closed.
pub async fn serve(listeners: impl Into<Listeners>, monitor: Monitor, stop: CancellationToken) {
    let Monitor(port) = monitor;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let listeners = listeners.into();
    loop {
        tokio::select! {
            accepted = accept(&listeners, &places) => {
                failpoint!("zookeeper-accept");
                let Some((arrived, place)) = accepted else { continue };
                let (port, stop) = (port.clone(), stop.clone());
                connections.spawn(async move {
                    contained(hold(arrived, &port, stop)).await;
                    drop(place);
                });
            }
            Some(ended) = connections.join_next() => report(ended),
            () = stop.cancelled() => break,
        }
    }
    drop(listeners);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// A connection with a place for it; `None` if accepting failed, which has been logged and waited for.
async fn accept(
    listeners: &Listeners,
    places: &Arc<Semaphore>,
) -> Option<(Arrived, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    let arrived = tokio::select! {
        plain = listeners.plain.accept() => plain.map(|(socket, _)| Arrived { socket, tls: None }),
        tls = accept_tls(listeners) => tls,
    };
    match arrived {
        Ok(arrived) => Some((arrived, place)),
        Err(error) if is_of_the_client(&error) => None,
        Err(error) => {
            tracing::warn!(%error, "the ZooKeeper port cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// The next connection that will speak TLS; never comes without a port for it.
async fn accept_tls(listeners: &Listeners) -> io::Result<Arrived> {
    let Some((listener, tls)) = &listeners.tls else {
        return pending().await;
    };
    let (socket, _) = listener.accept().await?;
    let tls = Some(tls.clone());
    Ok(Arrived { socket, tls })
}

/// Whether only the connection that was to be accepted is broken.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// A connection that was accepted, and what it has to speak.
struct Arrived {
    socket: TcpStream,
    tls: Option<Arc<ServerTls>>,
}

async fn hold(arrived: Arrived, port: &Arc<Port>, stop: CancellationToken) {
    failpoint!("zookeeper-connection");
    let Arrived { socket, tls } = arrived;
    // Either fails only when the client has gone already.
    let Ok(peer) = socket.peer_addr() else { return };
    if socket.set_nodelay(true).is_err() {
        return;
    }
    match tls {
        None => connection::run(socket, peer, port, stop).await,
        Some(tls) => connection::run_tls(socket, peer, &tls, port, stop).await,
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a ZooKeeper connection ended abnormally");
    }
}
