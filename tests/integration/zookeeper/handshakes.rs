//! The first frame each way, to the byte, and what coming back does to who was there before.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Message, Port, connect_request, set};
use crate::support::{eventually, soon};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zoogate::tree::{SessionId, Stat};
use zoogate::zk::wire::{AddWatchMode, AddWatchRequest, ConnectRequest, OpCode, put_frame};

/// The request by which `client` comes back.
fn again(client: &Client) -> ConnectRequest {
    let mut request = connect_request();
    request.fields.session = client.session;
    request.fields.password = client.password.clone();
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_is_as_long_as_the_client_can_read() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    for (read_only, length) in [(None, 36), (Some(false), 37), (Some(true), 37)] {
        let mut request = connect_request();
        request.read_only = read_only;
        let mut frame = BytesMut::new();
        put_frame(&mut frame, &(), &request);
        let mut socket = TcpStream::connect(port.addr).await.expect("listens");
        socket.write_all(&frame).await.expect("sent");
        let mut answer = [0; 4 + 36];
        soon(socket.read_exact(&mut answer))
            .await
            .expect("answered");
        assert_eq!(answer[..4], i32::to_be_bytes(length));
        assert_eq!(answer[4..8], [0; 4], "the version of the protocol");
        assert_eq!(answer[20..24], i32::to_be_bytes(16), "of the password");
        if length == 37 {
            assert_eq!(soon(socket.read_u8()).await.expect("one byte more"), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_means_nothing_in_a_new_session_is_ignored() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut sessions = Vec::new();
    for (version, password) in [
        (0, None),
        (7, Some(Bytes::new())),
        (-1, Some(Bytes::from_static(&[1; 16]))),
        (i32::MAX, Some(Bytes::from(vec![2; 10_000]))),
    ] {
        let mut request = connect_request();
        request.fields.protocol_version = version;
        request.fields.password = password.clone();
        let mut client = Client::connect(port.addr).await;
        let fields = client.shake(&request).await.expect("an answer").fields;
        assert_eq!(fields.protocol_version, 0);
        let granted = fields.password.expect("a password");
        assert_eq!(granted.len(), 16);
        assert!(Some(&granted) != password.as_ref() && *granted != [0; 16]);
        assert!(fields.session.0 > 0 && !fields.session.is_local());
        sessions.push((fields.session, granted));
    }
    sessions.sort();
    sessions.dedup_by_key(|(session, _)| *session);
    assert_eq!(sessions.len(), 4);
    sessions.dedup_by_key(|(_, password)| password.clone());
    assert_eq!(sessions.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_has_its_id_its_password_and_a_new_timeout() {
    let members = Members::start(3).await;
    let (first, second) = (
        Port::open(&members, "n1").await,
        Port::open(&members, "n2").await,
    );
    let mut client = Client::open(first.addr).await;
    let (session, password) = (client.session, client.password.clone());
    for (port, asked, granted) in [(&first, 20_000, 20_000), (&second, 1, 4_000)] {
        let mut request = again(&client);
        request.fields.timeout_ms = asked;
        let mut next = Client::connect(port.addr).await;
        let fields = next.shake(&request).await.expect("an answer").fields;
        assert_eq!(fields.timeout_ms, granted);
        assert_eq!((fields.session, &fields.password), (session, &password));
        client.closed().await;
        let agreed = members.member("n2");
        eventually("the others know the timeout", || {
            let known = agreed.read(|tree| tree.session(session).map(|it| it.timeout_ms));
            known == Some(granted as u32)
        })
        .await;
        client = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_over_or_never_were_cannot_be_come_back_to() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut closed = Client::open(port.addr).await;
    let mut never = again(&closed);
    never.fields.session = SessionId(closed.session.0 + 1000);
    assert_eq!(closed.call(OpCode::CloseSession, &()).await.error(), 0);
    for (request, read_only) in [(again(&closed), Some(false)), (never, None)] {
        let mut client = Client::connect(port.addr).await;
        let request = ConnectRequest {
            read_only,
            ..request
        };
        let response = client.shake(&request).await.expect("an answer");
        let fields = response.fields;
        assert_eq!((fields.timeout_ms, fields.session), (0, SessionId::NONE));
        assert_eq!(fields.password, Some(Bytes::from_static(&[0; 16])));
        assert_eq!(response.read_only, read_only);
        client.closed().await;
    }
    let mut ahead = again(&Client::open(port.addr).await);
    ahead.fields.last_zxid_seen = i64::MAX;
    let mut client = Client::connect(port.addr).await;
    assert_eq!(client.shake(&ahead).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_come_back_at_once_one_stays_and_the_session_goes_on() {
    let members = Members::start(3).await;
    let mut ports = Vec::new();
    for name in ["n1", "n2", "n3"] {
        ports.push(Port::open(&members, name).await);
    }
    let mut first = Client::open(ports[0].addr).await;
    assert_eq!(first.create("/e", 1).await.error(), 0);
    let mut coming = tokio::task::JoinSet::new();
    for round in 0..30 {
        let (addr, request) = (ports[round % 3].addr, again(&first));
        coming.spawn(async move {
            let mut client = Client::connect(addr).await;
            // Some hear of their successor before they hear of their own success.
            let response = client.shake(&request).await;
            (client, response.map(|it| it.fields.session))
        });
    }
    let mut clients = Vec::new();
    while let Some(came) = coming.join_next().await {
        let (client, session) = came.expect("no panic");
        assert!(session.is_none_or(|session| session == first.session));
        clients.extend(session.map(|_| client));
    }
    first.closed().await;
    eventually("one connection is left", || {
        let connected = |port: &Port| port.metrics.coordination.zk_connections.get();
        ports.iter().map(connected).sum::<i64>() == 1
    })
    .await;
    let mut answered = 0;
    for client in &mut clients {
        client.send(OpCode::SetData, &set("/e", "mine")).await;
        if let Some(Message::Reply(reply)) = client.message().await {
            let stat: Stat = reply.read();
            assert_eq!(stat.ephemeral_owner, first.session);
            answered += 1;
        }
    }
    assert_eq!(answered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_that_stops_reading_is_cut_off_and_keeps_its_session() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut deaf = Client::open(port.addr).await;
    let mut writer = Client::open(port.addr).await;
    // The path is in every event, so a few of them are many bytes.
    let path = format!("/{}", "x".repeat(400_000));
    assert_eq!(writer.create(&path, 0).await.error(), 0);
    let watch = AddWatchRequest {
        path: path.as_str().into(),
        mode: AddWatchMode::Persistent,
    };
    assert_eq!(deaf.call(OpCode::AddWatch, &watch).await.error(), 0);
    for round in 0..200 {
        let stat: Stat = writer.set(&path, "x").await.read();
        assert_eq!(stat.version, round + 1, "the writer is not held up");
        if port.metrics.coordination.zk_connections.get() == 1 {
            break;
        }
    }
    eventually("the watcher is cut off", || {
        port.metrics.coordination.zk_connections.get() == 1
    })
    .await;
    Client::reattach(port.addr, &deaf).await;
}
