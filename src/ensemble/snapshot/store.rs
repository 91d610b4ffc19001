//! The snapshots of a member: which there are, how many are kept.

use super::file::SnapshotFile;
use super::writer::{IncomingSnapshot, SnapshotWriter};
use super::{FormatError, Meta};
use crate::ensemble::log::DiskError;
use crate::ensemble::log::disk::{self, DataFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Snapshots kept: the newest, and one to fall back to if that turns out to be damaged and the log still reaches
/// back so far. Each one more costs a copy of the tree on disk.
const KEPT: usize = 2;

/// Bytes copied at once when a snapshot comes from elsewhere.
const COPY_BYTES: usize = 1 << 20;

/// What went wrong with a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file is not what was written, or was never a snapshot.
    #[error("{} is not a valid snapshot: bad at byte {offset}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How far it was read.
        offset: u64,
        /// How it shows.
        #[source]
        source: FormatError,
    },
    /// A received snapshot is longer than any can be.
    #[error("a snapshot of more than {limit} bytes")]
    TooLong {
        /// Most bytes it may have.
        limit: u64,
    },
}

impl SnapshotFileError {
    /// Where the file is damaged, if that is what is wrong, and how that shows. A part that the disk cannot read is
    /// damaged too; the disk does not tell which.
    pub(in crate::ensemble) fn damage(&self) -> Option<(&Path, u64, String)> {
        match self {
            SnapshotFileError::Damaged {
                path,
                offset,
                source,
            } => Some((path, *offset, source.to_string())),
            SnapshotFileError::Disk(error) if error.is_unreadable() => {
                Some((&error.path, 0, error.source.to_string()))
            }
            SnapshotFileError::Disk(_) | SnapshotFileError::TooLong { .. } => None,
        }
    }
}

/// The snapshots in a data directory. All calls do file I/O and block.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    dir: Arc<Path>,
    /// Numbers the drafts of this process.
    drafts: Arc<AtomicU64>,
}

impl SnapshotStore {
    /// Opens the store in `dir`, and removes what an earlier process left unfinished. The directory must be held by
    /// this process alone; the log's lock sees to that, so open the log first.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(dir: &Path) -> Result<SnapshotStore, DiskError> {
        disk::create_dir(dir)?;
        let drafts = disk::names(dir)?.into_iter().filter(|name| is_draft(name));
        for name in drafts {
            disk::remove(&dir.join(name))?;
        }
        disk::sync_dir(dir)?;
        Ok(SnapshotStore {
            dir: dir.into(),
            drafts: Arc::default(),
        })
    }

    /// Begins a snapshot.
    ///
    /// # Errors
    /// The disk's.
    pub fn writer(&self, meta: &Meta) -> Result<SnapshotWriter, SnapshotFileError> {
        SnapshotWriter::new(self.clone(), meta)
    }

    /// Begins to receive a snapshot.
    ///
    /// # Errors
    /// The disk's.
    pub fn incoming(&self) -> Result<IncomingSnapshot, SnapshotFileError> {
        IncomingSnapshot::new(self.clone())
    }

    /// `file` as one of this store's own: itself if it lies here already, as received ones do, else a copy.
    ///
    /// # Errors
    /// The disk's, or that the file is damaged.
    pub fn adopt(&self, file: SnapshotFile) -> Result<SnapshotFile, SnapshotFileError> {
        if file.path().parent() == Some(self.dir()) {
            return Ok(file);
        }
        let mut incoming = self.incoming()?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut offset = 0;
        while offset < file.bytes {
            let count = file.read_raw(&mut buffer, offset)?;
            incoming.write(&buffer[..count])?;
            offset += count as u64;
        }
        incoming.finish()
    }

    /// All snapshots, newest first, each read once to the end, with the verdict. If the newest is damaged the one
    /// behind it may be used only if the log still has every entry after it: that is the caller's to decide.
    ///
    /// # Errors
    /// [`DiskError`] if the directory cannot be read; what is wrong with one file is that file's verdict.
    pub fn verdicts(&self) -> Result<Vec<Result<SnapshotFile, SnapshotFileError>>, DiskError> {
        let open = |path| SnapshotFile::verify(DataFile::open(path)?);
        Ok(self.paths()?.into_iter().map(open).collect())
    }

    /// The newest snapshot, if there is any.
    ///
    /// # Errors
    /// The disk's, or that the newest one is damaged.
    pub fn latest(&self) -> Result<Option<SnapshotFile>, SnapshotFileError> {
        let newest = self.paths()?.into_iter().next();
        newest
            .map(|path| SnapshotFile::verify(DataFile::open(path)?))
            .transpose()
    }

    /// Length of the newest snapshot; 0 if there is none.
    ///
    /// # Errors
    /// [`DiskError`].
    pub(in crate::ensemble) fn newest_bytes(&self) -> Result<u64, DiskError> {
        match self.paths()?.into_iter().next() {
            Some(path) => DataFile::open(path)?.bytes(),
            None => Ok(0),
        }
    }

    /// The index that the newest snapshot covers, by its name.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn newest_index(&self) -> Result<Option<u64>, DiskError> {
        let names = disk::names(&self.dir)?;
        Ok(names.iter().filter_map(|name| snapshot_index(name)).max())
    }

    /// Removes all snapshots but the one at `path`: what they hold is wrong.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn keep_only(&self, path: &Path) -> Result<(), DiskError> {
        for other in self.paths()?.iter().filter(|other| *other != path) {
            disk::remove(other)?;
        }
        disk::sync_dir(&self.dir)
    }

    /// Where a snapshot with this meta belongs. A snapshot of nothing goes by the number of the first entry.
    pub(super) fn path_of(&self, meta: &Meta) -> PathBuf {
        let (index, term) = meta
            .last_log_id
            .map_or((0, 0), |id| (id.index, id.leader_id.term));
        self.dir.join(format!("snap-{index:016x}-{term:016x}"))
    }

    /// A name for a file that is not finished.
    pub(super) fn draft_path(&self) -> PathBuf {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("snap-{number}.tmp"))
    }

    /// Where they are.
    pub(in crate::ensemble) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes all but the newest, and never `new`, which may be older than some.
    pub(super) fn keep_newest(&self, new: &Path) -> Result<(), DiskError> {
        let mut paths = self.paths()?;
        paths.retain(|path| path != new);
        for path in paths.iter().skip(KEPT - 1) {
            disk::remove(path)?;
        }
        disk::sync_dir(&self.dir)
    }

    /// Removes the oldest snapshot if there is a newer one that is whole. True if there is room now that was not.
    pub(super) fn make_room(&self) -> Result<bool, SnapshotFileError> {
        let paths = self.paths()?;
        let [newest, .., oldest] = &paths[..] else {
            return Ok(false);
        };
        if let Err(error) = SnapshotFile::verify(DataFile::open(newest.clone())?) {
            tracing::error!(%error, "no older snapshot is removed for a new one");
            return Ok(false);
        }
        tracing::warn!(removed = %oldest.display(), "the disk is full: an older snapshot makes room for a new one");
        disk::remove(oldest)?;
        disk::sync_dir(&self.dir)?;
        Ok(true)
    }

    /// The snapshots' paths, newest first.
    fn paths(&self) -> Result<Vec<PathBuf>, DiskError> {
        let mut names = disk::names(&self.dir)?;
        names.retain(|name| is_snapshot(name));
        // Fixed width, so this is the order of (index, term).
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names.iter().map(|name| self.dir.join(name)).collect())
    }
}

fn is_draft(name: &str) -> bool {
    name.starts_with("snap-") && name.ends_with(".tmp")
}

fn is_snapshot(name: &str) -> bool {
    snapshot_index(name).is_some()
}

/// The log index that the snapshot called `name` covers, if one can be called so.
pub(in crate::ensemble) fn snapshot_index(name: &str) -> Option<u64> {
    let (index, term) = name.strip_prefix("snap-")?.split_once('-')?;
    let number = |part: &str| {
        let digits = (part.len() == 16).then_some(part)?;
        u64::from_str_radix(digits, 16).ok()
    };
    number(term)?;
    number(index)
}
