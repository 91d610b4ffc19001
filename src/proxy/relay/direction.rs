//! One direction of a relay, a small state machine:
//!
//! ```text
//!            bytes                        all written
//! Reading ----------> Writing, Draining --------------> Flushing --> Reading
//!    |                   '-- receiver slow: stay, stop reading (back-pressure)
//!    '-- end of file --> Closing -- shutdown(write) sent --> Done
//! ```
//! The end of file is passed on only after every byte before it was written; the other direction goes on until
//! its own end.
//!
//! System calls per small message: one read, one write. A read that fills less than the buffer tells the runtime
//! that the socket is empty, so there is no second read to meet `EAGAIN`.
//!
//! A pipe is filled only when it is empty. So `EAGAIN` from filling it has one meaning, an empty socket; a pipe that
//! was full would say the same, and who then waits for the socket waits for an event that has been already.

use super::kind::Kind;
use super::pipes::Pipe;
use super::{Carrier, Stock, Watch};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;

/// Bytes a direction moves before the worker's other flows have their turn: some 50 us of work. Raising it saves a
/// look at the event queue per turn, and adds to the latency of everybody else on the worker.
const TURN: usize = 256 * 1024;

/// What has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which end of the direction.
    pub end: End,
    /// Its peer has not reset the connection; it no longer answers.
    pub is_lost: bool,
}

/// An end of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What is read from.
    Source,
    /// What is written to.
    Sink,
}

impl Fault {
    fn source(error: &io::Error) -> Fault {
        Fault::at(End::Source, error)
    }

    fn sink(error: &io::Error) -> Fault {
        Fault::at(End::Sink, error)
    }

    /// A socket error stays until it is read once, and what follows it is `EPIPE`, so the first one counts.
    fn at(end: End, error: &io::Error) -> Fault {
        let is_lost = matches!(
            error.kind(),
            io::ErrorKind::TimedOut
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        );
        Fault { end, is_lost }
    }
}

/// One direction of a relay.
pub struct Direction<'a> {
    state: State,
    kind: Kind,
    /// The kernel has refused to splice these sockets.
    splice_refused: bool,
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
    /// So many bytes wait in the pipe.
    Draining {
        pipe: Pipe,
        inside: usize,
    },
    Flushing,
    Closing,
    Done,
}

/// What a direction sees of its relay and its worker.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// The eye on the connection.
    pub watch: &'a Watch,
    /// The worker's buffers and pipes.
    pub stock: &'a Stock,
    /// Whether the other direction is done.
    pub is_last: bool,
}

impl<'a> Direction<'a> {
    /// A direction that passes `early` on first, and counts in `passed`.
    pub fn new(early: &[u8], passed: &'a Cell<u64>) -> Direction<'a> {
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
            kind: Kind::Chatty(0),
            splice_refused: false,
            passed,
        }
    }

    /// Whether the end of the source was passed on.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Moves bytes as far as they go now, or for one turn; ready when the end of `from` was passed on, or is the last
    /// thing to pass on before both sockets are closed.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Carrier,
        to: &mut impl Carrier,
        shared: Shared<'_>,
    ) -> Poll<Result<(), Fault>> {
        let before = self.passed.get();
        loop {
            match &self.state {
                State::Reading if self.passed.get() - before >= TURN as u64 => {
                    return rest(cx);
                }
                State::Reading => ready!(self.poll_take(cx, from, to, shared))?,
                State::Writing { .. } => ready!(self.poll_write(cx, to, shared))?,
                State::Draining { .. } => ready!(self.poll_drain(cx, to.socket(), shared))?,
                State::Flushing => {
                    let flushed = ready!(Pin::new(&mut *to).poll_flush(cx));
                    flushed.map_err(|error| Fault::sink(&error))?;
                    self.state = State::Reading;
                }
                // Closing the socket says it too, and nothing comes after.
                State::Closing if shared.is_last && to.is_plain() => self.state = State::Done,
                State::Closing => {
                    let closed = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.state = State::Done;
                    closed.map_err(|error| Fault::sink(&error))?;
                }
                State::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Takes bytes from the source by the technique that suits the stream; whatever comes of it is the next state.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Carrier,
        to: &impl Carrier,
        shared: Shared<'_>,
    ) -> Poll<Result<(), Fault>> {
        if self.kind.is_bulk() && !self.splice_refused && from.is_plain() && to.is_plain() {
            let filled = ready!(poll_fill(cx, from.socket(), shared.stock));
            match filled {
                Ok(Some((pipe, inside))) => {
                    self.took(inside, shared.watch);
                    match inside {
                        0 => shared.stock.pipes.give(pipe),
                        _ => self.state = State::Draining { pipe, inside },
                    }
                    return Poll::Ready(Ok(()));
                }
                Ok(None) => {}
                Err(error) if is_refusal(&error) => self.splice_refused = true,
                Err(error) => return Poll::Ready(Err(Fault::source(&error))),
            }
        }
        self.poll_read(cx, from, shared)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Carrier,
        Shared { watch, stock, .. }: Shared<'_>,
    ) -> Poll<Result<(), Fault>> {
        let mut buffer = stock.buffers.take(self.kind.is_bulk());
        let mut read = ReadBuf::new(&mut buffer);
        let polled = Pin::new(from).poll_read(cx, &mut read);
        let end = read.filled().len();
        if let Poll::Ready(Ok(())) = polled {
            self.took(end, watch);
            if end > 0 {
                let start = 0;
                self.state = State::Writing { buffer, start, end };
                return Poll::Ready(Ok(()));
            }
        }
        stock.buffers.give(buffer);
        polled.map_err(|error| Fault::source(&error))
    }

    /// So many bytes were taken from the source; none is its end.
    fn took(&mut self, bytes: usize, watch: &Watch) {
        match bytes {
            0 => self.state = State::Closing,
            _ => {
                watch.touch();
                self.kind.took(bytes);
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut impl Carrier,
        shared: Shared<'_>,
    ) -> Poll<Result<(), Fault>> {
        let State::Writing { buffer, start, end } = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let written = ready!(Pin::new(to).poll_write(cx, &buffer[*start..*end]));
        let written = written.and_then(some).map_err(|e| Fault::sink(&e))?;
        *start += written;
        if start == end {
            shared.stock.buffers.give(std::mem::take(buffer));
            self.state = State::Flushing;
        }
        self.passed_on(written, shared.watch);
        Poll::Ready(Ok(()))
    }

    fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
        Shared { watch, stock, .. }: Shared<'_>,
    ) -> Poll<Result<(), Fault>> {
        let State::Draining { pipe, inside } = &mut self.state else {
            return Poll::Ready(Ok(()));
        };
        let drained = ready!(poll_io(cx, to, Interest::WRITABLE, || pipe.drain(to, *inside)));
        match drained.and_then(some) {
            Ok(drained) => {
                *inside -= drained;
                if *inside == 0
                    && let State::Draining { pipe, .. } =
                        std::mem::replace(&mut self.state, State::Reading)
                {
                    stock.pipes.give(pipe);
                }
                self.passed_on(drained, watch);
            }
            Err(error) if is_refusal(&error) => {
                let (start, end) = (0, *inside);
                let buffer = pipe.empty(end).map_err(|e| Fault::sink(&e))?;
                self.splice_refused = true;
                self.state = State::Writing { buffer, start, end };
            }
            Err(error) => return Poll::Ready(Err(Fault::sink(&error))),
        }
        Poll::Ready(Ok(()))
    }

    fn passed_on(&self, bytes: usize, watch: &Watch) {
        watch.touch();
        self.passed.set(self.passed.get() + bytes as u64);
        if std::ptr::eq(self.passed, &watch.sent) {
            watch.heard();
        }
    }
}

/// A pipe with what the socket has received, and how much that is; `None` when there is no pipe.
fn poll_fill(
    cx: &mut Context<'_>,
    from: &TcpStream,
    stock: &Stock,
) -> Poll<io::Result<Option<(Pipe, usize)>>> {
    // Before a pipe is taken: most polls find nothing.
    ready!(from.poll_read_ready(cx))?;
    let Some(pipe) = stock.pipes.take() else {
        return Poll::Ready(Ok(None));
    };
    let filled = poll_io(cx, from, Interest::READABLE, || pipe.fill(from));
    match filled {
        Poll::Ready(Ok(inside)) => Poll::Ready(Ok(Some((pipe, inside)))),
        // It is as empty as it was.
        Poll::Ready(Err(error)) => {
            stock.pipes.give(pipe);
            Poll::Ready(Err(error))
        }
        Poll::Pending => {
            stock.pipes.give(pipe);
            Poll::Pending
        }
    }
}

/// Does `io` as soon as the socket is ready for it.
fn poll_io<T>(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    interest: Interest,
    mut io: impl FnMut() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    loop {
        match interest.is_readable() {
            true => ready!(socket.poll_read_ready(cx))?,
            false => ready!(socket.poll_write_ready(cx))?,
        }
        match socket.try_io(interest, &mut io) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

/// A write that takes nothing would be tried again for ever.
fn some(written: usize) -> io::Result<usize> {
    match written {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(written),
    }
}

/// The kernel cannot splice this kind of socket.
fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

/// Comes back after the others: once the event queue was looked at.
fn rest<T>(cx: &mut Context<'_>) -> Poll<T> {
    // Polled once, it puts the waker where the runtime keeps those who gave way; there is nothing else to it.
    let _gave_way = pin!(yield_now()).poll(cx);
    Poll::Pending
}
