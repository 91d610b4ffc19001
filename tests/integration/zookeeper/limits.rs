//! The largest requests: what a member takes, all members can keep.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Port, create, put_request};
use bytes::{Bytes, BytesMut};
use zoogate::tree::Acl;
use zoogate::zk::wire::{
    CreateRequest, MAX_FRAME, MultiOp, MultiRequest, MultiResponse, OpCode, SetAclRequest, Wire,
};

/// Bytes in front of the record: xid and opcode.
const HEADER: usize = 8;

fn length(record: &impl Wire) -> usize {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    HEADER + out.len()
}

/// A `create` that fills a frame with its data.
fn large_data(path: &str, frame: usize) -> CreateRequest {
    let mut request = create(path, 0);
    request.data = Some(Bytes::new());
    let room = frame - length(&request);
    request.data = Some(Bytes::from(vec![7; room]));
    assert_eq!(length(&request), frame);
    request
}

/// One entry that fills a frame.
fn large_acl(path: &str) -> SetAclRequest {
    let entry = |id: String| SetAclRequest {
        path: path.into(),
        acl: vec![
            Acl::open().swap_remove(0),
            Acl {
                perms: 31,
                scheme: "digest".into(),
                id,
            },
        ],
        version: -1,
    };
    let room = MAX_FRAME - length(&entry(String::new()));
    entry(format!("user:{}", "x".repeat(room - 5)))
}

/// A frame full of so many creates, of which the last takes what the others leave.
fn large_multi(parent: &str, count: usize) -> MultiRequest {
    let op = |number: usize, bytes: usize| {
        let mut request = create(&format!("{parent}/{number:05}"), 0);
        request.data = Some(Bytes::from(vec![7; bytes]));
        MultiOp::Create(request)
    };
    let ops = |last: usize| {
        let others = (1..count).map(|number| op(number, MAX_FRAME / count - 100));
        MultiRequest(others.chain([op(count, last)]).collect())
    };
    let room = MAX_FRAME - length(&ops(0));
    let request = ops(room);
    assert_eq!(length(&request), MAX_FRAME);
    request
}

/// A `create` whose name fills a frame.
fn large_path() -> CreateRequest {
    let room = MAX_FRAME - length(&create("/p", 0));
    create(&format!("/p{}", "p".repeat(room)), 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_requests_reach_every_member_by_log_and_by_snapshot() {
    let mut members = Members::start_with(3, 8).await;
    let lagging = members.follower().await;
    let names = ["n1", "n2", "n3"];
    let serving = names
        .into_iter()
        .find(|name| *name != lagging)
        .expect("two");
    members.stop(&lagging).await;
    let port = Port::open(&members, serving).await;
    let mut client = Client::open(port.addr).await;
    for path in ["/few", "/many", "/acl"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    let data = large_data("/data", MAX_FRAME);
    assert_eq!(client.call(OpCode::Create2, &data).await.error(), 0);
    assert_eq!(client.call(OpCode::Create, &large_path()).await.error(), 0);
    // The data of one request and the ACL of another on one znode are the most that a snapshot has at once.
    for path in ["/acl", "/data"] {
        let acl = large_acl(path);
        assert_eq!(client.call(OpCode::SetAcl, &acl).await.error(), 0);
    }
    for (parent, count) in [("/few", 64), ("/many", 8_000)] {
        let multi = large_multi(parent, count);
        let MultiResponse(results) = client.call(OpCode::Multi, &multi).await.read();
        assert_eq!(results.len(), count);
    }
    // Enough entries for the member that is away to need a snapshot.
    for round in 0..24 {
        assert_eq!(client.set("/many", &format!("{round}")).await.error(), 0);
    }
    members.restart(&lagging).await;
    members.all_serve().await;
    members.converge(serving).await;
    let member = members.member(&lagging);
    let (children, bytes) = member.read(|tree| {
        let data = tree.get("/data").and_then(|znode| znode.data().cloned());
        let many = tree.get("/many").map(|znode| znode.descendants());
        (many, data.map(|data| data.len()))
    });
    assert_eq!(children, Some(8_000));
    assert_eq!(bytes, data.data.map(|data| data.len()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_more_than_the_limit_ends_the_connection_and_not_the_session() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let mut frame = BytesMut::new();
    let request = large_data("/data", MAX_FRAME + 1);
    put_request(&mut frame, 1, OpCode::Create.to_wire(), &request);
    client.raw(&frame[..16]).await;
    client.closed().await;
    let mut again = Client::reattach(port.addr, &client).await;
    let reply = again.get(OpCode::Exists, "/data", false).await;
    assert_eq!(reply.error(), -101);
}
