//! Links that are cut, in one direction or both, between members that all live: who leads, and who disturbs whom.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::Session;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zoogate::ensemble::{Ensemble, Role};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Several election timeouts: whoever would begin an election has begun it by then.
const WHILE: Duration = Duration::from_secs(4);
/// Within this another member leads, with the default heartbeat; tests beat half as often, on loaded machines.
const REPLACED: Duration = Duration::from_secs(10);

/// The number of the member called so.
fn number(name: &str) -> u64 {
    name[1..].parse().expect("n and a number")
}

fn term(member: &Ensemble) -> u64 {
    member.status().term
}

/// Numbers of all members but `one`.
fn others(count: u64, one: u64) -> Vec<u64> {
    (1..=count).filter(|n| *n != one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_hears_nobody_is_replaced() {
    let members = Members::start_linked(3).await;
    let old = members.leader().await;
    let survivors = others(3, number(&old));
    for other in &survivors {
        members.links().cut(*other, number(&old));
    }
    let begun = Instant::now();
    let names: Vec<String> = survivors.iter().map(|n| format!("n{n}")).collect();
    let leads = |name: &String| members.member(name).status().role == Role::Leader;
    eventually("another leader", || names.iter().any(leads)).await;
    println!("replaced after {:?}", begun.elapsed());
    assert!(begun.elapsed() < REPLACED, "{:?}", begun.elapsed());
    let new = members.member(names.iter().find(|n| leads(n)).expect("just seen"));
    let session = Session::open(&new, LONG).await;
    session.insist_on(&new, "/goes-on", false).await;
    // The old one serves nobody from the past, and follows once it hears again.
    eventually("it serves nobody", || {
        !*members.member(&old).serving().borrow()
    })
    .await;
    members.links().heal();
    members.all_serve().await;
    members.agree().await;
    assert!(
        members
            .member(&old)
            .read(|tree| tree.get("/goes-on").is_some())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_that_nobody_hears_disturbs_nobody() {
    let members = Members::start_linked(3).await;
    let (leader, mute) = (members.leader().await, members.follower().await);
    let leads = members.member(&leader);
    let session = Session::open(&leads, LONG).await;
    let before = term(&leads);
    for other in others(3, number(&mute)) {
        members.links().cut(number(&mute), other);
    }
    writes_for(WHILE, &leads, &session, "/mute").await;
    members.links().heal();
    members.all_serve().await;
    members.agree().await;
    assert_eq!(term(&leads), before);
    assert_eq!(members.leader().await, leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_that_returns_from_isolation_causes_no_election() {
    let members = Members::start_linked(3).await;
    let (leader, away) = (members.leader().await, members.follower().await);
    let leads = members.member(&leader);
    let session = Session::open(&leads, LONG).await;
    let before = term(&leads);
    for round in 0..5 {
        let all = others(3, number(&away));
        members.links().part(&[number(&away)], &all);
        eventually("it is alone", || !*members.member(&away).serving().borrow()).await;
        writes_for(WHILE / 4, &leads, &session, &format!("/round-{round}")).await;
        members.links().heal();
        members.all_serve().await;
        members.agree().await;
    }
    assert_eq!(term(&leads), before, "no election in 5 returns");
    assert_eq!(members.leader().await, leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_cut_off_is_replaced_and_follows_when_it_returns() {
    let members = Members::start_linked(3).await;
    let old = members.leader().await;
    let survivors = others(3, number(&old));
    let before = term(&members.member(&old));
    members.links().part(&[number(&old)], &survivors);
    let begun = Instant::now();
    let names: Vec<String> = survivors.iter().map(|n| format!("n{n}")).collect();
    let leads = |name: &String| members.member(name).status().role == Role::Leader;
    eventually("another leader", || names.iter().any(leads)).await;
    assert!(begun.elapsed() < REPLACED, "{:?}", begun.elapsed());
    members.links().heal();
    members.all_serve().await;
    eventually("one leader", || {
        let leaders = members.all();
        leaders
            .iter()
            .filter(|m| m.status().role == Role::Leader)
            .count()
            == 1
    })
    .await;
    assert_eq!(members.member(&old).status().role, Role::Follower);
    assert!(term(&members.member(&old)) > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_majorities_that_share_a_member_have_one_leader() {
    for in_the_middle in [true, false] {
        let members = Members::start_linked(5).await;
        let leader = number(&members.leader().await);
        let rest = others(5, leader);
        match in_the_middle {
            true => members.links().part(&rest[..2], &rest[2..]),
            false => members.links().part(&[leader, rest[0]], &rest[2..]),
        }
        settles_on_one_leader(&members).await;
        members.links().heal();
        members.all_serve().await;
        members.agree().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ring_in_which_each_reaches_two_has_one_leader() {
    let members = Members::start_linked(5).await;
    for (a, b) in [(1, 3), (1, 4), (2, 4), (2, 5), (3, 5)] {
        members.links().part(&[a], &[b]);
    }
    settles_on_one_leader(&members).await;
    members.links().heal();
    members.all_serve().await;
    members.agree().await;
}

/// Whoever leads with a quorum takes writes, and stays: no term passes for a while.
async fn settles_on_one_leader(members: &Members) {
    let serving_leader = || {
        let mut all = members.all().into_iter();
        all.find(|m| m.status().role == Role::Leader && *m.serving().borrow())
    };
    eventually("a leader that serves", || serving_leader().is_some()).await;
    // Elections that the cut had begun are over by then.
    sleep(WHILE).await;
    let leader = serving_leader().expect("it stays");
    let session = Session::open(&leader, LONG).await;
    let before = term(&leader);
    writes_for(WHILE, &leader, &session, "/settled").await;
    assert_eq!(term(&leader), before, "the leader changes again and again");
    let highest = members.all().iter().map(term).max();
    assert_eq!(highest, Some(before), "somebody else counts up terms");
}

/// Writes at and below `path` through `member` for so long; each must be taken.
async fn writes_for(time: Duration, member: &Ensemble, session: &Session, path: &str) {
    let end = Instant::now() + time;
    session.insist_on(member, path, false).await;
    for number in 0.. {
        let path = format!("{path}/{number}");
        let applied = session.create(member, &path, false).await;
        assert!(applied.result.is_ok(), "{path}: {:?}", applied.result);
        if Instant::now() > end {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
