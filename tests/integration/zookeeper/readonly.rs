//! Reading while no leader is within reach, for clients that said it would do.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::zookeeper::{Client, Port, connect_request, create, set};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;
use zoogate::tree::{Acl, SessionId};
use zoogate::zk::wire::{
    AuthRequest, ConnectRequest, ConnectResponse, DataResponse, MultiOp, MultiRequest, OpCode,
    PathRequest, SetAclRequest, SetWatchesRequest, VersionRequest, XID_PING,
};

/// Three members, a port of the first that may serve reads, and a client with data in the tree. Then the
/// others are gone.
async fn alone() -> (Members, Port, Client) {
    let mut members = Members::start(3).await;
    let port = Port::open_with(&members, "n1", |it| it.read_only = true).await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    assert_eq!(client.create("/e", 1).await.error(), 0);
    members.stop("n2").await;
    members.stop("n3").await;
    client.closed().await;
    (members, port, client)
}

fn request(read_only: Option<bool>) -> ConnectRequest {
    ConnectRequest {
        read_only,
        ..connect_request()
    }
}

/// The request by which `client` comes back.
fn again(client: &Client) -> ConnectRequest {
    let mut request = request(Some(true));
    request.fields.session = client.session;
    request.fields.password = client.password.clone();
    request
}

async fn shake(port: &Port, request: &ConnectRequest) -> (Client, Option<ConnectResponse>) {
    let mut client = Client::connect(port.addr).await;
    let response = client.shake(request).await;
    (client, response)
}

async fn reader(port: &Port) -> Client {
    let (client, response) = shake(port, &request(Some(true))).await;
    let response = response.expect("a session");
    assert_eq!(response.read_only, Some(true));
    assert!(response.fields.session.is_local());
    assert_eq!(response.fields.timeout_ms, 10_000);
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_reads_are_served_and_writes_are_refused() {
    let (_members, port, _) = alone().await;
    let mut client = reader(&port).await;
    let found: DataResponse = client.get(OpCode::GetData, "/a", true).await.read();
    assert_eq!(found.data, Some(Bytes::from_static(b"0")));
    assert_eq!(client.get(OpCode::Exists, "/no", false).await.error(), -101);
    let children = client.get(OpCode::GetChildren, "/", false).await;
    assert_eq!(children.error(), 0);
    let auth = AuthRequest {
        kind: 0,
        scheme: "digest".into(),
        auth: Some(Bytes::from_static(b"a:b")),
    };
    assert_eq!(client.call(OpCode::Auth, &auth).await.error(), 0);
    let watches = SetWatchesRequest {
        relative_zxid: 0,
        data: vec![],
        exist: vec!["/later".into()],
        child: vec![],
    };
    let rearmed = client.call(OpCode::SetWatches, &watches).await;
    assert_eq!(rearmed.error(), 0);

    let path = PathRequest { path: "/a".into() };
    let version = VersionRequest {
        path: "/a".into(),
        version: -1,
    };
    let acl = SetAclRequest {
        path: "/a".into(),
        acl: Acl::open(),
        version: -1,
    };
    let multi = MultiRequest(vec![MultiOp::Delete(version.clone())]);
    let refused = [
        client.call(OpCode::Create, &create("/b", 0)).await,
        client.call(OpCode::Create2, &create("/b", 1)).await,
        client.call(OpCode::SetData, &set("/a", "b")).await,
        client.call(OpCode::Delete, &version).await,
        client.call(OpCode::SetAcl, &acl).await,
        client.call(OpCode::Multi, &multi).await,
        client.call(OpCode::Sync, &path).await,
    ];
    for reply in refused {
        assert_eq!(reply.error(), -119);
        assert!(reply.header.zxid > 0);
    }
    client.send(OpCode::Ping, &()).await;
    assert_eq!(client.reply().await.header.xid, XID_PING);
    assert_eq!(client.call(OpCode::CloseSession, &()).await.error(), 0);
    client.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_said_so_gets_to_read_and_only_where_the_operator_allows_it() {
    let (members, port, _) = alone().await;
    for read_only in [None, Some(false)] {
        assert_eq!(shake(&port, &request(read_only)).await.1, None);
    }
    let strict = Port::open(&members, "n1").await;
    assert_eq!(shake(&strict, &request(Some(true))).await.1, None);
    let mut ahead = request(Some(true));
    ahead.fields.last_zxid_seen = 1 << 40;
    assert_eq!(shake(&port, &ahead).await.1, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_found_again_with_their_password_and_not_judged_without_the_ensemble() {
    let (_members, port, owner) = alone().await;
    let mut request = again(&owner);
    request.fields.timeout_ms = 5_000;
    let (mut first, response) = shake(&port, &request).await;
    let response = response.expect("its session");
    assert_eq!(response.read_only, Some(true));
    assert_eq!(response.fields.session, owner.session);
    assert_eq!(response.fields.timeout_ms, 5_000);
    // It is the ensemble's to end.
    assert_eq!(first.call(OpCode::CloseSession, &()).await.error(), -119);
    let (mut second, _) = shake(&port, &request).await;
    first.closed().await;
    assert_eq!(second.get(OpCode::Exists, "/e", false).await.error(), 0);

    let local = reader(&port).await;
    let (_, response) = shake(&port, &again(&local)).await;
    assert_eq!(response.map(|it| it.fields.session), Some(local.session));

    for session in [owner.session, local.session] {
        let mut thief = again(&owner);
        thief.fields.session = session;
        thief.fields.password = Some(Bytes::from_static(&[7; 16]));
        let (mut client, response) = shake(&port, &thief).await;
        let fields = response.expect("an answer").fields;
        assert_eq!((fields.session, fields.timeout_ms), (SessionId::NONE, 0));
        client.closed().await;
    }
    assert_eq!(second.get(OpCode::Exists, "/e", false).await.error(), 0);
    // Perhaps the others know it.
    let mut unknown = again(&owner);
    unknown.fields.session = SessionId(77);
    assert_eq!(shake(&port, &unknown).await.1, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_sent_away_when_the_leader_is_back_and_a_session_goes_on() {
    let (mut members, port, owner) = alone().await;
    let mut local = reader(&port).await;
    let (mut known, _) = shake(&port, &again(&owner)).await;
    assert_eq!(known.get(OpCode::Exists, "/e", false).await.error(), 0);
    members.restart("n2").await;
    local.closed().await;
    known.closed().await;
    members.all_serve().await;
    let (mut back, response) = shake(&port, &again(&owner)).await;
    let response = response.expect("its session");
    assert_eq!(response.read_only, Some(false));
    assert_eq!(response.fields.session, owner.session);
    assert_eq!(back.set("/a", "again").await.error(), 0);
    let (_, response) = shake(&port, &again(&local)).await;
    assert_eq!(
        response.map(|it| it.fields.session),
        Some(SessionId::NONE),
        "nobody else ever knew the other one"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_reader_is_given_up_after_its_timeout() {
    let (_members, port, _) = alone().await;
    let mut request = request(Some(true));
    request.fields.timeout_ms = 4_000;
    let begun = Instant::now();
    let (mut silent, _) = shake(&port, &request).await;
    silent.closed().await;
    assert!(begun.elapsed() >= Duration::from_secs(4));
    eventually("no connection left", || {
        port.metrics.coordination.zk_connections.get() == 0
    })
    .await;
}
