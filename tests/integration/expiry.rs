//! Sessions end by time: never before their timeout has passed since the last request that was answered, whatever
//! happens to the member that answered it and to the leader.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::Session;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zoogate::ensemble::{Ensemble, Role};

/// Of the sessions here: longer than a member answers its clients without its leader, and than an election takes.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Between two signs of life.
const PAUSE: Duration = Duration::from_millis(20);
/// How much later than its timeout a session may end whose member fell silent: its timeout again, and the time that such
/// a member answers its clients, on a loaded machine.
const LATE: Duration = Duration::from_secs(8);

/// The number of the member called so.
fn number(name: &str) -> u64 {
    name[1..].parse().expect("n and a number")
}

/// Names of the members of three that are not `one`.
fn others(one: &str) -> Vec<String> {
    let names = ["n1", "n2", "n3"].map(String::from);
    names.into_iter().filter(|name| name != one).collect()
}

/// A client that gives signs of life through one member, as long as that answers.
struct Client {
    member: Ensemble,
    session: Session,
    /// When the last request that was answered was sent.
    heard: Instant,
}

impl Client {
    async fn connect(member: &Ensemble) -> Client {
        let heard = Instant::now();
        Client {
            session: Session::open(member, TIMEOUT).await,
            member: member.clone(),
            heard,
        }
    }

    /// One sign of life, as a connection gives it. False when it is not answered.
    fn sign(&mut self) -> bool {
        let now = Instant::now();
        let answered = *self.member.serving().borrow() && self.member.touch(self.session.id);
        if answered {
            self.heard = now;
        }
        answered
    }

    /// Gives signs of life until they are not answered any more.
    async fn sign_in_vain(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        while self.sign() {
            assert!(Instant::now() < deadline, "it is answered all the time");
            sleep(PAUSE).await;
        }
    }

    async fn sign_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            assert!(self.lives(&self.member), "it ended while it was answered");
            self.sign();
            sleep(PAUSE).await;
        }
    }

    fn lives(&self, member: &Ensemble) -> bool {
        member.read(|tree| tree.session(self.session.id).is_some())
    }

    /// Waits for the session's end at `member`, which must be due and may not be too late.
    async fn ends(&self, member: &Ensemble) {
        while self.lives(member) {
            assert!(self.heard.elapsed() < TIMEOUT + LATE, "it does not end");
            sleep(PAUSE / 4).await;
        }
        let lived = self.heard.elapsed();
        assert!(lived >= TIMEOUT, "ended {:?} early", TIMEOUT - lived);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_at_a_member_that_is_cut_off_outlives_what_it_answered() {
    let members = Members::start_linked(3).await;
    let (leader, away) = (members.leader().await, members.follower().await);
    let mut client = Client::connect(&members.member(&away)).await;
    let rest = others(&away);
    let rest: Vec<u64> = rest.iter().map(|name| number(name)).collect();
    members.links().part(&[number(&away)], &rest);
    client.sign_in_vain().await;
    client.ends(&members.member(&leader)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_whose_word_does_not_reach_the_leader_serves_nobody() {
    let members = Members::start_linked(3).await;
    let (leader, mute) = (members.leader().await, members.follower().await);
    let mut client = Client::connect(&members.member(&mute)).await;
    for other in others(&mute) {
        members.links().cut(number(&mute), number(&other));
    }
    // It hears its leader all the time.
    client.sign_in_vain().await;
    client.ends(&members.member(&leader)).await;
    members.links().heal();
    members.all_serve().await;
    assert!(!client.lives(&members.member(&mute)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_that_was_replaced_ends_no_session_when_it_returns() {
    let members = Members::start_linked(3).await;
    let old = members.leader().await;
    let survivors = others(&old);
    let mut clients = Vec::new();
    for name in &survivors {
        clients.push(Client::connect(&members.member(name)).await);
    }
    let numbers: Vec<u64> = survivors.iter().map(|name| number(name)).collect();
    members.links().part(&[number(&old)], &numbers);
    let leads = |name: &String| members.member(name).status().role == Role::Leader;
    eventually("another leader", || survivors.iter().any(leads)).await;
    // In the old leader's eyes nobody gives signs of life.
    let end = Instant::now() + TIMEOUT * 2;
    while Instant::now() < end {
        for client in &mut clients {
            client.sign();
        }
        sleep(PAUSE).await;
    }
    members.links().heal();
    for _ in 0..50 {
        for client in &mut clients {
            client.sign_for(PAUSE).await;
        }
    }
    let all = members.all();
    assert!(
        clients
            .iter()
            .all(|c| all.iter().all(|member| c.lives(member)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_at_a_leader_that_is_cut_off_outlives_what_it_answered() {
    let members = Members::start_linked(3).await;
    let old = members.leader().await;
    let survivors = others(&old);
    let mut client = Client::connect(&members.member(&old)).await;
    let numbers: Vec<u64> = survivors.iter().map(|name| number(name)).collect();
    members.links().part(&[number(&old)], &numbers);
    client.sign_in_vain().await;
    client.ends(&members.member(&survivors[0])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_outlives_what_was_answered_through_two_changes_of_the_leader() {
    let mut members = Members::start_linked(5).await;
    let away = members.follower().await;
    let mut client = Client::connect(&members.member(&away)).await;
    let rest: Vec<u64> = (1..=5).filter(|n| *n != number(&away)).collect();
    members.links().part(&[number(&away)], &rest);
    let first = members.leader().await;
    members.stop(&first).await;
    client.sign_in_vain().await;
    let leads = |members: &Members| {
        let others = rest.iter().map(|n| format!("n{n}"));
        let mut others = others.filter(|name| *name != first);
        others.find(|name| members.member(name).status().role == Role::Leader)
    };
    eventually("a second leader", || leads(&members).is_some()).await;
    let second = leads(&members).expect("just seen");
    members.restart(&first).await;
    members.stop(&second).await;
    client.ends(&members.member(&first)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_of_a_silent_client_ends_at_its_timeout_wherever_it_is() {
    let members = Members::start_linked(3).await;
    let leader = members.member(&members.leader().await);
    for name in ["n1", "n2", "n3"] {
        let mut client = Client::connect(&members.member(name)).await;
        eventually("the leader knows it", || client.lives(&leader)).await;
        assert!(client.sign());
        client.ends(&leader).await;
        let late = client.heard.elapsed() - TIMEOUT;
        assert!(late < Duration::from_millis(500), "at {name} {late:?} late");
    }
}

#[tokio::test]
async fn members_on_one_thread_wait_for_nobody_without_giving_it_up() {
    // A new follower knows who leads before it knows where that is.
    let members = Members::start(3).await;
    let client = Client::connect(&members.member(&members.follower().await)).await;
    members.agree().await;
    let all = members.all();
    assert!(all.iter().all(|member| client.lives(member)));
}
