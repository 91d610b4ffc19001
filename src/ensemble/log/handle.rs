//! The handle to a member's log.

use super::command::Command;
use super::disk::{self, Lock};
use super::headroom::{Headroom, Room};
use super::preparer::Preparer;
use super::recent::Recent;
use super::recovery;
use super::segment::SegmentFile;
use super::shared::{Shared, State};
use super::sizes::EntrySizes;
use super::worker::Worker;
use super::writer::{Start, Writer};
use super::{Failure, Limits, OpenError};
use crate::ensemble::progress::Progress;
#[cfg(feature = "simulation")]
use crate::simulation::{self, Mutant};
use crate::telemetry::Metrics;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Commands that may wait for the writer. It takes all of them at once, so this bounds how much may become one
/// batch; each is at most [`CHUNK_BYTES`](super::storage::CHUNK_BYTES) and one record long.
const QUEUE: usize = 256;

/// Whose log it is. Written into every segment; a log opens only for the member that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The ensemble, by a number that no other one has.
    pub ensemble: u64,
    /// The member's number.
    pub member: u64,
    /// The member's `[node] name`.
    pub name: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity {
            ensemble,
            member,
            name,
        } = self;
        write!(f, "member {member} ({name}) of ensemble {ensemble:016x}")
    }
}

/// A member's Raft log on disk: votes, entries, and what was removed, in one stream of checksummed records.
///
/// Cheap to clone; all handles may read, one task writes. When the last handle is dropped, what is queued is still
/// written; the drop waits for that, as long as a sync takes.
#[derive(Clone)]
pub struct Log {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Command>>,
    writer: Worker,
    /// Given back last, when nothing is written any more.
    _lock: Lock,
}

impl Log {
    /// Opens the log in `dir`, or makes an empty one. Reads all of it, so this blocks for some time: about a
    /// second per GiB.
    ///
    /// # Errors
    /// [`OpenError`]: the directory is in use or not this member's, or what is in it cannot be trusted.
    pub fn open(dir: &Path, identity: Identity, metrics: Arc<Metrics>) -> Result<Log, OpenError> {
        Log::open_with(dir, identity, metrics, Limits::default())
    }

    /// As [`open`](Log::open), with other limits.
    ///
    /// # Errors
    /// As [`open`](Log::open).
    ///
    /// # Panics
    /// If a limit is outside of its range.
    pub fn open_with(
        dir: &Path,
        identity: Identity,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<Log, OpenError> {
        assert!((1..=super::MAX_SEGMENT_BYTES).contains(&limits.segment_bytes));
        disk::create_dir(dir)?;
        let lock_path = dir.join("lock");
        let Some(lock) = Lock::take(&lock_path)? else {
            return Err(OpenError::InUse { path: lock_path });
        };
        let recent = Recent::new(limits.recent_bytes);
        let mut recovered = recovery::recover(dir, &identity, recent)?;
        if recovered.segments.is_empty() {
            let segment = SegmentFile::create(dir, 1, limits.segment_bytes as u64)?;
            disk::sync_dir(dir)?;
            recovered.segments.push_back(Arc::new(segment));
        }
        #[cfg(feature = "simulation")]
        if simulation::is_mutant(Mutant::ForgetVote) {
            recovered.position.vote = None;
        }
        let (failure, _) = watch::channel(None);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                committed_written: recovered.position.committed,
                position: recovered.position.clone(),
                index: recovered.index,
                recent: recovered.recent,
                sizes: Arc::default(),
            }),
            failure,
            progress: Arc::default(),
            headroom: Headroom::new(limits.segment_bytes as u64),
        });
        let next = recovered.segments.back().map_or(0, |last| last.number) + 1;
        let (bytes, watched) = (limits.segment_bytes as u64, shared.clone());
        let preparer = Preparer::start(dir.to_owned(), bytes, next, watched, metrics.clone())
            .map_err(OpenError::Thread)?;
        let start = Start {
            segments: recovered.segments,
            end: recovered.end,
            position: recovered.position,
            capacity: limits.segment_bytes,
        };
        let writer = Writer::new(start, identity, preparer, shared.clone(), metrics)?;
        let (queue, commands) = mpsc::channel(QUEUE);
        let writer = Worker::start(writer, commands, shared.failure_guard(dir))
            .map_err(OpenError::Thread)?;
        Ok(Log {
            inner: Arc::new(Inner {
                shared,
                queue: Some(queue),
                writer,
                _lock: lock,
            }),
        })
    }

    /// How the writer gets on.
    pub(in crate::ensemble) fn progress(&self) -> Arc<Progress> {
        self.inner.shared.progress.clone()
    }

    /// Whether nobody else can write to or read from this log any more: dropping this handle closes it.
    pub fn is_last_handle(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    /// How large the transactions are that were appended.
    pub fn entry_sizes(&self) -> Arc<EntrySizes> {
        self.inner.shared.state.lock().sizes.clone()
    }

    /// Has the writer write how far the log is committed, unless it has done so. Not synced.
    pub async fn write_committed(&self) {
        let is_written = {
            let state = self.inner.shared.state.lock();
            state.position.committed == state.committed_written
        };
        if !is_written && let Ok(room) = self.inner.room().await {
            room.send(Command::Committed);
        }
    }

    /// About how many bytes of log follow the entry `index`.
    pub(in crate::ensemble) fn bytes_after(&self, index: u64) -> u64 {
        let segment_bytes = self.inner.shared.headroom.capacity();
        let state = self.inner.shared.state.lock();
        state.index.bytes_from(index + 1, segment_bytes)
    }

    /// The last entry up to `upto` behind which, up to there, more than about `kept` bytes lie.
    pub(in crate::ensemble) fn purgeable(&self, upto: u64, kept: u64) -> Option<u64> {
        let segment_bytes = self.inner.shared.headroom.capacity();
        let state = self.inner.shared.state.lock();
        let first = state.index.first().filter(|first| *first <= upto)?;
        let bytes = |index| state.index.bytes_from(index, segment_bytes);
        let behind = bytes(upto + 1);
        // The further back, the more.
        let is_kept = |index: u64| bytes(index).saturating_sub(behind) <= kept;
        let (mut low, mut high) = (first, upto + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match is_kept(middle) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low.checked_sub(1).filter(|purged| *purged >= first)
    }

    /// How much more fits into the log, whatever happens to the disk.
    pub fn room(&self) -> watch::Receiver<Room> {
        self.inner.shared.headroom.watch()
    }

    /// Becomes `Some` when a write or sync has failed. The process must end then: nothing is acknowledged any
    /// more, and only a new process that reads the log anew knows what is on disk.
    pub fn failed(&self) -> watch::Receiver<Option<Failure>> {
        self.inner.shared.failure.subscribe()
    }
}

impl Inner {
    /// Waits for room in the queue.
    pub(super) async fn room(&self) -> io::Result<mpsc::Permit<'_, Command>> {
        let queue = self.queue.as_ref().expect("taken only by drop");
        let ended = |_| io::Error::other("the log's writer has ended");
        queue.reserve().await.map_err(ended)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        self.writer.wait();
    }
}
