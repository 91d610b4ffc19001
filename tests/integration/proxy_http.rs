//! The HTTP flow: what is changed on the way, and what is answered in an endpoint's place.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, Reply, echo, mirror, read_head, request, scripted, talk, text};
use crate::support::traffic::Setup;
use crate::support::{eventually, soon};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zoogate::config::{HashKey, Protocol, Strategy};
use zoogate::net::now_ms;

fn http(endpoints: &[SocketAddr]) -> Setup {
    Setup::new(Protocol::Http, endpoints)
}

async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn the_endpoint_learns_who_asks_and_nothing_of_the_hop() {
    let origin = Origin::http(mirror).await;
    let traffic = http(&[origin.addr]).start();
    let headers = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\n\
        Keep-Alive: timeout=5\r\nConnection: x-secret\r\nX-Secret: 1\r\nProxy-Connection: close\r\n\
        Proxy-Authorization: Basic x\r\nProxy: http://evil\r\nTE: trailers, deflate\r\nUpgrade: websocket\r\n\
        x_forwarded_for: spoofed\r\nX-Custom: kept\r\n";
    let reply = request(traffic.addr, "GET /a/b?c=d HTTP/1.1", headers).await;
    assert_eq!(reply.status(), 200);
    let body = reply.body();
    let mut lines: Vec<&str> = body.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "GET /a/b?c=d",
            "host: web.test",
            "te: trailers",
            "x-custom: kept",
            "x-forwarded-for: 192.0.2.1, 127.0.0.1",
            "x-forwarded-host: web.test",
            "x-forwarded-proto: http",
        ]
    );
}

#[tokio::test]
async fn the_client_learns_nothing_of_the_hop_behind() {
    let origin = scripted(
        b"HTTP/1.1 200 Fine\r\nConnection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-Custom: kept\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let traffic = http(&[origin.addr]).start();
    let reply = request(traffic.addr, "GET / HTTP/1.1", "").await;
    assert!(
        reply.text().starts_with("HTTP/1.1 200 Fine\r\n"),
        "{reply:?}"
    );
    assert_eq!(reply.header("x-custom").as_deref(), Some("kept"));
    for gone in ["x-secret", "keep-alive", "proxy-authenticate", "upgrade"] {
        assert_eq!(reply.header(gone), None, "{gone}");
    }
    assert_eq!(reply.body(), "ok");
}

#[tokio::test]
async fn connections_to_an_endpoint_are_reused() {
    let origin = Origin::http(mirror).await;
    let traffic = http(&[origin.addr]).start();
    for _ in 0..5 {
        assert_eq!(
            request(traffic.addr, "GET / HTTP/1.1", "").await.status(),
            200
        );
    }
    let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
    for _ in 0..5 {
        stream
            .write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(
        traffic.metric("zoogate_requests_total{code=\"2xx\",service=\"web\"}"),
        10.0
    );
}

#[tokio::test]
async fn idle_connections_to_a_retired_endpoint_are_closed() {
    let (heard, mut hung_up) = tokio::sync::mpsc::channel(1);
    let origin = Origin::raw(move |mut stream| {
        let heard = heard.clone();
        async move {
            read_head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
            let end = stream.read_u8().await;
            heard.send(end.is_err()).await.unwrap();
        }
    })
    .await;
    let traffic = http(&[origin.addr]).start();
    assert_eq!(
        request(traffic.addr, "GET / HTTP/1.1", "").await.status(),
        204
    );
    traffic.endpoints[0].state.retire(now_ms() + 60_000);
    assert_eq!(soon(hung_up.recv()).await, Some(true));
}

#[tokio::test]
async fn a_kept_connection_that_died_costs_no_request() {
    // Every connection serves one request properly and hangs up when the second one arrives.
    let origin = Origin::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        read_head(&mut stream).await;
    })
    .await;
    let traffic = http(&[origin.addr]).start();
    for _ in 0..4 {
        assert_eq!(
            request(traffic.addr, "GET / HTTP/1.1", "").await.status(),
            200
        );
    }
    let post = request(traffic.addr, "POST / HTTP/1.1", "Content-Length: 0\r\n").await;
    assert_eq!(post.status(), 502, "a POST may have taken effect");
    assert_eq!(
        post.header("x-zoogate-reason").as_deref(),
        Some("upstream-closed")
    );
}

#[tokio::test]
async fn refusals_name_their_reason() {
    let silent = Origin::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.read_u8().await;
    })
    .await;
    let rude = scripted(b"").await;
    let babbling = scripted(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let coded =
        scripted(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").await;
    let switching =
        scripted(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            .await;
    let cases: [(&[SocketAddr], u16, &str); 7] = [
        (&[], 503, "no-endpoints"),
        (&[closed_port().await], 502, "connect-refused"),
        (&[silent.addr], 504, "response-timeout"),
        (&[rude.addr], 502, "upstream-closed"),
        (&[babbling.addr], 502, "upstream-protocol"),
        (&[coded.addr], 502, "upstream-protocol"),
        (&[switching.addr], 502, "upstream-protocol"),
    ];
    for (endpoints, status, reason) in cases {
        let quick = |s: Setup| s.policy(|p| p.response_timeout = Duration::from_millis(300));
        let traffic = quick(http(endpoints)).start();
        let reply = request(traffic.addr, "GET / HTTP/1.1", "").await;
        assert_eq!(
            (reply.status(), reply.header("x-zoogate-reason").as_deref()),
            (status, Some(reason))
        );
        assert_eq!(reply.body().lines().count(), 1, "{reply:?}");
        let errors =
            format!("zoogate_upstream_errors_total{{reason=\"{reason}\",service=\"web\"}}");
        eventually("counters", || traffic.metric(&errors) == 1.0).await;
    }
}

#[tokio::test]
async fn a_request_that_no_rule_matches_gets_404() {
    let origin = Origin::http(mirror).await;
    let setup = Setup {
        host: Some("web.test"),
        ..http(&[origin.addr])
    };
    let traffic = setup.start();
    for (target, host, status) in [
        ("/", "web.test", 200),
        ("/", "WEB.test:8080", 200),
        ("/", "other.test", 404),
        ("http://web.test/x", "other.test", 200),
        ("http://other.test/x", "web.test", 404),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let reply = talk(traffic.addr, text).await;
        assert_eq!(reply.status(), status, "{target} {host}");
        if status == 404 {
            assert_eq!(
                reply.header("x-zoogate-reason").as_deref(),
                Some("no-route")
            );
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_replaced_for_any_method() {
    let origin = Origin::http(echo).await;
    let traffic = http(&[closed_port().await, origin.addr]).start();
    for _ in 0..4 {
        let line = "POST / HTTP/1.1";
        let reply = talk(
            traffic.addr,
            format!("{line}\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
        )
        .await;
        assert_eq!((reply.status(), reply.body()), (200, "hello".into()));
    }
    assert!(traffic.metric("zoogate_retries_total{service=\"web\"}") > 0.0);
}

#[tokio::test]
async fn clients_of_http_1_0_are_served() {
    let origin = Origin::http(echo).await;
    let traffic = http(&[origin.addr]).start();
    let reply = talk(traffic.addr, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(reply.text().starts_with("HTTP/1.0 200 OK\r\n"), "{reply:?}");
    assert!(reply.in_order);
    let streamed =
        scripted(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")
            .await;
    let traffic = http(&[streamed.addr]).start();
    let reply = talk(traffic.addr, "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.in_order, reply.body()), (true, "body".into()));
    assert_eq!(reply.header("transfer-encoding"), None);
}

#[tokio::test]
async fn endpoints_of_http_1_0_are_understood() {
    let origin = scripted(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nuntil the end").await;
    let traffic = http(&[origin.addr]).start();
    let reply = request(traffic.addr, "GET / HTTP/1.1", "").await;
    assert!(reply.in_order);
    assert_eq!(
        reply.header("transfer-encoding").as_deref(),
        Some("chunked")
    );
    assert!(reply.body().contains("until the end"), "{reply:?}");
}

#[tokio::test]
async fn equal_keys_reach_equal_endpoints() {
    let mut origins = Vec::new();
    for name in ["a", "b", "c", "d"] {
        origins.push(Origin::http(move |_| async move { text(name) }).await);
    }
    let addrs: Vec<_> = origins.iter().map(|o| o.addr).collect();
    let setup = http(&addrs).policy(|p| {
        p.strategy = Strategy::ConsistentHash;
        p.hash_key = HashKey::Header("x-user".into());
    });
    let traffic = setup.start();
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..32 {
        let header = format!("X-User: u{user}\r\n");
        let first = request(traffic.addr, "GET / HTTP/1.1", &header)
            .await
            .body();
        let again = request(traffic.addr, "GET / HTTP/1.1", &header)
            .await
            .body();
        assert_eq!(first, again);
        seen.insert(first);
    }
    assert!(seen.len() > 1, "keys are spread");
}

#[tokio::test]
async fn stopping_finishes_the_request_and_closes_the_rest() {
    let (release, released) = tokio::sync::watch::channel(false);
    let origin = Origin::http(move |_| {
        let mut released = released.clone();
        async move {
            released.wait_for(|r| *r).await.unwrap();
            text("finished")
        }
    })
    .await;
    let traffic = http(&[origin.addr]).start();
    let mut idle = TcpStream::connect(traffic.addr).await.unwrap();
    let busy = tokio::spawn(request_keep_alive(traffic.addr));
    eventually("counters", || {
        traffic.endpoints[0].state.active.load(Ordering::Relaxed) == 1
    })
    .await;
    let stopping = tokio::spawn(traffic.stop(Duration::from_secs(30)));
    assert_eq!(soon(idle.read(&mut [0; 1])).await.unwrap(), 0);
    assert!(!stopping.is_finished());
    release.send_replace(true);
    let reply = soon(busy).await.unwrap();
    assert!(reply.in_order);
    assert_eq!((reply.status(), reply.body()), (200, "finished".into()));
    assert_eq!(reply.header("connection").as_deref(), Some("close"));
    soon(stopping).await.unwrap();
}

async fn request_keep_alive(addr: SocketAddr) -> Reply {
    talk(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await
}

#[tokio::test]
async fn a_late_response_costs_the_exchange_and_not_the_connection() {
    let mut silent = true;
    let (tell, heard) = tokio::sync::watch::channel(false);
    let origin = Origin::http(move |_| {
        let mut heard = heard.clone();
        async move {
            heard.wait_for(|h| *h).await.unwrap();
            text("quick")
        }
    })
    .await;
    let setup = http(&[origin.addr]);
    let traffic = setup
        .policy(|p| p.response_timeout = Duration::from_millis(300))
        .start();
    let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
    for status in ["504", "200"] {
        stream
            .write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        if std::mem::take(&mut silent) {
            tell.send_replace(true);
        }
    }
}

/// An endpoint that sends the head and half of the body, and then nothing.
async fn stalling() -> Origin {
    Origin::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst";
        stream.write_all(half).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await
}

#[tokio::test]
async fn an_exchange_ends_when_patience_or_grace_does() {
    for reason in ["idle-timeout", "drained"] {
        let origin = stalling().await;
        let idle = match reason {
            "drained" => Duration::from_secs(60),
            _ => Duration::from_millis(300),
        };
        let traffic = http(&[origin.addr])
            .policy(|p| p.idle_timeout = idle)
            .start();
        let mut stream = TcpStream::connect(traffic.addr).await.unwrap();
        let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(get).await.unwrap();
        read_head(&mut stream).await;
        if reason == "drained" {
            traffic.endpoints[0].state.retire(now_ms() + 300);
        }
        let mut rest = Vec::new();
        soon(stream.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"first");
        eventually(reason, || traffic.closed(reason) == 1.0).await;
        let active = &traffic.endpoints[0].state.active;
        eventually("lease", || active.load(Ordering::Relaxed) == 0).await;
    }
}
