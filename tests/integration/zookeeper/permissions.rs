//! What ACLs keep from a client that reads.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Port, create, set};
use bytes::Bytes;
use zoogate::tree::Acl;
use zoogate::zk::wire::{
    AclResponse, AuthRequest, CreateRequest, MultiOp, MultiReadOp, MultiReadRequest, MultiRequest,
    MultiResponse, MultiResult, OpCode, PathRequest, ReadRequest, VersionRequest,
};

const NO_AUTH: i32 = -102;

fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl {
        perms,
        scheme: scheme.into(),
        id: id.into(),
    }
}

async fn owner(port: &Port) -> Client {
    let mut client = Client::open(port.addr).await;
    prove(&mut client).await;
    client
}

async fn prove(client: &mut Client) {
    let auth = AuthRequest {
        kind: 0,
        scheme: "digest".into(),
        auth: Some(Bytes::from_static(b"owner:secret")),
    };
    assert_eq!(client.call(OpCode::Auth, &auth).await.error(), 0);
}

/// Creates a znode with all rights for the owner, and with these for everybody.
async fn share(owner: &mut Client, path: &str, perms: i32) {
    let mut list = vec![acl(31, "auth", "")];
    if perms != 0 {
        list.push(acl(perms, "world", "anyone"));
    }
    let request = CreateRequest {
        acl: list,
        ..create(path, 0)
    };
    assert_eq!(owner.call(OpCode::Create, &request).await.error(), 0);
}

async fn path(client: &mut Client, op: OpCode, path: &str) -> i32 {
    let path = path.into();
    client.call(op, &PathRequest { path }).await.error()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_may_not_read_is_neither_shown_nor_watched() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut owner = owner(&port).await;
    share(&mut owner, "/hidden", 0).await;
    let mut client = Client::open(port.addr).await;
    let watching = [
        OpCode::Exists,
        OpCode::GetData,
        OpCode::GetChildren,
        OpCode::GetChildren2,
    ];
    for op in watching {
        let reply = client.get(op, "/hidden", true).await;
        assert_eq!(reply.error(), NO_AUTH, "{op:?}");
    }
    for op in [OpCode::GetAcl, OpCode::GetAllChildrenNumber] {
        assert_eq!(path(&mut client, op, "/hidden").await, NO_AUTH, "{op:?}");
    }
    let read = ReadRequest {
        path: "/hidden".into(),
        watch: false,
    };
    let reads = MultiReadRequest(vec![
        MultiReadOp::Data(read.clone()),
        MultiReadOp::Children(read),
    ]);
    let MultiResponse(results) = client.call(OpCode::MultiRead, &reads).await.read();
    assert_eq!(results, [NO_AUTH; 2].map(MultiResult::Error));
    let check = MultiOp::Check(VersionRequest {
        path: "/hidden".into(),
        version: -1,
    });
    let request = MultiRequest(vec![check]);
    let MultiResponse(results) = client.call(OpCode::Multi, &request).await.read();
    assert_eq!(results, [MultiResult::Error(NO_AUTH)]);

    assert_eq!(owner.set("/hidden", "1").await.error(), 0);
    assert_eq!(owner.create("/hidden/child", 0).await.error(), 0);
    assert_eq!(path(&mut client, OpCode::Sync, "/hidden").await, 0);
    assert!(client.events.is_empty(), "{:?}", client.events);

    // From the moment it proves to be the owner, on the same connection.
    prove(&mut client).await;
    for op in watching {
        assert_eq!(client.get(op, "/hidden", false).await.error(), 0, "{op:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_znode_is_absent_to_everybody_and_can_be_waited_for() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut owner = owner(&port).await;
    share(&mut owner, "/hidden", 0).await;
    let mut client = Client::open(port.addr).await;
    let reply = client.get(OpCode::Exists, "/hidden/none", true).await;
    assert_eq!(reply.error(), -101);
    let nul = client.get(OpCode::Exists, "/hidden\0", true).await;
    assert_eq!(nul.error(), -8);
    assert_eq!(
        client
            .call(OpCode::SetData, &set("/hidden", ""))
            .await
            .error(),
        NO_AUTH
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_are_masked_for_all_but_administrators() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut owner = owner(&port).await;
    let mut client = Client::open(port.addr).await;
    for (name, perms, masked) in [("/read", 1, true), ("/admin", 16, false)] {
        share(&mut owner, name, perms).await;
        let request = PathRequest { path: name.into() };
        let shown: AclResponse = client.call(OpCode::GetAcl, &request).await.read();
        let [digest, everybody] = &shown.acl[..] else {
            panic!("{shown:?}");
        };
        assert_eq!(digest.id == "owner:x", masked, "{name}");
        assert_eq!(*everybody, acl(perms, "world", "anyone"));
        let known: AclResponse = owner.call(OpCode::GetAcl, &request).await.read();
        assert!(known.acl[0].id.starts_with("owner:"));
        assert_ne!(known.acl[0].id, "owner:x");
    }
    share(&mut owner, "/neither", 2).await;
    assert_eq!(path(&mut client, OpCode::GetAcl, "/neither").await, NO_AUTH);
}
