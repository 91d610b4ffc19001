//! Two-way copy between two sockets: half-close, resets and back-pressure are passed on, nothing is reordered.
//!
//! One future drives both directions; each is a small state machine:
//! ```text
//!            bytes                      all written
//! Reading ----------> Writing ---------------------> Reading
//!    |                   '-- receiver slow: stay, stop reading (back-pressure)
//!    '-- end of file --> Closing -- shutdown(write) sent --> Done
//! ```
//! The end of file is passed on only after every byte before it was written; the other direction goes on until
//! its own end. An error on either socket is passed on as RST, because an orderly FIN would let the peer take a
//! broken stream for a complete one.
//!
//! System calls per message: one read, one write. A read that fills less than the buffer tells the runtime that
//! the socket is empty, so there is no second read to meet `EAGAIN`.
//!
//! Source: RFC 9293 section 3.6 for half-close; the duplex state machine follows linkerd's.

use super::buffers::{Buffers, SMALL};
use super::outcome::Outcome;
use super::watch::Watch;
use crate::net::reset_on_close;
use bytes::Bytes;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// Reads in a row that fill a small buffer before a stream counts as bulk: 64 KiB without a pause.
const FULL_READS_TO_BULK: u8 = 4;

/// A socket and bytes that were read from it already.
pub struct Peer {
    /// The socket.
    pub stream: TcpStream,
    /// To be passed on before anything is read.
    pub early: Bytes,
}

impl From<TcpStream> for Peer {
    fn from(stream: TcpStream) -> Peer {
        let early = Bytes::new();
        Peer { stream, early }
    }
}

/// Copies both ways until both sides have ended, one fails, or the watch decides; closes both sockets.
pub async fn relay(client: Peer, upstream: Peer, watch: &Watch, buffers: &Buffers) -> Outcome {
    let (mut client, mut upstream, early) = (
        client.stream,
        upstream.stream,
        (client.early, upstream.early),
    );
    let outcome = {
        let (mut client_read, mut client_write) = client.split();
        let (mut upstream_read, mut upstream_write) = upstream.split();
        let mut up = Direction::new(&early.0, &watch.received);
        let mut down = Direction::new(&early.1, &watch.sent);
        poll_fn(|cx| {
            if let Some(verdict) = watch.verdict(cx) {
                return Poll::Ready(verdict);
            }
            let pace = &Pace { watch, buffers };
            let up = up.poll(cx, &mut client_read, &mut upstream_write, pace);
            if let Poll::Ready(Err(fault)) = up {
                return Poll::Ready(fault.seen_upwards());
            }
            let down = down.poll(cx, &mut upstream_read, &mut client_write, pace);
            match (up, down) {
                (_, Poll::Ready(Err(fault))) => Poll::Ready(fault.seen_downwards()),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Outcome::Done),
                _ => Poll::Pending,
            }
        })
        .await
    };
    close(outcome, &mut client, &mut upstream).await;
    outcome
}

/// Both sockets learn how it ended: by RST when it broke, by FIN otherwise.
async fn close(outcome: Outcome, client: &mut TcpStream, upstream: &mut TcpStream) {
    match outcome {
        Outcome::Done => {}
        Outcome::ClientReset | Outcome::UpstreamReset => {
            reset_on_close(client);
            reset_on_close(upstream);
        }
        // A socket that is gone already cannot be shut down again; that is as good.
        _ => {
            let _ = client.shutdown().await;
            let _ = upstream.shutdown().await;
        }
    }
}

/// What both directions share.
struct Pace<'a> {
    watch: &'a Watch,
    buffers: &'a Buffers,
}

/// Which socket of a direction failed.
enum Fault {
    Source,
    Sink,
}

impl Fault {
    fn seen_upwards(self) -> Outcome {
        match self {
            Fault::Source => Outcome::ClientReset,
            Fault::Sink => Outcome::UpstreamReset,
        }
    }

    fn seen_downwards(self) -> Outcome {
        match self {
            Fault::Source => Outcome::UpstreamReset,
            Fault::Sink => Outcome::ClientReset,
        }
    }
}

/// One direction of a relay.
struct Direction<'a> {
    state: State,
    bulk: Bulk,
    passed: &'a Cell<u64>,
}

enum State {
    Reading,
    /// `buffer[start..end]` waits to be written.
    Writing {
        buffer: Box<[u8]>,
        start: usize,
        end: usize,
    },
    Closing,
    Done,
}

impl<'a> Direction<'a> {
    fn new(early: &[u8], passed: &'a Cell<u64>) -> Direction<'a> {
        let state = match early.len() {
            0 => State::Reading,
            end => State::Writing {
                buffer: early.into(),
                start: 0,
                end,
            },
        };
        Direction {
            state,
            bulk: Bulk::Not { full_reads: 0 },
            passed,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        pace: &Pace<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            match &mut self.state {
                State::Reading => ready!(self.poll_read(cx, from, pace))?,
                State::Writing { buffer, start, end } => {
                    let rest = &buffer[*start..*end];
                    let written = ready!(Pin::new(&mut *to).poll_write(cx, rest));
                    let Ok(written @ 1..) = written else {
                        return Poll::Ready(Err(Fault::Sink));
                    };
                    pace.watch.touch();
                    self.passed.set(self.passed.get() + written as u64);
                    *start += written;
                    if start == end {
                        pace.buffers.give(std::mem::take(buffer));
                        self.state = State::Reading;
                    }
                }
                State::Closing => {
                    let closed = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.state = State::Done;
                    if closed.is_err() {
                        return Poll::Ready(Err(Fault::Sink));
                    }
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Reads once; whatever comes of it is the next state.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        pace: &Pace<'_>,
    ) -> Poll<Result<(), Fault>> {
        let mut buffer = pace.buffers.take(self.bulk == Bulk::Shown);
        let mut read = ReadBuf::new(&mut buffer);
        let polled = Pin::new(from).poll_read(cx, &mut read);
        let end = read.filled().len();
        match polled {
            Poll::Ready(Ok(())) if end > 0 => {
                pace.watch.touch();
                self.bulk.read(end);
                self.state = State::Writing {
                    buffer,
                    start: 0,
                    end,
                };
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Ok(())) => self.state = State::Closing,
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        pace.buffers.give(buffer);
        polled.map_err(|_| Fault::Source)
    }
}

/// Whether a stream is worth large buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bulk {
    Not { full_reads: u8 },
    Shown,
}

impl Bulk {
    fn read(&mut self, bytes: usize) {
        *self = match *self {
            Bulk::Shown => Bulk::Shown,
            Bulk::Not { .. } if bytes < SMALL => Bulk::Not { full_reads: 0 },
            Bulk::Not { full_reads } if full_reads + 1 >= FULL_READS_TO_BULK => Bulk::Shown,
            Bulk::Not { full_reads } => Bulk::Not {
                full_reads: full_reads + 1,
            },
        };
    }
}
