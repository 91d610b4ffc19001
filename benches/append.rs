//! What a durable append costs: the price of every write, before the network.
//!
//! `cargo bench --bench append`. The figures are those of the disk that holds `target/`: each append waits for an
//! `fdatasync`, except that appends in flight share them.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openraft::EntryPayload;
use openraft::alias::{EntryOf, LogIdOf, OneshotReceiverOf};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::leader_id_adv::LeaderId;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use zoogate::ensemble::log::{Identity, Log};
use zoogate::ensemble::types::{Origin, Proposal, Types};
use zoogate::telemetry::Metrics;
use zoogate::tree::{Actor, Command, Op, SessionId, Transaction, Zxid};

/// Bytes of data per entry; its record is about 80 bytes longer.
const DATA_BYTES: usize = 256;

/// Entries after which those before are purged, so that the disk does not fill.
const KEPT: u64 = 100_000;

struct Bench {
    log: Log,
    next: u64,
    first: u64,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let dir = tempfile::tempdir_in(target).expect("cargo has made the target directory");
        let identity = Identity {
            ensemble: 1,
            member: 1,
            name: "n1".into(),
        };
        let log = Log::open(dir.path(), identity, Metrics::new("n1")).expect("a new log opens");
        Bench {
            log,
            next: 1,
            first: 1,
            _dir: dir,
        }
    }

    fn id(index: u64) -> LogIdOf<Types> {
        let leader_id = LeaderId {
            term: 1,
            node_id: 1,
        };
        LogIdOf::<Types> { leader_id, index }
    }

    fn entries(&mut self, count: u64) -> Vec<EntryOf<Types>> {
        let indexes = self.next..self.next + count;
        self.next = indexes.end;
        indexes.map(entry).collect()
    }

    /// Queues an append.
    async fn append(&mut self, count: u64) -> OneshotReceiverOf<Types, io::Result<()>> {
        let (answer, answered) = Types::oneshot();
        let entries = self.entries(count);
        let flushed = IOFlushed::signal(answer);
        let queued = self.log.append(entries, flushed).await;
        queued.expect("the log takes what follows");
        answered
    }

    /// Appends `total` times `count` entries, of which up to `window` wait at a time; tells how long that took.
    async fn run(&mut self, total: u64, count: u64, window: usize) -> Duration {
        if self.next - self.first > KEPT {
            self.first = self.next;
            let purged = self.log.purge(Bench::id(self.next - 1)).await;
            purged.expect("the disk works");
        }
        let start = Instant::now();
        let mut waiting = VecDeque::new();
        for _ in 0..total {
            if waiting.len() == window {
                finish(&mut waiting).await;
            }
            waiting.push_back(self.append(count).await);
        }
        while !waiting.is_empty() {
            finish(&mut waiting).await;
        }
        start.elapsed()
    }
}

async fn finish(waiting: &mut VecDeque<OneshotReceiverOf<Types, io::Result<()>>>) {
    if let Some(oldest) = waiting.pop_front() {
        let answer = oldest.await.expect("every append is answered");
        answer.expect("the disk works");
    }
}

fn entry(index: u64) -> EntryOf<Types> {
    let op = Op::SetData {
        path: "/services/web/instance-00000001".into(),
        data: Some(vec![7; DATA_BYTES].into()),
        version: -1,
    };
    let actor = Actor::Session {
        id: SessionId(0x0100_0000_0000_0001),
        attachment: Zxid(1),
        identities: [].into(),
    };
    let transaction = Transaction {
        time_ms: 1_700_000_000_000,
        actor,
        command: Command::One(op),
    };
    let origin = Origin {
        member: 1,
        run: 7,
        ticket: index,
    };
    EntryOf::<Types> {
        log_id: Bench::id(index),
        payload: EntryPayload::Normal(
            Proposal {
                origin,
                transaction,
            }
            .into(),
        ),
    }
}

fn append(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let mut group = c.benchmark_group("append");
    group.sample_size(20);
    for (name, count, window) in [
        ("1 entry, durable before the next", 1, 1),
        ("16 entries, durable before the next", 16, 1),
        ("128 entries, durable before the next", 128, 1),
        ("1 entry, 128 in flight", 1, 128),
    ] {
        let mut bench = Bench::new();
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |b| {
            b.iter_custom(|total| runtime.block_on(bench.run(total, count, window)));
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
