//! Requests on which two parsers may disagree: each is refused, or is one request to the endpoint as well.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::eventually;
use crate::support::http::{Body, Origin, request, talk};
use crate::support::traffic::Setup;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::sync::{Arc, Mutex};
use zoogate::config::Protocol;

/// Requests the endpoint has seen: target and body.
type Seen = Arc<Mutex<Vec<(String, Result<Bytes, ()>)>>>;

async fn recording() -> (Origin, Seen) {
    let seen = Seen::default();
    let record = seen.clone();
    let origin = Origin::http(move |request: Request<Incoming>| {
        let record = record.clone();
        async move {
            let target = request.uri().to_string();
            let body = request.into_body().collect().await;
            let body = body.map(|b| b.to_bytes()).map_err(|_| ());
            record.lock().unwrap().push((target, body));
            let body: Body = Full::new(Bytes::from("ok")).map_err(|e| match e {}).boxed();
            Response::new(body)
        }
    })
    .await;
    (origin, seen)
}

/// A request to `/first` with these further lines and this body; what follows is an attempt at a second one.
fn first(lines: &str, body: &str) -> String {
    format!("POST /first HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n{body}")
}

const SECOND: &str = "GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// No number of bytes.
const LENGTHS: [&str; 10] = [
    "5, 6",
    "5, 5",
    "+5",
    "-5",
    "",
    "0x5",
    "5 5",
    "5\t6",
    "99999999999999999999999",
    "18446744073709551615",
];

/// No coding that leaves a plain body.
const CODINGS: [&str; 8] = [
    "gzip, chunked",
    "chunked, identity",
    "xchunked",
    "identity",
    "\"chunked\"",
    "\x0bchunked",
    "\r\n chunked",
    "",
];

/// Fields that are malformed, or that two parsers may take for different ones.
const FIELDS: [&str; 15] = [
    "Content-Length: 5\r\nContent-Length: 6",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    "Connection: content-length\r\nContent-Length: 5",
    "Connection: close, host",
    "Host: y",
    "X-A: 1\r\n 2",
    "X-A: a\0b",
    "X-A: a\rb",
    "X A: 1",
    "X-A",
    ": x",
    "\0: x",
    "X-A\r: 1",
];

/// Heads that do not say whom they are for, or in which language.
const HEADS: [&str; 12] = [
    "GET /first HTTP/1.1\r\n Host: x",
    "GET /first HTTP/1.1",
    "GET /first HTTP/1.1\r\nHost: x/y",
    "GET /first HTTP/1.1\r\nHost: a@x",
    "GET /first HTTP/1.1\r\nHost:",
    "GET /first HTTP/1.1\r\nHost: x, y",
    "GET http://a@x/first HTTP/1.1\r\nHost: x",
    "GET ftp://x/first HTTP/1.1\r\nHost: x",
    "GET first HTTP/1.1\r\nHost: x",
    "POST /first HTTP/1.0\r\nTransfer-Encoding: chunked",
    "GET /first HTTP/1.2\r\nHost: x",
    "CONNECT x:80 HTTP/1.1\r\nHost: x:80",
];

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let (origin, seen) = recording().await;
    let traffic = Setup::new(Protocol::Http, &[origin.addr]).start();
    let lengths = LENGTHS.map(|l| first(&format!("Content-Length: {l}"), "hello"));
    let codings = CODINGS.map(|c| first(&format!("Transfer-Encoding: {c}"), "0\r\n\r\n"));
    let fields = FIELDS.map(|f| first(f, "0\r\n\r\n"));
    let heads = HEADS.map(|h| format!("{h}\r\n\r\n0\r\n\r\n"));
    let corpus = lengths.into_iter().chain(codings).chain(fields);
    for bytes in corpus.chain(heads) {
        let reply = talk(traffic.addr, bytes.clone() + SECOND).await;
        let answers = reply.text().matches("HTTP/1.").count();
        assert_eq!(answers, 1, "{bytes:?}: {reply:?}");
        assert!((400..500).contains(&reply.status()), "{bytes:?}: {reply:?}");
    }
    assert!(seen.lock().unwrap().is_empty(), "{seen:?}");
}

#[tokio::test]
async fn a_request_with_length_and_coding_is_the_last_of_its_connection() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let (origin, seen) = recording().await;
        let traffic = Setup::new(Protocol::Http, &[origin.addr]).start();
        let reply = talk(traffic.addr, first(lines, "0\r\n\r\n") + SECOND).await;
        assert_eq!(reply.text().matches("HTTP/1.").count(), 1, "{reply:?}");
        let expected = [("/first".into(), Ok(Bytes::new()))];
        assert_eq!(*seen.lock().unwrap(), expected, "{lines:?}");
    }
}

#[tokio::test]
async fn a_client_of_http_2_is_hung_up_on() {
    let (origin, seen) = recording().await;
    let traffic = Setup::new(Protocol::Http, &[origin.addr]).start();
    let reply = talk(traffic.addr, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(reply.text(), "");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_broken_chunk_never_completes_a_request() {
    let broken = [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5;\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    for chunks in broken {
        let (origin, seen) = recording().await;
        let traffic = Setup::new(Protocol::Http, &[origin.addr]).start();
        let bytes = first("Transfer-Encoding: chunked", chunks) + SECOND;
        let reply = talk(traffic.addr, bytes).await;
        assert!(!reply.text().contains("200 OK"), "{chunks:?}: {reply:?}");
        eventually("counters", || {
            traffic.metric("zoogate_connections_active") == 0.0
        })
        .await;
        let seen = seen.lock().unwrap();
        assert!(
            seen.iter()
                .all(|(target, body)| target == "/first" && body.is_err()),
            "{chunks:?}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn what_the_endpoint_gets_has_one_framing() {
    let harmless = [
        first("Content-Length: 5\r\nContent-Length: 5", "hello"),
        first("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        first("Transfer-Encoding: Chunked", "5;ext=\"\\\"x\"\r\nhello\r\n0\r\n\r\n"),
        "POST /first HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello".into(),
        "GET /first HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".into(),
    ];
    for bytes in harmless {
        let (origin, seen) = recording().await;
        let traffic = Setup::new(Protocol::Http, &[origin.addr]).start();
        let reply = talk(traffic.addr, bytes.clone() + SECOND).await;
        assert_eq!(
            reply.text().matches("200 OK").count(),
            2,
            "{bytes:?}: {reply:?}"
        );
        let seen = seen.lock().unwrap();
        let expected = [
            ("/first".into(), Ok(Bytes::from("hello"))),
            ("/second".into(), Ok(Bytes::new())),
        ];
        assert_eq!(*seen, expected, "{bytes:?}");
    }
}

#[tokio::test]
async fn heads_have_a_limit() {
    let (origin, seen) = recording().await;
    let traffic = Setup::new(Protocol::Http, &[origin.addr]).start();
    let long = format!("X-Long: {}\r\n", "a".repeat(100 << 10));
    let many = "X-A: 1\r\n".repeat(200);
    for headers in [long, many] {
        let reply = request(traffic.addr, "GET / HTTP/1.1", &headers).await;
        assert_eq!(reply.status(), 431);
    }
    let target = "a".repeat(100 << 10);
    let reply = request(traffic.addr, &format!("GET /{target} HTTP/1.1"), "").await;
    assert!((400..500).contains(&reply.status()), "{reply:?}");
    assert!(seen.lock().unwrap().is_empty());
}
