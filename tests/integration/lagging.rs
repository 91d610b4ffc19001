//! A member that needs the whole tree gets it while others write, though both ends of the transfer stop in its midst.

use crate::support::ensemble::Members;
use crate::support::proposals::insist;
use crate::support::{eventually, soon};
use bytes::Bytes;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use zoogate::ensemble::Ensemble;
use zoogate::tree::{Acl, Actor, Command, CreateMode, Op};

/// Far fewer than are written while the tree is sent: the leader must not purge what comes after it meanwhile.
const SNAPSHOT_ENTRIES: u64 = 200;
/// As long as a request can be, so that sending takes a while.
const LARGE: usize = 1_000_000;
const ZNODES: usize = 30;
/// Writes that are under way together where there must be many soon.
const AT_ONCE: usize = 100;
/// Where a snapshot is held, and how much of that has arrived for certain: the rest may still be in buffers.
const HELD_AT: usize = 8 << 20;
const ARRIVED: u64 = 4 << 20;

async fn fill(member: &Ensemble) {
    let data = Bytes::from(vec![7; LARGE]);
    for number in 0..ZNODES {
        let op = Op::Create {
            path: format!("/large-{number}").into(),
            data: Some(data.clone()),
            acl: Acl::open(),
            mode: CreateMode::PERSISTENT,
        };
        insist(member, Actor::Ensemble, Command::One(op)).await;
    }
}

/// Writes through `member` until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<usize>,
}

/// Whether a write through `member` was applied.
async fn set(member: &Ensemble) -> bool {
    let op = Op::SetData {
        path: "/zookeeper".into(),
        data: Some(Bytes::from_static(b"load")),
        version: -1,
    };
    match member.propose(Actor::Ensemble, Command::One(op)).await {
        Ok(pending) => pending.await.is_ok(),
        Err(_) => false,
    }
}

impl Load {
    fn start(member: Ensemble) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let task = tokio::spawn(async move {
            let mut done = 0;
            while !until.load(Ordering::Relaxed) {
                done += usize::from(set(&member).await);
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            done
        });
        Load { stop, task }
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        soon(self.task).await.expect("it does not panic")
    }
}

/// Waits until a snapshot for `name`, which the links hold, has arrived in part.
async fn until_receiving(members: &Members, name: &str) {
    let arrived = |file: &String| {
        let path = members.data_dir(name).join(file);
        file.ends_with(".tmp") && std::fs::metadata(path).is_ok_and(|file| file.len() >= ARRIVED)
    };
    eventually("a snapshot is on its way", || {
        members.files(name, "snap-").iter().any(arrived)
    })
    .await;
}

/// Writes until the log of `name` begins behind the entry `index`: whoever ends there needs a snapshot.
async fn purge(members: &Members, name: &str, index: u64) {
    let member = members.member(name);
    let purged = async {
        while member.status().purged <= index {
            join_all((0..AT_ONCE).map(|_| set(&member))).await;
        }
    };
    soon(purged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_arrives_at_last_though_both_ends_stop_while_it_is_sent() {
    let mut members = Members::start_linked_with(3, SNAPSHOT_ENTRIES).await;
    let absent = members.follower().await;
    let (number, end) = {
        let status = members.member(&absent).status();
        (status.member, status.last_log)
    };
    members.stop(&absent).await;
    let leader = members.leader().await;
    let names = ["n1", "n2", "n3"];
    let third = names
        .into_iter()
        .find(|name| *name != absent && *name != leader);
    let third = third.expect("there are three");
    fill(&members.member(&leader)).await;
    // Either may have to send it.
    purge(&members, &leader, end).await;
    purge(&members, third, end).await;
    let load = Load::start(members.member(third));
    // The receiver stops.
    members.links().hold_snapshots(number, HELD_AT);
    members.restart(&absent).await;
    until_receiving(&members, &absent).await;
    members.stop(&absent).await;
    // Nothing arrives yet, so what is there is left of the attempt before.
    members.links().hold_snapshots(number, 0);
    members.restart(&absent).await;
    assert!(
        members
            .files(&absent, "snap-")
            .iter()
            .all(|file| !file.ends_with(".tmp"))
    );
    // The sender stops.
    members.links().hold_snapshots(number, HELD_AT);
    until_receiving(&members, &absent).await;
    let leader = members.leader().await;
    members.stop(&leader).await;
    members.links().let_snapshots_go();
    members.restart(&leader).await;
    members.all_serve().await;
    assert!(load.end().await > 0);
    // On a busy machine there may be another election.
    let caught_up = async {
        while members.member(third).barrier().await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(caught_up).await;
    members.converge(third).await;
    members.member(&absent).read(|tree| tree.check_invariants());
    let last = format!("/large-{}", ZNODES - 1);
    assert!(
        members
            .member(&absent)
            .read(|tree| tree.get(&last).is_some())
    );
    // What was left of the attempts is gone, and no more snapshots are kept than need be.
    for name in names {
        eventually("no more than two snapshots", || {
            let files = members.files(name, "snap-");
            files.len() <= 2 && files.iter().all(|file| !file.ends_with(".tmp"))
        })
        .await;
    }
}

/// Snapshots are due all the time while one is sent, and each would purge what the receiver needs next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_transfer_is_enough_though_it_takes_longer_than_the_time_between_snapshots() {
    let mut members = Members::start_with(3, SNAPSHOT_ENTRIES).await;
    let absent = members.follower().await;
    let end = members.member(&absent).status().last_log;
    members.stop(&absent).await;
    let leader = members.leader().await;
    fill(&members.member(&leader)).await;
    purge(&members, &leader, end).await;
    let load = Load::start(members.member(&leader));
    members.restart(&absent).await;
    members.all_serve().await;
    let newest = || members.files(&absent, "snap-").into_iter().max();
    eventually("it has got the tree", || {
        let applied = members.member(&absent).status().applied;
        newest().is_some() && applied + 100 > members.member(&leader).status().applied
    })
    .await;
    assert!(load.end().await > 0);
    members.converge(&leader).await;
}
