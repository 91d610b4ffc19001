//! The longest that a write waits while a snapshot of a large tree is written.
//!
//! A member alone, on this disk, on one thread as in production, fills its tree and then serves a number of writers,
//! each of which waits for its answer before it writes again. Every so many entries it takes a snapshot; the waits
//! that overlap one are told apart from the others.
//!
//! `cargo bench --bench pause`; `ZNODES` (1,000,000), `WRITERS` (16) and `DIR` (a temporary directory below
//! `target`) can be set. Waits are of the whole way: queue, log, fsync, apply, answer.

use bytes::Bytes;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use zoogate::config::FreshAcl;
use zoogate::ensemble::{Ensemble, Pending, Start};
use zoogate::telemetry::Metrics;
use zoogate::tree::{Acl, Actor, Command, CreateMode, Op};

const ROUNDS: u64 = 3;
const SNAPSHOT_ENTRIES: u64 = 100_000;
const PER_SERVICE: u64 = 100;

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let set = std::env::var(name).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn tell(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

fn instance(nth: u64) -> String {
    format!("/services/app-{:05}/instance-{nth:08}", nth / PER_SERVICE)
}

fn create(path: String) -> Command {
    Command::One(Op::Create {
        path: path.into(),
        data: Some(Bytes::from_static(&[7; 128])),
        acl: Acl::open(),
        mode: CreateMode::PERSISTENT,
    })
}

fn set(nth: u64) -> Command {
    Command::One(Op::SetData {
        path: instance(nth).into(),
        data: Some(Bytes::from_static(&[8; 128])),
        version: -1,
    })
}

/// Resident memory of this process, as the kernel tells it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap_or("unknown").to_owned()
}

async fn propose(member: &Ensemble, command: Command) -> Pending {
    let pending = member.propose(Actor::Ensemble, command).await;
    pending.expect("the member takes proposals")
}

async fn fill(member: &Ensemble, znodes: u64) {
    let services = (0..znodes.div_ceil(PER_SERVICE)).map(|nth| format!("/services/app-{nth:05}"));
    let instances = (0..znodes).map(instance);
    let mut paths = ["/services".to_owned()]
        .into_iter()
        .chain(services)
        .chain(instances);
    loop {
        let mut pending = Vec::new();
        for path in paths.by_ref().take(1024) {
            pending.push(propose(member, create(path)).await);
        }
        if pending.is_empty() {
            return;
        }
        for one in pending {
            one.await.expect("known").result.expect("created");
        }
    }
}

/// The waits of one kind.
#[derive(Default)]
struct Waits(Vec<Duration>);

impl Waits {
    fn show(&mut self, what: &str) {
        self.0.sort_unstable();
        let at = |part: f64| {
            let nth = (self.0.len() as f64 * part) as usize;
            self.0
                .get(nth.min(self.0.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        tell(&format!(
            "{what:<24} {:>9} writes   p50 {:>8.2?}   p99 {:>8.2?}   p99.9 {:>8.2?}   longest {:>8.2?}",
            self.0.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        ));
    }
}

async fn writer(member: Ensemble, first: u64, znodes: u64, told: mpsc::Sender<(Instant, Instant)>) {
    let mut nth = first;
    loop {
        let begun = Instant::now();
        let pending = propose(&member, set(nth % znodes)).await;
        pending.await.expect("known").result.expect("set");
        if told.send((begun, Instant::now())).await.is_err() {
            return;
        }
        // A prime, so that all parts of the tree change, as far as snapshots are concerned.
        nth += 61_843;
    }
}

async fn run() {
    let (znodes, writers) = (setting("ZNODES", 1_000_000), setting("WRITERS", 16));
    let default_dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tmp/pause");
    let dir: PathBuf = setting("DIR", default_dir);
    let _ = std::fs::remove_dir_all(&dir);
    let metrics = Metrics::new("bench");
    let start = Start {
        tls: None,
        name: "bench".into(),
        data_dir: dir.clone(),
        config: None,
        listener: None,
        followers: Vec::new(),
        metrics: metrics.clone(),
        client: None,
        reap_interval: Duration::from_secs(60),
        snapshot_entries: SNAPSHOT_ENTRIES,
        fresh_acl: FreshAcl::Open,
    };
    let (member, running) = Ensemble::start(start).await.expect("the member starts");
    let begun = Instant::now();
    fill(&member, znodes).await;
    let took = begun.elapsed();
    tell(&format!("{znodes} znodes after {took:.1?}; {}", resident()));
    let snapshots = || metrics.coordination.snapshots.get();
    let spent = || metrics.coordination.snapshot_duration.get_sample_sum();
    let (told, mut waits) = mpsc::channel(1 << 20);
    let tasks: Vec<_> = (0..writers)
        .map(|n| tokio::spawn(writer(member.clone(), n * 7919, znodes, told.clone())))
        .collect();
    // The first one may have begun while the tree was filled.
    let (mut done, mut sum) = (snapshots(), spent());
    let until = done + 1 + ROUNDS;
    let (mut all, mut taken) = (Vec::new(), Vec::new());
    while done < until {
        let wait = waits.recv().await.expect("writers go on");
        all.push(wait);
        if snapshots() > done {
            let took = Duration::from_secs_f64(spent() - sum);
            let end = Instant::now();
            taken.push((end - took, end));
            tell(&format!("a snapshot took {took:.2?}"));
            (done, sum) = (snapshots(), spent());
        }
    }
    for task in &tasks {
        task.abort();
    }
    let overlaps = |wait: &(Instant, Instant)| {
        taken
            .iter()
            .any(|(from, to)| wait.0 < *to && wait.1 > *from)
    };
    let (mut during, mut between) = (Waits::default(), Waits::default());
    for wait in &all {
        let waits = if overlaps(wait) {
            &mut during
        } else {
            &mut between
        };
        waits.0.push(wait.1 - wait.0);
    }
    tell(&format!("after the snapshots: {}", resident()));
    between.show("between snapshots");
    during.show("while one is written");
    drop(member);
    running.stop().await;
    let _ = std::fs::remove_dir_all(&dir);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(run());
}
