//! A member whose disk is damaged comes back by itself, under another number, and nothing that was acknowledged is lost.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::propose;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use zoogate::ensemble::{ArrivalError, Ensemble, StartError};
use zoogate::tree::{Acl, Actor, Command, CreateMode, ErrorCode, Op, Stage};

/// As long as a request can be.
const LARGE: usize = 1_000_000;
/// So many of them that the log has a segment behind which there are others.
const LARGE_ZNODES: usize = 20;
/// Few, so that the log is purged soon.
const FEW: u64 = 100;
/// Writes until there are snapshots and a purge, with [`FEW`].
const UNTIL_PURGED: usize = 500;
/// Writes until a log has a middle.
const SOME: usize = 50;

fn create(path: String, data: Bytes) -> Command {
    Command::One(Op::Create {
        path: path.into(),
        data: Some(data),
        acl: Acl::open(),
        mode: CreateMode::PERSISTENT,
    })
}

/// Creates `/w-0`, `/w-1`, … until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(member: Ensemble) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicUsize::new(0));
        let (until, count) = (stop.clone(), done.clone());
        let task = tokio::spawn(async move {
            while !until.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed);
                let command = create(format!("/w-{number}"), Bytes::from_static(b"data"));
                // Acknowledged, or there already because the attempt before, whose outcome is unknown, came through.
                let pending = member.propose(Actor::Ensemble, command).await;
                if let Ok(pending) = pending
                    && let Ok(applied) = pending.await
                {
                    let is_there = matches!(applied.result, Ok(_) | Err(ErrorCode::NodeExists));
                    assert!(is_there, "{:?}", applied.result);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        Load { stop, done, task }
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    async fn until(&self, count: usize) {
        eventually("writes", || self.done() >= count).await;
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("it does not panic");
        self.done.load(Ordering::Relaxed)
    }
}

/// One record of a segment.
struct Frame {
    offset: usize,
    bytes: usize,
    kind: u8,
}

const HEADER: usize = 13;
const ENTRY: u8 = 2;
const VOTE: u8 = 3;
const PURGE: u8 = 6;

/// The records of the segment at `path`.
fn frames(path: &Path) -> Vec<Frame> {
    let data = fs::read(path).expect("a segment");
    let mut frames = Vec::new();
    let mut offset = 0;
    while let Some(header) = data.get(offset..offset + HEADER)
        && header[12] != 0
    {
        let length = header[..4].try_into().expect("four bytes");
        let bytes = HEADER + u32::from_le_bytes(length) as usize;
        let kind = header[12];
        frames.push(Frame {
            offset,
            bytes,
            kind,
        });
        offset += bytes;
    }
    frames
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).expect("readable");
    bytes[byte] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.wal"))
}

/// Flips a bit in the payload of the middle one of the records of this kind.
fn flip_record(dir: &Path, kind: u8) -> Vec<PathBuf> {
    let path = segment(dir, 1);
    let mut of_kind = frames(&path);
    of_kind.retain(|frame| frame.kind == kind);
    let frame = &of_kind[of_kind.len() / 2];
    flip(&path, frame.offset + frame.bytes - 1);
    vec![path]
}

fn cut_segment(dir: &Path) -> Vec<PathBuf> {
    let path = segment(dir, 1);
    assert!(!frames(&segment(dir, 2)).is_empty(), "it is the last one");
    let file = fs::OpenOptions::new().write(true).open(&path);
    let file = file.expect("a segment");
    let length = file.metadata().expect("readable").len();
    file.set_len(length / 2).expect("cut");
    vec![path]
}

fn flip_snapshots(dir: &Path) -> Vec<PathBuf> {
    let is_purge = |frame: &Frame| frame.kind == PURGE;
    assert!(
        frames(&segment(dir, 1)).iter().any(is_purge),
        "the log still has everything"
    );
    let files = fs::read_dir(dir).expect("its directory");
    let files = files.map(|file| file.expect("readable").path());
    let snapshots: Vec<PathBuf> = files
        .filter(|path| path.to_string_lossy().contains("/snap-"))
        .collect();
    assert!(!snapshots.is_empty());
    for path in &snapshots {
        let length = fs::metadata(path).expect("readable").len();
        flip(path, length as usize / 2);
    }
    snapshots
}

/// The number and the vote of the members, as `member` sees them.
fn votes(member: &Ensemble) -> BTreeMap<u64, bool> {
    member.read(|tree| {
        let members = tree.members().iter();
        members.map(|(id, info)| (*id, info.voter)).collect()
    })
}

/// Tells whether a member with another number than those of the beginning is seen without a vote.
fn watch_for_learner(member: Ensemble, known: BTreeMap<u64, bool>) -> JoinHandle<u64> {
    tokio::spawn(async move {
        loop {
            let now = votes(&member);
            if let Some((id, votes)) = now.iter().find(|(id, _)| !known.contains_key(id)) {
                assert!(!votes, "member {id} votes from the beginning");
                return *id;
            }
            sleep(Duration::from_millis(1)).await;
        }
    })
}

/// Spoils the disk of a member of three while others are written to, and sees it come back.
async fn comes_back(mut members: Members, writes: usize, spoil: impl Fn(&Path) -> Vec<PathBuf>) {
    let name = members.follower().await;
    let dir = members.data_dir(&name);
    let other = members.member(&members.leader().await);
    let old = members.member(&name).member();
    let load = Load::start(other.clone());
    load.until(writes).await;
    members.stop(&name).await;
    let sound = members.copy_of(&name);
    let spoiled = spoil(&dir);
    let evidence: Vec<_> = spoiled
        .iter()
        .map(|p| fs::read(p).expect("its file"))
        .collect();
    let learner = watch_for_learner(other.clone(), votes(&other));
    let before = load.done();
    members.restart(&name).await;
    let member = members.member(&name);
    assert_ne!(member.member(), old, "it may have forgotten its votes");
    assert_eq!(learner.await.expect("it does not vote"), member.member());
    let counts = members.metrics(&name);
    assert_eq!(counts.coordination.damage_found.get(), 1);
    assert_eq!(counts.coordination.damage_repaired.get(), 1);
    eventually("it votes, and its old number is gone", || {
        let votes = votes(&other);
        votes.len() == 3 && votes.get(&member.member()) == Some(&true)
    })
    .await;
    assert_eq!(
        other.read(|tree| tree.numbers()[&old].stage),
        Stage::Removed
    );
    load.until(before + SOME).await;
    let written = load.end().await;
    members.all_serve().await;
    members.agree().await;
    for name in ["n1", "n2", "n3"] {
        let has = |number| format!("/w-{number}");
        let lost = members.member(name).read(|tree| {
            let mut paths = (0..written).map(has);
            paths.find(|path| tree.get(path).is_none())
        });
        assert_eq!(lost, None, "{name} of {written}");
    }
    for (path, evidence) in spoiled.iter().zip(&evidence) {
        let aside = dir
            .join("damaged-1")
            .join(path.file_name().expect("a name"));
        assert!(
            fs::read(aside).expect("set aside") == *evidence,
            "{}",
            path.display()
        );
    }
    drop(member);
    stays_who_it_is(members, &name, old, sound.path()).await;
}

/// It starts again as what it became, and the sound disk of what it was is of no use.
async fn stays_who_it_is(mut members: Members, name: &str, old: u64, sound: &Path) {
    let number = members.member(name).member();
    members.stop(name).await;
    members.restart(name).await;
    assert_eq!(members.member(name).member(), number);
    members.all_serve().await;
    members.stop(name).await;
    members.put_back(name, sound);
    let again = members.try_restart(name).await;
    let Err(StartError::Arrival(ArrivalError::Removed { member, .. })) = again else {
        panic!("its old number is not refused: {again:?}");
    };
    assert_eq!(member, old);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_of_an_entry_is_flipped() {
    let members = Members::start(3).await;
    comes_back(members, SOME, |dir| flip_record(dir, ENTRY)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_of_a_vote_is_flipped() {
    let members = Members::start(3).await;
    comes_back(members, SOME, |dir| flip_record(dir, VOTE)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_in_the_middle_is_cut() {
    let members = Members::start(3).await;
    let leader = members.member(&members.leader().await);
    for number in 0..LARGE_ZNODES {
        let command = create(format!("/large-{number}"), vec![7; LARGE].into());
        let applied = propose(&leader, Actor::Ensemble, command).await;
        applied.result.expect("created");
    }
    drop(leader);
    comes_back(members, SOME, cut_segment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_snapshots_are_damaged_and_the_log_does_not_reach_back() {
    let members = Members::start_with(3, FEW).await;
    comes_back(members, UNTIL_PURGED, flip_snapshots).await;
}

/// Drops `starting` a while after those members have given up what they had; they must not have started by then.
async fn asks_in_vain(gave_up: &[PathBuf], starting: impl Future<Output = ()>) {
    // Not before: a log that is being read is held by a thread, which a process would take with it.
    let asking = async {
        eventually("the files are set aside", || {
            gave_up.iter().all(|dir| dir.join("damaged-1").exists())
        })
        .await;
        sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        () = asking => {}
        () = starting => panic!("it started, but nobody can have admitted it"),
    }
}

/// Its process is ended while nobody can admit it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_member_that_is_ended_while_it_asks_goes_on_where_it_was() {
    let mut members = Members::start(3).await;
    let load = Load::start(members.member("n1"));
    load.until(SOME).await;
    load.end().await;
    for name in ["n1", "n2", "n3"] {
        members.stop(name).await;
    }
    flip_record(&members.data_dir("n3"), ENTRY);
    for _ in 0..2 {
        let dirs = [members.data_dir("n3")];
        asks_in_vain(&dirs, members.restart("n3")).await;
    }
    members.restart_all(&["n1", "n2", "n3"]).await;
    assert_eq!(members.member("n3").member(), 4);
    let n1 = members.member("n1");
    eventually("it votes", || {
        votes(&n1) == BTreeMap::from([(1, true), (2, true), (4, true)])
    })
    .await;
    assert_eq!(members.files("n3", "damaged-"), ["damaged-1"]);
    members.agree().await;
}

/// Three that have nothing would found an ensemble; these three had one, and someone has to look at what they had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_are_all_damaged_found_no_empty_ensemble() {
    let mut members = Members::start(3).await;
    let load = Load::start(members.member("n1"));
    load.until(SOME).await;
    load.end().await;
    let names = ["n1", "n2", "n3"];
    for name in names {
        members.stop(name).await;
    }
    for name in names {
        flip_record(&members.data_dir(name), ENTRY);
    }
    for _ in 0..2 {
        let dirs = names.map(|name| members.data_dir(name));
        asks_in_vain(&dirs, members.restart_all(&names)).await;
    }
    for name in names {
        assert_eq!(members.files(name, "damaged-"), ["damaged-1"]);
        assert!(members.files(name, "0").is_empty(), "it has begun a log");
    }
}
