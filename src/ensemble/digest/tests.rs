//! Three members in this process, in one of which something is wrong.

use super::{Condition, mark};
use crate::config::{EnsembleConfig, FreshAcl};
use crate::ensemble::fault::Fault;
use crate::ensemble::limits::{DIGEST_EVERY, DIGEST_INTERVAL};
use crate::ensemble::{Ensemble, Role, Running, Start};
use crate::net::TcpListener;
use crate::telemetry::Metrics;
use crate::tree::{Acl, Actor, Command, CreateMode, Flip, Op};
use bytes::Bytes;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::ensemble) struct Members {
    dir: TempDir,
    addrs: BTreeMap<u64, SocketAddr>,
    snapshot_entries: u64,
    running: BTreeMap<u64, (Ensemble, Running, Arc<Metrics>)>,
}

impl Members {
    pub(in crate::ensemble) async fn start(voters: u64, snapshot_entries: u64) -> Members {
        let mut members = Members {
            dir: TempDir::new().unwrap(),
            addrs: BTreeMap::new(),
            snapshot_entries,
            running: BTreeMap::new(),
        };
        let mut listeners = Vec::new();
        for number in 1..=voters {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            members.addrs.insert(number, listener.local_addr().unwrap());
            listeners.push((number, listener));
        }
        // Together, because each waits for the others before it founds the ensemble.
        let booting = listeners
            .into_iter()
            .map(|(number, listener)| members.boot(number, listener));
        for (number, booted) in (1..).zip(join_all(booting).await) {
            members.running.insert(number, booted);
        }
        members.all_serve().await;
        members
    }

    async fn boot(&self, number: u64, listener: TcpListener) -> (Ensemble, Running, Arc<Metrics>) {
        let metrics = Metrics::new(&format!("n{number}"));
        let names = self.addrs.iter();
        let config = EnsembleConfig {
            listen: self.addrs[&number],
            members: names
                .map(|(n, addr)| (format!("n{n}"), addr.to_string()))
                .collect(),
            join: Vec::new(),
            token_file: None,
            advertise: None,
            observer: false,
            heartbeat: Duration::from_millis(100),
            insecure: false,
            tls: None,
        };
        let start = Start {
            tls: None,
            name: format!("n{number}"),
            data_dir: self.data_dir(number),
            config: Some(config),
            listener: Some(listener),
            followers: Vec::new(),
            metrics: metrics.clone(),
            client: None,
            reap_interval: Duration::from_secs(60),
            snapshot_entries: self.snapshot_entries,
            fresh_acl: FreshAcl::Open,
        };
        let (ensemble, running) = Ensemble::start(start).await.unwrap();
        (ensemble, running, metrics)
    }

    async fn restart(&mut self, number: u64) {
        self.stop(number).await;
        self.resume(number).await;
    }

    async fn stop(&mut self, number: u64) {
        let (ensemble, running, _) = self.running.remove(&number).unwrap();
        drop(ensemble);
        running.stop().await;
    }

    async fn resume(&mut self, number: u64) {
        let listener = TcpListener::bind(self.addrs[&number]).await.unwrap();
        let booted = self.boot(number, listener).await;
        self.running.insert(number, booted);
    }

    fn data_dir(&self, number: u64) -> PathBuf {
        self.dir.path().join(number.to_string())
    }

    pub(in crate::ensemble) fn member(&self, number: u64) -> &Ensemble {
        &self.running[&number].0
    }

    fn rebuilds(&self, number: u64) -> u64 {
        self.running[&number].2.coordination.tree_rebuilds.get()
    }

    async fn all_serve(&self) {
        let serve = || self.running.values().all(|(e, ..)| *e.serving().borrow());
        eventually("all serve", serve).await;
    }

    pub(in crate::ensemble) async fn leader(&self) -> u64 {
        let leader = || {
            let mut members = self.running.iter();
            members
                .find(|(_, (e, ..))| e.status().role == Role::Leader)
                .map(|(n, _)| *n)
        };
        eventually("a leader", || leader().is_some()).await;
        leader().unwrap()
    }

    async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.running.keys().find(|n| **n != leader).unwrap()
    }

    /// Waits until all have applied the same and have the same digest.
    async fn equal(&self) {
        let equal = || {
            let mut points = self.running.values().map(|(e, ..)| e.digest());
            let first = points.next().unwrap();
            first.is_some() && points.all(|point| point == first)
        };
        eventually("equal digests", equal).await;
        for (ensemble, ..) in self.running.values() {
            ensemble.read(|tree| tree.check_invariants());
        }
    }

    fn flip(&self, number: u64, flip: Flip) {
        let shared = self.member(number).inner().shared.clone();
        shared.with_replica(|replica| replica.tree.flip(flip, "/victim"));
    }

    /// Writes through `number` until the handle is dropped or told to stop; gives the number of writes.
    fn load(&self, number: u64) -> Load {
        let member = self.member(number).clone();
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (until, count) = (stop.clone(), done.clone());
        let task = tokio::spawn(async move {
            let mut next = 0;
            while !until.load(Ordering::Relaxed) {
                let mut pending = Vec::new();
                for _ in 0..64 {
                    next += 1;
                    let op = set("/other", next);
                    pending.push(member.propose(Actor::Ensemble, Command::One(op)).await);
                }
                for one in pending.into_iter().flatten() {
                    if one.await.is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Load { stop, done, task }
    }

    async fn seed(&self) {
        let member = self.member(1);
        for path in ["/victim", "/other"] {
            let op = Op::Create {
                path: path.into(),
                data: Some(Bytes::from_static(b"data")),
                acl: Acl::open(),
                mode: CreateMode::PERSISTENT,
            };
            propose(member, Command::One(op)).await;
        }
        let open = Command::OpenSession {
            member: 1,
            password: [7; 16],
            timeout_ms: 600_000,
        };
        propose(member, open).await;
        self.equal().await;
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Load {
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.done.load(Ordering::Relaxed)
    }
}

fn set(path: &str, number: u64) -> Op {
    Op::SetData {
        path: path.into(),
        data: Some(Bytes::from(number.to_string())),
        version: -1,
    }
}

async fn propose(member: &Ensemble, command: Command) {
    let pending = member.propose(Actor::Ensemble, command).await.unwrap();
    pending.await.unwrap().result.unwrap();
}

pub(in crate::ensemble) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn is_diverged(member: &Ensemble) -> bool {
    let faults = member.status().faults;
    faults
        .iter()
        .any(|fault| matches!(fault, Fault::Diverged { .. }))
}

/// Damage in a follower under load: it goes away by itself, and clients are not served meanwhile.
async fn heals(flip: Flip) {
    let members = Members::start(3, 100_000).await;
    members.seed().await;
    let (leader, odd) = (members.leader().await, members.follower().await);
    let load = members.load(leader);
    members.flip(odd, flip);
    let at = members.member(odd).digest().unwrap().index;
    let member = members.member(odd);
    // What it was found by was served to nobody: the fault is there before the rebuilt tree is.
    let mut was_away = false;
    eventually("the damage is found and repaired", || {
        was_away |= is_diverged(member) && !*member.serving().borrow();
        members.rebuilds(odd) == 1
    })
    .await;
    assert!(was_away, "{flip:?}: it was serving when it was rebuilt");
    members.all_serve().await;
    assert!(!is_diverged(member));
    assert!(!mark::is_set(&members.data_dir(odd)).unwrap());
    assert!(load.end().await > 0);
    members.equal().await;
    assert_eq!(members.leader().await, leader);
    assert!(member.digest().unwrap().index > at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_of_data_is_found_and_repaired() {
    heals(Flip::Data).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_stat_is_found_and_repaired() {
    heals(Flip::Stat).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_session_is_found_and_repaired() {
    heals(Flip::Session).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_acl_is_found_and_repaired() {
    heals(Flip::Acl).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_only_one_member_made_is_found_and_repaired() {
    heals(Flip::Applied).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_found_within_so_many_entries() {
    let members = Members::start(3, 100_000).await;
    members.seed().await;
    let (leader, odd) = (members.leader().await, members.follower().await);
    members.flip(odd, Flip::Applied);
    let from = members.member(leader).digest().unwrap().index;
    // Slower than comparisons follow each other, so that it is the entries that count.
    let mut number = 0;
    let begun = Instant::now();
    while !is_diverged(members.member(odd)) {
        number += 1;
        propose(members.member(leader), Command::One(set("/other", number))).await;
        assert!(begun.elapsed() < PATIENCE, "not found");
    }
    let index = members.member(odd).status().faults;
    let Some(Fault::Diverged { index }) = index.first() else {
        panic!("healed already: {index:?}");
    };
    assert!(
        *index <= from + DIGEST_EVERY,
        "found at {index}, planted at {from}"
    );
    members.all_serve().await;
    members.equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_found_when_few_write() {
    let members = Members::start(3, 100_000).await;
    members.seed().await;
    let odd = members.follower().await;
    members.flip(odd, Flip::Applied);
    propose(members.member(1), Command::One(set("/other", 1))).await;
    let begun = Instant::now();
    eventually("it is rebuilt", || members.rebuilds(odd) == 1).await;
    assert!(
        begun.elapsed() < DIGEST_INTERVAL * 5,
        "{:?}",
        begun.elapsed()
    );
    members.all_serve().await;
    members.equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_wrong_leads_no_more() {
    for flip in [Flip::Applied, Flip::Data] {
        let members = Members::start(3, 100_000).await;
        members.seed().await;
        let (odd, client) = (members.leader().await, members.follower().await);
        let load = members.load(client);
        members.flip(odd, flip);
        eventually("it is rebuilt", || members.rebuilds(odd) == 1).await;
        members.all_serve().await;
        load.end().await;
        members.equal().await;
        let others = members.running.keys().filter(|number| **number != odd);
        assert!(
            others
                .map(|number| members.rebuilds(*number))
                .all(|count| count == 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nobody_serves_and_nobody_rebuilds() {
    let mut members = Members::start(3, 100_000).await;
    members.seed().await;
    let (leader, odd) = (members.leader().await, members.follower().await);
    let third = 6 - leader - odd;
    members.stop(third).await;
    members.flip(odd, Flip::Applied);
    propose(members.member(leader), Command::One(set("/other", 1))).await;
    eventually("both say so", || {
        members
            .running
            .values()
            .all(|(e, ..)| is_diverged(e) && !*e.serving().borrow())
    })
    .await;
    let condition = |n| members.member(n).inner().shared.soundness.condition();
    assert_eq!(
        (condition(leader), condition(odd)),
        (Condition::Disputed, Condition::Disputed)
    );
    assert_eq!(members.rebuilds(leader) + members.rebuilds(odd), 0);
    // The third one decides.
    members.resume(third).await;
    eventually("it is rebuilt", || members.rebuilds(odd) == 1).await;
    members.all_serve().await;
    assert_eq!(members.rebuilds(leader), 0);
    members.equal().await;
}

/// Digests of multiples of a thousand are compared first, and here the last such index was before the difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_is_not_over_because_members_were_equal_before() {
    let mut members = Members::start(3, 100_000).await;
    members.seed().await;
    let (leader, odd) = (members.leader().await, members.follower().await);
    let load = members.load(leader);
    let applied = || members.member(odd).status().applied;
    eventually("a milestone", || applied() > DIGEST_EVERY).await;
    load.end().await;
    members.equal().await;
    members.stop(6 - leader - odd).await;
    members.flip(odd, Flip::Applied);
    propose(members.member(leader), Command::One(set("/other", 0))).await;
    let condition = || members.member(odd).inner().shared.soundness.condition();
    eventually("nobody can tell", || condition() == Condition::Disputed).await;
    let differing = &members.running[&odd].2.coordination.digests_differing;
    let before = differing.get();
    eventually("they are compared again", || {
        assert_eq!(condition(), Condition::Disputed);
        differing.get() > before + 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_of_a_wrong_tree_are_gone_after_it_is_rebuilt() {
    let mut members = Members::start(3, 500).await;
    members.seed().await;
    let (leader, odd) = (members.leader().await, members.follower().await);
    let load = members.load(leader);
    members.flip(odd, Flip::Applied);
    eventually("it is rebuilt", || members.rebuilds(odd) == 1).await;
    members.all_serve().await;
    load.end().await;
    members.equal().await;
    members.restart(odd).await;
    members.all_serve().await;
    members.equal().await;
    assert_eq!(members.rebuilds(odd), 0, "the disk has the right tree");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_before_the_rebuilding_serves_nobody_until_the_tree_is_compared() {
    let mut members = Members::start(3, 100_000).await;
    members.seed().await;
    let odd = members.follower().await;
    members.stop(odd).await;
    mark::set(&members.data_dir(odd), 7).unwrap();
    // Alone it can compare with nobody.
    for number in 1..=3 {
        if number != odd {
            members.stop(number).await;
        }
    }
    members.resume(odd).await;
    assert!(is_diverged(members.member(odd)));
    for number in 1..=3 {
        if number != odd {
            members.resume(number).await;
        }
    }
    // Its disk was right after all.
    members.all_serve().await;
    members.equal().await;
    assert_eq!(members.rebuilds(odd), 0);
    assert!(!mark::is_set(&members.data_dir(odd)).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_alone_puts_its_tree_together_from_its_own_disk() {
    for snapshot_entries in [20, 100_000] {
        let members = Members::start(1, snapshot_entries).await;
        members.seed().await;
        for number in 0..50 {
            propose(members.member(1), Command::One(set("/other", number))).await;
        }
        let before = members.member(1).read(|tree| tree.digest());
        members.flip(1, Flip::Data);
        eventually("it is rebuilt", || members.rebuilds(1) == 1).await;
        members.all_serve().await;
        assert_eq!(members.member(1).read(|tree| tree.digest()), before);
        members.equal().await;
    }
}
