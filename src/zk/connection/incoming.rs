//! Frames from the socket.

use crate::zk::wire::{FrameError, MAX_FRAME, take_frame};
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of room made for one read: most requests fit, and many of a burst share one system call.
const READ_CHUNK: usize = 8 << 10;

/// The receiving half of a connection.
pub(super) struct Incoming<R> {
    socket: R,
    buffer: BytesMut,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[from] io::Error),
    /// The length in front of a frame is not one.
    #[error("the client sent what is no frame")]
    Frame(#[from] FrameError),
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Nothing received yet.
    pub(super) fn new(socket: R) -> Incoming<R> {
        let buffer = BytesMut::new();
        Incoming { socket, buffer }
    }

    /// The first four bytes, which stay; `None` if the client closes before.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) async fn peek(&mut self) -> io::Result<Option<[u8; 4]>> {
        loop {
            if let Some(first) = self.buffer.first_chunk::<4>() {
                return Ok(Some(*first));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next frame; `None` when the client has closed. A frame that the client began and did not
    /// finish is lost with the connection, as it must be.
    ///
    /// # Errors
    /// [`ReceiveError`]; the connection cannot be used any more.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub(super) async fn frame(&mut self) -> Result<Option<Bytes>, ReceiveError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, MAX_FRAME)? {
                return Ok(Some(frame));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Reads and forgets, until the client closes or the socket fails.
    pub(super) async fn drain(&mut self) {
        loop {
            self.buffer.clear();
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
    }

    /// Reads once; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(READ_CHUNK);
        }
        Ok(self.socket.read_buf(&mut self.buffer).await? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn frames_are_put_together_from_single_bytes() {
        let (mut client, server) = tokio::io::duplex(1);
        let mut incoming = Incoming::new(server);
        let send = async move { client.write_all(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x03c").await };
        let receive = async {
            assert_eq!(incoming.peek().await.expect("bytes"), Some([0, 0, 0, 2]));
            let mut frames = Vec::new();
            while let Some(frame) = incoming.frame().await.expect("frames") {
                frames.push(frame);
            }
            frames
        };
        let (sent, frames) = tokio::join!(send, receive);
        sent.expect("sent");
        assert_eq!(frames, [&b"ab"[..], b""]);
    }

    #[tokio::test]
    async fn a_length_beyond_the_limit_is_an_error_at_once() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"ruok").await.expect("sent");
        let error = Incoming::new(server).frame().await;
        assert!(matches!(error, Err(ReceiveError::Frame(_))));
    }
}
