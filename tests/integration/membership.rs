//! Who the members are and where clients reach them: what `/zookeeper/config` says, on every member alike.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::{Session, propose};
use std::time::Duration;
use zoogate::ensemble::Ensemble;
use zoogate::tree::{Acl, CONFIG_PATH, Command, CreateMode, Lifetime, Op};

const LONG: Duration = Duration::from_secs(60);

/// What a member reads in `/zookeeper/config`.
pub fn config(member: &Ensemble) -> String {
    member.read(|tree| {
        let data = tree.get(CONFIG_PATH).and_then(|znode| znode.data());
        String::from_utf8(data.map(|data| data.to_vec()).unwrap_or_default()).expect("text")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_names_every_member_and_where_its_clients_connect() {
    let mut members = Members::start(3).await;
    let mut expected: Vec<String> = (1..=3)
        .map(|number| {
            let name = format!("n{number}");
            let port = members.addr(&name).port();
            format!("server.{number}=127.0.0.1:{port}:0:participant;{name}.example:2181")
        })
        .collect();
    let says = |members: &Members, lines: &[String]| {
        let all = members.all();
        all.iter().all(|member| {
            let text = config(member);
            let version = member.read(|tree| tree.config_version());
            let version = version.map(|zxid| format!("version={:x}", zxid.0));
            let expected = lines.iter().cloned().chain(version);
            text == expected.collect::<Vec<_>>().join("\n")
        })
    };
    eventually("every member names all", || says(&members, &expected)).await;

    members.observe("watcher").await;
    let (port, id) = (
        members.addr("watcher").port(),
        members.member("watcher").member(),
    );
    expected.push(format!(
        "server.{id}=127.0.0.1:{port}:0:observer;watcher.example:2181"
    ));
    eventually("every member names the observer", || {
        says(&members, &expected)
    })
    .await;
    members.converge("n1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_reaps_containers_and_ttl_znodes_whose_time_is_up() {
    let members = Members::start(3).await;
    let member = members.member(&members.follower().await);
    let session = Session::open(&member, LONG).await;
    let create = |path: &str, lifetime| {
        Command::One(Op::Create {
            path: path.into(),
            data: None,
            acl: Acl::open(),
            mode: CreateMode {
                lifetime,
                sequential: false,
            },
        })
    };
    let delete = |path: &str| {
        Command::One(Op::Delete {
            path: path.into(),
            version: -1,
        })
    };
    for command in [
        create("/container", Lifetime::Container),
        create("/container/child", Lifetime::Persistent),
        create("/unused", Lifetime::Container),
        create("/brief", Lifetime::Ttl(1)),
        create("/lasting", Lifetime::Ttl(60_000)),
        delete("/container/child"),
    ] {
        let applied = propose(&member, session.actor(), command).await;
        assert!(applied.result.is_ok());
    }
    eventually("the container and the brief znode are gone", || {
        member.read(|tree| tree.get("/container").is_none() && tree.get("/brief").is_none())
    })
    .await;
    assert!(member.read(|tree| tree.get("/unused").is_some() && tree.get("/lasting").is_some()));
    members.converge(&members.leader().await).await;
}
