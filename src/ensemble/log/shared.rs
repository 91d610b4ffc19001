//! What the log's handles and its writer both see.

use super::disk::{DiskError, at};
use super::headroom::Headroom;
use super::index::Index;
use super::recent::Recent;
use super::record::Position;
use super::segment::SegmentFile;
use super::sizes::EntrySizes;
use super::{Entry, Failure, LogId};
use crate::ensemble::progress::Progress;
use openraft::EntryPayload;
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use tokio::sync::watch;

/// The log as its readers see it, and whether it has failed.
pub(super) struct Shared {
    /// Held for memory operations only, never across I/O.
    pub(super) state: Mutex<State>,
    /// Set once, by the writer or the preparer.
    pub(super) failure: watch::Sender<Option<Failure>>,
    /// Of the writer, and of the thread that prepares its segments.
    pub(super) progress: Arc<Progress>,
    /// Whether more fits.
    pub(super) headroom: Headroom,
}

/// The log as its readers see it.
///
/// Appended entries are in `recent` at once and in `index` when they are durable; everything else changes when
/// it is durable, but for what is committed, which may lag on disk. So `recent` reaches from some index to the end, `index` from the beginning to some index, and
/// together they leave nothing out.
pub(super) struct State {
    pub(super) position: Position,
    /// What `position.committed` was when the writer last wrote it.
    pub(super) committed_written: Option<LogId>,
    pub(super) index: Index,
    pub(super) recent: Recent,
    pub(super) sizes: Arc<EntrySizes>,
}

/// Where an entry is on disk.
pub(super) struct Location {
    pub(super) index: u64,
    pub(super) file: Arc<SegmentFile>,
    pub(super) offset: u32,
}

/// Held by a thread of the log: if that panics, the log has failed.
pub(super) struct FailureGuard {
    shared: Arc<Shared>,
    dir: PathBuf,
}

impl FailureGuard {
    /// Where the thread tells what it does.
    pub(super) fn progress(&self) -> &Progress {
        &self.shared.progress
    }
}

impl Drop for FailureGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            let panicked = at("write the log in", &self.dir)(io::Error::other("a thread panicked"));
            let failure = Some(Failure(Arc::new(panicked)));
            self.shared.failure.send_replace(failure);
        }
    }
}

impl Shared {
    /// For a thread that works on the log in `dir`.
    pub(super) fn failure_guard(self: &Arc<Shared>, dir: &Path) -> FailureGuard {
        FailureGuard {
            shared: self.clone(),
            dir: dir.to_owned(),
        }
    }

    /// The failure, if the log has failed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    /// Ends the log, unless it has ended already.
    pub(super) fn fail(&self, error: DiskError) -> Failure {
        let failure = Failure(Arc::new(error));
        self.failure.send_if_modified(|now| {
            let is_first = now.is_none();
            now.get_or_insert(failure.clone());
            is_first
        });
        failure
    }
}

impl State {
    /// Takes entries that are about to be queued; false, and no change, if they do not follow the last one.
    #[must_use]
    pub(super) fn append(&mut self, entries: Vec<(Entry, usize)>) -> bool {
        let mut next = self.position.next_index();
        for (entry, _) in &entries {
            if next.is_some_and(|next| next != entry.log_id.index) {
                return false;
            }
            next = Some(entry.log_id.index + 1);
        }
        for (entry, encoded) in entries {
            let follows = self.position.append(entry.log_id);
            debug_assert!(follows, "checked above");
            if matches!(entry.payload, EntryPayload::Normal(_)) {
                self.sizes.note(encoded);
            }
            self.recent.push(entry, encoded);
        }
        // Here and not when they become durable, so that entries are freed by the thread that made them: the
        // writer would fight over the allocator with it, holding this lock.
        self.recent.evict(self.index.next().unwrap_or(0));
        true
    }

    /// Notes where durable entries are.
    pub(super) fn locate(&mut self, file: &Arc<SegmentFile>, first: u64, offsets: &[u32]) {
        self.index.extend(file, first, offsets);
    }

    /// Forgets the entries after `after`.
    pub(super) fn truncate(&mut self, after: Option<LogId>) {
        self.position.truncate(after);
        let next = self.position.next_index().unwrap_or(0);
        self.index.truncate_from(next);
        self.recent.truncate_from(next);
    }

    /// Forgets the entries up to `upto`.
    pub(super) fn purge(&mut self, upto: LogId) {
        self.position.purge(upto);
        self.index.purge_to(upto.index);
        self.recent.purge_to(upto.index);
    }

    /// The index of the first entry there is.
    pub(super) fn first(&self) -> Option<u64> {
        self.index.first().or(self.recent.first())
    }

    /// Where the entries from `start` up to `end` are that are not in memory.
    pub(super) fn on_disk(&self, start: u64, end: u64) -> Vec<Location> {
        let start = start.max(self.index.first().unwrap_or(u64::MAX));
        let end = end.min(self.recent.first().unwrap_or(u64::MAX));
        let end = end.min(self.index.next().unwrap_or(0));
        let locate = |index| {
            let (file, offset) = self.index.locate(index)?;
            Some(Location {
                index,
                file,
                offset,
            })
        };
        (start..end).filter_map(locate).collect()
    }
}
