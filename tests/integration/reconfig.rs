//! Changing the members while they run: `reconfig` through any member, over real sockets.

use super::membership::config;
use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::Session;
use std::time::Duration;
use zoogate::ensemble::{Ensemble, ReconfigError, Reconfiguration};
use zoogate::tree::{ErrorCode, Zxid};

const LONG: Duration = Duration::from_secs(60);

/// A port that refuses connections.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

async fn join(member: &Ensemble, server: &str) -> Result<Zxid, ReconfigError> {
    let change = Reconfiguration {
        joining: vec![server.to_owned()],
        ..Reconfiguration::default()
    };
    member.reconfigure(change).await
}

async fn leave(member: &Ensemble, id: u64) -> Result<Zxid, ReconfigError> {
    let change = Reconfiguration {
        leaving: vec![id],
        ..Reconfiguration::default()
    };
    member.reconfigure(change).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_that_nobody_reaches_is_added_and_removed() {
    let members = Members::start(3).await;
    let member = members.member(&members.follower().await);
    let (peer, election, client) = (closed_port(), closed_port(), closed_port());
    let server = format!("server.100=127.0.0.1:{peer}:{election}:observer;0.0.0.0:{client}");
    let added = join(&member, &server).await.expect("added");
    assert!(config(&member).contains(&server), "{}", config(&member));
    assert_eq!(member.read(|tree| tree.config_version()), Some(added));

    let stale = Reconfiguration {
        leaving: vec![100],
        from_version: Some(added.0 + 1),
        ..Reconfiguration::default()
    };
    let refused = member.reconfigure(stale.clone()).await.expect_err("stale");
    assert_eq!(refused.code(), ErrorCode::BadVersion);
    let current = Reconfiguration {
        from_version: Some(added.0),
        ..stale
    };
    let removed = member.reconfigure(current).await.expect("removed");
    assert!(removed > added);
    assert!(
        !config(&member).contains("server.100"),
        "{}",
        config(&member)
    );
    assert_eq!(member.status().voters, 3);

    let refused = join(&member, "some thing").await.expect_err("nonsense");
    assert_eq!(refused.code(), ErrorCode::BadArguments);
    members.converge(&members.leader().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_member_votes_once_promoted_and_serves_no_more_once_removed() {
    let mut members = Members::start(3).await;
    members.observe("fourth").await;
    let fourth = members.member("fourth");
    let (id, port) = (fourth.member(), members.addr("fourth").port());
    let server = format!("server.{id}=127.0.0.1:{port}:0:participant;fourth.example:2181");
    let follower = members.member(&members.follower().await);
    join(&follower, &server).await.expect("promoted");
    assert_eq!(follower.status().voters, 4);
    assert!(config(&follower).contains(&server), "{}", config(&follower));

    // Four voters need three: without its vote, two of the first three could not go on.
    let stopped = members.follower().await;
    let stopped = match stopped == "fourth" {
        true => "n1".to_owned(),
        false => stopped,
    };
    members.stop(&stopped).await;
    let leader = members.member(&members.leader().await);
    let session = Session::open(&leader, LONG).await;
    session.insist_on(&leader, "/with-its-vote", false).await;
    members.restart(&stopped).await;
    members.all_serve().await;

    leave(&members.member("n1"), id).await.expect("removed");
    assert_eq!(members.member("n1").status().voters, 3);
    assert!(!config(&members.member("n1")).contains(&server));
    eventually("the removed member serves nobody", || {
        !*fourth.serving().borrow()
    })
    .await;
    let leader = members.member(&members.leader().await);
    session.insist_on(&leader, "/without-it", false).await;
    assert!(
        !*fourth.serving().borrow(),
        "it does not come back by itself"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_does_not_answer_is_refused_and_nothing_changes() {
    let members = Members::start(3).await;
    let leader = members.member(&members.leader().await);
    eventually("all are introduced", || {
        config(&leader).matches("example").count() == 3
    })
    .await;
    let before = config(&leader);
    let port = closed_port();
    let server = format!("server.4=127.0.0.1:{port}:{port}:participant;2181");
    // Polled in this order: the first change is under way when the second one asks.
    let changes = futures_util::future::join(join(&leader, &server), leave(&leader, 3));
    let (refused, other) = changes.await;
    assert!(matches!(other, Err(ReconfigError::InProgress)), "{other:?}");
    let refused = refused.expect_err("not reachable");
    assert_eq!(refused.code(), ErrorCode::NewConfigNoQuorum);
    assert_eq!(config(&leader), before);
    assert_eq!(leader.status().voters, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_removed_hands_over() {
    let mut members = Members::start(3).await;
    members.observe("fourth").await;
    let name = members.leader().await;
    let leader = members.member(&name);
    let others: Vec<Ensemble> = members.all();
    leave(&leader, leader.member()).await.expect("removed");
    eventually("another member leads", || {
        let now = |member: &Ensemble| member.status().leader;
        others
            .iter()
            .filter(|member| member.member() != leader.member())
            .all(|member| now(member).is_some_and(|id| id != leader.member()))
    })
    .await;
    let observer = members.member("fourth").member();
    let other = others
        .iter()
        .find(|m| ![leader.member(), observer].contains(&m.member()));
    let other = other.expect("two voters are left");
    assert_eq!(other.status().voters, 2);
    let session = Session::open(other, LONG).await;
    session.insist_on(other, "/after", false).await;
    let refused = leave(other, other.member())
        .await
        .expect_err("one would be left");
    assert_eq!(refused.code(), ErrorCode::BadArguments);

    // A member that is removed may not hear of it, and answers all the same.
    let observer = members.member("fourth");
    leave(&observer, observer.member()).await.expect("removed");
    assert!(!config(other).contains("observer"), "{}", config(other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_can_be_named_at_once() {
    let mut members = Members::start(3).await;
    members.observe("fourth").await;
    let member = members.member("n1");
    let line = |name: &str, role: &str| {
        let (id, port) = (members.member(name).member(), members.addr(name).port());
        format!("server.{id}=127.0.0.1:{port}:0:{role};{name}.example:2181")
    };
    let all = vec![
        line("n1", "participant"),
        line("n2", "participant"),
        line("n3", "observer"),
    ];
    let change = Reconfiguration {
        new_members: Some(all.clone()),
        ..Reconfiguration::default()
    };
    let zxid = member.reconfigure(change).await.expect("changed");
    let expected = format!("{}\nversion={:x}", all.join("\n"), zxid.0);
    assert_eq!(config(&member), expected);
    assert_eq!(member.status().voters, 2);
}
