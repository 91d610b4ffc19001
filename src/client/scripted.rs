//! A ZooKeeper server that does exactly what a test says.

use crate::client::Hosts;
use crate::tree::SessionId;
use crate::zk::wire::{
    ConnectRequest, ConnectResponse, ConnectedFields, EventType, MAX_FRAME, OpCode, ReplyHeader,
    RequestHeader, STATE_SYNC_CONNECTED, WatcherEvent, Wire, XID_EVENT, XID_PING, put_frame,
    take_frame,
};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// The session every scripted server grants.
pub(crate) const SESSION: SessionId = SessionId(0x1234);

/// And its password.
pub(crate) const PASSWORD: Bytes = Bytes::from_static(b"sixteen bytes..!");

pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn start() -> Server {
        Server(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    pub(crate) async fn accept(&self) -> Peer {
        let accepted = tokio::time::timeout(PATIENCE, self.0.accept()).await;
        Peer {
            stream: accepted.expect("nobody connects").unwrap().0,
            input: BytesMut::new(),
        }
    }

    /// Accepts a client, and grants it a new session of `timeout_ms`.
    pub(crate) async fn welcome(&self, timeout_ms: i32) -> Peer {
        let mut peer = self.accept().await;
        let request = peer.connect_request().await;
        assert_eq!(request.fields.session, SessionId::NONE);
        peer.grant(timeout_ms).await;
        peer
    }
}

pub(crate) fn hosts(servers: &[&Server]) -> Hosts {
    let list: Vec<String> = servers.iter().map(|server| server.address()).collect();
    list.join(",").parse().unwrap()
}

/// An address that refuses connections for as long as the socket lives. A closed listener would not do: its
/// port may be another test's next.
pub(crate) fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// One connection of a client, seen from the server.
pub(crate) struct Peer {
    stream: TcpStream,
    input: BytesMut,
}

impl Peer {
    /// The next frame; `None` when the client has closed the connection.
    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = take_frame(&mut self.input, MAX_FRAME).unwrap() {
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.input);
            match tokio::time::timeout(PATIENCE, read)
                .await
                .expect("the client is silent")
            {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn connect_request(&mut self) -> ConnectRequest {
        let mut frame = self.frame().await.expect("a connect request");
        ConnectRequest::decode(&mut frame).unwrap()
    }

    pub(crate) async fn grant(&mut self, timeout_ms: i32) {
        self.answer_connect(timeout_ms, SESSION, PASSWORD).await;
    }

    pub(crate) async fn grant_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.answer_connect(timeout_ms, session, PASSWORD).await;
    }

    /// Says that the session is gone.
    pub(crate) async fn disown(&mut self) {
        let nothing = Bytes::from_static(&[0; 16]);
        self.answer_connect(0, SessionId::NONE, nothing).await;
    }

    async fn answer_connect(&mut self, timeout_ms: i32, session: SessionId, password: Bytes) {
        let fields = ConnectedFields {
            protocol_version: 0,
            timeout_ms,
            session,
            password: Some(password),
        };
        let response = ConnectResponse {
            fields,
            read_only: Some(false),
        };
        self.send(&response, &()).await;
    }

    /// The next request that is no ping; pings on the way are answered.
    pub(crate) async fn request(&mut self) -> (i32, OpCode, Bytes) {
        loop {
            let (xid, opcode, body) = self.any_request().await.expect("a request");
            if opcode != OpCode::Ping {
                return (xid, opcode, body);
            }
            self.pong().await;
        }
    }

    /// The next request, ping or not; `None` when the client has closed the connection.
    pub(crate) async fn any_request(&mut self) -> Option<(i32, OpCode, Bytes)> {
        let mut frame = self.frame().await?;
        let header = RequestHeader::decode(&mut frame).unwrap();
        let opcode = OpCode::from_wire(header.opcode).unwrap();
        Some((header.xid, opcode, frame))
    }

    pub(crate) async fn pong(&mut self) {
        self.reply(XID_PING, 0, &()).await;
    }

    pub(crate) async fn reply(&mut self, xid: i32, zxid: i64, body: &impl Wire) {
        let error = 0;
        self.send(&ReplyHeader { xid, zxid, error }, body).await;
    }

    pub(crate) async fn refuse(&mut self, xid: i32, error: i32) {
        let zxid = 1;
        self.send(&ReplyHeader { xid, zxid, error }, &()).await;
    }

    pub(crate) async fn event(&mut self, kind: EventType, path: &str) {
        let header = ReplyHeader {
            xid: XID_EVENT,
            zxid: -1,
            error: 0,
        };
        let event = WatcherEvent {
            kind: kind as i32,
            state: STATE_SYNC_CONNECTED,
            path: path.into(),
        };
        self.send(&header, &event).await;
    }

    async fn send(&mut self, head: &impl Wire, body: &impl Wire) {
        let mut out = BytesMut::new();
        put_frame(&mut out, head, body);
        self.send_bytes(&out).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

/// Longest wait for a client under test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
