//! Bodies and upgrades: streamed both ways, cut when they break, relayed when the protocol changes.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Body, Origin, Reply, echo, mirror, read_head, request, scripted, talk};
use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zoogate::config::Protocol;

fn http(endpoints: &[SocketAddr]) -> Setup {
    Setup::new(Protocol::Http, endpoints)
}

/// A client that speaks HTTP properly.
async fn client(traffic: &Traffic) -> hyper::client::conn::http1::SendRequest<Body> {
    let stream = TcpStream::connect(traffic.addr).await.unwrap();
    let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(driver);
    sender
}

/// Bytes that look random, in chunks of odd size.
fn stream_of(size: usize) -> (Body, Vec<u8>) {
    let bytes: Vec<u8> = (0..size as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8)
        .collect();
    let chunks: Vec<_> = bytes
        .chunks(33_333)
        .map(|c| Ok(Frame::data(Bytes::copy_from_slice(c))))
        .collect();
    (
        StreamBody::new(futures_util::stream::iter(chunks)).boxed(),
        bytes,
    )
}

#[tokio::test]
async fn ten_megabytes_pass_unchanged_in_either_framing() {
    let origin = Origin::http(echo).await;
    let traffic = http(&[origin.addr]).start();
    for known in [false, true] {
        let (chunked, bytes) = stream_of(10 << 20);
        let body = match known {
            false => chunked,
            true => Full::new(Bytes::from(bytes.clone()))
                .map_err(|e| match e {})
                .boxed(),
        };
        let request = Request::post("/").header("host", "x").body(body).unwrap();
        let response = soon(client(&traffic).await.send_request(request))
            .await
            .unwrap();
        let got = soon(response.into_body().collect())
            .await
            .unwrap()
            .to_bytes();
        assert!(got == bytes, "known length: {known}");
    }
    eventually("counters", || {
        traffic.metric("zoogate_sent_bytes_total{service=\"web\"}") == f64::from(20 << 20)
    })
    .await;
    assert_eq!(
        traffic.metric("zoogate_received_bytes_total{service=\"web\"}"),
        f64::from(20 << 20)
    );
}

#[tokio::test]
async fn a_body_is_not_collected_on_the_way() {
    let (proceed, mut paused) = tokio::sync::mpsc::channel::<()>(1);
    let origin = Origin::raw(move |mut stream| {
        let proceed = proceed.clone();
        async move {
            read_head(&mut stream).await;
            let mut first = [0; 5];
            stream.read_exact(&mut first).await.unwrap();
            proceed.send(()).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
                .await
                .unwrap();
            stream.read_exact(&mut first).await.unwrap();
            stream.write_all(b"later").await.unwrap();
        }
    })
    .await;
    let traffic = http(&[origin.addr]).start();
    let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        .await
        .unwrap();
    soon(paused.recv()).await.unwrap();
    read_head(&mut stream).await;
    let mut half = [0; 5];
    soon(stream.read_exact(&mut half)).await.unwrap();
    assert_eq!(&half, b"first");
    stream.write_all(b"world").await.unwrap();
    soon(stream.read_exact(&mut half)).await.unwrap();
    assert_eq!(&half, b"later");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let origin = Origin::http(echo).await;
    let traffic = http(&[origin.addr]).start();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [
        Ok(Frame::data(Bytes::from("data"))),
        Ok(Frame::trailers(trailers.clone())),
    ];
    let request = Request::post("/")
        .header("host", "x")
        .header("te", "trailers")
        .header("trailer", "x-sum")
        .body(StreamBody::new(futures_util::stream::iter(frames)).boxed())
        .unwrap();
    let response = soon(client(&traffic).await.send_request(request))
        .await
        .unwrap();
    let body = soon(response.into_body().collect()).await.unwrap();
    assert_eq!(body.trailers(), Some(&trailers));
    assert_eq!(body.to_bytes(), "data");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_never_ended_properly() {
    let cases: [(&str, &'static [u8]); 3] = [
        (
            "HTTP/1.1",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        ),
        (
            "HTTP/1.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
        (
            "HTTP/1.0",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
    ];
    for (version, script) in cases {
        let origin = scripted(script).await;
        let traffic = http(&[origin.addr]).start();
        let reply = request(traffic.addr, &format!("GET / {version}"), "").await;
        assert!(!reply.in_order, "{version}: {reply:?}");
        assert!(!reply.text().ends_with("0\r\n\r\n"));
        eventually("end of the connection", || {
            traffic.closed("upstream-truncated") == 1.0
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_exchange_along() {
    let (heard, mut hung_up) = tokio::sync::mpsc::channel(1);
    let origin = Origin::raw(move |mut stream| {
        let heard = heard.clone();
        async move {
            read_head(&mut stream).await;
            heard.send(()).await.unwrap();
            assert!(stream.read_u8().await.is_err());
            heard.send(()).await.unwrap();
        }
    })
    .await;
    let traffic = http(&[origin.addr]).start();
    let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    soon(hung_up.recv()).await.unwrap();
    drop(stream);
    soon(hung_up.recv()).await.unwrap();
    eventually("end of the connection", || {
        traffic.closed("client-closed") == 1.0
    })
    .await;
}

async fn websocket(mut request: Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte).await {
            stream
                .write_all(&byte.map(|b| b.to_ascii_uppercase()))
                .await
                .unwrap();
        }
    });
    let mut response = Response::new(Empty::new().map_err(|e| match e {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "websocket".parse().unwrap());
    response
}

#[tokio::test]
async fn an_upgraded_connection_becomes_a_relay() {
    let origin = Origin::http(websocket).await;
    let traffic = http(&[origin.addr]).start();
    let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
    // The first bytes of the new protocol come right behind the request.
    let hello = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly";
    stream.write_all(hello).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    let mut answer = [0; 9];
    stream.write_all(b"late").await.unwrap();
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"EARLYLATE");
    stream.shutdown().await.unwrap();
    assert!(soon(stream.read_u8()).await.is_err());
    eventually("end of the connection", || traffic.closed("done") == 1.0).await;
}

#[tokio::test]
async fn nothing_passes_behind_an_upgrade_that_is_refused() {
    let origin = Origin::http(mirror).await;
    let traffic = http(&[origin.addr]).start();
    let smuggled = "GET /first HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\
        GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let reply = talk(traffic.addr, smuggled).await.text();
    assert!(
        reply.contains("GET /first\n") && reply.contains("GET /second\n"),
        "{reply}"
    );
    assert_eq!(
        reply.matches("x-forwarded-for: 127.0.0.1\n").count(),
        2,
        "each was seen as a request"
    );
    let http2 = request(
        traffic.addr,
        "GET / HTTP/1.1",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
    );
    assert!(!http2.await.body().contains("upgrade"));
}

#[tokio::test]
async fn an_expectation_is_met_before_the_body() {
    let origin = Origin::http(echo).await;
    let traffic = http(&[origin.addr]).start();
    let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(
        read_head(&mut stream).await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(b"hello").await.unwrap();
    let mut reply = Vec::new();
    soon(stream.read_to_end(&mut reply)).await.unwrap();
    let reply = Reply {
        bytes: reply,
        in_order: true,
    };
    assert_eq!((reply.status(), reply.body()), (200, "hello".into()));
}
