//! The relay over real sockets, where the whole data plane around it would hide what it holds.

use super::*;
use crate::proxy::watch::Watch;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use xxhash_rust::xxh3::xxh3_64;

/// Two ends of one connection.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(addr), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

fn stock() -> Stock {
    Stock::new(Descriptors::unlimited())
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// Passes `bytes` from a client to an endpoint whose side of the relay was changed by `change`.
async fn carried(stock: &Stock, bytes: &[u8], change: impl FnOnce(&TcpStream)) -> Vec<u8> {
    let (mut client, accepted) = connection().await;
    let (dialled, mut endpoint) = connection().await;
    change(&dialled);
    let watch = Watch::default();
    let relay = relay(accepted.into(), dialled.into(), &watch, stock);
    let talk = async {
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let listen = async {
        let mut heard = Vec::new();
        endpoint.read_to_end(&mut heard).await.unwrap();
        drop(endpoint);
        heard
    };
    let (outcome, (), heard) = tokio::join!(relay, talk, listen);
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(watch.received.get(), bytes.len() as u64);
    heard
}

#[tokio::test]
async fn bulk_goes_through_one_pipe_that_is_back_at_the_end() {
    let stock = stock();
    let sent = bytes(20 << 20);
    let heard = carried(&stock, &sent, |_| {}).await;
    assert_eq!(xxh3_64(&heard), xxh3_64(&sent));
    assert_eq!(stock.pipes.counted(), (1, 1));
}

#[tokio::test]
async fn small_messages_use_no_pipe() {
    let stock = stock();
    let sent = bytes(3 * buffers::SMALL);
    assert!(carried(&stock, &sent, |_| {}).await == sent);
    assert_eq!(stock.pipes.counted(), (0, 0));
}

#[tokio::test]
async fn without_pipes_bulk_is_copied() {
    let stock = stock();
    let taken: Vec<_> = std::iter::from_fn(|| stock.pipes.take()).collect();
    let sent = bytes(5 << 20);
    assert!(carried(&stock, &sent, |_| {}).await == sent);
    assert_eq!(stock.pipes.counted(), (taken.len(), 0));
}

/// Linux splices to no file that was opened for appending, sockets included.
#[tokio::test]
async fn a_socket_that_cannot_be_spliced_to_is_copied_to_without_a_gap() {
    let stock = stock();
    let sent = bytes(5 << 20);
    let append = |socket: &TcpStream| {
        let flags = fcntl_getfl(socket).unwrap();
        fcntl_setfl(socket, flags | OFlags::APPEND).unwrap();
    };
    assert!(carried(&stock, &sent, append).await == sent);
    assert_eq!(stock.pipes.counted(), (0, 0));
}
