//! Sample upstream servers for `zoogate dev`: small, real, and registered like anybody else.
//!
//! Each answers HTTP with its own name and holds a session through the ZooKeeper port, by the same client the
//! command line uses. Nothing here knows that the registry runs in the same process.

use super::error::NodeError;
use crate::client::{Client, ClientError, ConnectError, Hosts, SessionState};
use crate::tree::CreateMode;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The service the samples register under.
pub(super) const SERVICE: &str = "web";
/// Session timeout of a sample: the shortest the nodes grant by default.
const SESSION_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause between attempts to reach an ensemble that has no leader yet, or none any more.
const RETRY: Duration = Duration::from_millis(100);
/// Connections a sample serves at once; more wait in the backlog.
const CONNECTIONS: usize = 1024;

/// Runs the sample called `name`, registered with the servers in `hosts`, until `stop`.
///
/// # Errors
/// [`NodeError::System`] when it cannot listen.
pub(super) async fn run(
    name: String,
    hosts: Hosts,
    stop: CancellationToken,
) -> Result<(), NodeError> {
    let system = |source| NodeError::System {
        action: "start a sample server",
        source,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(system)?;
    let addr = listener.local_addr().map_err(system)?;
    let greeting = format!("hello from {name} at {addr}\n");
    let registered = keep_registered(&name, addr, &hosts, &stop);
    tokio::select! {
        () = serve(listener, greeting) => {}
        () = registered => {}
    }
    Ok(())
}

/// Registers, and registers again whenever the session is lost; withdraws at `stop`.
async fn keep_registered(name: &str, addr: SocketAddr, hosts: &Hosts, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match register(name, addr, hosts).await {
            Ok(client) => {
                let mut state = client.state();
                tokio::select! {
                    () = stop.cancelled() => {
                        // If the ensemble is gone already, the session ends by its timeout.
                        let _ = client.close().await;
                    }
                    () = expired(&mut state) => {}
                }
            }
            Err(error) => {
                tracing::debug!(name, %error, "a sample cannot register yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn expired(state: &mut watch::Receiver<SessionState>) {
    // A session that is gone altogether has expired too.
    let _ = state
        .wait_for(|state| *state == SessionState::Expired)
        .await;
}

async fn register(name: &str, addr: SocketAddr, hosts: &Hosts) -> Result<Client, RegisterError> {
    let (client, _) = Client::connect(hosts, SESSION_TIMEOUT).await?;
    let service = format!("/services/{SERVICE}");
    client.create_all(&service).await?;
    let payload = format!(r#"{{"address":"{}","port":{}}}"#, addr.ip(), addr.port());
    let mode = CreateMode::EPHEMERAL;
    client
        .create(&format!("{service}/{name}"), payload, mode)
        .await?;
    Ok(client)
}

/// Why a registration failed; tried again, whatever it is.
#[derive(Debug, thiserror::Error)]
enum RegisterError {
    /// No session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No znode.
    #[error(transparent)]
    Create(#[from] ClientError),
}

async fn serve(listener: TcpListener, greeting: String) {
    let greeting = Bytes::from(greeting);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(answer(stream, greeting.clone()));
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, greeting: Bytes) {
    let service = service_fn(move |_: Request<Incoming>| {
        let greeting = greeting.clone();
        async move { Ok::<_, Infallible>(Response::new(Full::new(greeting))) }
    });
    // A client that breaks off is no news.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
