//! TLS that is passed on as it is, led by the name in its ClientHello.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::tls::{Authority, connect_to, echo, server};
use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use rustls::pki_types::ServerName;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zoogate::config::{HashKey, Protocol, SendProxy, Strategy};
use zoogate::net::proxy_protocol::{Parsed, TlvKind, parse};

fn tls(endpoints: &[SocketAddr]) -> Setup {
    let setup = Setup::new(Protocol::Tls, endpoints);
    setup.listener(|listener| listener.handshake_timeout = Duration::from_millis(300))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// What a client says first that asks for `host`.
fn first_flight(host: &str) -> Vec<u8> {
    let config = Arc::new(Authority::new().client(None));
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn names_lead_to_services_and_certificates_are_the_endpoints_own() {
    let authority = Authority::new();
    let shop = echo(server(&authority.issue_for(&["shop.example"])), "shop").await;
    let tenants = echo(server(&authority.issue_for(&["*.shop.example"])), "tenants").await;
    let others = echo(
        server(&authority.issue_for(&["other.test", "127.0.0.1"])),
        "others",
    )
    .await;
    let traffic = tls(&[]).start();
    traffic.use_names(&[
        (Some("shop.example"), "shop", shop),
        (Some("*.shop.example"), "tenants", tenants),
        (None, "others", others),
    ]);
    let client = Arc::new(authority.client(None));
    for (host, expected) in [
        ("shop.example", "shop"),
        ("SHOP.example", "shop"),
        ("a.shop.example", "tenants"),
        ("other.test", "others"),
        ("127.0.0.1", "others"),
    ] {
        let mut stream = soon(connect_to(host, traffic.addr, client.clone()))
            .await
            .unwrap();
        stream.write_all(b", hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        soon(stream.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, format!("{expected}, hello"), "{host}");
    }
    eventually("the count", || traffic.closed("done") == 5.0).await;
}

#[tokio::test]
async fn a_hello_reaches_the_endpoint_as_it_was_wherever_packets_end() {
    let (endpoint, addr) = listener().await;
    let traffic = tls(&[]).start();
    traffic.use_names(&[(Some("shop.example"), "web", addr)]);
    let flight = first_flight("shop.example");
    let all = [&flight[..], b"\x17\x03\x03\x00\x05early"].concat();
    for cut in 1..all.len() {
        let (first, second) = all.split_at(cut);
        let mut client = TcpStream::connect(traffic.addr).await.unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(first).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(second).await.unwrap();
        client.shutdown().await.unwrap();
        let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
        let mut bytes = Vec::new();
        soon(upstream.read_to_end(&mut bytes)).await.unwrap();
        assert_eq!(bytes, all, "cut at {cut}");
    }
}

/// All that a client gets that sends `bytes` and waits, and how it ends.
async fn answered(traffic: &Traffic, bytes: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let _ = client.write_all(bytes).await;
    let mut answer = Vec::new();
    let end = soon(client.read_to_end(&mut answer)).await;
    (answer, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_refused_in_tls() {
    let (_endpoint, addr) = listener().await;
    let traffic = tls(&[]).start();
    traffic.use_names(&[(Some("shop.example"), "web", addr)]);
    for (host, alert) in [("other.test", 112), ("127.0.0.1", 109)] {
        let answer = answered(&traffic, &first_flight(host)).await;
        assert_eq!(answer, (vec![21, 3, 3, 0, 2, 2, alert], None), "{host}");
    }
    eventually("the count", || traffic.closed("no-route") == 2.0).await;
}

#[tokio::test]
async fn what_is_not_tls_is_refused() {
    let (_endpoint, addr) = listener().await;
    let traffic = tls(&[addr]).start();
    let too_long = {
        let message = [&[1, 0, 0xea, 0x60][..], &[0; 20_000]].concat();
        let records = message
            .chunks(16_000)
            .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat());
        records.collect::<Vec<u8>>()
    };
    for (n, bytes) in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100], &too_long]
        .iter()
        .enumerate()
    {
        let (answer, _) = answered(&traffic, bytes).await;
        // Whoever is still sending may be reset before it reads why.
        assert!(
            answer.is_empty() || answer.starts_with(&[21, 3]),
            "{answer:?}"
        );
        let refused = (n + 1) as f64;
        eventually("the count", || traffic.closed("not-tls") == refused).await;
    }
    let (answer, end) = answered(&traffic, b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!((answer.len(), end), (7, None));
}

#[tokio::test]
async fn a_hello_that_never_ends_is_waited_for_no_longer_than_agreed() {
    let (_endpoint, addr) = listener().await;
    let traffic = tls(&[addr]).start();
    let flight = first_flight("shop.example");
    for begun in [&b""[..], &flight[..3], &flight[..flight.len() - 1]] {
        let end = answered(&traffic, begun).await;
        assert_eq!(end, (vec![], Some(ErrorKind::ConnectionReset)));
    }
    eventually("the count", || traffic.closed("handshake-timeout") == 3.0).await;
}

#[tokio::test]
async fn unfinished_greetings_take_the_seats_of_the_listener() {
    let (_endpoint, addr) = listener().await;
    let mut setup = tls(&[addr]);
    setup.max_connections = 2;
    let traffic = setup.start();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(TcpStream::connect(traffic.addr).await.unwrap());
    }
    let active = "zoogate_connections_active{listener=\"front\"}";
    eventually("both seats taken", || traffic.metric(active) == 2.0).await;
    // The others get their seats when the first have been given up.
    eventually("the count", || traffic.closed("handshake-timeout") == 4.0).await;
    assert_eq!(traffic.metric(active), 0.0);
}

#[tokio::test]
async fn the_name_is_told_and_hashed() {
    let mut endpoints = Vec::new();
    for _ in 0..8 {
        endpoints.push(listener().await);
    }
    let addrs: Vec<SocketAddr> = endpoints.iter().map(|(_, addr)| *addr).collect();
    let setup = tls(&addrs).policy(|policy| {
        policy.strategy = Strategy::ConsistentHash;
        policy.hash_key = HashKey::Sni;
        policy.send_proxy = SendProxy::V2;
    });
    let traffic = setup.start();
    let mut chosen = std::collections::BTreeSet::new();
    for tenant in 0..12 {
        let host = format!("t{tenant}.example");
        let flight = first_flight(&host);
        let mut led_to = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let mut client = TcpStream::connect(traffic.addr).await.unwrap();
            client.write_all(&flight).await.unwrap();
            client.shutdown().await.unwrap();
            let accepting = endpoints
                .iter()
                .map(|(listener, _)| Box::pin(listener.accept()));
            let (accepted, at, _) = soon(futures_util::future::select_all(accepting)).await;
            led_to.insert(at);
            let mut bytes = Vec::new();
            soon(accepted.unwrap().0.read_to_end(&mut bytes))
                .await
                .unwrap();
            let Ok(Parsed::Whole { header, length }) = parse(&bytes) else {
                panic!("{bytes:?}");
            };
            assert_eq!(header.tlvs.find(TlvKind::AUTHORITY), Some(host.as_bytes()));
            assert_eq!(&bytes[length..], flight);
        }
        assert_eq!(led_to.len(), 1, "{host}");
        chosen.extend(led_to);
    }
    assert!(chosen.len() > 2, "{chosen:?}");
}
