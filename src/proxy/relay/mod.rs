//! Two-way copy between two streams: half-close, resets and back-pressure are passed on, nothing is reordered.
//!
//! One future drives both directions ([`direction`]). Each chooses its technique by what its stream shows itself to
//! be ([`kind`]):
//!
//! | stream | technique | holds while bytes are under way |
//! |---|---|---|
//! | chatty, as all are at first | read and write through a small buffer | 16 KiB |
//! | bulk, both sides plain sockets | splice(2) through a pipe: bytes stay in the kernel | a pipe of 256 KiB |
//! | bulk otherwise, or no pipe to be had | read and write through a large buffer | 64 KiB |
//!
//! A direction that has passed on all it got holds nothing: buffers and pipes are back in the worker's [`Stock`].
//!
//! An error on either socket is passed on as RST, because an orderly FIN would let the peer take a broken stream
//! for a complete one.
//!
//! Source: RFC 9293 section 3.6 for half-close; splice(2) and pipe(7).
mod buffers;
mod direction;
mod kind;
mod pipes;
#[cfg(test)]
mod tests;

use super::options;
use super::outcome::Outcome;
use super::watch::Watch;
use crate::net::{Descriptors, Stream, reset_on_close};
use buffers::Buffers;
use bytes::Bytes;
use direction::{Direction, End, Fault, Shared};
use pipes::Pipes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a relay can carry: a stream over a socket.
pub trait Carrier: AsyncRead + AsyncWrite + Unpin {
    /// The socket below.
    fn socket(&self) -> &TcpStream;

    /// Whether the socket's bytes are the stream's bytes, so that the kernel may move them.
    fn is_plain(&self) -> bool;
}

impl Carrier for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn is_plain(&self) -> bool {
        true
    }
}

impl Carrier for Stream {
    fn socket(&self) -> &TcpStream {
        Stream::socket(self)
    }

    fn is_plain(&self) -> bool {
        Stream::is_plain(self)
    }
}

/// A stream and bytes that were read from it already.
pub struct Peer<S> {
    /// The stream.
    pub stream: S,
    /// To be passed on before anything is read.
    pub early: Bytes,
}

impl<S> From<S> for Peer<S> {
    fn from(stream: S) -> Peer<S> {
        let early = Bytes::new();
        Peer { stream, early }
    }
}

/// What the relays of one worker share.
pub struct Stock {
    buffers: Buffers,
    pipes: Pipes,
}

impl Stock {
    /// Nothing yet; pipes will take of `descriptors`.
    pub fn new(descriptors: Arc<Descriptors>) -> Stock {
        Stock {
            buffers: Buffers::default(),
            pipes: Pipes::new(descriptors),
        }
    }

    /// To be called at every sweep: what was not needed for long goes back to the system.
    pub fn sweep(&self) {
        self.pipes.sweep();
    }
}

/// Copies both ways until both sides have ended, one fails, or the watch decides; closes both streams.
///
/// Not an async function: that would keep room for its arguments beside what becomes of them, and idle connections
/// consist of little else.
pub fn relay<'a, C: Carrier + 'a, U: Carrier + 'a>(
    client: Peer<C>,
    upstream: Peer<U>,
    watch: &'a Watch,
    stock: &'a Stock,
) -> impl Future<Output = Outcome> + 'a {
    let mut up = Direction::new(&client.early, &watch.received);
    let mut down = Direction::new(&upstream.early, &watch.sent);
    let (mut client, mut upstream) = (client.stream, upstream.stream);
    async move {
        let outcome = poll_fn(|cx| {
            if let Some(verdict) = watch.verdict(cx) {
                return Poll::Ready(verdict);
            }
            if watch.begins_to_last() {
                keep_alive(&upstream, watch);
            }
            let shared = |is_last| Shared {
                watch,
                stock,
                is_last,
            };
            let upwards = up.poll(cx, &mut client, &mut upstream, shared(down.is_done()));
            if let Poll::Ready(Err(fault)) = upwards {
                return Poll::Ready(seen_upwards(fault));
            }
            let downwards = down.poll(cx, &mut upstream, &mut client, shared(up.is_done()));
            watch.progressed();
            match (upwards, downwards) {
                (_, Poll::Ready(Err(fault))) => Poll::Ready(seen_downwards(fault)),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Outcome::Done),
                _ => Poll::Pending,
            }
        })
        .await;
        close(outcome, &mut client, &mut upstream).await;
        outcome
    }
}

/// Has the kernel probe a silent endpoint, as the service's settings say. Most connections end before that could
/// matter, and it takes four system calls; clients' connections have it from their listener for nothing.
fn keep_alive(upstream: &impl Carrier, watch: &Watch) {
    let options = watch.subject(|service, _| service.map(|s| options::keepalive_of(&s.policy)));
    if let Some(options) = options
        && let Err(error) = options.apply(upstream.socket().into())
    {
        tracing::debug!(%error, "an endpoint's connection is not kept alive");
    }
}

/// Both sides learn how it ended: by RST when it broke, by FIN otherwise.
async fn close(outcome: Outcome, client: &mut impl Carrier, upstream: &mut impl Carrier) {
    match outcome {
        Outcome::Done => {}
        Outcome::ClientReset
        | Outcome::UpstreamReset
        | Outcome::ClientLost
        | Outcome::UpstreamLost => {
            reset_on_close(client.socket());
            reset_on_close(upstream.socket());
        }
        // A socket that is gone already cannot be shut down again; that is as good.
        _ => {
            let _ = client.shutdown().await;
            let _ = upstream.shutdown().await;
        }
    }
}

fn seen_upwards(fault: Fault) -> Outcome {
    match fault.end {
        End::Source => of_client(fault),
        End::Sink => of_upstream(fault),
    }
}

fn seen_downwards(fault: Fault) -> Outcome {
    match fault.end {
        End::Source => of_upstream(fault),
        End::Sink => of_client(fault),
    }
}

fn of_client(fault: Fault) -> Outcome {
    match fault.is_lost {
        true => Outcome::ClientLost,
        false => Outcome::ClientReset,
    }
}

fn of_upstream(fault: Fault) -> Outcome {
    match fault.is_lost {
        true => Outcome::UpstreamLost,
        false => Outcome::UpstreamReset,
    }
}
