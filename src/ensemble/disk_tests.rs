//! Members whose disks fail or are full, with real logs, snapshots and sockets, on faults put under them.

use super::fault::Fault;
use super::handle::{Applied, Ensemble, Role};
use super::log::injected::inject;
use super::running::Running;
use super::start::{Start, StartError};
use crate::config::{EnsembleConfig, FreshAcl};
use crate::telemetry::{Metrics, chain};
use crate::tree::{Acl, Actor, Command, CreateMode, ErrorCode, Op};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Data of one write: a segment takes sixteen of them.
const LARGE: usize = 1_000_000;

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let looks = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, looks)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

struct Member {
    ensemble: Ensemble,
    running: Running,
    metrics: Arc<Metrics>,
    dir: PathBuf,
    addr: SocketAddr,
}

/// Starts members `n1`, `n2`, … below `dir` and waits until all serve.
async fn start(dir: &Path, count: usize, snapshot_entries: u64) -> Vec<Member> {
    let mut listeners = Vec::new();
    for _ in 0..count {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addrs: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    // Together, because each waits for the others before it founds the ensemble.
    let booting = listeners.into_iter().enumerate();
    let booting =
        booting.map(|(at, listener)| boot(dir, at, &addrs, Some(listener), snapshot_entries));
    let members = futures_util::future::join_all(booting).await;
    eventually("all serve", || {
        let mut all = members.iter();
        all.all(|m| *m.ensemble.serving().borrow())
    })
    .await;
    members
}

async fn boot(
    dir: &Path,
    at: usize,
    addrs: &[SocketAddr],
    listener: Option<TcpListener>,
    snapshot_entries: u64,
) -> Member {
    let booted = try_boot(dir, at, addrs, listener, snapshot_entries).await;
    booted.unwrap_or_else(|error| panic!("it does not start: {}", chain(&error)))
}

async fn try_boot(
    dir: &Path,
    at: usize,
    addrs: &[SocketAddr],
    listener: Option<TcpListener>,
    snapshot_entries: u64,
) -> Result<Member, StartError> {
    let name = |at: usize| format!("n{}", at + 1);
    let list = addrs.iter().enumerate();
    let members: BTreeMap<_, _> = list.map(|(at, a)| (name(at), a.to_string())).collect();
    let metrics = Metrics::new(&name(at));
    let config = EnsembleConfig {
        listen: addrs[at],
        members,
        join: Vec::new(),
        token_file: None,
        advertise: None,
        observer: false,
        heartbeat: Duration::from_millis(100),
        insecure: true,
        tls: None,
    };
    let dir = dir.join(name(at));
    let start = Start {
        name: name(at),
        data_dir: dir.clone(),
        config: (addrs.len() > 1).then_some(config),
        listener: listener.filter(|_| addrs.len() > 1),
        followers: Vec::new(),
        metrics: metrics.clone(),
        client: None,
        tls: None,
        reap_interval: PATIENCE,
        snapshot_entries,
        fresh_acl: FreshAcl::Open,
    };
    let (ensemble, running) = Ensemble::start(start).await?;
    Ok(Member {
        ensemble,
        running,
        metrics,
        dir,
        addr: addrs[at],
    })
}

async fn stop(members: Vec<Member>) {
    for Member {
        ensemble, running, ..
    } in members
    {
        drop(ensemble);
        running.stop().await;
    }
}

fn temp_dir() -> TempDir {
    TempDir::new_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap()
}

fn create(path: &str) -> Command {
    Command::One(Op::Create {
        path: path.into(),
        data: None,
        acl: Acl::open(),
        mode: CreateMode::PERSISTENT,
    })
}

fn set(path: &str, bytes: usize) -> Command {
    Command::One(Op::SetData {
        path: path.into(),
        data: Some(Bytes::from(vec![7; bytes])),
        version: -1,
    })
}

fn delete(path: &str) -> Command {
    let path = path.into();
    Command::One(Op::Delete { path, version: -1 })
}

/// What became of a command; `None` if its outcome is unknown.
async fn propose(member: &Member, command: Command) -> Option<Applied> {
    let pending = member.ensemble.propose(Actor::Ensemble, command);
    let pending = timeout(PATIENCE, pending).await.unwrap().ok()?;
    timeout(PATIENCE, pending)
        .await
        .expect("an answer in time")
        .ok()
}

/// Whether a command takes effect, with a clear answer, as soon as there is a way to the leader.
async fn write(member: &Member, command: Command) -> Result<(), ErrorCode> {
    for _ in 0..100 {
        match propose(member, command.clone()).await {
            Some(applied) => return applied.result.map(|_| ()),
            None => sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no clear answer");
}

/// Writes until the leader refuses for want of room, and tells how many writes were taken.
async fn fill(member: &Member) -> usize {
    for taken in 0..200 {
        match write(member, set("/large", LARGE)).await {
            Ok(()) => {}
            Err(code) => {
                assert_eq!(code, ErrorCode::ThrottledOp);
                return taken;
            }
        }
    }
    panic!("never full");
}

/// Writes more at once than two segments take, and tells how many were refused for want of room. Each has an
/// end: on a slow machine the way to the leader may break under it, but nobody waits for room.
async fn burst(member: &Member) -> usize {
    let write = |_| {
        member
            .ensemble
            .propose(Actor::Ensemble, set("/large", LARGE))
    };
    let queued = futures_util::future::join_all((0..60).map(write)).await;
    let answers = queued.into_iter().map(|pending| pending.unwrap());
    let answers = timeout(PATIENCE, futures_util::future::join_all(answers)).await;
    let answers = answers.expect("answers, though there is no room");
    let codes = answers.into_iter().filter_map(|a| a.ok()?.result.err());
    codes
        .map(|code| assert_eq!(code, ErrorCode::ThrottledOp))
        .count()
}

fn leader(members: &[Member]) -> Option<usize> {
    let leads = |m: &Member| m.ensemble.status().role == Role::Leader;
    members.iter().position(leads)
}

async fn settled_leader(members: &[Member]) -> usize {
    eventually("a leader", || leader(members).is_some()).await;
    leader(members).unwrap()
}

fn is_full(member: &Member) -> bool {
    member.ensemble.status().faults.contains(&Fault::DiskFull)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_alone_refuses_writes_while_its_disk_is_full_and_recovers_by_itself() {
    let dir = temp_dir();
    let members = start(dir.path(), 1, 1_000_000).await;
    let member = &members[0];
    write(member, create("/large")).await.unwrap();
    write(member, create("/other")).await.unwrap();
    let full = inject(&member.dir, "create", "", Errno::NOSPC);
    assert!(fill(member).await > 8);
    eventually("the fault is told", || is_full(member)).await;
    // What is there is read, what frees something is done, and no client is sent away.
    assert!(member.ensemble.read(|tree| tree.get("/other").is_some()));
    write(member, delete("/other")).await.unwrap();
    assert_eq!(
        write(member, create("/new")).await,
        Err(ErrorCode::ThrottledOp)
    );
    assert!(*member.ensemble.serving().borrow());
    assert!(member.metrics.coordination.disk_refused.get() >= 2);
    // Its snapshots fail too, which is no reason to end.
    let failures = || member.metrics.coordination.snapshot_failures.get();
    eventually("a snapshot fails", || failures() > 0).await;
    drop(full);
    eventually("the fault is over", || !is_full(member)).await;
    write(member, create("/new")).await.unwrap();
    eventually("a snapshot", || {
        member.metrics.coordination.snapshots.get() > 0
    })
    .await;
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_whose_disk_is_full_hands_over_to_one_that_has_room_and_follows_again_later() {
    let dir = temp_dir();
    let members = start(dir.path(), 3, 1_000_000).await;
    let full = settled_leader(&members).await;
    write(&members[full], create("/large")).await.unwrap();
    let fault = inject(&members[full].dir, "create", "", Errno::NOSPC);
    // Through a follower, so that refusals travel.
    let client = &members[(full + 1) % 3];
    let mut written = 0;
    while leader(&members) == Some(full) || leader(&members).is_none() {
        let _ = propose(client, set("/large", LARGE)).await;
        written += 1;
        assert!(written < 500, "it leads for ever");
    }
    // The others go on, while the one that is full takes no more than its log has room for.
    for _ in 0..20 {
        write(client, set("/large", LARGE)).await.unwrap();
    }
    write(client, create("/after")).await.unwrap();
    assert!(is_full(&members[full]));
    assert!(members[full].ensemble.status().applied < client.ensemble.status().applied);
    assert!(*members[full].ensemble.serving().borrow());
    drop(fault);
    eventually("it has caught up", || {
        let tree = |m: &Member| m.ensemble.read(|tree| tree.digest());
        !is_full(&members[full]) && tree(&members[full]) == tree(client)
    })
    .await;
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_refuses_by_name_what_a_quorum_has_no_room_for() {
    let dir = temp_dir();
    let members = start(dir.path(), 3, 1_000_000).await;
    let leads = settled_leader(&members).await;
    let followers = [(leads + 1) % 3, (leads + 2) % 3];
    write(&members[leads], create("/large")).await.unwrap();
    let faults = followers.map(|at| inject(&members[at].dir, "create", "", Errno::NOSPC));
    // Both ways: of a follower's clients, and of the leader's own.
    assert!(burst(&members[followers[0]]).await > 0);
    let refused = write(&members[leads], create("/new")).await;
    assert_eq!(refused, Err(ErrorCode::ThrottledOp));
    write(&members[leads], delete("/large")).await.unwrap();
    assert_eq!(leader(&members), Some(leads), "the leader has room itself");
    drop(faults);
    eventually("all have room", || !members.iter().any(is_full)).await;
    // The leader asks once a second.
    let until_taken = async {
        while write(&members[leads], create("/new")).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, until_taken).await.expect("taken again");
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_that_cannot_be_written_is_tried_again_and_the_member_goes_on() {
    for action in ["create", "write", "sync", "rename"] {
        let dir = temp_dir();
        let members = start(dir.path(), 1, 20).await;
        let member = &members[0];
        let fault = inject(&member.dir, action, ".tmp", Errno::IO);
        for number in 0..30 {
            write(member, create(&format!("/{number}"))).await.unwrap();
        }
        let counts = &member.metrics.coordination;
        eventually("it fails twice", || counts.snapshot_failures.get() >= 2).await;
        assert_eq!(counts.snapshots.get(), 0, "{action}");
        write(member, create("/still-there")).await.unwrap();
        drop(fault);
        eventually("it is written", || counts.snapshots.get() > 0).await;
        stop(members).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_sync_ends_the_member_at_once_and_acknowledges_nothing() {
    let dir = temp_dir();
    let mut members = start(dir.path(), 1, 1_000_000).await;
    write(&members[0], create("/before")).await.unwrap();
    let fault = inject(&members[0].dir, "sync", ".wal", Errno::IO);
    let pending = members[0]
        .ensemble
        .propose(Actor::Ensemble, create("/lost"));
    let mut pending = pending.await.unwrap();
    let failed = timeout(PATIENCE, members[0].running.failed()).await;
    let failed = failed.expect("it ends by itself").to_string();
    assert!(failed.starts_with("log failed"), "{failed}");
    assert!(
        failed.contains(".wal") && failed.contains("sync"),
        "{failed}"
    );
    let outcome = timeout(Duration::from_millis(100), &mut pending).await;
    let is_lost = members[0].ensemble.read(|tree| tree.get("/lost").is_none());
    assert!(is_lost || outcome.is_ok_and(|outcome| outcome.is_err()));
    drop((pending, fault));
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_is_bounded_in_bytes_however_few_entries_there_are() {
    let dir = temp_dir();
    let members = start(dir.path(), 1, 1_000_000).await;
    let member = &members[0];
    write(member, create("/large")).await.unwrap();
    let counts = &member.metrics.coordination;
    for _ in 0..80 {
        write(member, set("/large", LARGE)).await.unwrap();
    }
    eventually("a snapshot for the bytes", || counts.snapshots.get() > 0).await;
    // As much again is kept behind it.
    for _ in 0..70 {
        write(member, set("/large", LARGE)).await.unwrap();
    }
    eventually("the rest is purged", || purged(member) > 10).await;
    assert!(purged(member) < 100, "{} were purged", purged(member));
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_found_while_at_work_ends_the_member_and_names_file_and_byte() {
    let dir = temp_dir();
    let mut members = start(dir.path(), 3, 1_000_000).await;
    let leads = settled_leader(&members).await;
    write(&members[leads], create("/large")).await.unwrap();
    let addrs: Vec<SocketAddr> = members.iter().map(|m| m.addr).collect();
    let absent = (leads + 1) % 3;
    let away = members.remove(absent);
    stop(vec![away]).await;
    let leads = settled_leader(&members).await;
    // More than the log keeps in memory, so that the one that is away will need entries from the disk.
    for _ in 0..14 {
        write(&members[leads], set("/large", LARGE)).await.unwrap();
    }
    let segment = members[leads].dir.join("0000000000000001.wal");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[2 * LARGE] ^= 0x10;
    std::fs::write(&segment, &bytes).unwrap();
    let listener = TcpListener::bind(addrs[absent]).await.unwrap();
    let back = boot(dir.path(), absent, &addrs, Some(listener), 1_000_000).await;
    let failed = timeout(PATIENCE, members[leads].running.failed()).await;
    let failed = failed.expect("it ends by itself").to_string();
    let names = failed.contains(segment.to_str().unwrap());
    assert!(names && failed.contains("is damaged at byte "), "{failed}");
    stop(vec![back]).await;
    stop(members).await;
}

/// The last entry that the log does not have any more.
fn purged(member: &Member) -> u64 {
    let facts = member.ensemble.inner().raft.metrics();
    facts.borrow_watched().purged.map_or(0, |id| id.index())
}

/// The snapshots in `dir`, newest first.
fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path());
    let is_one = |p: &PathBuf| p.extension().is_none() && p.to_str().unwrap().contains("/snap-");
    let mut files: Vec<_> = files.filter(is_one).collect();
    files.sort();
    files.reverse();
    files
}

fn flip(path: &Path, at: impl FnOnce(usize) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Makes a member alone with two snapshots whose log does not reach back to the beginning, and stops it.
async fn with_two_snapshots(dir: &Path) -> Vec<SocketAddr> {
    let members = start(dir, 1, 20).await;
    let mut number = 0;
    while snapshots(&members[0].dir).len() < 2 || purged(&members[0]) == 0 {
        write(&members[0], create(&format!("/{number:03}")))
            .await
            .unwrap();
        number += 1;
    }
    // Behind the newest.
    write(&members[0], create("/last")).await.unwrap();
    let addrs = vec![members[0].addr];
    stop(members).await;
    addrs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_snapshot_stands_in_for_a_damaged_one_and_a_new_one_is_written() {
    let parts: [fn(usize) -> usize; 4] = [|_| 3, |_| 20, |bytes| bytes / 2, |bytes| bytes - 2];
    for part in parts {
        let dir = temp_dir();
        let addrs = with_two_snapshots(dir.path()).await;
        let data = dir.path().join("n1");
        let newest = snapshots(&data).remove(0);
        flip(&newest, part);
        let damaged = std::fs::read(&newest).unwrap();
        let member = boot(dir.path(), 0, &addrs, None, 1_000_000).await;
        eventually("it serves", || *member.ensemble.serving().borrow()).await;
        let has = |path: &str| member.ensemble.read(|tree| tree.get(path).is_some());
        eventually("nothing is lost", || has("/last") && has("/000")).await;
        let counts = &member.metrics.coordination;
        assert_eq!(counts.damage_found.get(), 1);
        assert_eq!(counts.damage_repaired.get(), 1);
        eventually("a new one", || counts.snapshots.get() > 0).await;
        let aside = data.join("damaged-1").join(newest.file_name().unwrap());
        assert_eq!(std::fs::read(aside).unwrap(), damaged);
        stop(vec![member]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn member_alone_that_may_have_forgotten_something_stops_and_touches_nothing() {
    let dir = temp_dir();
    let addrs = with_two_snapshots(dir.path()).await;
    let data = dir.path().join("n1");
    let mut victims = snapshots(&data);
    victims
        .iter()
        .for_each(|path| flip(path, |bytes| bytes / 2));
    let segment = data.join("0000000000000001.wal");
    for damage_log in [false, true] {
        if damage_log {
            flip(&segment, |_| 200);
            victims = vec![segment.clone()];
        }
        let before = std::fs::read(&victims[0]).unwrap();
        let error = try_boot(dir.path(), 0, &addrs, None, 20).await.err();
        let Some(StartError::Damaged(damage)) = error else {
            panic!("it starts, or says {error:?}");
        };
        assert_eq!(damage.path, victims[0]);
        assert!(damage.offset < before.len() as u64);
        assert_eq!(std::fs::read(&victims[0]).unwrap(), before);
    }
}
