//! Frames: a four-byte big-endian length, then that many bytes of postcard.
//!
//! The writing half gathers: what is queued together leaves in one system call, which costs both members more
//! than all else about a small frame.

use crate::net::TcpStream;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{FutureExt, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Largest frame between members, bytes. The largest legitimate ones are a batch of appended entries and a
/// batch of forwarded proposals, each bounded by [`super::super::limits::BATCH_BYTES`] plus one oversize entry.
/// Raising it raises what a peer can make this member allocate per connection.
pub(super) const MAX_FRAME: usize = 32 << 20;

/// Bytes of the length in front of a frame.
const PREFIX: usize = 4;

/// Bytes of room made for one read: the answers to a burst share one system call.
const READ_CHUNK: usize = 16 << 10;

/// Least room for one read, bytes: most frames fit, so that none is read in two halves for want of room.
const READ_ROOM: usize = 1 << 10;

/// Bytes gathered after which they leave, whatever else there is to say.
const GATHERED: usize = 64 << 10;

/// Longest wait for one who is refused to close.
const DRAIN: Duration = Duration::from_millis(100);

/// A buffer that grew beyond this many bytes is given back once it is sent.
const KEPT_BUFFER: usize = 1 << 20;

/// A connection between two members, by frames.
pub(in crate::ensemble) struct Framed {
    /// What the other side says.
    pub(super) reader: FrameReader,
    /// What this side says.
    pub(super) writer: FrameWriter,
}

impl Framed {
    /// Frames over a fresh connection.
    pub(super) fn plain(stream: TcpStream) -> Framed {
        let (read, write) = stream.into_split();
        Framed::of(Box::new(read), Box::new(write))
    }

    /// Frames within TLS. A lock that nobody holds for long joins both halves, which plain sockets do without.
    pub(super) fn secure<S>(stream: S) -> Framed
    where
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        Framed::of(Box::new(read), Box::new(write))
    }

    fn of(
        read: Box<dyn AsyncRead + Send + Sync + Unpin>,
        write: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    ) -> Framed {
        Framed {
            reader: FrameReader {
                socket: read,
                buffer: BytesMut::new(),
            },
            writer: FrameWriter {
                socket: write,
                buffer: Vec::new(),
            },
        }
    }
}

/// The reading half.
pub(in crate::ensemble) struct FrameReader {
    socket: Box<dyn AsyncRead + Send + Sync + Unpin>,
    buffer: BytesMut,
}

impl FrameReader {
    /// The next frame, or `None` when the other side has closed between frames.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn raw(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            let missing = match self.buffer.first_chunk::<PREFIX>() {
                None => READ_ROOM,
                Some(prefix) => {
                    let length = u32::from_be_bytes(*prefix) as usize;
                    if length > MAX_FRAME {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    if self.buffer.len() >= PREFIX + length {
                        self.buffer.advance(PREFIX);
                        return Ok(Some(self.buffer.split_to(length)));
                    }
                    PREFIX + length - self.buffer.len()
                }
            };
            if self.buffer.capacity() - self.buffer.len() < missing {
                self.buffer.reserve(missing.max(READ_CHUNK));
            }
            if self.read().await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// More of what the other side says; 0 at the end.
    async fn read(&mut self) -> io::Result<usize> {
        match self.socket.read_buf(&mut self.buffer).await {
            // A process that ends says no goodbye within TLS. Frames have lengths, so nothing is cut off unnoticed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// Throws away what has arrived, or arrives within [`DRAIN`].
    pub(super) async fn drain(&mut self) {
        let all = async {
            while self.buffer.len() < READ_CHUNK && matches!(self.read().await, Ok(1..)) {}
        };
        let _ = timeout(DRAIN, all).await;
    }

    /// The next frame, decoded; an end of the stream is an error.
    pub(super) async fn message<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let frame = self.raw().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        decode(&frame)
    }
}

/// The writing half. After a write that failed or was cancelled, it is of no use any more.
pub(in crate::ensemble) struct FrameWriter {
    socket: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    buffer: Vec<u8>,
}

impl FrameWriter {
    /// Sends one message at once.
    pub(super) async fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.queue(message)?;
        self.flush().await
    }

    /// Sends one frame at once.
    pub(super) async fn raw(&mut self, frame: Bytes) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(&frame);
        self.flush().await
    }

    /// Queues one message, to leave with the next [`flush`](FrameWriter::flush).
    pub(super) fn queue<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; PREFIX]);
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer = postcard::to_extend(message, buffer).map_err(io::Error::other)?;
        let length = self.buffer.len() - start - PREFIX;
        let length = u32::try_from(length).map_err(io::Error::other)?;
        self.buffer[start..start + PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Sends what is queued.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.buffer).await?;
        // TLS may hold back the end of it.
        self.socket.flush().await?;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(())
    }

    /// The next item of `items`. What is queued waits for it only if it is there already, and leaves before this
    /// waits for it.
    pub(super) async fn next_of<S>(&mut self, items: &mut S) -> io::Result<Option<S::Item>>
    where
        S: Stream + Unpin,
    {
        if !self.buffer.is_empty() {
            if self.buffer.len() < GATHERED
                && let Some(item) = items.next().now_or_never()
            {
                return Ok(item);
            }
            self.flush().await?;
        }
        Ok(items.next().await)
    }
}

/// The message a frame holds.
///
/// # Errors
/// `InvalidData` when it is something else.
pub(super) fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    postcard::from_bytes(frame).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
