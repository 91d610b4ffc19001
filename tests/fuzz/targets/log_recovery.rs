//! Reading a log back from files that are not as it left them.
//!
//! An input is either the files of a log directory, or a few edits of the files of a real log: bits flipped, ranges
//! zeroed, ends cut off, files swapped. Whatever it is, opening the log must not panic; what opens once opens again
//! and is the same; and of an edited log no more is read than a beginning of what was written.
//!
//! Edits cannot name bytes, or the engine would forge checksums.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, alias};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use zoogate::ensemble::log::{Identity, Limits, Log, OpenError};
use zoogate::ensemble::types::{Origin, Proposal, Types};
use zoogate::telemetry::Metrics;
use zoogate::tree::{Actor, Command, Op, Transaction};

type Entry = alias::EntryOf<Types>;

/// Small, so that the log has several segments.
const LIMITS: Limits = Limits {
    segment_bytes: 2048,
    recent_bytes: 512,
};

/// Entries of the real log.
const ENTRIES: u64 = 60;

/// Edits of one input: too few to forge a checksum bit by bit.
const EDITS: usize = 3;

/// What outlives an input.
struct World {
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
    metrics: Arc<Metrics>,
    /// The files of the real log, and what is in it.
    files: Vec<Vec<u8>>,
    entries: Vec<Entry>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let mut world = World {
        runtime: tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime"),
        dir: dir.expect("a directory"),
        metrics: Metrics::new("fuzz"),
        files: Vec::new(),
        entries: (1..=ENTRIES).map(entry).collect(),
    };
    let mut log = world.open().expect("an empty directory is a log");
    world.runtime.block_on(async {
        for entry in &world.entries {
            log.append([entry.clone()], IOFlushed::<Types>::noop())
                .await
                .expect("it is written");
            let vote = openraft::vote::Vote::new(entry.log_id.index, 1);
            log.save_vote(&vote).await.expect("it is written");
        }
    });
    drop(log);
    world.files = world.segments().iter().map(|p| read(p)).collect();
    assert!(world.files.len() > 3, "several segments");
    world
});

fn entry(index: u64) -> Entry {
    let leader_id = openraft::vote::leader_id_adv::LeaderId {
        term: 1,
        node_id: 1,
    };
    let op = Op::SetData {
        path: "/a".into(),
        data: Some(vec![index as u8; 40].into()),
        version: -1,
    };
    let proposal = Proposal {
        origin: Origin {
            member: 1,
            run: 1,
            ticket: index,
        },
        transaction: Transaction {
            time_ms: 1,
            actor: Actor::Ensemble,
            command: Command::One(op),
        },
    };
    Entry {
        log_id: alias::LogIdOf::<Types> { leader_id, index },
        payload: EntryPayload::Normal(proposal.into()),
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("it was listed")
}

impl World {
    fn open(&self) -> Result<Log, OpenError> {
        let identity = Identity {
            ensemble: 1,
            member: 1,
            name: "n1".into(),
        };
        Log::open_with(self.dir.path(), identity, self.metrics.clone(), LIMITS)
    }

    /// The segments' paths in order.
    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir.path()).expect("it is there");
        let paths = files.map(|file| file.expect("readable").path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|e| e == "wal"))
            .collect();
        paths.sort();
        paths
    }

    /// Puts files where a log would have them, and nothing else.
    fn lay_out(&self, files: &[Vec<u8>]) {
        for file in fs::read_dir(self.dir.path()).expect("it is there") {
            fs::remove_file(file.expect("readable").path()).expect("a file");
        }
        for (number, bytes) in (1..).zip(files) {
            let path = self.dir.path().join(format!("{number:016x}.wal"));
            fs::write(path, bytes).expect("there is room");
        }
    }

    /// What a member would find; `None` if it would not start.
    fn reopen(&self) -> Option<Vec<Entry>> {
        let mut log = self.open().ok()?;
        let entries = self.runtime.block_on(log.try_get_log_entries(..));
        Some(entries.expect("what was read back is read again"))
    }
}

/// Takes `count` bytes, as a number.
fn number(input: &mut &[u8], count: usize) -> Option<usize> {
    let (bytes, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

/// The input as files, each behind its length.
fn files(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    while let Some(length) = number(&mut input, 2) {
        let (file, rest) = input.split_at(length.min(input.len()));
        files.push(file.to_vec());
        input = rest;
    }
    files
}

/// The real log's files after the edits in the input.
fn edited(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut files = WORLD.files.clone();
    for _ in 0..EDITS {
        let (Some(kind), Some(which), Some(at), Some(length)) = (
            number(&mut input, 1),
            number(&mut input, 1),
            number(&mut input, 2),
            number(&mut input, 2),
        ) else {
            break;
        };
        let count = files.len();
        if count == 0 {
            break;
        }
        let which = which % count;
        let file = &mut files[which];
        let from = at % (file.len() + 1);
        let to = (from + length).min(file.len());
        match kind % 6 {
            0 if from < to => file[from] ^= 1 << (length % 8),
            1 => file[from..to].fill(0),
            2 => file.truncate(from),
            3 => files.swap(which, length % count),
            4 => files.truncate(which),
            // As it was before its latter part was written.
            5 => file[from..].fill(0),
            _ => {}
        }
    }
    files
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, input)) = input.split_first() else {
        return;
    };
    let is_edited = mode % 2 == 1;
    WORLD.lay_out(&if is_edited {
        edited(input)
    } else {
        files(input)
    });
    let Some(entries) = WORLD.reopen() else {
        return;
    };
    if is_edited {
        assert!(WORLD.entries.starts_with(&entries), "{entries:?}");
    }
    assert_eq!(WORLD.reopen(), Some(entries), "read twice");
});
