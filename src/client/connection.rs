//! One TCP connection to one server: the handshake, then frames in and frames out.
//!
//! The two directions are separate values, because the session waits for both at once. Both may be dropped
//! in the middle of a wait without losing a byte: what has arrived, or has still to go, is in their buffers.

use super::{AttemptError, Login, Refusal};
use crate::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use crate::tree::SessionId;
use crate::zk::wire::{
    ConnectFields, ConnectRequest, ConnectResponse, MAX_REPLY_FRAME, OpCode, ReplyHeader,
    RequestHeader, Wire, XID_AUTH, put_frame, take_frame,
};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A session as a server granted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// Its id.
    pub(super) id: SessionId,
    /// The proof for reattaching.
    pub(super) password: Bytes,
    /// The negotiated timeout.
    pub(super) timeout: Duration,
}

/// A connection with a session on it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Whom it leads to, as the list of hosts names it.
    pub(super) server: String,
    /// Frames from the server.
    pub(super) reader: FrameReader,
    /// Frames to the server.
    pub(super) writer: FrameWriter,
}

impl Connection {
    /// Connects, opens or reattaches the session that `request` asks for, and logs in, all within `limit`.
    ///
    /// # Errors
    /// [`AttemptError`]; [`AttemptError::SessionGone`] is the ensemble's verdict, anything else only this
    /// server's.
    pub(super) async fn open(
        server: &str,
        request: ConnectFields,
        login: Option<&Login>,
        limit: Duration,
    ) -> Result<(Connection, Grant), AttemptError> {
        let ready = async {
            let (mut connection, grant) = Connection::shake_hands(server, request).await?;
            if let Some(login) = login {
                connection.log_in(login).await?;
            }
            Ok((connection, grant))
        };
        match tokio::time::timeout(limit, ready).await {
            Ok(result) => result,
            Err(_) => Err(AttemptError::Silent(limit)),
        }
    }

    async fn shake_hands(
        server: &str,
        fields: ConnectFields,
    ) -> Result<(Connection, Grant), AttemptError> {
        let stream = TcpStream::connect(server).await?;
        // Requests are small and waited for: Nagle's algorithm would hold each back for the ack of the last.
        stream.set_nodelay(true)?;
        let (read_half, write_half) = stream.into_split();
        let mut connection = Connection {
            server: server.into(),
            reader: FrameReader::new(read_half),
            writer: FrameWriter::new(write_half),
        };
        let request = ConnectRequest {
            fields,
            read_only: Some(false),
        };
        connection.writer.put(&request, &());
        connection.writer.flush().await?;
        let mut frame = connection.reader.frame().await?;
        let granted = ConnectResponse::decode(&mut frame)?.fields;
        match u64::try_from(granted.timeout_ms) {
            Ok(timeout_ms) if timeout_ms > 0 && granted.session != SessionId::NONE => {
                let grant = Grant {
                    id: granted.session,
                    password: granted.password.unwrap_or_default(),
                    timeout: Duration::from_millis(timeout_ms),
                };
                Ok((connection, grant))
            }
            _ => Err(AttemptError::SessionGone),
        }
    }
}

impl Connection {
    /// Waits for the answer too: what comes afterwards must not be refused for want of the identity. A new
    /// connection has no watches, so nothing else can come first.
    async fn log_in(&mut self, login: &Login) -> Result<(), AttemptError> {
        let header = RequestHeader {
            xid: XID_AUTH,
            opcode: OpCode::Auth.to_wire(),
        };
        self.writer.put(&header, &login.request());
        self.writer.flush().await?;
        let answer = ReplyHeader::decode(&mut self.reader.frame().await?)?;
        match (answer.xid, answer.error) {
            (XID_AUTH, 0) => Ok(()),
            (XID_AUTH, code) => Err(AttemptError::Login(Refusal(code))),
            (got, _) => Err(AttemptError::OutOfOrder {
                got,
                expected: XID_AUTH,
            }),
        }
    }
}

/// Cuts what a server sends into frames.
#[derive(Debug)]
pub(super) struct FrameReader {
    stream: OwnedReadHalf,
    buffer: BytesMut,
}

impl FrameReader {
    fn new(stream: OwnedReadHalf) -> FrameReader {
        FrameReader {
            stream,
            buffer: BytesMut::with_capacity(READ_SIZE),
        }
    }

    /// The next frame, without its length.
    ///
    /// # Errors
    /// [`AttemptError::Closed`] at the end of the stream, an I/O error, or a length beyond all bounds.
    ///
    /// # Cancel safety
    /// A partly received frame stays in the buffer for the next call.
    pub(super) async fn frame(&mut self) -> Result<Bytes, AttemptError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer, MAX_REPLY_FRAME)? {
                return Ok(frame);
            }
            if self.buffer.capacity() == self.buffer.len() {
                self.buffer.reserve(READ_SIZE);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(AttemptError::Closed);
            }
        }
    }
}

/// Gathers frames and sends them as fast as the server takes them.
#[derive(Debug)]
pub(super) struct FrameWriter {
    stream: OwnedWriteHalf,
    buffer: BytesMut,
}

impl FrameWriter {
    fn new(stream: OwnedWriteHalf) -> FrameWriter {
        FrameWriter {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// Appends a frame; it leaves with the next [`FrameWriter::flush`].
    pub(super) fn put(&mut self, head: &impl Wire, body: &impl Wire) {
        put_frame(&mut self.buffer, head, body);
    }

    /// Bytes that have not left yet.
    pub(super) fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Sends everything that was put.
    ///
    /// # Cancel safety
    /// What has not left stays in the buffer for the next call.
    pub(super) async fn flush(&mut self) -> Result<(), AttemptError> {
        while !self.buffer.is_empty() {
            if self.stream.write_buf(&mut self.buffer).await? == 0 {
                return Err(AttemptError::Closed);
            }
        }
        Ok(())
    }
}

/// Bytes asked for at once: some hundred replies of usual size.
const READ_SIZE: usize = 16 << 10;
