//! Frames: a four-byte big-endian length, then that many bytes of postcard.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// Largest frame between members, bytes. The largest legitimate ones are a batch of appended entries and a
/// batch of forwarded proposals, each bounded by [`super::super::limits::BATCH_BYTES`] plus one oversize entry.
/// Raising it raises what a peer can make this member allocate per connection.
pub(super) const MAX_FRAME: usize = 32 << 20;

/// A connection between two members, by frames.
pub(in crate::ensemble) struct Framed {
    /// What the other side says.
    pub(super) reader: FrameReader,
    /// What this side says.
    pub(super) writer: FrameWriter,
}

impl Framed {
    /// Frames over a fresh connection.
    pub(super) fn new(stream: TcpStream) -> Framed {
        let (read, write) = stream.into_split();
        Framed {
            reader: FrameReader(FramedRead::new(read, codec())),
            writer: FrameWriter(FramedWrite::new(write, codec())),
        }
    }
}

/// The reading half.
pub(in crate::ensemble) struct FrameReader(FramedRead<OwnedReadHalf, LengthDelimitedCodec>);

impl FrameReader {
    /// The next frame, or `None` when the other side has closed between frames.
    pub(super) async fn raw(&mut self) -> io::Result<Option<BytesMut>> {
        self.0.next().await.transpose()
    }

    /// The next frame, decoded; an end of the stream is an error.
    pub(super) async fn message<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let frame = self.raw().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        decode(&frame)
    }
}

/// The writing half.
pub(in crate::ensemble) struct FrameWriter(FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>);

impl FrameWriter {
    /// Sends one message at once.
    pub(super) async fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        self.raw(encode(message)?).await
    }

    /// Sends one frame at once.
    pub(super) async fn raw(&mut self, frame: Bytes) -> io::Result<()> {
        self.0.send(frame).await
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .max_frame_length(MAX_FRAME)
        .new_codec()
}

fn encode<T: Serialize>(message: &T) -> io::Result<Bytes> {
    postcard::to_stdvec(message)
        .map(Bytes::from)
        .map_err(io::Error::other)
}

/// The message a frame holds.
///
/// # Errors
/// `InvalidData` when it is something else.
pub(super) fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    postcard::from_bytes(frame).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
