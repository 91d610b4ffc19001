//! The server against clients that behave badly, over real sockets.

use super::super::asked::Asked;
use super::super::routes::Page;
use super::super::server::{Limits, run};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::Response;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine, short enough for a hung test to be noticed.
const DEADLINE: Duration = Duration::from_secs(20);
/// A limit that the test does not wait for.
const LONG: Duration = Duration::from_secs(600);
/// More than the socket buffers of both sides hold.
const LARGE: usize = 64 * 1024 * 1024;

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn limits() -> Limits {
    Limits {
        connections: 8,
        head_timeout: LONG,
        lifetime: LONG,
        grace: Duration::from_millis(200),
    }
}

async fn pages(asked: Asked) -> Page {
    let Asked { method, path, .. } = asked;
    let body = match path.as_str() {
        "/large" => Bytes::from(vec![b'x'; LARGE]),
        _ => Bytes::from(format!("{method} {path}")),
    };
    Response::new(Either::Left(Full::new(body)))
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(listener, limits, stop.clone(), pages, |_| {}));
    Server {
        address,
        stop,
        running,
    }
}

impl Server {
    async fn connect(&self, send: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        stream.write_all(send.as_bytes()).await.expect("send");
        stream
    }

    async fn stopped(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.running)
            .await
            .expect("stops in time")
            .expect("does not panic");
    }
}

/// Everything until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    let _reset_counts_as_closed = read.expect("closed in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Until `end` was received.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut chunk = [0; 4096];
        let read = timeout(DEADLINE, stream.read(&mut chunk)).await;
        let length = read.expect("in time").expect("readable");
        assert_ne!(length, 0, "closed after {text:?}");
        text += &String::from_utf8_lossy(&chunk[..length]);
    }
    text
}

#[tokio::test]
async fn connection_serves_several_requests() {
    let server = start(limits()).await;
    let mut client = server
        .connect("GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    until(&mut client, "GET /a").await;
    let next = b"GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    client.write_all(next).await.expect("send");
    assert!(rest(&mut client).await.ends_with("\r\n\r\nGET /b"));
    server.stopped().await;
}

#[tokio::test]
async fn head_gets_the_length_but_no_body() {
    let server = start(limits()).await;
    let mut client = server
        .connect("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await;
    let text = rest(&mut client).await.to_ascii_lowercase();
    assert!(text.contains("content-length: 7\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    server.stopped().await;
}

#[tokio::test]
async fn request_body_is_ignored() {
    let server = start(limits()).await;
    let request = "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
                   GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let mut client = server.connect(request).await;
    let text = rest(&mut client).await;
    assert!(text.contains("GET /a"), "{text}");
    assert!(text.ends_with("GET /b"), "{text}");
    server.stopped().await;
}

#[tokio::test]
async fn slow_head_ends_the_connection() {
    let server = start(Limits {
        head_timeout: Duration::from_millis(100),
        ..limits()
    })
    .await;
    let mut client = server.connect("GET / HTTP/1.1\r\nHos").await;
    rest(&mut client).await;
    server.stopped().await;
}

#[tokio::test]
async fn idle_connection_ends() {
    let server = start(Limits {
        head_timeout: Duration::from_millis(100),
        ..limits()
    })
    .await;
    let mut client = server.connect("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(rest(&mut client).await.ends_with("GET /a"));
    server.stopped().await;
}

#[tokio::test]
async fn oversized_head_is_refused() {
    let server = start(limits()).await;
    let request = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(32 * 1024));
    let mut client = server.connect(&request).await;
    let text = rest(&mut client).await;
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 431"),
        "{text}"
    );
    server.stopped().await;
}

#[tokio::test]
async fn connection_beyond_the_limit_waits_its_turn() {
    let server = start(Limits {
        connections: 1,
        ..limits()
    })
    .await;
    let request = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut first = server.connect(request).await;
    until(&mut first, "GET /a").await;
    let mut second = server.connect(request).await;
    let early = timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "served while the limit was reached");
    drop(first);
    until(&mut second, "GET /a").await;
    server.stopped().await;
}

#[tokio::test]
async fn client_that_never_reads_ends_with_its_lifetime() {
    let server = start(Limits {
        connections: 1,
        lifetime: Duration::from_millis(200),
        ..limits()
    })
    .await;
    let stuck = server
        .connect("GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    let mut next = server.connect("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    until(&mut next, "GET /a").await;
    drop(stuck);
    server.stopped().await;
}

#[tokio::test]
async fn stop_lets_a_response_under_way_finish() {
    let server = start(Limits {
        grace: DEADLINE,
        ..limits()
    })
    .await;
    let mut client = server
        .connect("GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    until(&mut client, "xxxx").await;
    let reading = tokio::spawn(async move { rest(&mut client).await.len() });
    server.stopped().await;
    let length = reading.await.expect("does not panic");
    assert!(length > LARGE - 4096, "cut short after {length} bytes");
}

#[tokio::test]
async fn stop_closes_idle_connections() {
    let server = start(limits()).await;
    let mut client = server.connect("GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
    until(&mut client, "GET /a").await;
    server.stopped().await;
    assert_eq!(rest(&mut client).await, "");
}
