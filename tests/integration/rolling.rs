//! Planned stops: the leadership goes to a voter that has everything, and nobody waits for an election.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zoogate::ensemble::{Ensemble, Role};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Longest gap between two writes at a planned stop of the leader. It takes some milliseconds; an election with the
/// heartbeat of these tests takes over half a second, and a loaded machine is slow.
const GAP: Duration = Duration::from_secs(3);

/// Writes numbered znodes through `member`, one after the other, until `over`. Tells how many were acknowledged in a row and
/// the longest pause between two acknowledgements.
async fn write(member: Ensemble, session: Session, over: Arc<AtomicBool>) -> (u64, Duration) {
    let (mut acknowledged, mut longest) = (0, Duration::ZERO);
    let mut last = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let path = format!("/{acknowledged}");
        session.insist_on(&member, &path, false).await;
        longest = longest.max(last.elapsed());
        last = Instant::now();
        acknowledged += 1;
    }
    (acknowledged, longest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_under_writes_loses_none_and_pauses_shortly() {
    let mut members = Members::start(3).await;
    // An observer is never restarted here, so the writer keeps its member while every voter goes.
    members.observe("o1").await;
    let writer = members.member("o1");
    let session = Session::open(&writer, LONG).await;
    let over = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(writer, session, over.clone()));
    for name in ["n1", "n2", "n3"] {
        members.stop(name).await;
        sleep(Duration::from_millis(200)).await;
        members.restart(name).await;
        members.all_serve().await;
        members.leader().await;
    }
    over.store(true, Ordering::Relaxed);
    let (acknowledged, longest) = writing.await.expect("no panic");
    println!("{acknowledged} writes acknowledged; longest gap {longest:?}");
    members.agree().await;
    for member in members.all() {
        let missing = (0..acknowledged)
            .filter(|n| member.read(|tree| tree.get(&format!("/{n}")).is_none()))
            .count();
        assert_eq!(missing, 0, "acknowledged writes are missing");
    }
    assert!(longest < GAP, "{longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_leader_hands_over_to_a_voter_that_has_everything() {
    let mut members = Members::start_linked(3).await;
    let leader = members.leader().await;
    let leads = members.member(&leader);
    let session = Session::open(&leads, LONG).await;
    let number = |name: &str| name[1..].parse::<u64>().expect("a number");
    // One follower gets nothing for a while; the other one has it all.
    let behind = members.follower().await;
    let all: Vec<u64> = (1..=3).filter(|n| *n != number(&behind)).collect();
    members.links().part(&[number(&behind)], &all);
    for n in 0..100 {
        let applied = session.create(&leads, &format!("/{n}"), false).await;
        assert!(applied.result.is_ok(), "{:?}", applied.result);
    }
    drop(leads);
    members.stop(&leader).await;
    let ahead = (1..=3).find(|n| *n != number(&behind) && *n != number(&leader));
    let ahead = members.member(&format!("n{}", ahead.expect("three members")));
    members.links().heal();
    eventually("a leader", || {
        members
            .all()
            .iter()
            .any(|m| m.status().role == Role::Leader)
    })
    .await;
    assert_eq!(ahead.status().role, Role::Leader, "the one that has it all");
    members.agree().await;
    assert!(
        members
            .member(&behind)
            .read(|tree| tree.get("/99").is_some())
    );
}
