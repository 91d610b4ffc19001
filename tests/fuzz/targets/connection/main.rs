//! Whole connections: whatever a client sends, the server lives on and keeps its promises.
//!
//! An input is a script (see `script`): well-formed requests, requests with arbitrary bodies, raw bytes and pauses.
//! It is played to a real member over a real socket. Whatever comes back must be frames; replies must come in the
//! order of the requests; the zxid never goes back; and the server closes once the client has.
#![no_main]

mod script;
mod server;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use script::{Script, Step};
use server::Server;
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zoogate::tree::SessionId;
use zoogate::zk::wire::{
    ConnectFields, ConnectRequest, ConnectResponse, MAX_REPLY_FRAME, ReplyHeader, Wire, XID_EVENT,
    XID_PING, put_frame, take_frame,
};

/// Longest time for the server to answer everything and close, after the client has closed its side.
const PATIENCE: Duration = Duration::from_secs(10);

static SERVER: OnceLock<Server> = OnceLock::new();

fuzz_target!(|input: &[u8]| {
    let server = SERVER.get_or_init(Server::start);
    server.runtime.block_on(play(server, input));
});

/// Plays a script on a connection of its own.
async fn play(server: &Server, input: &[u8]) {
    let mut socket = TcpStream::connect(server.addr)
        .await
        .expect("the server lives");
    socket.set_nodelay(true).expect("a socket");
    let mut seen = Seen {
        is_greeted: true,
        ..Seen::default()
    };
    let mut script = Script::new(input);
    if script.shakes_hands() {
        let mut hello = BytesMut::new();
        put_frame(&mut hello, &(), &connect());
        socket.write_all(&hello).await.expect("room in the socket");
        seen.greeting(&mut socket).await;
    } else {
        seen.is_greeted = false;
    }
    // The server may close at any moment: then the rest of the script is not sent.
    while let Some(step) = script.next() {
        match step {
            Step::Request { xid, bytes } => {
                seen.asked.push_back(xid);
                if socket.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Step::Raw(bytes) => {
                seen.is_lost = true;
                if socket.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Step::Pause => tokio::task::yield_now().await,
        }
    }
    let _ = socket.shutdown().await;
    let rest = timeout(PATIENCE, seen.rest(&mut socket)).await;
    rest.expect("the server closes after its client");
}

fn connect() -> ConnectRequest {
    let fields = ConnectFields {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms: 4_000,
        session: SessionId::NONE,
        password: None,
    };
    let read_only = Some(false);
    ConnectRequest { fields, read_only }
}

/// What a client has asked and been told.
#[derive(Default)]
struct Seen {
    received: BytesMut,
    /// The xids of requests without a reply yet.
    asked: VecDeque<i32>,
    /// Raw bytes were sent: which requests the server made of them is not known.
    is_lost: bool,
    /// The handshake is behind us. If none was sent, the first request is taken for one, and may even be a good one.
    is_greeted: bool,
    zxid: i64,
}

impl Seen {
    /// The answer to a handshake.
    async fn greeting(&mut self, socket: &mut TcpStream) {
        while let Ok(length) = timeout(PATIENCE, socket.read_buf(&mut self.received))
            .await
            .expect("an answer")
        {
            if let Some(mut frame) =
                take_frame(&mut self.received, MAX_REPLY_FRAME).expect("a frame")
            {
                let response = ConnectResponse::decode(&mut frame).expect("a handshake's answer");
                assert_ne!(response.fields.session, SessionId::NONE);
                return;
            }
            assert!(length > 0, "a good handshake was not answered");
        }
    }

    /// Everything until the server closes.
    async fn rest(&mut self, socket: &mut TcpStream) {
        loop {
            match socket.read_buf(&mut self.received).await {
                // A reset: the server closed with requests unread, as it may.
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if self.is_lost {
                self.received.clear();
                continue;
            }
            while let Some(frame) =
                take_frame(&mut self.received, MAX_REPLY_FRAME).expect("a frame")
            {
                self.check(frame);
            }
        }
    }

    fn check(&mut self, mut frame: Bytes) {
        if !self.is_greeted {
            ConnectResponse::decode(&mut frame).expect("a handshake's answer");
            self.asked.pop_front();
            self.is_greeted = true;
            return;
        }
        let header = ReplyHeader::decode(&mut frame).expect("a header");
        assert!(
            header.error == 0 || frame.is_empty(),
            "an error with a body"
        );
        // Replies to auth requests carry 0, past events -1.
        if header.zxid > 0 {
            assert!(header.zxid >= self.zxid, "the zxid goes back");
            self.zxid = header.zxid;
        }
        if header.xid == XID_EVENT {
            return;
        }
        if header.xid == XID_PING {
            // A ping may overtake requests that are held up.
            let at = self.asked.iter().position(|xid| *xid == XID_PING);
            self.asked.remove(at.expect("a ping was sent"));
            return;
        }
        while self.asked.front() == Some(&XID_PING) {
            self.asked.pop_front();
            self.asked.push_back(XID_PING);
            if self.asked.iter().all(|xid| *xid == XID_PING) {
                break;
            }
        }
        assert_eq!(
            Some(header.xid),
            self.asked.pop_front(),
            "a reply out of order"
        );
    }
}
