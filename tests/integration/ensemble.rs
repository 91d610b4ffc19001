//! The ensemble without any wire protocol above it: agreement, fail-over, sessions, restarts.

use crate::support::ensemble::Members;
use crate::support::proposals::{Session, propose};
use crate::support::{PATIENCE, eventually};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use zoogate::tree::{Actor, Command, ErrorCode, Op, Reply, Tree};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_through_any_member_is_applied_by_all() {
    let members = Members::start(3).await;
    for (number, name) in ["n1", "n2", "n3"].iter().enumerate() {
        let member = members.member(name);
        let session = Session::open(&member, LONG).await;
        let path = format!("/from-{number}");
        assert!(session.create(&member, &path, false).await.result.is_ok());
        assert!(
            member.read(|tree| tree.get(&path).is_some()),
            "the origin has applied its own write"
        );
        members.converge(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_writes_of_a_follower_keep_their_order() {
    let members = Members::start(3).await;
    let follower = members.member(&members.follower().await);
    let session = Session::open(&follower, LONG).await;
    let mut pending = Vec::new();
    for number in 0..200 {
        let mode = zoogate::tree::CreateMode::PERSISTENT;
        let path = format!("/{number:04}").into();
        let acl = zoogate::tree::Acl::open();
        let op = zoogate::tree::Op::Create {
            path,
            data: Default::default(),
            acl,
            mode,
        };
        pending.push(
            follower
                .propose(session.actor(), Command::One(op))
                .await
                .expect("proposed"),
        );
    }
    let mut last = session.attachment;
    for one in pending {
        let applied = one.await.expect("known");
        assert!(applied.result.is_ok());
        assert!(applied.zxid > last, "{} after {last}", applied.zxid);
        last = applied.zxid;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_stop_of_the_leader_loses_nothing_and_sessions_live_on() {
    let mut members = Members::start(3).await;
    let leader = members.leader().await;
    let follower = members.follower().await;
    let session = Session::open(&members.member(&follower), LONG).await;
    assert!(
        session
            .create(&members.member(&follower), "/kept", true)
            .await
            .result
            .is_ok()
    );
    members.stop(&leader).await;
    let survivor = members.member(&follower);
    eventually("another leader", || {
        survivor.status().leader.is_some_and(|l| l != 0)
    })
    .await;
    let deadline = Instant::now() + crate::support::PATIENCE;
    loop {
        let pending = survivor
            .propose(session.actor(), Command::Multi(Vec::new()))
            .await
            .expect("proposed");
        if pending.await.is_ok() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "no write after the leader had stopped"
        );
    }
    assert!(
        survivor.read(|tree| tree.get("/kept").is_some() && tree.session(session.id).is_some())
    );
    members.restart(&leader).await;
    members.all_serve().await;
    members.converge(&follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_there_after_all_members_restart() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    let session = Session::open(&n1, LONG).await;
    for number in 0..50 {
        assert!(
            session
                .create(&n1, &format!("/{number}"), number % 2 == 0)
                .await
                .result
                .is_ok()
        );
    }
    let before = n1.read(|tree| (tree.counts(), tree.sessions().count()));
    drop(n1);
    for name in ["n1", "n2", "n3"] {
        members.stop(name).await;
    }
    for name in ["n1", "n2", "n3"] {
        members.restart(name).await;
    }
    members.all_serve().await;
    members.member("n2").barrier().await.expect("a leader");
    let after = |tree: &Tree| (tree.counts(), tree.sessions().count());
    assert_eq!(members.member("n2").read(after), before);
    members.converge("n2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_session_expires_with_its_ephemerals_and_a_touched_one_lives() {
    let members = Members::start(3).await;
    let name = members.follower().await;
    let member = members.member(&name);
    let timeout = Duration::from_millis(600);
    let opened = Instant::now();
    let silent = Session::open(&member, timeout).await;
    let alive = Session::open(&member, timeout).await;
    assert!(silent.create(&member, "/silent", true).await.result.is_ok());
    assert!(alive.create(&member, "/alive", true).await.result.is_ok());
    eventually("the silent session expires", || {
        assert!(member.touch(alive.id));
        member.read(|tree| tree.session(silent.id).is_none())
    })
    .await;
    assert!(
        opened.elapsed() >= timeout,
        "expired after {:?}",
        opened.elapsed()
    );
    assert!(member.read(|tree| tree.get("/silent").is_none() && tree.get("/alive").is_some()));
    let late = silent.create(&member, "/late", true).await;
    assert_eq!(late.result, Err(ErrorCode::SessionExpired));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_moves_to_another_member_and_its_old_attachment_is_refused() {
    let members = Members::start(3).await;
    let (n1, n2) = (members.member("n1"), members.member("n2"));
    let session = Session::open(&n1, LONG).await;
    let attach = |password: &'static [u8]| Command::AttachSession {
        session: session.id,
        password: bytes::Bytes::from_static(password),
        member: n2.member(),
        timeout_ms: 5000,
    };
    let wrong = propose(&n2, Actor::Ensemble, attach(b"wrong")).await;
    assert_eq!(wrong.result, Err(ErrorCode::SessionExpired));
    let moved = propose(&n2, Actor::Ensemble, attach(&[7; 16])).await;
    assert!(matches!(
        moved.result,
        Ok(Reply::Session {
            timeout_ms: 5000,
            ..
        })
    ));
    assert_eq!(
        session.create(&n1, "/stale", false).await.result,
        Err(ErrorCode::SessionMoved)
    );
    let moved = Session {
        attachment: moved.zxid,
        ..session
    };
    assert!(moved.create(&n2, "/fresh", false).await.result.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn barrier_on_a_follower_sees_every_write_acknowledged_elsewhere() {
    let members = Members::start(3).await;
    let leader = members.member(&members.leader().await);
    let follower = members.member(&members.follower().await);
    let session = Session::open(&leader, LONG).await;
    for number in 0..50 {
        let path = format!("/{number}");
        assert!(session.create(&leader, &path, false).await.result.is_ok());
        follower.barrier().await.expect("a leader");
        assert!(
            follower.read(|tree| tree.get(&path).is_some()),
            "{path} is missing after the barrier"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quorum_nothing_is_served_and_reads_stay_possible() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    let session = Session::open(&n1, LONG).await;
    assert!(session.create(&n1, "/kept", false).await.result.is_ok());
    members.stop("n2").await;
    members.stop("n3").await;
    eventually("n1 notices", || !*n1.serving().borrow()).await;
    assert!(n1.read(|tree| tree.get("/kept").is_some()));
    assert!(n1.barrier().await.is_err());
    members.restart("n2").await;
    members.all_serve().await;
    n1.barrier().await.expect("a leader again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_a_member_that_stops_learns_that_the_outcome_is_unknown() {
    let mut members = Members::start_linked(3).await;
    let name = members.leader().await;
    let member = members.member(&name);
    let others: Vec<u64> = (1..=3).filter(|n| *n != member.member()).collect();
    members.links().part(&[member.member()], &others);
    let command = Command::One(Op::Refuse(ErrorCode::NoNode));
    let pending = member.propose(Actor::Ensemble, command).await;
    let pending = pending.expect("it is not stopping yet");
    members.stop(&name).await;
    // The handle lives on, as that of a connection may, and with it everything it reaches.
    let outcome = timeout(PATIENCE, pending).await.expect("it is told");
    assert!(outcome.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observer_follows_and_forwards_without_a_vote() {
    let mut members = Members::start(3).await;
    members.observe("o1").await;
    let observer = members.member("o1");
    let session = Session::open(&observer, LONG).await;
    assert!(
        session
            .create(&observer, "/by-observer", false)
            .await
            .result
            .is_ok()
    );
    let status = observer.status();
    assert_eq!(status.role, zoogate::ensemble::Role::Observer);
    assert_eq!(status.voters, 3);
    members.converge("o1").await;
    members.stop("o1").await;
    members.restart("o1").await;
    members.all_serve().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_behind_the_purged_log_catches_up_by_snapshot() {
    let mut members = Members::start_with(3, 100).await;
    let absent = members.follower().await;
    members.stop(&absent).await;
    let present = members.member(&members.leader().await);
    let session = Session::open(&present, LONG).await;
    for number in 0..1000 {
        let path = format!("/{number:04}");
        session.insist_on(&present, &path, number % 2 == 0).await;
    }
    assert_eq!(members.snapshot_files(&absent), 0);
    members.restart(&absent).await;
    members.all_serve().await;
    members.converge(&members.leader().await).await;
    assert!(
        members.snapshot_files(&absent) > 0,
        "it has made the leader's snapshot its own"
    );
    // It goes on from there like everybody else, also after another restart.
    session.insist_on(&present, "/after", true).await;
    members.stop(&absent).await;
    members.restart(&absent).await;
    members.all_serve().await;
    members.converge(&members.leader().await).await;
    assert!(
        members
            .member(&absent)
            .read(|tree| tree.get("/0999").is_some())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_hold_what_the_largest_requests_wrote() {
    let mut members = Members::start_with(1, 20).await;
    let member = members.member("n1");
    let session = Session::open(&member, LONG).await;
    // Just under a megabyte each, so that two that meet in one chunk make the longest one that there can be.
    let data = bytes::Bytes::from(vec![7; 1_048_000]);
    for number in 0..12 {
        session
            .create(&member, &format!("/small-{number}"), false)
            .await
            .result
            .expect("created");
        let op = zoogate::tree::Op::Create {
            path: format!("/large-{number}").into(),
            data: Some(data.clone()),
            acl: vec![acl_of_length(1_000_000, number)],
            mode: zoogate::tree::CreateMode::PERSISTENT,
        };
        let applied = propose(&member, session.actor(), Command::One(op)).await;
        applied.result.expect("created");
    }
    eventually("a snapshot", || members.snapshot_files("n1") > 0).await;
    drop(member);
    members.stop("n1").await;
    members.restart("n1").await;
    members.all_serve().await;
    let found = members
        .member("n1")
        .read(|tree| tree.get("/large-11").map(|z| z.data().cloned()));
    assert_eq!(found, Some(Some(data)));
}

/// An entry as long as a request can hold, and unlike others.
fn acl_of_length(length: usize, number: usize) -> zoogate::tree::Acl {
    zoogate::tree::Acl {
        perms: 31,
        scheme: "digest".into(),
        id: format!("{}:{number}", "u".repeat(length)),
    }
}

#[tokio::test]
async fn ensemble_of_one_needs_nobody() {
    let members = Members::start(1).await;
    let member = members.member("n1");
    let session = Session::open(&member, LONG).await;
    assert!(session.create(&member, "/a", false).await.result.is_ok());
    member.barrier().await.expect("it leads itself");
}
