//! One connection: from its first four bytes to its end.
//!
//! ```text
//! accepted --4 bytes--> four-letter word --> answer -------------------------------> end
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
use super::words::{self, Word};
use bytes::BytesMut;
use end::End;
use handshake::Opened;
use incoming::Incoming;
use pings::Pings;
use receive::Receiver;
use serve::Session;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest time from accepting a connection to the end of its first frame. A client in a LAN needs
/// milliseconds; until then a connection holds a place that others may need.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time to send what is queued for a client whose connection ends.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Longest wait for a client to close, after we did. Closing while it still sends would reset the
/// connection, and the reset could overtake our last reply.
const LINGER: Duration = Duration::from_secs(1);

/// Serves one client until it goes, its session ends, or `stop` is cancelled.
pub(super) async fn run(mut socket: TcpStream, peer: IpAddr, port: &Port, stop: CancellationToken) {
    let _connected = port.tally.connected();
    let (read, mut write) = socket.split();
    let mut incoming = Incoming::new(read);
    let outbox = Arc::new(Outbox::default());
    let end = tokio::select! {
        end = converse(&mut incoming, &mut write, peer, port, &outbox) => end,
        () = stop.cancelled() => End::Stopping,
    };
    tracing::debug!(client = %peer, reason = %end, "connection ended");
    if end.sends_the_rest() {
        let _ = timeout(LINGER, part(&mut incoming, &mut write)).await;
    }
}

/// Closes our side, then waits for the client to close its own.
async fn part(incoming: &mut Incoming<ReadHalf<'_>>, write: &mut WriteHalf<'_>) {
    if write.shutdown().await.is_ok() {
        incoming.drain().await;
    }
}

async fn converse(
    incoming: &mut Incoming<ReadHalf<'_>>,
    write: &mut WriteHalf<'_>,
    peer: IpAddr,
    port: &Port,
    outbox: &Arc<Outbox>,
) -> End {
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
    let frame = match timeout(HANDSHAKE_DEADLINE, first).await {
        Err(_) => return End::NoHandshake,
        Ok(Err(error)) => return End::Receive(error),
        Ok(Ok(Err(word))) => return say(&words::answer(word, port), write).await,
        Ok(Ok(Ok(None))) => return End::Client,
        Ok(Ok(Ok(Some(frame)))) => frame,
    };
    let sending = pin!(send(outbox, write, port));
    let session = async {
        match handshake::shake(frame, port, outbox).await {
            Ok(opened) => hold(opened, incoming, peer, port, outbox).await,
            Err(end) => end,
        }
    };
    supervise(session, sending, port, outbox).await
}

/// Runs the loops that receive and serve, until one of them ends the connection.
async fn hold(
    opened: Opened,
    incoming: &mut Incoming<ReadHalf<'_>>,
    peer: IpAddr,
    port: &Port,
    outbox: &Outbox,
) -> End {
    let pings = Pings::new(&port.ensemble, outbox);
    let budget = receive::budget();
    let (requests, queue) = receive::queue();
    let mut session = Session::new(port, outbox, &pings, opened, Identities::at(peer));
    let receiver = Receiver {
        port,
        pings: &pings,
        session: session.id(),
        budget: &budget,
    };
    tokio::select! {
        biased;
        end = receiver.run(incoming, requests) => end,
        end = session.run(queue) => end,
        never = pings.overtake() => match never {},
    }
}

/// Runs a session and its writer until the connection ends, then sends the rest if it is to be sent.
async fn supervise(
    session: impl Future<Output = End>,
    mut sending: std::pin::Pin<&mut impl Future<Output = End>>,
    port: &Port,
    outbox: &Outbox,
) -> End {
    let mut serving = port.ensemble.serving();
    let end = tokio::select! {
        biased;
        end = session => end,
        end = &mut sending => end,
        () = outbox.hung_up() => End::HungUp,
        _ = serving.wait_for(|serving| !serving) => End::NotServing,
    };
    if end.sends_the_rest() {
        outbox.finish();
        let _ = timeout(FLUSH_DEADLINE, sending).await;
    }
    end
}

/// Writes what is queued, batch by batch, until there will never be more.
async fn send(outbox: &Outbox, socket: &mut (impl AsyncWrite + Unpin), port: &Port) -> End {
    let mut batch = BytesMut::new();
    loop {
        match outbox.batch(batch).await {
            None => return End::HungUp,
            Some(next) => batch = next,
        }
        if let Err(error) = socket.write_all(&batch).await {
            return End::Send(error);
        }
        port.tally.sent();
    }
}

async fn say(text: &str, socket: &mut (impl AsyncWrite + Unpin)) -> End {
    match timeout(FLUSH_DEADLINE, socket.write_all(text.as_bytes())).await {
        Ok(Err(error)) => End::Send(error),
        _ => End::Word,
    }
}
