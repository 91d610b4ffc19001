//! A ZooKeeper port over a member, and a client that hides nothing of what it is sent.

use super::PATIENCE;
use super::ensemble::Members;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zoogate::config::ZookeeperConfig;
use zoogate::net::ServerTls;
use zoogate::net::TlsFailure;
use zoogate::telemetry::Metrics;
use zoogate::tree::{Acl, SessionId};
use zoogate::zk::Monitor;
use zoogate::zk::wire::{
    ConnectFields, ConnectRequest, ConnectResponse, CreateRequest, MAX_REPLY_FRAME, OpCode,
    ReadRequest, ReplyHeader, RequestHeader, SetDataRequest, WatcherEvent, Wire, XID_EVENT,
    put_frame, take_frame,
};

/// The ZooKeeper port of one member.
pub struct Port {
    /// Where clients connect.
    pub addr: SocketAddr,
    /// Where clients connect with TLS; the same as `addr` without.
    pub tls_addr: SocketAddr,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What it tells about itself.
    pub monitor: Monitor,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Port {
    /// How many TLS handshakes have failed.
    pub fn tls_failures(&self) -> u64 {
        let reasons = TlsFailure::ALL.map(TlsFailure::as_str);
        let count = |reason| {
            self.metrics
                .tls
                .failures
                .with_label_values(&["zookeeper", reason])
                .get()
        };
        reasons.into_iter().map(count).sum()
    }

    /// Opens a port over a running member.
    pub async fn open(members: &Members, name: &str) -> Port {
        Port::open_with(members, name, |_| ()).await
    }

    /// As [`Port::open`], with other settings.
    pub async fn open_with(
        members: &Members,
        name: &str,
        change: impl FnOnce(&mut ZookeeperConfig),
    ) -> Port {
        Port::open_secured(members, name, change, None).await
    }

    /// As [`Port::open_with`], with TLS besides.
    pub async fn open_secured(
        members: &Members,
        name: &str,
        change: impl FnOnce(&mut ZookeeperConfig),
        tls: Option<Arc<ServerTls>>,
    ) -> Port {
        let (plain, addr) = listen().await;
        let (tls, tls_addr) = match tls {
            Some(tls) => {
                let (listener, addr) = listen().await;
                (Some((listener, tls)), addr)
            }
            None => (None, addr),
        };
        let listeners = zoogate::zk::Listeners { plain, tls };
        let mut config = members.config(name);
        config.zookeeper = ZookeeperConfig::at(addr);
        change(&mut config.zookeeper);
        let stop = CancellationToken::new();
        let metrics = Metrics::new(name);
        let (member, watches) = (members.member(name), members.watches(name));
        let monitor = Monitor::new(&config, addr, member, watches, metrics.clone());
        let serving = zoogate::zk::serve(listeners, monitor.clone(), stop.clone());
        Port {
            addr,
            tls_addr,
            metrics,
            monitor,
            stop,
            serving: tokio::spawn(serving),
        }
    }

    /// Stops the port; returns when all its connections are closed.
    pub async fn close(self) {
        self.stop.cancel();
        let closed = timeout(PATIENCE, self.serving).await;
        closed.expect("closes in time").expect("without a panic");
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

/// Both directions of a connection.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// One frame from the server.
#[derive(Debug)]
pub enum Message {
    /// A watch fired.
    Event {
        /// From the header.
        zxid: i64,
        /// An event type.
        kind: i32,
        /// The znode.
        path: String,
    },
    /// A reply.
    Reply(Reply),
}

/// A reply, with its body still encoded.
#[derive(Debug)]
pub struct Reply {
    /// Its header.
    pub header: ReplyHeader,
    /// Behind the header.
    pub body: Bytes,
}

impl Reply {
    /// The body as a record; fails the test if the reply is an error or has more in it.
    pub fn read<T: Wire>(mut self) -> T {
        assert_eq!(self.header.error, 0);
        let record = T::decode(&mut self.body).expect("the record of this operation");
        assert!(self.body.is_empty());
        record
    }

    /// The error in the header; fails the test if there is a body beside it.
    pub fn error(&self) -> i32 {
        assert!(self.header.error == 0 || self.body.is_empty());
        self.header.error
    }
}

/// One connection.
pub struct Client {
    socket: Box<dyn Socket>,
    buffer: BytesMut,
    xid: i32,
    /// Its session.
    pub session: SessionId,
    /// Its session's password.
    pub password: Option<Bytes>,
    /// Events met on the way to replies, oldest first.
    pub events: Vec<(i32, String)>,
}

/// A request for a new session.
pub fn connect_request() -> ConnectRequest {
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 10_000,
        session: SessionId::NONE,
        password: None,
    };
    let read_only = Some(false);
    ConnectRequest { fields, read_only }
}

impl Client {
    /// Connects, and no more.
    pub async fn connect(addr: SocketAddr) -> Client {
        Client::over(TcpStream::connect(addr).await.expect("the port listens"))
    }

    /// A client of a connection that exists already.
    pub fn over(socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Client {
        Client {
            socket: Box::new(socket),
            buffer: BytesMut::new(),
            xid: 0,
            session: SessionId::NONE,
            password: None,
            events: Vec::new(),
        }
    }

    /// Connects and opens a session.
    pub async fn open(addr: SocketAddr) -> Client {
        let mut client = Client::connect(addr).await;
        let response = client.shake(&connect_request()).await.expect("an answer");
        assert_ne!(response.fields.session, SessionId::NONE);
        client
    }

    /// Connects and takes over the session of another client.
    pub async fn reattach(addr: SocketAddr, other: &Client) -> Client {
        let mut client = Client::connect(addr).await;
        let response = client.shake(&other.reattach_request()).await;
        let response = response.expect("an answer");
        assert_eq!(response.fields.session, other.session);
        client
    }

    /// A request to take over this client's session.
    pub fn reattach_request(&self) -> ConnectRequest {
        let mut request = connect_request();
        request.fields.session = self.session;
        request.fields.password = self.password.clone();
        request
    }

    /// Sends a handshake; `None` if the server closes instead of answering.
    pub async fn shake(&mut self, request: &ConnectRequest) -> Option<ConnectResponse> {
        let mut frame = BytesMut::new();
        put_frame(&mut frame, &(), request);
        self.raw(&frame).await;
        self.shaken().await
    }

    /// The answer to a handshake that was sent as raw bytes.
    pub async fn shaken(&mut self) -> Option<ConnectResponse> {
        let response = ConnectResponse::decode(&mut self.frame().await?).expect("a response");
        self.session = response.fields.session;
        self.password = response.fields.password.clone();
        Some(response)
    }

    /// Sends bytes as they are; a server that has closed meanwhile does not matter.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes).await;
        let _ = self.socket.flush().await;
    }

    /// Ends our side of the connection.
    pub async fn end(&mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Sends a request; returns its xid.
    pub async fn send(&mut self, op: OpCode, record: &impl Wire) -> i32 {
        self.xid += 1;
        let mut frame = BytesMut::new();
        put_request(&mut frame, self.xid, op.to_wire(), record);
        self.raw(&frame).await;
        self.xid
    }

    /// Sends a request and waits for its reply.
    pub async fn call(&mut self, op: OpCode, record: &impl Wire) -> Reply {
        let xid = self.send(op, record).await;
        let reply = self.reply().await;
        assert_eq!(reply.header.xid, xid);
        reply
    }

    /// The next reply; events before it are kept.
    pub async fn reply(&mut self) -> Reply {
        loop {
            match self.message().await.expect("the connection is open") {
                Message::Reply(reply) => return reply,
                Message::Event { kind, path, .. } => self.events.push((kind, path)),
            }
        }
    }

    /// The next frame; `None` if the server has closed.
    pub async fn message(&mut self) -> Option<Message> {
        let mut body = self.frame().await?;
        let header = ReplyHeader::decode(&mut body).expect("a header");
        if header.xid != XID_EVENT {
            return Some(Message::Reply(Reply { header, body }));
        }
        let event = WatcherEvent::decode(&mut body).expect("an event");
        Some(Message::Event {
            zxid: header.zxid,
            kind: event.kind,
            path: event.path.to_string(),
        })
    }

    /// Waits until the server closes; what it sends before is dropped.
    pub async fn closed(&mut self) {
        while self.frame().await.is_some() {}
    }

    /// Everything the server sends until it closes, as text.
    pub async fn text(&mut self) -> String {
        let mut text = String::new();
        let read = timeout(PATIENCE, self.socket.read_to_string(&mut text)).await;
        read.expect("closes in time").expect("text, then the end");
        text
    }

    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            let frame = take_frame(&mut self.buffer, MAX_REPLY_FRAME).expect("a frame");
            if frame.is_some() {
                return frame;
            }
            let read = timeout(PATIENCE, self.socket.read_buf(&mut self.buffer)).await;
            // A reset is an end, too.
            if read.expect("an answer in time").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// `create`
    pub async fn create(&mut self, path: &str, flags: i32) -> Reply {
        self.call(OpCode::Create, &create(path, flags)).await
    }

    /// `setData`
    pub async fn set(&mut self, path: &str, data: &str) -> Reply {
        self.call(OpCode::SetData, &set(path, data)).await
    }

    /// A read without a watch, or with one.
    pub async fn get(&mut self, op: OpCode, path: &str, watch: bool) -> Reply {
        let path = path.into();
        self.call(op, &ReadRequest { path, watch }).await
    }
}

/// Appends a request.
pub fn put_request(out: &mut BytesMut, xid: i32, opcode: i32, record: &impl Wire) {
    put_frame(out, &RequestHeader { xid, opcode }, record);
}

/// The record of `create`, open to everybody.
pub fn create(path: &str, flags: i32) -> CreateRequest {
    CreateRequest {
        path: path.into(),
        data: Some(Bytes::from_static(b"0")),
        acl: Acl::open(),
        flags,
    }
}

/// The record of `setData`, for any version.
pub fn set(path: &str, data: &str) -> SetDataRequest {
    SetDataRequest {
        path: path.into(),
        data: Some(Bytes::copy_from_slice(data.as_bytes())),
        version: -1,
    }
}
