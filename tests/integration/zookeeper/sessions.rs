//! Sessions: taken over, refused, moved, closed.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::zookeeper::{Client, Port, connect_request, set};
use bytes::Bytes;
use zoogate::tree::{SessionId, Stat};
use zoogate::zk::wire::{DataResponse, OpCode, PathRequest, ReadRequest};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_its_connection_and_is_taken_over_with_its_password() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut first = Client::open(port.addr).await;
    assert_eq!(first.create("/e", 1).await.error(), 0);
    let mut second = Client::reattach(port.addr, &first).await;
    first.closed().await;
    second.end().await;
    second.closed().await;
    let mut third = Client::reattach(port.addr, &first).await;
    let stat: Stat = third.get(OpCode::Exists, "/e", false).await.read();
    assert_eq!(stat.ephemeral_owner, first.session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_nobody_reads_ends_with_its_session() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut deaf = Client::open(port.addr).await;
    assert_eq!(deaf.create("/big", 0).await.error(), 0);
    let big = "x".repeat(1_000_000);
    assert_eq!(deaf.set("/big", &big).await.error(), 0);
    let read = ReadRequest {
        path: "/big".into(),
        watch: false,
    };
    for _ in 0..50 {
        deaf.send(OpCode::GetData, &read).await;
    }
    let mut other = Client::reattach(port.addr, &deaf).await;
    eventually("one connection is left", || {
        port.metrics.coordination.zk_connections.get() == 1
    })
    .await;
    assert_eq!(other.get(OpCode::Exists, "/", false).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_gets_no_session_and_disturbs_none() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut owner = Client::open(port.addr).await;
    let passwords = [Some(Bytes::from_static(&[7; 16])), Some(Bytes::new()), None];
    for password in passwords {
        let mut request = connect_request();
        request.fields.session = owner.session;
        request.fields.password = password;
        let mut thief = Client::connect(port.addr).await;
        let response = thief.shake(&request).await.expect("an answer");
        assert_eq!(response.fields.timeout_ms, 0);
        assert_eq!(response.fields.session, SessionId::NONE);
        assert_eq!(response.fields.password, Some(Bytes::from_static(&[0; 16])));
        thief.closed().await;
    }
    assert_eq!(owner.get(OpCode::Exists, "/", false).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeout_is_negotiated_and_old_clients_get_no_read_only_byte() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    for (asked, granted) in [(-5, 4_000), (4_777, 4_777), (i32::MAX, 40_000)] {
        for read_only in [None, Some(false), Some(true)] {
            let mut request = connect_request();
            request.fields.timeout_ms = asked;
            request.read_only = read_only;
            let mut client = Client::connect(port.addr).await;
            let response = client.shake(&request).await.expect("an answer");
            assert_eq!(response.fields.timeout_ms, granted);
            assert_eq!(response.read_only, read_only.map(|_| false));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_a_session_is_acknowledged_before_the_connection_ends() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let mut other = Client::open(port.addr).await;
    assert_eq!(client.create("/e", 1).await.error(), 0);
    let reply = client.call(OpCode::CloseSession, &()).await;
    assert_eq!(reply.error(), 0);
    client.closed().await;
    let stat: Stat = other.get(OpCode::Exists, "/", false).await.read();
    assert_eq!(stat.pzxid.to_wire(), reply.header.zxid);
    assert_eq!(other.get(OpCode::Exists, "/e", false).await.error(), -101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_seen_a_newer_transaction_is_turned_away() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut request = connect_request();
    request.fields.last_zxid_seen = 1 << 40;
    let mut client = Client::connect(port.addr).await;
    assert_eq!(client.shake(&request).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_moves_to_another_member_and_its_old_connection_ends() {
    let members = Members::start(3).await;
    let (n1, n2) = (
        Port::open(&members, "n1").await,
        Port::open(&members, "n2").await,
    );
    let mut old = Client::open(n1.addr).await;
    assert_eq!(old.create("/a", 0).await.error(), 0);
    let mut new = Client::reattach(n2.addr, &old).await;
    assert_eq!(new.set("/a", "new").await.error(), 0);
    old.send(OpCode::SetData, &set("/a", "stale")).await;
    old.closed().await;
    let found: DataResponse = new.get(OpCode::GetData, "/a", false).await.read();
    assert_eq!(found.data, Some(Bytes::from_static(b"new")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_ends_its_connection() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut request = connect_request();
    request.fields.timeout_ms = 4_000;
    let mut silent = Client::connect(port.addr).await;
    silent.shake(&request).await.expect("an answer");
    silent.closed().await;
    let member = members.member("n1");
    eventually("the session is gone", || {
        member.read(|tree| tree.session(silent.session).is_none())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_shows_every_write_acknowledged_before_on_any_member() {
    let members = Members::start(3).await;
    let leader = members.leader().await;
    let follower = members.follower().await;
    let (there, here) = (
        Port::open(&members, &leader).await,
        Port::open(&members, &follower).await,
    );
    let mut writer = Client::open(there.addr).await;
    let mut reader = Client::open(here.addr).await;
    assert_eq!(writer.create("/a", 0).await.error(), 0);
    for round in 0..30 {
        let written: Stat = writer.set("/a", &format!("{round}")).await.read();
        let path = PathRequest { path: "/a".into() };
        let echoed: std::sync::Arc<str> = reader.call(OpCode::Sync, &path).await.read();
        assert_eq!(&*echoed, "/a");
        let seen: Stat = reader.get(OpCode::Exists, "/a", false).await.read();
        assert_eq!(seen, written);
    }
}
