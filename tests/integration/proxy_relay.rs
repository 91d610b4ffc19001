//! The relay under load and under faults: bulk through pipes, slow and vanishing peers, what is held meanwhile.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use xxhash_rust::xxh3::Xxh3;
use zoogate::config::{Keepalive, Protocol, ServicePolicy};

/// Bytes of a transfer: dozens of times what a pipe holds.
const BULK: usize = 16 << 20;

/// A client, the endpoint's side of its connection, and what is between them.
async fn pair(change: impl FnOnce(&mut ServicePolicy)) -> (TcpStream, TcpStream, Traffic) {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup::new(Protocol::Tcp, &[endpoint.local_addr().unwrap()]).policy(change);
    let traffic = setup.start();
    let (client, upstream) = connect(traffic.addr, &endpoint).await;
    (client, upstream, traffic)
}

async fn connect(addr: SocketAddr, endpoint: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(addr).await.unwrap();
    let (upstream, _) = soon(endpoint.accept()).await.unwrap();
    (client, upstream)
}

/// Sends `size` bytes that begin with `seed`; their hash.
async fn send(stream: &mut TcpStream, seed: u8, size: usize) -> u64 {
    let (mut hash, mut chunk, mut left) = (Xxh3::new(), vec![seed; 60_000], size);
    while left > 0 {
        let n = chunk.len().min(left);
        chunk[n / 3] = chunk[n / 3].wrapping_mul(31).wrapping_add(7);
        chunk[n / 2] = left as u8;
        stream.write_all(&chunk[..n]).await.unwrap();
        hash.update(&chunk[..n]);
        left -= n;
    }
    hash.digest()
}

/// The hash of all that comes until the end.
async fn receive(stream: &mut TcpStream) -> u64 {
    let (mut hash, mut buffer) = (Xxh3::new(), vec![0; 100_000]);
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => return hash.digest(),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Writes until nothing has gone in for a while; what went in.
async fn stuff(stream: &mut TcpStream) -> usize {
    let (chunk, mut sent) = (vec![7; 64 << 10], 0);
    while let Ok(written) = timeout(Duration::from_millis(300), stream.write(&chunk)).await {
        sent += written.unwrap();
        assert!(sent < 64 << 20, "{sent} bytes, and nobody reads them");
    }
    sent
}

#[tokio::test]
async fn bulk_is_whole_in_each_direction_after_a_half_close_of_the_other() {
    let (mut client, mut upstream, traffic) = pair(|_| {}).await;
    let up = async {
        let sent = send(&mut client, 1, BULK).await;
        client.shutdown().await.unwrap();
        sent
    };
    let (sent, received) = soon(async { tokio::join!(up, receive(&mut upstream)) }).await;
    assert_eq!(sent, received);
    let down = async {
        let sent = send(&mut upstream, 2, BULK).await;
        drop(upstream);
        sent
    };
    let (sent, received) = soon(async { tokio::join!(down, receive(&mut client)) }).await;
    assert_eq!(sent, received);
    eventually("end of the connection", || traffic.closed("done") == 1.0).await;
    for direction in ["received", "sent"] {
        let counted = traffic.metric(&format!(
            "zoogate_{direction}_bytes_total{{service=\"web\"}}"
        ));
        assert_eq!(counted, BULK as f64);
    }
}

#[tokio::test]
async fn bulk_waits_for_a_slow_reader_and_is_whole_then() {
    let (mut client, mut upstream, _traffic) = pair(|_| {}).await;
    let held = stuff(&mut upstream).await;
    drop(upstream);
    let mut got = 0;
    let mut buffer = vec![0; 200_000];
    loop {
        match soon(client.read(&mut buffer)).await.unwrap() {
            0 => break,
            n => {
                assert!(buffer[..n].iter().all(|byte| *byte == 7));
                got += n;
            }
        }
    }
    assert_eq!(got, held);
}

#[tokio::test]
async fn a_broken_bulk_stream_is_reset_and_leaves_nothing_to_the_next() {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup::new(Protocol::Tcp, &[endpoint.local_addr().unwrap()]);
    let traffic = setup.start();
    for round in 1..=3 {
        // The client does not read, so that a pipe is full when its stream breaks.
        let (mut client, mut upstream) = connect(traffic.addr, &endpoint).await;
        stuff(&mut upstream).await;
        upstream.set_zero_linger().unwrap();
        drop(upstream);
        // The relay meets the reset when it reads on, so it has to have somewhere to put what it holds.
        let end = soon(async {
            let mut buffer = vec![0; 100_000];
            loop {
                match client.read(&mut buffer).await {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) => return Some(error.kind()),
                }
            }
        })
        .await;
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        eventually("end of the connection", || {
            traffic.closed("upstream-reset") == f64::from(round)
        })
        .await;
    }
    let (mut client, mut upstream) = connect(traffic.addr, &endpoint).await;
    let down = async {
        let sent = send(&mut upstream, 3, BULK).await;
        drop(upstream);
        sent
    };
    let (sent, received) = soon(async { tokio::join!(down, receive(&mut client)) }).await;
    assert_eq!(sent, received);
}

#[tokio::test]
async fn a_client_that_resets_a_download_ends_it() {
    let (client, mut upstream, traffic) = pair(|_| {}).await;
    stuff(&mut upstream).await;
    client.set_zero_linger().unwrap();
    drop(client);
    let chunk = vec![0; 64 << 10];
    let end = soon(async {
        loop {
            if let Err(error) = upstream.write_all(&chunk).await {
                return error.kind();
            }
        }
    })
    .await;
    assert!(matches!(
        end,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    ));
    eventually("end of the connection", || {
        traffic.closed("client-reset") == 1.0
    })
    .await;
}

/// Whether the connection from `local` to the port `remote` has a keepalive timer: `02` in the column `tr` of
/// `/proc/net/tcp`.
fn has_keepalive(local: SocketAddr, remote: SocketAddr) -> bool {
    let ending = |addr: SocketAddr| format!(":{:04X}", addr.port());
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 5
            && fields[1].ends_with(&ending(local))
            && fields[2].ends_with(&ending(remote))
            && fields[5].starts_with("02:")
    })
}

#[tokio::test]
async fn silent_peers_are_probed_on_both_sides_unless_it_is_off() {
    let (client, upstream, traffic) = pair(|_| {}).await;
    let client_addr = client.local_addr().unwrap();
    assert!(has_keepalive(traffic.addr, client_addr));
    let (endpoint, dialled) = (upstream.local_addr(), upstream.peer_addr());
    let (endpoint, dialled) = (endpoint.unwrap(), dialled.unwrap());
    eventually("keepalive of a connection that lasts", || {
        has_keepalive(dialled, endpoint)
    })
    .await;

    let (_client, upstream, _off) = pair(|policy| policy.keepalive = Keepalive::Off).await;
    let (endpoint, dialled) = (upstream.local_addr(), upstream.peer_addr());
    tokio::time::sleep(Duration::from_millis(1600)).await; // there is no sign of what does not happen
    assert!(!has_keepalive(dialled.unwrap(), endpoint.unwrap()));
}
