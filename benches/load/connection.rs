//! One session's frames, and why there are none.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zoogate::tree::{Acl, ErrorCode, SessionId};
use zoogate::zk::wire::{
    ConnectFields, ConnectRequest, ConnectResponse, CreateRequest, FrameError, MAX_REPLY_FRAME,
    OpCode, ReplyHeader, RequestHeader, SetDataRequest, Wire, WireError, put_frame, take_frame,
};

/// Znodes that the operations read and write.
pub(crate) const KEYS: u64 = 1_000;

/// Data of a znode, bytes.
const DATA: &[u8] = &[b'x'; 128];

/// Asked for by every session; nothing here is silent for as long.
const SESSION_TIMEOUT_MS: i32 = 10_000;

/// A server that answers nothing for this long is not waited for: even its slowest disk would have answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes asked for at once: some hundred replies.
const READ_SIZE: usize = 16 << 10;

/// Why a measurement ends without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot talk to the server: {0}")]
    Io(#[from] io::Error),
    #[error("no answer for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("the session was refused")]
    Refused,
    #[error("{path} was refused with code {code}")]
    Unprepared { path: String, code: i32 },
    #[error("reply {0} is not the next")]
    OutOfOrder(i32),
    #[error("no ZooKeeper frame: {0}")]
    Frame(#[from] FrameError),
    #[error("no ZooKeeper record: {0}")]
    Record(#[from] WireError),
    #[error("at least one operation must be outstanding")]
    NothingOutstanding,
    #[error("cannot kill {pid}: {source}")]
    Kill { pid: i32, source: io::Error },
    #[error("no write was answered for {} s", .0.as_secs())]
    NoWrite(Duration),
}

/// A connection with a new session on it. Requests are queued, sent together and answered in order.
pub(crate) struct Connection {
    stream: TcpStream,
    incoming: BytesMut,
    outgoing: BytesMut,
    next_xid: i32,
    /// What was asked and not answered, in order.
    asked: VecDeque<i32>,
}

impl Connection {
    /// Connects and opens a session.
    pub(crate) async fn open(host: &str) -> Result<Connection, LoadError> {
        let stream = timeout(PATIENCE, TcpStream::connect(host)).await;
        let stream = stream.map_err(|_| LoadError::Silent)??;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            stream,
            incoming: BytesMut::with_capacity(READ_SIZE),
            outgoing: BytesMut::new(),
            next_xid: 0,
            asked: VecDeque::new(),
        };
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: SESSION_TIMEOUT_MS,
            session: SessionId::NONE,
            password: Some(Bytes::from_static(&[0; 16])),
        };
        let request = ConnectRequest {
            fields,
            read_only: Some(false),
        };
        put_frame(&mut connection.outgoing, &request, &());
        connection.flush().await?;
        let mut frame = connection.frame().await?;
        let granted = ConnectResponse::decode(&mut frame)?.fields;
        if granted.timeout_ms <= 0 {
            return Err(LoadError::Refused);
        }
        Ok(connection)
    }

    /// Queues a request.
    pub(crate) fn ask(&mut self, opcode: OpCode, body: &impl Wire) {
        let xid = self.next_xid;
        self.next_xid = xid.wrapping_add(1).max(0);
        let header = RequestHeader {
            xid,
            opcode: opcode.to_wire(),
        };
        put_frame(&mut self.outgoing, &header, body);
        self.asked.push_back(xid);
    }

    /// Queues a `setData` of the key with this number.
    pub(crate) fn ask_set(&mut self, key: u64) {
        let request = SetDataRequest {
            path: key_path(key).into(),
            data: Some(Bytes::from_static(DATA)),
            version: -1,
        };
        self.ask(OpCode::SetData, &request);
    }

    /// Queues a `create`.
    pub(crate) fn ask_create(&mut self, path: &str, ephemeral: bool) {
        let request = CreateRequest {
            path: path.into(),
            data: Some(Bytes::from_static(DATA)),
            acl: Acl::open(),
            flags: i32::from(ephemeral),
        };
        self.ask(OpCode::Create, &request);
    }

    /// Sends what is queued. It always fits the socket's buffer, so a server that does not read is no trap.
    pub(crate) async fn flush(&mut self) -> Result<(), LoadError> {
        self.stream.write_all(&self.outgoing).await?;
        self.outgoing.clear();
        Ok(())
    }

    /// The next answer's error code, 0 for none; waits for it.
    pub(crate) async fn answer(&mut self) -> Result<i32, LoadError> {
        let header = ReplyHeader::decode(&mut self.frame().await?)?;
        match self.asked.pop_front() {
            Some(asked) if asked == header.xid => Ok(header.error),
            _ => Err(LoadError::OutOfOrder(header.xid)),
        }
    }

    /// Whether the next answer has arrived, so that [`Connection::answer`] does not wait.
    pub(crate) fn has_answer(&self) -> bool {
        let length = self.incoming.first_chunk::<4>();
        let length = length.map(|prefix| u32::from_be_bytes(*prefix) as usize);
        length.is_some_and(|length| self.incoming.len() - 4 >= length)
    }

    /// Sends one request and waits for its answer.
    pub(crate) async fn finish(&mut self) -> Result<i32, LoadError> {
        self.flush().await?;
        self.answer().await
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) -> Result<i32, LoadError> {
        self.ask(OpCode::CloseSession, &());
        self.finish().await
    }

    async fn frame(&mut self) -> Result<Bytes, LoadError> {
        loop {
            if let Some(frame) = take_frame(&mut self.incoming, MAX_REPLY_FRAME)? {
                return Ok(frame);
            }
            self.incoming.reserve(READ_SIZE);
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.incoming)).await;
            if read.map_err(|_| LoadError::Silent)?? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// The path of a key.
pub(crate) fn key_path(key: u64) -> String {
    format!("/bench/keys/{key:04}")
}

/// Creates the keys, and the parents of everything else.
pub(crate) async fn prepare(connection: &mut Connection) -> Result<(), LoadError> {
    let parents = ["/bench", "/bench/keys", "/bench/made", "/bench/live"];
    let parents = parents.into_iter().map(String::from);
    for path in parents.chain((0..KEYS).map(key_path)) {
        connection.ask_create(&path, false);
        let code = connection.finish().await?;
        if code != 0 && code != ErrorCode::NodeExists.to_wire() {
            return Err(LoadError::Unprepared { path, code });
        }
    }
    Ok(())
}
