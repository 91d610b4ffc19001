//! The log's claims, tested on real files.

mod crash;
mod faults;
mod record;
mod reopen;
mod store;

use super::{Entry, Identity, Limits, Log, LogId, OpenError, Vote};
use crate::ensemble::types::{Origin, Proposal, Types};
use crate::telemetry::Metrics;
use crate::tree::{Actor, Command, Op, SessionId, Transaction, Zxid};
use bytes::Bytes;
use openraft::EntryPayload;
use openraft::alias::OneshotReceiverOf;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use std::io;
use std::path::Path;

/// Small enough that a handful of entries fills a segment, and that most are read from disk.
const SMALL: Limits = Limits {
    segment_bytes: 4 << 10,
    recent_bytes: 2 << 10,
};

fn identity() -> Identity {
    Identity {
        ensemble: 0xe5e,
        member: 1,
        name: "n1".into(),
    }
}

/// A directory on the disk that holds the build, because the system's one for temporary files may be memory.
fn data_dir() -> tempfile::TempDir {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&base).unwrap();
    tempfile::tempdir_in(base).unwrap()
}

fn open(dir: &Path) -> Result<Log, OpenError> {
    Log::open_with(dir, identity(), Metrics::new("n1"), SMALL)
}

fn id(term: u64, index: u64) -> LogId {
    let leader_id = openraft::vote::leader_id_adv::LeaderId { term, node_id: 1 };
    LogId { leader_id, index }
}

fn vote(term: u64) -> Vote {
    Vote::new(term, 1)
}

fn blank(term: u64, index: u64) -> Entry {
    Entry {
        log_id: id(term, index),
        payload: EntryPayload::Blank,
    }
}

/// An entry that sets `bytes` bytes of data.
fn set_data(term: u64, index: u64, bytes: usize) -> Entry {
    let origin = Origin {
        member: 1,
        run: 7,
        ticket: index,
    };
    let actor = Actor::Session {
        id: SessionId(0x0100_0000_0000_0001),
        attachment: Zxid(1),
        identities: [].into(),
    };
    let op = Op::SetData {
        path: "/services/web/a".into(),
        data: Some(Bytes::from(vec![index as u8; bytes])),
        version: -1,
    };
    let transaction = Transaction {
        time_ms: 1_700_000_000_000,
        actor,
        command: Command::One(op),
    };
    let proposal = Proposal {
        origin,
        transaction,
    };
    Entry {
        log_id: id(term, index),
        payload: EntryPayload::Normal(proposal.into()),
    }
}

/// Queues entries without waiting until they are durable.
async fn queue(log: &mut Log, entries: Vec<Entry>) -> OneshotReceiverOf<Types, io::Result<()>> {
    let (answer, answered) = Types::oneshot();
    let flushed = IOFlushed::<Types>::signal(answer);
    log.append(entries, flushed).await.unwrap();
    answered
}

async fn append(log: &mut Log, entries: Vec<Entry>) -> io::Result<()> {
    queue(log, entries).await.await.unwrap()
}

async fn all(log: &mut Log) -> Vec<Entry> {
    log.try_get_log_entries(..).await.unwrap()
}

/// The segments' names in order.
fn segments(dir: &Path) -> Vec<String> {
    let mut names = super::disk::names(dir).unwrap();
    names.retain(|name| name.ends_with(".wal"));
    names.sort();
    names
}
