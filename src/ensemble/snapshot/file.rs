//! A finished snapshot: reading it, as blocks or as it is.

use super::format::{FOOTER_REST_BYTES, HEADER_BYTES, Progress};
use super::{FormatError, Meta, SnapshotFileError};
use crate::ensemble::log::disk::DataFile;
use std::path::PathBuf;
use std::sync::Arc;

/// A snapshot on disk, verified when it was opened. Cheap to clone. It stays readable after newer snapshots have
/// replaced it.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// What it covers.
    pub meta: Meta,
    /// Length of the file.
    pub bytes: u64,
    data: Arc<DataFile>,
}

impl SnapshotFile {
    /// Opens a snapshot and reads all of it once, checking everything.
    pub(in crate::ensemble) fn verify(data: DataFile) -> Result<SnapshotFile, SnapshotFileError> {
        let mut cursor = Cursor::new(data)?;
        let meta = cursor.header()?;
        while cursor.block()?.is_some() {}
        Ok(SnapshotFile {
            meta,
            bytes: cursor.length,
            data: cursor.data,
        })
    }

    /// A snapshot just written, `bytes` long, that its reader is to check.
    pub(super) fn unchecked(meta: Meta, bytes: u64, data: DataFile) -> SnapshotFile {
        let data = Arc::new(data);
        SnapshotFile { meta, bytes, data }
    }

    /// The same after it was given the name `path`.
    pub(super) fn renamed(self, path: PathBuf) -> Result<SnapshotFile, SnapshotFileError> {
        let data = Arc::new(DataFile::open(path)?);
        Ok(SnapshotFile { data, ..self })
    }

    /// Its path.
    pub fn path(&self) -> &std::path::Path {
        &self.data.path
    }

    /// Its blocks in order, checked again as they are read; the first error is the last item. Reads files, so
    /// this blocks.
    pub fn blocks(
        &self,
    ) -> impl Iterator<Item = Result<Vec<u8>, SnapshotFileError>> + Send + use<> {
        let mut state = Some(Cursor {
            data: self.data.clone(),
            length: self.bytes,
            offset: 0,
            progress: Progress::default(),
        });
        let mut has_begun = false;
        std::iter::from_fn(move || {
            let cursor = state.as_mut()?;
            let begin = match has_begun {
                true => Ok(()),
                false => cursor.header().map(drop),
            };
            has_begun = true;
            let next = begin.and_then(|()| cursor.block()).transpose();
            if !matches!(next, Some(Ok(_))) {
                state = None;
            }
            next
        })
    }

    /// Reads the file as it is: fills `buffer` from `offset`, less than that only at the end, and tells how many
    /// bytes there were. This is what a follower gets; it verifies everything itself. Blocks.
    ///
    /// # Errors
    /// [`SnapshotFileError::Disk`].
    pub fn read_raw(&self, buffer: &mut [u8], offset: u64) -> Result<usize, SnapshotFileError> {
        let left = self.bytes.saturating_sub(offset);
        let count = left.min(buffer.len() as u64) as usize;
        self.data.read(&mut buffer[..count], offset)?;
        Ok(count)
    }
}

/// Reads a snapshot from front to back.
struct Cursor {
    data: Arc<DataFile>,
    length: u64,
    offset: u64,
    progress: Progress,
}

impl Cursor {
    fn new(data: DataFile) -> Result<Cursor, SnapshotFileError> {
        let length = data.bytes()?;
        Ok(Cursor {
            data: Arc::new(data),
            length,
            offset: 0,
            progress: Progress::default(),
        })
    }

    fn header(&mut self) -> Result<Meta, SnapshotFileError> {
        let mut first = [0; HEADER_BYTES];
        self.take(&mut first)?;
        let length = Progress::header_rest(&first).map_err(|e| self.bad(e))?;
        let mut rest = vec![0; length];
        self.take(&mut rest)?;
        let meta = self.progress.read_header(&first, &rest);
        meta.map_err(|e| self.bad(e))
    }

    /// The next block; `None` behind the last one, once the footer has been checked.
    fn block(&mut self) -> Result<Option<Vec<u8>>, SnapshotFileError> {
        let mut length = [0; 4];
        self.take(&mut length)?;
        match Progress::block_length(length).map_err(|e| self.bad(e))? {
            0 => {
                self.footer()?;
                Ok(None)
            }
            length => {
                let mut checksum = [0; 4];
                self.take(&mut checksum)?;
                let mut payload = vec![0; length];
                self.take(&mut payload)?;
                let checked = self.progress.read_block(checksum, &payload);
                checked.map_err(|e| self.bad(e))?;
                Ok(Some(payload))
            }
        }
    }

    fn footer(&mut self) -> Result<(), SnapshotFileError> {
        let mut rest = [0; FOOTER_REST_BYTES];
        self.take(&mut rest)?;
        let checked = self.progress.read_footer(&rest);
        checked.map_err(|e| self.bad(e))?;
        match self.length - self.offset {
            0 => Ok(()),
            trailing => Err(self.bad(FormatError::Trailing(trailing))),
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<(), SnapshotFileError> {
        if self.length - self.offset < buffer.len() as u64 {
            return Err(self.bad(FormatError::Truncated));
        }
        self.data.read(buffer, self.offset)?;
        self.offset += buffer.len() as u64;
        Ok(())
    }

    fn bad(&self, source: FormatError) -> SnapshotFileError {
        SnapshotFileError::Damaged {
            path: self.data.path.clone(),
            offset: self.offset,
            source,
        }
    }
}
