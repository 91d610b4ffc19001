//! The listening socket of the ZooKeeper port.

use super::connection;
use super::port::Port;
use super::watches::Watches;
use crate::config::ZookeeperConfig;
use crate::ensemble::Ensemble;
use crate::telemetry::Metrics;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections served at once; more wait in the kernel's backlog. An idle one costs some 10 KiB here and a
/// file descriptor; a busy one up to 2 MiB of requests and 8 MiB of events.
const MAX_CONNECTIONS: usize = 10_000;

/// Pause after a failure to accept that lasts, such as having no file descriptor left: long enough not to
/// burn a core, short enough not to be noticed once it is over.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves ZooKeeper clients on `listener` until `stop` is cancelled; returns when all connections are
/// closed. `watches` must follow the ensemble from before the first connection.
pub async fn serve(
    listener: TcpListener,
    ensemble: Ensemble,
    watches: Arc<Watches>,
    settings: ZookeeperConfig,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let port = Arc::new(Port::new(ensemble, watches, settings, metrics));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => {
                let Some((socket, place)) = accepted else { continue };
                let (port, stop) = (port.clone(), stop.clone());
                connections.spawn(async move {
                    hold(socket, &port, stop).await;
                    drop(place);
                });
            }
            Some(ended) = connections.join_next() => report(ended),
            () = stop.cancelled() => break,
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// A connection with a place for it; `None` if accepting failed, which has been logged and waited for.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((socket, _)) => Some((socket, place)),
        Err(error) if is_of_the_client(&error) => None,
        Err(error) => {
            tracing::warn!(%error, "the ZooKeeper port cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
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

async fn hold(socket: TcpStream, port: &Port, stop: CancellationToken) {
    // Either fails only when the client has gone already.
    let Ok(peer) = socket.peer_addr() else { return };
    if socket.set_nodelay(true).is_ok() {
        connection::run(socket, peer.ip(), port, stop).await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a ZooKeeper connection ended abnormally");
    }
}
