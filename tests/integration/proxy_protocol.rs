//! The PROXY protocol on both sides: who the client is, for us and for the endpoint.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, mirror, read_head};
use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zoogate::config::{HashKey, Protocol, SendProxy, Strategy};
use zoogate::net::proxy_protocol::{Parsed, ProxyHeader, TlvKind, parse};

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n";

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A header of version 2 from 192.0.2.1:51234 to 198.51.100.7:443.
fn binary(tlvs: &[u8]) -> Vec<u8> {
    let ends = [192, 0, 2, 1, 198, 51, 100, 7, 0xc8, 0x22, 1, 0xbb];
    let length = ((ends.len() + tlvs.len()) as u16).to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, &ends, tlvs].concat()
}

/// A listener that takes connections with a header from `networks`, and its endpoint.
async fn proxied(networks: &[&str], told: SendProxy) -> (TcpListener, Traffic) {
    let (endpoint, addr) = listener().await;
    let networks = networks.iter().map(|n| n.parse().unwrap()).collect();
    let setup = Setup::new(Protocol::Tcp, &[addr]).listener(|listener| {
        listener.accept_proxy = Some(networks);
        listener.handshake_timeout = Duration::from_millis(300);
    });
    let traffic = setup.policy(|policy| policy.send_proxy = told).start();
    (endpoint, traffic)
}

/// What the endpoint reads until the client ends, for what the client sends in these pieces.
async fn passed(endpoint: &TcpListener, traffic: &Traffic, pieces: &[&[u8]]) -> Vec<u8> {
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    client.set_nodelay(true).unwrap();
    for piece in pieces {
        client.write_all(piece).await.unwrap();
        // So that they are read one by one, as far as that can be had.
        tokio::task::yield_now().await;
    }
    client.shutdown().await.unwrap();
    let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
    let mut bytes = Vec::new();
    soon(upstream.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// The header that `bytes` begin with, and what follows.
fn split(bytes: &[u8]) -> (ProxyHeader, &[u8]) {
    match parse(bytes) {
        Ok(Parsed::Whole { header, length }) => (header, &bytes[length..]),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_follows_a_header_is_the_stream_wherever_packets_end() {
    let (endpoint, traffic) = proxied(&["127.0.0.0/8"], SendProxy::Off).await;
    // A second header is the client's own bytes.
    let payload = b"PROXY UNKNOWN\r\npayload";
    for header in [
        LINE.to_vec(),
        binary(&[0xea, 0, 2, 1, 2]),
        b"PROXY UNKNOWN\r\n".to_vec(),
    ] {
        let all = [&header[..], payload].concat();
        for cut in 0..all.len() {
            let (first, second) = all.split_at(cut);
            assert_eq!(
                passed(&endpoint, &traffic, &[first, second]).await,
                payload,
                "{cut}"
            );
        }
        let bytes: Vec<&[u8]> = all.chunks(1).collect();
        assert_eq!(passed(&endpoint, &traffic, &bytes).await, payload);
    }
}

#[tokio::test]
async fn a_header_of_the_longest_kind_is_read() {
    let (endpoint, traffic) = proxied(&["127.0.0.0/8"], SendProxy::V2).await;
    let value = vec![7; 8192 - 12 - 3];
    let length = (value.len() as u16).to_be_bytes();
    let header = binary(&[&[0xea][..], &length, &value].concat());
    let pieces: Vec<&[u8]> = header.chunks(700).chain([&b"payload"[..]]).collect();
    let bytes = passed(&endpoint, &traffic, &pieces).await;
    let (header, rest) = split(&bytes);
    assert_eq!(header.tlvs.find(TlvKind(0xea)), Some(&value[..]));
    assert_eq!(rest, b"payload");
}

/// How a client's connection ends that sends `bytes`, and no more while it waits.
async fn ended(traffic: &Traffic, bytes: &[u8]) -> Option<ErrorKind> {
    // It may be refused before it has noticed that it is connected, or has said anything.
    let mut client = match TcpStream::connect(traffic.addr).await {
        Ok(client) => client,
        Err(error) => return Some(error.kind()),
    };
    let _ = client.write_all(bytes).await;
    let mut nothing = Vec::new();
    let end = soon(client.read_to_end(&mut nothing)).await;
    assert_eq!(nothing, b"");
    end.err().map(|error| error.kind())
}

#[tokio::test]
async fn what_is_no_header_is_refused_with_its_reason() {
    let (_endpoint, traffic) = proxied(&["127.0.0.0/8"], SendProxy::Off).await;
    let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
    let past_end = binary(&[0xea, 0, 200, 1]);
    let mut datagram = binary(&[]);
    datagram[13] = 0x12;
    let wrong: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 192.0.2.1 198.51.100.7 051234 443\r\n",
        long.as_bytes(),
        &past_end,
        &datagram,
    ];
    for (n, bytes) in wrong.into_iter().enumerate() {
        assert_eq!(
            ended(&traffic, bytes).await,
            Some(ErrorKind::ConnectionReset),
            "{n}"
        );
        let refused = (n + 1) as f64;
        eventually("the count", || traffic.closed("proxy-malformed") == refused).await;
    }
}

#[tokio::test]
async fn only_proxies_that_are_named_may_connect() {
    let (_endpoint, traffic) = proxied(&["10.0.0.0/8", "::1/128"], SendProxy::Off).await;
    assert_eq!(
        ended(&traffic, LINE).await,
        Some(ErrorKind::ConnectionReset)
    );
    eventually("the count", || traffic.closed("proxy-refused") == 1.0).await;
}

#[tokio::test]
async fn a_header_that_never_comes_is_waited_for_no_longer_than_agreed() {
    let (_endpoint, traffic) = proxied(&["127.0.0.0/8"], SendProxy::Off).await;
    for begun in [&b""[..], &LINE[..10], &binary(&[])[..15]] {
        assert_eq!(
            ended(&traffic, begun).await,
            Some(ErrorKind::ConnectionReset)
        );
    }
    eventually("the count", || traffic.closed("handshake-timeout") == 3.0).await;
    // Nor does it help to send a byte now and then.
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let dripping = async {
        for byte in LINE.chunks(1) {
            if client.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    dripping.await;
    assert_eq!(traffic.closed("handshake-timeout"), 4.0);
}

#[tokio::test]
async fn a_client_that_goes_before_its_header_is_counted_as_gone() {
    let (_endpoint, traffic) = proxied(&["127.0.0.0/8"], SendProxy::Off).await;
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    client.write_all(&LINE[..7]).await.unwrap();
    drop(client);
    eventually("the count", || traffic.closed("client-closed") == 1.0).await;
}

#[tokio::test]
async fn a_header_on_a_listener_without_proxies_is_the_clients_own_bytes() {
    let (endpoint, addr) = listener().await;
    let traffic = Setup::new(Protocol::Tcp, &[addr]).start();
    assert_eq!(
        passed(&endpoint, &traffic, &[LINE, b"x"]).await,
        [LINE, b"x"].concat()
    );
}

#[tokio::test]
async fn endpoints_are_told_what_the_proxy_told_us() {
    let came = [&[5, 0, 2, b'i', b'd'][..], &[4, 0, 1, 0], &[0xea, 0, 1, 9]].concat();
    for told in [SendProxy::V1, SendProxy::V2] {
        let (endpoint, traffic) = proxied(&["127.0.0.0/8"], told).await;
        let bytes = passed(&endpoint, &traffic, &[&binary(&came), b"payload"]).await;
        let (header, rest) = split(&bytes);
        assert_eq!(rest, b"payload");
        let addresses = header.addresses.unwrap();
        assert_eq!(addresses.source, "192.0.2.1:51234".parse().unwrap());
        assert_eq!(addresses.destination, "198.51.100.7:443".parse().unwrap());
        let kinds: Vec<TlvKind> = header.tlvs.iter().map(|(kind, _)| kind).collect();
        let onwards = [TlvKind::UNIQUE_ID, TlvKind(0xea)];
        assert_eq!(
            kinds,
            if told == SendProxy::V2 {
                &onwards[..]
            } else {
                &[]
            }
        );
        // A probe of the proxy is its own client.
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        let bytes = passed(&endpoint, &traffic, &[local]).await;
        let addresses = split(&bytes).0.addresses.unwrap();
        assert_eq!(addresses.source.ip(), traffic.addr.ip());
        assert_eq!(addresses.destination, traffic.addr);
    }
}

#[tokio::test]
async fn endpoints_are_told_before_the_client_says_anything() {
    let (endpoint, addr) = listener().await;
    let setup = Setup::new(Protocol::Tcp, &[addr]);
    let traffic = setup.policy(|p| p.send_proxy = SendProxy::V1).start();
    let client = TcpStream::connect(traffic.addr).await.unwrap();
    let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
    let from = client.local_addr().unwrap();
    let (port, to_port) = (from.port(), traffic.addr.port());
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} {to_port}\r\n");
    let mut line = vec![0; expected.len()];
    soon(upstream.read_exact(&mut line)).await.unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

#[tokio::test]
async fn equal_tlvs_lead_to_the_same_endpoint() {
    let mut endpoints = Vec::new();
    for _ in 0..8 {
        endpoints.push(listener().await);
    }
    let addrs: Vec<SocketAddr> = endpoints.iter().map(|(_, addr)| *addr).collect();
    let setup = Setup::new(Protocol::Tcp, &addrs).listener(|listener| {
        listener.accept_proxy = Some(vec!["127.0.0.0/8".parse().unwrap()]);
    });
    let setup = setup.policy(|policy| {
        policy.strategy = Strategy::ConsistentHash;
        policy.hash_key = HashKey::ProxyTlv(0xea);
    });
    let traffic = setup.start();
    let mut chosen = std::collections::BTreeSet::new();
    for vpc in 0..16 {
        let mut led_to = std::collections::BTreeSet::new();
        for port in 0..4 {
            let mut header = binary(&[0xea, 0, 1, vpc]);
            header[24] = port;
            let mut client = TcpStream::connect(traffic.addr).await.unwrap();
            client.write_all(&header).await.unwrap();
            let accepting = endpoints
                .iter()
                .map(|(listener, _)| Box::pin(listener.accept()));
            let (_, at, _) = soon(futures_util::future::select_all(accepting)).await;
            led_to.insert(at);
        }
        assert_eq!(led_to.len(), 1, "{vpc}");
        chosen.extend(led_to);
    }
    assert!(chosen.len() > 2, "{chosen:?}");
}

#[tokio::test]
async fn requests_come_from_the_client_that_the_proxy_names() {
    let origin = Origin::http(mirror).await;
    let setup = Setup::new(Protocol::Http, &[origin.addr]).listener(|listener| {
        listener.accept_proxy = Some(vec!["127.0.0.0/8".parse().unwrap()]);
    });
    let traffic = setup.start();
    let request = b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n";
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let bytes = [LINE, request].concat();
    client.write_all(&bytes).await.unwrap();
    let mut reply = String::new();
    soon(client.read_to_string(&mut reply)).await.unwrap();
    assert!(reply.contains("x-forwarded-for: 192.0.2.1\n"), "{reply}");

    assert_eq!(
        ended(&traffic, request).await,
        Some(ErrorKind::ConnectionReset)
    );
    eventually("the count", || traffic.closed("proxy-malformed") == 1.0).await;
}

/// Answers each request with the addresses of the header that its connection began with.
async fn introduced() -> Origin {
    Origin::raw(|mut stream| async move {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(stream.read_u8().await.unwrap());
        }
        let body = String::from_utf8(line).unwrap();
        let length = body.len();
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        while !read_head(&mut stream).await.is_empty() {
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_was_told_of_a_client_serves_no_other() {
    let origin = introduced().await;
    let setup = Setup::new(Protocol::Http, &[origin.addr]);
    let traffic = setup.policy(|p| p.send_proxy = SendProxy::V1).start();
    for clients in 1..=3 {
        let mut client = TcpStream::connect(traffic.addr).await.unwrap();
        let port = client.local_addr().unwrap().port();
        for _ in 0..3 {
            let request = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
            client.write_all(request).await.unwrap();
            let head = read_head(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let to = traffic.addr.port();
            let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} {to}\r\n");
            let mut body = vec![0; expected.len()];
            soon(client.read_exact(&mut body)).await.unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        }
        assert_eq!(origin.connections(), clients, "kept for this client");
    }
}
