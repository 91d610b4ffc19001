//! Requests and replies: order, errors, multi.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Port, connect_request, create, put_request, set};
use bytes::{Bytes, BytesMut};
use zoogate::tree::{ErrorCode, Stat};
use zoogate::zk::wire::{
    AuthRequest, DataResponse, MultiOp, MultiRequest, MultiResponse, MultiResult, OpCode,
    PathRequest, ReadRequest, VersionRequest, XID_PING, put_frame,
};

fn read(path: &str) -> ReadRequest {
    ReadRequest {
        path: path.into(),
        watch: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_see_exactly_what_came_before_them() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    let mut burst = BytesMut::new();
    for round in 0..100 {
        let data = format!("{round}");
        let (set, read) = (set("/a", &data), read("/a"));
        put_request(
            &mut burst,
            1000 + 4 * round,
            OpCode::SetData.to_wire(),
            &set,
        );
        put_request(
            &mut burst,
            1001 + 4 * round,
            OpCode::GetData.to_wire(),
            &read,
        );
        put_request(&mut burst, XID_PING, OpCode::Ping.to_wire(), &());
        let path = PathRequest {
            path: "/no/such".into(),
        };
        put_request(&mut burst, 1003 + 4 * round, OpCode::Sync.to_wire(), &path);
    }
    client.raw(&burst).await;
    let (mut zxid, mut pings) = (0, 0);
    let mut awaited = (0..100).flat_map(|round| [0, 1, 3].map(|step| (round, step)));
    for _ in 0..400 {
        let reply = client.reply().await;
        assert!(reply.header.zxid >= zxid, "zxids never go back");
        zxid = reply.header.zxid;
        // A ping overtakes what has waited long, on a machine that is busy.
        if reply.header.xid == XID_PING {
            pings += 1;
            continue;
        }
        let (round, step) = awaited.next().expect("one reply for each request");
        assert_eq!(reply.header.xid, 1000 + 4 * round + step);
        if step == 1 {
            let found: DataResponse = reply.read();
            assert_eq!(found.data, Some(Bytes::from(format!("{round}"))));
            assert_eq!(found.stat.version, round + 1);
        }
    }
    assert_eq!(pings, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_behind_the_handshake_wait_for_the_session() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::connect(port.addr).await;
    let mut bytes = BytesMut::new();
    put_request(
        &mut bytes,
        1,
        OpCode::Create.to_wire(),
        &create("/early", 1),
    );
    put_request(&mut bytes, 2, OpCode::Exists.to_wire(), &read("/early"));
    let mut first = BytesMut::new();
    put_frame(&mut first, &(), &connect_request());
    first.unsplit(bytes);
    client.raw(&first).await;
    client.shaken().await.expect("an answer");
    assert_eq!(client.reply().await.error(), 0);
    let stat: Stat = client.reply().await.read();
    assert_eq!(stat.ephemeral_owner, client.session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_requests_of_a_client_that_closes_are_still_carried_out() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    client.send(OpCode::Create, &create("/kept", 0)).await;
    client.send(OpCode::CloseSession, &()).await;
    client.end().await;
    assert_eq!(client.reply().await.error(), 0);
    assert_eq!(client.reply().await.error(), 0);
    client.closed().await;
    let member = members.member("n1");
    assert!(member.read(|tree| tree.get("/kept").is_some()));
    assert!(member.read(|tree| tree.session(client.session).is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_parse_is_refused_and_the_session_goes_on() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for op in [
        OpCode::Create,
        OpCode::SetData,
        OpCode::Multi,
        OpCode::GetData,
    ] {
        let reply = client.call(op, &100i32).await;
        assert_eq!(
            reply.error(),
            ErrorCode::MarshallingError.to_wire(),
            "{op:?}"
        );
    }
    let reply = client.call(OpCode::DeleteContainer, &()).await;
    assert_eq!(reply.error(), ErrorCode::Unimplemented.to_wire());
    assert_eq!(client.create("/a", 0).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opcodes_that_clients_must_not_send_are_refused_and_close() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    for opcode in [999, 0, -1, -10, 13] {
        let mut client = Client::open(port.addr).await;
        let mut bytes = BytesMut::new();
        put_request(&mut bytes, 7, opcode, &());
        // What comes behind must not turn the end into a reset that swallows the reply.
        put_request(&mut bytes, 8, OpCode::Exists.to_wire(), &read("/"));
        client.raw(&bytes).await;
        let reply = client.reply().await;
        assert_eq!(reply.header.xid, 7);
        assert_eq!(reply.error(), ErrorCode::Unimplemented.to_wire());
        client.closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_multi_is_done_whole_or_not_at_all() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let check = |version| {
        MultiOp::Check(VersionRequest {
            path: "/a".into(),
            version,
        })
    };
    let ops = MultiRequest(vec![
        MultiOp::Create2(create("/a", 0)),
        check(0),
        MultiOp::SetData(set("/a", "1")),
        MultiOp::Create(create("/a/s", 2)),
    ]);
    let reply = client.call(OpCode::Multi, &ops).await;
    let zxid = reply.header.zxid;
    let MultiResponse(results) = reply.read();
    assert!(matches!(
        &results[..],
        [MultiResult::Create2(_), MultiResult::Check, MultiResult::SetData(stat), MultiResult::Create(path)]
            if stat.version == 1 && &**path == "/a/s0000000000"
    ));
    let failing = MultiRequest(vec![
        MultiOp::SetData(set("/a", "2")),
        check(0),
        MultiOp::Create(create("/b", 0)),
    ]);
    let MultiResponse(results) = client.call(OpCode::Multi, &failing).await.read();
    assert_eq!(results, [0, -103, -2].map(MultiResult::Error));
    let stat: Stat = client.get(OpCode::Exists, "/a", false).await.read();
    assert_eq!((stat.mzxid.to_wire(), stat.version), (zxid, 1));
    assert_eq!(client.get(OpCode::Exists, "/b", false).await.error(), -101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_are_taken_and_other_schemes_close() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let auth = |scheme: &str| AuthRequest {
        kind: 0,
        scheme: scheme.into(),
        auth: Some(Bytes::from_static(b"user:password")),
    };
    let mut client = Client::open(port.addr).await;
    let reply = client.call(OpCode::Auth, &auth("digest")).await;
    assert_eq!((reply.error(), reply.header.zxid), (0, 0));
    let mut request = create("/mine", 0);
    request.acl[0].scheme = "auth".into();
    request.acl[0].id = String::new();
    assert_eq!(client.call(OpCode::Create, &request).await.error(), 0);
    let reply = client.call(OpCode::Auth, &auth("nosuch")).await;
    assert_eq!(reply.error(), ErrorCode::AuthFailed.to_wire());
    client.closed().await;
    let mut anonymous = Client::open(port.addr).await;
    let reply = anonymous.call(OpCode::Create, &request).await;
    assert_eq!(reply.error(), ErrorCode::InvalidAcl.to_wire());
}
