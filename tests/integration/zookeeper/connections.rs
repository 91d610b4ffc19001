//! What arrives before and around requests: words, garbage, limits, the end of the port.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::zookeeper::{Client, Port, connect_request, set};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::time::Instant;
use zoogate::tree::Stat;
use zoogate::zk::wire::{MAX_FRAME, OpCode, put_frame};

async fn say(port: &Port, parts: &[&[u8]]) -> String {
    let mut client = Client::connect(port.addr).await;
    for part in parts {
        client.raw(part).await;
        tokio::task::yield_now().await;
    }
    client.text().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_letter_words_are_answered_in_one_segment_or_two() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    for parts in [&[&b"ruok"[..]][..], &[b"ruok\n"], &[b"ru", b"ok"]] {
        assert_eq!(say(&port, parts).await, "imok");
    }
    let srvr = say(&port, &[b"srvr"]).await;
    assert!(srvr.starts_with("Zookeeper version: 3.9.3-"), "{srvr}");
    assert!(srvr.contains("\nMode: standalone\nNode count: "), "{srvr}");
    let mntr = say(&port, &[b"mntr"]).await;
    assert!(mntr.contains("zk_server_state\tstandalone\n"), "{mntr}");
    let refused = say(&port, &[b"cons"]).await;
    assert_eq!(
        refused,
        "cons is not executed because it is not in the whitelist.\n"
    );
    assert_eq!(say(&port, &[b"zzzz"]).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_ends_its_own_connection_and_no_other() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut witness = Client::open(port.addr).await;
    let garbage: [&[u8]; 5] = [
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 1, 2, 3],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 1, 2, 3],
    ];
    for bytes in garbage {
        let mut client = Client::connect(port.addr).await;
        client.raw(bytes).await;
        client.closed().await;
    }
    for bytes in [&b"ruok"[..], &[0, 0, 0, 4, 0, 0, 0, 1], &[0xff; 4]] {
        let mut client = Client::open(port.addr).await;
        client.raw(bytes).await;
        client.closed().await;
    }
    assert_eq!(witness.get(OpCode::Exists, "/", false).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_handshake_is_given_up_after_its_deadline() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut frame = BytesMut::new();
    put_frame(&mut frame, &(), &connect_request());
    let mut left = Client::connect(port.addr).await;
    left.raw(&frame[..10]).await;
    left.end().await;
    left.closed().await;
    let begun = Instant::now();
    let mut silent = Client::connect(port.addr).await;
    silent.raw(&frame[..frame.len() - 1]).await;
    silent.closed().await;
    assert!(begun.elapsed() >= Duration::from_secs(9));
    eventually("no connection left", || {
        port.metrics.coordination.zk_connections.get() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_frame_is_served_and_one_byte_more_closes_but_keeps_the_session() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/big", 1).await.error(), 0);
    // Header 8, path 4 + 4, length of the data 4, version 4.
    let mut request = set("/big", "");
    request.data = Some(Bytes::from(vec![b'x'; MAX_FRAME - 24]));
    let stat: Stat = client.call(OpCode::SetData, &request).await.read();
    assert_eq!(stat.data_length as usize, MAX_FRAME - 24);
    request.data = Some(Bytes::from(vec![b'x'; MAX_FRAME - 23]));
    client.send(OpCode::SetData, &request).await;
    client.closed().await;
    let mut again = Client::reattach(port.addr, &client).await;
    let stat: Stat = again.get(OpCode::Exists, "/big", false).await.read();
    assert_eq!((stat.version, stat.ephemeral_owner), (1, client.session));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_the_port_closes_every_connection() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut idle = Client::connect(port.addr).await;
    let mut open = Client::open(port.addr).await;
    let addr = port.addr;
    port.close().await;
    idle.closed().await;
    open.closed().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quorum_clients_are_dropped_and_turned_away() {
    let mut members = Members::start(3).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    members.stop("n2").await;
    members.stop("n3").await;
    client.closed().await;
    let mut late = Client::connect(port.addr).await;
    assert_eq!(late.shake(&connect_request()).await, None);
    assert_eq!(say(&port, &[b"ruok"]).await, "imok");
    let srvr = say(&port, &[b"srvr"]).await;
    assert_eq!(
        srvr,
        "This ZooKeeper instance is not currently serving requests\n"
    );
    members.restart("n2").await;
    members.all_serve().await;
    Client::reattach(port.addr, &client).await;
}
