//! Who may do what: the super user, and a tree that begins closed.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Port, create, set};
use bytes::Bytes;
use zoogate::tree::{Acl, Stat};
use zoogate::zk::wire::{AuthRequest, OpCode, SetAclRequest, VersionRequest};

/// The identity of user `super` with password `test`.
const SUPER: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";

async fn open(members: &Members, name: &str) -> Port {
    let change = |it: &mut zoogate::config::ZookeeperConfig| it.super_digest = Some(SUPER.into());
    Port::open_with(members, name, change).await
}

async fn authenticate(client: &mut Client, auth: &'static str) {
    let auth = AuthRequest {
        kind: 0,
        scheme: "digest".into(),
        auth: Some(Bytes::from_static(auth.as_bytes())),
    };
    assert_eq!(client.call(OpCode::Auth, &auth).await.error(), 0);
}

fn any_version(path: &str) -> VersionRequest {
    VersionRequest {
        path: path.into(),
        version: -1,
    }
}

fn nobody() -> Vec<Acl> {
    vec![Acl {
        perms: 0,
        scheme: "world".into(),
        id: "anyone".into(),
    }]
}

fn protect(path: &str, acl: Vec<Acl>) -> SetAclRequest {
    SetAclRequest {
        path: path.into(),
        acl,
        version: -1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_super_user_passes_every_acl_and_nobody_else_does() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let mut shut = create("/shut", 0);
    shut.acl = nobody();
    assert_eq!(client.call(OpCode::Create, &shut).await.error(), 0);
    for auth in ["", "super:tesT", "root:test"] {
        if !auth.is_empty() {
            authenticate(&mut client, auth).await;
        }
        let refused = [
            client.get(OpCode::GetData, "/shut", false).await,
            client.get(OpCode::GetChildren, "/shut", false).await,
            client.set("/shut", "x").await,
            client.create("/shut/child", 0).await,
            client
                .call(OpCode::SetAcl, &protect("/shut", nobody()))
                .await,
        ];
        for reply in refused {
            assert_eq!(reply.error(), -102, "{auth}");
        }
    }
    authenticate(&mut client, "super:test").await;
    let granted = [
        client.get(OpCode::GetData, "/shut", false).await,
        client.get(OpCode::GetChildren, "/shut", false).await,
        client.call(OpCode::SetData, &set("/shut", "x")).await,
        client.create("/shut/child", 0).await,
        client
            .call(OpCode::SetAcl, &protect("/shut", nobody()))
            .await,
        client
            .call(OpCode::Delete, &any_version("/shut/child"))
            .await,
    ];
    for reply in granted {
        assert_eq!(reply.error(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_begins_closed_lets_in_whom_the_super_user_lets_in() {
    let mut members = Members::start_closed(3).await;
    let mut ports = Vec::new();
    for name in ["n1", "n2", "n3"] {
        ports.push(open(&members, name).await);
    }
    for port in &ports {
        let mut client = Client::open(port.addr).await;
        assert_eq!(client.create("/a", 0).await.error(), -102);
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            let reply = client.get(OpCode::GetChildren, path, false).await;
            assert_eq!(reply.error(), -102, "{path}");
        }
        let config = client.get(OpCode::GetData, "/zookeeper/config", false);
        assert_eq!(config.await.error(), 0);
    }
    let mut operator = Client::open(ports[0].addr).await;
    authenticate(&mut operator, "super:test").await;
    assert_eq!(operator.create("/services", 0).await.error(), 0);
    let root: Stat = operator.get(OpCode::Exists, "/", false).await.read();
    assert_eq!(root.aversion, 1, "it was closed once");
    let mut client = Client::open(ports[1].addr).await;
    assert_eq!(client.create("/services/a", 0).await.error(), 0);
    assert_eq!(client.create("/other", 0).await.error(), -102);

    members.stop("n3").await;
    members.restart("n3").await;
    members.all_serve().await;
    members.converge("n1").await;
    let root = members
        .member("n3")
        .read(|tree| tree.get("/").map(|root| root.stat()));
    assert_eq!(root.map(|root| root.aversion), Some(1), "nor again");
}
