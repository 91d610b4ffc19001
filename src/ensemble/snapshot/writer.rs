//! Snapshots on their way to disk: built here, or received from the leader.

use super::file::SnapshotFile;
use super::format::Progress;
use super::{FormatError, Meta, SnapshotFileError, SnapshotStore};
use crate::ensemble::log::DiskError;
use crate::ensemble::log::disk::{self, DataFile, SYNC_BYTES};
use std::path::PathBuf;

/// Bytes collected before they are written: enough that the calls cost nothing beside the copying.
const BUFFER_BYTES: usize = 1 << 20;

/// Most bytes a received file may have, far more than a tree that fits into memory makes. It is there so that
/// a peer cannot fill the disk; raising it costs that.
pub const MAX_SNAPSHOT_BYTES: u64 = 64 << 30;

/// A snapshot being built. Dropping it unfinished removes what was written.
#[derive(Debug)]
pub struct SnapshotWriter {
    draft: Draft,
    progress: Progress,
}

impl SnapshotWriter {
    /// Begins a file.
    pub(super) fn new(
        store: SnapshotStore,
        meta: &Meta,
    ) -> Result<SnapshotWriter, SnapshotFileError> {
        let mut draft = Draft::create(&store)?;
        let mut progress = Progress::default();
        let header = progress.header(meta).map_err(|e| draft.bad(e))?;
        draft.write(&header)?;
        Ok(SnapshotWriter { draft, progress })
    }

    /// Adds a block of at most [`MAX_BLOCK_BYTES`](super::MAX_BLOCK_BYTES); an empty one is left out.
    ///
    /// # Errors
    /// The disk's, or that the block is too long.
    pub fn block(&mut self, payload: &[u8]) -> Result<(), SnapshotFileError> {
        if payload.is_empty() {
            return Ok(());
        }
        let header = self.progress.block_header(payload);
        let header = header.map_err(|e| self.draft.bad(e))?;
        self.draft.write(&header)?;
        self.draft.write(payload)
    }

    /// Makes the snapshot durable and gives it its name. Reads it once more, so that nothing counts as a
    /// snapshot, and no log is purged for one, that cannot be read.
    ///
    /// # Errors
    /// The disk's, or that what was read is not what was written.
    pub fn finish(mut self) -> Result<SnapshotFile, SnapshotFileError> {
        let footer = self.progress.footer();
        self.draft.write(&footer)?;
        self.draft.publish()
    }

    /// Completes the snapshot without giving it a name: the file vanishes with the handle, and is not made durable.
    /// For whoever wants the bytes once and checks them there.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish_unnamed(mut self, meta: Meta) -> Result<SnapshotFile, SnapshotFileError> {
        let footer = self.progress.footer();
        self.draft.write(&footer)?;
        self.draft.flush()?;
        let data = self.draft.data.take().expect("taken only at the end");
        // Dropping the draft takes the name away; the open file stays.
        Ok(SnapshotFile::unchecked(meta, self.draft.written, data))
    }
}

/// A snapshot that arrives as it is on the leader's disk. Dropping it unfinished removes what was written.
#[derive(Debug)]
pub struct IncomingSnapshot {
    draft: Draft,
}

impl IncomingSnapshot {
    /// Begins a file.
    pub(super) fn new(store: SnapshotStore) -> Result<IncomingSnapshot, SnapshotFileError> {
        let draft = Draft::create(&store)?;
        Ok(IncomingSnapshot { draft })
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.draft.written + self.draft.buffer.len() as u64
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// The disk's, or that there are more than [`MAX_SNAPSHOT_BYTES`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotFileError> {
        if self.received() + bytes.len() as u64 > MAX_SNAPSHOT_BYTES {
            return Err(SnapshotFileError::TooLong {
                limit: MAX_SNAPSHOT_BYTES,
            });
        }
        self.draft.write(bytes)
    }

    /// Makes the file durable, checks every byte of it, and only then gives it its name.
    ///
    /// # Errors
    /// The disk's, or why it is not a snapshot; then it is removed.
    pub fn finish(self) -> Result<SnapshotFile, SnapshotFileError> {
        self.draft.publish()
    }
}

/// A file under a name that no snapshot has; removed when dropped, unless it was published.
#[derive(Debug)]
struct Draft {
    store: SnapshotStore,
    path: PathBuf,
    /// Taken when the file is complete.
    data: Option<DataFile>,
    buffer: Vec<u8>,
    written: u64,
    /// How much of that is durable.
    synced: u64,
    is_published: bool,
}

impl Draft {
    fn create(store: &SnapshotStore) -> Result<Draft, SnapshotFileError> {
        let path = store.draft_path();
        Ok(Draft {
            store: store.clone(),
            data: Some(DataFile::create(path.clone())?),
            path,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            written: 0,
            synced: 0,
            is_published: false,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotFileError> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        match bytes.len() < BUFFER_BYTES {
            true => self.buffer.extend_from_slice(bytes),
            false => self.put(bytes)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SnapshotFileError> {
        let buffer = std::mem::take(&mut self.buffer);
        let put = self.put(&buffer);
        self.buffer = buffer;
        if put.is_ok() {
            self.buffer.clear();
        }
        put
    }

    /// Writes to the file, and syncs it now and then: see [`SYNC_BYTES`]. If the disk is full, an older snapshot
    /// gives its room up for the new one.
    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotFileError> {
        let mut put = self.data().write(bytes, self.written);
        if put.as_ref().is_err_and(DiskError::is_full) && self.store.make_room()? {
            put = self.data().write(bytes, self.written);
        }
        put?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= SYNC_BYTES {
            self.data().sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Durable, then verified, then visible.
    fn publish(mut self) -> Result<SnapshotFile, SnapshotFileError> {
        self.flush()?;
        self.data().sync()?;
        let data = self.data.take().expect("taken only here");
        let file = SnapshotFile::verify(data)?;
        let target = self.store.path_of(&file.meta);
        failpoint!("snapshot-before-rename");
        disk::rename(&self.path, &target)?;
        failpoint!("snapshot-after-rename");
        self.is_published = true;
        disk::sync_dir(self.store.dir())?;
        #[cfg(feature = "simulation")]
        crate::simulation::note(crate::simulation::Fact::Saved {
            index: file.meta.last_log_id.map_or(0, |id| id.index),
        });
        self.store.keep_newest(&target)?;
        file.renamed(target)
    }

    fn data(&self) -> &DataFile {
        self.data.as_ref().expect("taken only by publish")
    }

    fn bad(&self, source: FormatError) -> SnapshotFileError {
        SnapshotFileError::Damaged {
            path: self.path.clone(),
            offset: self.written + self.buffer.len() as u64,
            source,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            // If this fails, the next process that opens the store removes it.
            let _ = disk::remove(&self.path);
        }
    }
}
