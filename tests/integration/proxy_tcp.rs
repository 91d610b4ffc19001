//! The TCP flow: what one side does is what the other side sees.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xxhash_rust::xxh3::Xxh3;
use zoogate::config::Protocol;
use zoogate::net::now_ms;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn tcp(endpoints: &[SocketAddr]) -> Setup {
    Setup::new(Protocol::Tcp, endpoints)
}

/// A client, the endpoint's side of its connection, and what is between them.
async fn pair(setup: impl FnOnce(Setup) -> Setup) -> (TcpStream, TcpStream, Traffic) {
    let (endpoint, addr) = listener().await;
    let traffic = setup(tcp(&[addr])).start();
    let client = TcpStream::connect(traffic.addr).await.unwrap();
    let (upstream, _) = soon(endpoint.accept()).await.unwrap();
    (client, upstream, traffic)
}

async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    soon(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(got, bytes);
}

/// How a stream ends: bytes, then an orderly end or an error.
async fn rest(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = soon(stream.read_to_end(&mut bytes)).await;
    (bytes, end.err().map(|e| e.kind()))
}

/// The client gets a reset: before it has noticed that it is connected, or afterwards.
async fn expect_reset(addr: SocketAddr) {
    let end = match TcpStream::connect(addr).await {
        Ok(mut client) => rest(&mut client).await.1,
        Err(error) => Some(error.kind()),
    };
    assert_eq!(end, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn half_close_of_the_client_leaves_the_answer_open() {
    let (mut client, mut upstream, traffic) = pair(|s| s).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut upstream).await, (b"question".to_vec(), None));
    upstream.write_all(b"answer").await.unwrap();
    drop(upstream);
    assert_eq!(rest(&mut client).await, (b"answer".to_vec(), None));
    eventually("end of the connection", || traffic.closed("done") == 1.0).await;
    assert_eq!(
        traffic.metric("zoogate_received_bytes_total{service=\"web\"}"),
        8.0
    );
    assert_eq!(
        traffic.metric("zoogate_sent_bytes_total{service=\"web\"}"),
        6.0
    );
}

#[tokio::test]
async fn half_close_of_the_endpoint_leaves_the_client_talking() {
    let (mut client, mut upstream, _traffic) = pair(|s| s).await;
    upstream.write_all(b"banner").await.unwrap();
    upstream.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, (b"banner".to_vec(), None));
    client.write_all(b"last words").await.unwrap();
    drop(client);
    assert_eq!(rest(&mut upstream).await, (b"last words".to_vec(), None));
}

#[tokio::test]
async fn a_reset_by_the_endpoint_resets_the_client() {
    let (mut client, mut upstream, traffic) = pair(|s| s).await;
    // The relay is at work; a reset before that is a failure to connect.
    client.write_all(b"x").await.unwrap();
    expect(&mut upstream, b"x").await;
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    assert_eq!(
        rest(&mut client).await,
        (vec![], Some(ErrorKind::ConnectionReset))
    );
    eventually("end of the connection", || {
        traffic.closed("upstream-reset") == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_reset_by_the_client_resets_the_endpoint() {
    let (client, mut upstream, traffic) = pair(|s| s).await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(
        rest(&mut upstream).await,
        (vec![], Some(ErrorKind::ConnectionReset))
    );
    eventually("end of the connection", || {
        traffic.closed("client-reset") == 1.0
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_replaced_by_another() {
    let (gone, refusing) = listener().await;
    drop(gone);
    let (endpoint, addr) = listener().await;
    let traffic = tcp(&[refusing, addr]).start();
    for _ in 0..4 {
        let mut client = TcpStream::connect(traffic.addr).await.unwrap();
        let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
        upstream.write_all(b"hello").await.unwrap();
        expect(&mut client, b"hello").await;
    }
    let failures = &traffic.endpoints[0].state.connect_failures;
    let failures = failures.load(Ordering::Relaxed);
    assert!(failures > 0);
    let retries = traffic.metric("zoogate_retries_total{service=\"web\"}");
    assert_eq!(retries, f64::from(failures as u32));
}

#[tokio::test]
async fn a_client_without_an_endpoint_is_reset() {
    let (gone, refusing) = listener().await;
    drop(gone);
    for (endpoints, reason) in [
        (vec![], "no-endpoints"),
        (vec![refusing], "connect-refused"),
    ] {
        let traffic = tcp(&endpoints).start();
        expect_reset(traffic.addr).await;
        eventually("counters", || traffic.closed(reason) == 1.0).await;
    }
}

/// An address that answers no SYN: a backlog that is full.
async fn black_hole() -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(addr)).await
    {
        filling.push(stream);
    }
    (socket, filling, addr)
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_given_up_in_time() {
    let (_socket, _filling, silent) = black_hole().await;
    let (endpoint, addr) = listener().await;
    let quick = |s: Setup| s.policy(|p| p.connect_timeout = Duration::from_millis(300));

    let traffic = quick(tcp(&[silent])).start();
    let started = now_ms();
    expect_reset(traffic.addr).await;
    assert!((300..2000).contains(&(now_ms() - started)));
    eventually("end of the connection", || {
        traffic.closed("connect-timeout") == 1.0
    })
    .await;

    let traffic = quick(tcp(&[silent, addr])).start();
    for _ in 0..2 {
        let mut client = TcpStream::connect(traffic.addr).await.unwrap();
        let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
        upstream.write_all(b"hello").await.unwrap();
        expect(&mut client, b"hello").await;
    }
}

#[tokio::test]
async fn a_silent_connection_ends_and_a_talking_one_does_not() {
    let idle = Duration::from_millis(600);
    let (mut talking, mut upstream, traffic) = pair(|s| s.policy(|p| p.idle_timeout = idle)).await;
    let started = now_ms();
    while now_ms() - started < 1500 {
        talking.write_all(b"x").await.unwrap();
        expect(&mut upstream, b"x").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(traffic.closed("idle-timeout"), 0.0);
    assert_eq!(rest(&mut talking).await, (vec![], None));
    assert_eq!(rest(&mut upstream).await, (vec![], None));
    eventually("end of the connection", || {
        traffic.closed("idle-timeout") == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_drained_endpoint_keeps_its_connections_until_the_deadline() {
    let (mut client, mut upstream, traffic) = pair(|s| s).await;
    traffic.endpoints[0].state.retire(now_ms() + 700);
    traffic.use_endpoints(&[]);
    expect_reset(traffic.addr).await;

    client.write_all(b"still here").await.unwrap();
    expect(&mut upstream, b"still here").await;
    assert_eq!(rest(&mut client).await, (vec![], None));
    assert_eq!(rest(&mut upstream).await, (vec![], None));
    eventually("end of the connection", || traffic.closed("drained") == 1.0).await;
    eventually("counters", || {
        traffic.endpoints[0].state.active.load(Ordering::Relaxed) == 0
    })
    .await;
}

#[tokio::test]
async fn a_removed_endpoint_is_picked_no_more() {
    let (first, first_addr) = listener().await;
    let (second, second_addr) = listener().await;
    let traffic = tcp(&[first_addr, second_addr]).start();
    traffic.use_endpoints(&traffic.endpoints[1..]);
    for _ in 0..5 {
        let _client = TcpStream::connect(traffic.addr).await.unwrap();
        soon(second.accept()).await.unwrap();
    }
    let picks = &traffic.endpoints[0].state.picks;
    assert_eq!(picks.load(Ordering::Relaxed), 0);
    drop(first);
}

/// Sends `size` bytes while receiving as many; both ends must see the same.
async fn exchange(mut stream: TcpStream, seed: u8, size: usize) -> (u64, u64) {
    let (mut reader, mut writer) = stream.split();
    let send = async {
        let mut hash = Xxh3::new();
        let mut sent = 0;
        let mut chunk = vec![seed; 50_000];
        while sent < size {
            let n = chunk.len().min(size - sent);
            chunk[0] = chunk[0].wrapping_mul(31).wrapping_add(7);
            chunk[n / 2] = sent as u8;
            writer.write_all(&chunk[..n]).await.unwrap();
            hash.update(&chunk[..n]);
            sent += n;
        }
        writer.shutdown().await.unwrap();
        hash.digest()
    };
    let receive = async {
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; 70_000];
        loop {
            match reader.read(&mut buffer).await.unwrap() {
                0 => return hash.digest(),
                n => hash.update(&buffer[..n]),
            }
        }
    };
    tokio::join!(send, receive)
}

#[tokio::test]
async fn ten_megabytes_arrive_unchanged_both_ways_at_once() {
    const SIZE: usize = 10 << 20;
    let (client, upstream, _traffic) = pair(|s| s).await;
    let (client, upstream) =
        soon(async { tokio::join!(exchange(client, 1, SIZE), exchange(upstream, 2, SIZE)) }).await;
    assert_eq!(client.0, upstream.1);
    assert_eq!(upstream.0, client.1);
}

#[tokio::test]
async fn a_reader_that_stops_makes_the_sender_stop() {
    let (mut client, upstream, traffic) = pair(|s| s).await;
    let chunk = vec![7; 64 << 10];
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(300), client.write(&chunk)).await
    {
        sent += written.unwrap();
    }
    let taken = traffic.metric("zoogate_received_bytes_total{service=\"web\"}");
    assert!(
        sent < 64 << 20,
        "{sent} bytes went into a connection nobody reads"
    );
    assert!(taken <= sent as f64);
    drop(upstream);
}

#[tokio::test]
async fn workers_share_one_port() {
    let (endpoint, addr) = listener().await;
    let traffic = Setup {
        workers: 4,
        ..tcp(&[addr])
    }
    .start();
    for _ in 0..32 {
        let _client = TcpStream::connect(traffic.addr).await.unwrap();
        soon(endpoint.accept()).await.unwrap();
    }
}

#[tokio::test]
async fn stopping_lets_connections_finish_and_accepts_no_more() {
    let (mut client, mut upstream, traffic) = pair(|s| s).await;
    let addr = traffic.addr;
    let stopping = tokio::spawn(traffic.stop(Duration::from_secs(30)));
    soon(async { while TcpStream::connect(addr).await.is_ok() {} }).await;
    client.write_all(b"finishing").await.unwrap();
    expect(&mut upstream, b"finishing").await;
    assert!(!stopping.is_finished());
    drop((client, upstream));
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn stopping_ends_what_does_not_finish() {
    let (mut client, mut upstream, traffic) = pair(|s| s).await;
    soon(traffic.stop(Duration::from_millis(100))).await;
    assert_eq!(rest(&mut client).await, (vec![], None));
    assert_eq!(rest(&mut upstream).await, (vec![], None));
}
