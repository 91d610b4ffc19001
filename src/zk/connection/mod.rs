//! One connection: from its first four bytes to its end.
//!
//! ```text
//! accepted (with TLS: its handshake)
//!    \------4 bytes--> four-letter word --> answer -------------------------------> end
//!             \-------> handshake --refused--> timeout 0 --------------------------> end
//!                          \--accepted--> session --end of session, error, hang-up--> end
//! ```
//! A session is three loops in one task, which no lock and no channel between threads separates:
//!
//! ```text
//! socket --> receive --(requests, in order)--> serve --> outbox --> send --> socket
//!               \--(pings that waited enough)----------->/  \<-- events, from apply
//! ```
//! Everything is answered in order, except that a ping overtakes requests that are held up, so that the
//! client does not give the server up. The end of a connection never ends a session: only
//! `closeSession` and the leader's clock do.
//!
//! Source: ZooKeeper 3.9, `NIOServerCnxn`, `ZooKeeperServer.processConnectRequest`.

mod end;
mod handshake;
mod incoming;
mod pings;
mod receive;
mod serve;

use super::identity::Identities;
use super::outbox::Outbox;
use super::port::Port;
use super::tally::Connected;
use super::words::{self, Word};
use crate::net::{AcceptedTls, ServerTls, TcpStream, TlsFailure};
use crate::telemetry::chain;
use bytes::BytesMut;
use end::End;
use handshake::Opened;
use incoming::Incoming;
use pings::Pings;
use receive::Receiver;
use serve::Session;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Longest time from accepting a connection to the end of its first frame, TLS included. A client in a LAN needs
/// milliseconds; until then a connection holds a place that others may need.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time to send what is queued for a client whose connection ends.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Longest time to send the answer to a word, which may be megabytes to somebody who pages through them.
const WORD_DEADLINE: Duration = Duration::from_secs(10);

/// Longest wait for a client to close, after we did. Closing while it still sends would reset the
/// connection, and the reset could overtake our last reply.
const LINGER: Duration = Duration::from_secs(1);

/// Who is at the other end, and how long it may take to say what it wants.
struct Peer<'a> {
    connected: Connected<'a>,
    identities: Identities,
    deadline: Instant,
}

impl<'a> Peer<'a> {
    /// A client that was accepted just now.
    fn new(connected: Connected<'a>) -> Peer<'a> {
        Peer {
            identities: Identities::of(connected.peer().ip(), None),
            connected,
            deadline: Instant::now() + HANDSHAKE_DEADLINE,
        }
    }
}

/// Serves one client until it goes, its session ends, or `stop` is cancelled.
pub(super) async fn run(
    mut socket: TcpStream,
    address: SocketAddr,
    port: &Arc<Port>,
    stop: CancellationToken,
) {
    let peer = Peer::new(port.tally.connected(address, false));
    let (read, write) = socket.split();
    serve_halves(read, write, peer, port, stop).await;
}

/// As [`run`], for a client that speaks TLS.
pub(super) async fn run_tls(
    socket: TcpStream,
    address: SocketAddr,
    tls: &ServerTls,
    port: &Arc<Port>,
    stop: CancellationToken,
) {
    let peer = Peer::new(port.tally.connected(address, true));
    let accepted = tokio::select! {
        accepted = secure(socket, tls, peer.deadline) => accepted,
        () = stop.cancelled() => return,
    };
    let AcceptedTls { stream, subject } = match accepted {
        Ok(accepted) => accepted,
        Err(why) => {
            port.tally.refused_tls(match &why {
                End::Tls(error) => TlsFailure::of(error),
                _ => TlsFailure::TimedOut,
            });
            let client = peer.connected.peer();
            tracing::debug!(%client, reason = %chain(&why), "connection ended");
            return;
        }
    };
    let identities = Identities::of(address.ip(), subject);
    let peer = Peer { identities, ..peer };
    let (read, write) = tokio::io::split(stream);
    serve_halves(read, write, peer, port, stop).await;
}

async fn secure(socket: TcpStream, tls: &ServerTls, deadline: Instant) -> Result<AcceptedTls, End> {
    match timeout_at(deadline, tls.accept(socket)).await {
        Ok(accepted) => accepted.map_err(End::Tls),
        Err(_) => Err(End::NoHandshake),
    }
}

async fn serve_halves<R, W>(
    read: R,
    mut write: W,
    peer: Peer<'_>,
    port: &Arc<Port>,
    stop: CancellationToken,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut incoming = Incoming::new(read);
    let outbox = Arc::new(Outbox::default());
    let end = tokio::select! {
        end = converse(&mut incoming, &mut write, &peer, port, &outbox) => end,
        () = stop.cancelled() => End::Stopping,
    };
    tracing::debug!(client = %peer.connected.peer(), reason = %end, "connection ended");
    if end.sends_the_rest() {
        let _ = timeout(LINGER, part(&mut incoming, &mut write)).await;
    }
}

/// Closes our side, then waits for the client to close its own.
async fn part<R, W>(incoming: &mut Incoming<R>, write: &mut W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if write.shutdown().await.is_ok() {
        incoming.drain().await;
    }
}

async fn converse<R, W>(
    incoming: &mut Incoming<R>,
    write: &mut W,
    peer: &Peer<'_>,
    port: &Arc<Port>,
    outbox: &Arc<Outbox>,
) -> End
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let first = async {
        let first = incoming
            .peek()
            .await
            .map_err(incoming::ReceiveError::from)?;
        if let Some(word) = first.and_then(Word::from_bytes) {
            return Ok(Err(word));
        }
        Ok(Ok(incoming.frame().await?))
    };
    let frame = match timeout_at(peer.deadline, first).await {
        Err(_) => return End::NoHandshake,
        Ok(Err(error)) => return End::Receive(error),
        Ok(Ok(Err(word))) => {
            peer.connected.greeted();
            let answer = words::answer(word, port).await;
            return say(&answer, write, &peer.connected).await;
        }
        Ok(Ok(Ok(None))) => return End::Client,
        Ok(Ok(Ok(Some(frame)))) => frame,
    };
    peer.connected.greeted();
    let arrived = Instant::now();
    let sending = pin!(send(outbox, write, &peer.connected));
    let led = port.is_serving();
    let session = async {
        match handshake::shake(frame, led, port, outbox).await {
            Ok(opened) => {
                let connected = &peer.connected;
                connected.opened(opened.id, opened.timeout_ms, opened.attachment, arrived);
                hold(opened, incoming, peer, port, outbox).await
            }
            Err(end) => end,
        }
    };
    supervise(session, sending, led, port, outbox).await
}

/// Runs the loops that receive and serve, until one of them ends the connection.
async fn hold<R: AsyncRead + Unpin>(
    opened: Opened,
    incoming: &mut Incoming<R>,
    peer: &Peer<'_>,
    port: &Port,
    outbox: &Outbox,
) -> End {
    let pings = Pings::new(&port.ensemble, outbox);
    let budget = receive::budget();
    let (requests, queue) = receive::queue();
    let silence = opened
        .read_only
        .then(|| Duration::from_millis(opened.timeout_ms.into()));
    let identities = peer.identities.clone();
    let mut session = Session::new(port, outbox, &pings, opened, identities);
    let receiver = Receiver {
        port,
        connected: &peer.connected,
        pings: &pings,
        session: session.id(),
        silence,
        budget: &budget,
    };
    tokio::select! {
        biased;
        end = receiver.run(incoming, requests) => end,
        end = session.run(queue) => end,
        never = pings.overtake() => match never {},
    }
}

/// Runs a session and its writer until the connection ends, then sends the rest if it is to be sent. It ends
/// at the latest when a leader comes within reach, or goes: what the client may do is another thing then.
async fn supervise(
    session: impl Future<Output = End>,
    mut sending: std::pin::Pin<&mut impl Future<Output = End>>,
    led: bool,
    port: &Port,
    outbox: &Outbox,
) -> End {
    let mut serving = port.ensemble.serving();
    let end = tokio::select! {
        biased;
        end = session => end,
        end = &mut sending => end,
        () = outbox.hung_up() => End::HungUp,
        _ = serving.wait_for(|serving| *serving != led) => match led {
            true => End::NotServing,
            false => End::Led,
        },
        () = port.ensemble.doubted() => End::NotServing,
    };
    if end.sends_the_rest() {
        outbox.finish();
        let _ = timeout(FLUSH_DEADLINE, sending).await;
    }
    end
}

/// Writes what is queued, batch by batch, until there will never be more.
async fn send(
    outbox: &Outbox,
    socket: &mut (impl AsyncWrite + Unpin),
    connected: &Connected<'_>,
) -> End {
    let mut batch = BytesMut::new();
    let mut is_first = true;
    loop {
        match outbox.batch(batch).await {
            None => return End::HungUp,
            Some(next) => batch = next,
        }
        // TLS may keep back what a flush brings out.
        let sent = async {
            socket.write_all(&batch).await?;
            socket.flush().await
        };
        if let Err(error) = sent.await {
            return End::Send(error);
        }
        connected.sent(&batch, is_first);
        is_first = false;
    }
}

async fn say(text: &str, socket: &mut (impl AsyncWrite + Unpin), connected: &Connected<'_>) -> End {
    let said = async {
        socket.write_all(text.as_bytes()).await?;
        socket.flush().await
    };
    let said = timeout(WORD_DEADLINE, said).await;
    connected.said();
    match said {
        Ok(Err(error)) => End::Send(error),
        _ => End::Word,
    }
}
