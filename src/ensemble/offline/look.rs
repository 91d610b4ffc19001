//! What a path holds, as far as its name and first bytes tell.

use crate::ensemble::log::disk::{self, DataFile};
use crate::ensemble::log::{DiskError, is_of_the_log};
use crate::ensemble::snapshot::snapshot_index;
use std::path::{Path, PathBuf};

/// What can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A member's data directory.
    Directory,
    /// A backup or snapshot.
    Snapshot,
    /// One segment of a log.
    Segment,
}

/// What `path` is; by its name if it is part of a log, because only its place makes a segment readable.
///
/// # Errors
/// [`DiskError`].
pub fn kind_of(path: &Path) -> Result<Kind, DiskError> {
    if disk::is_dir(path)? {
        return Ok(Kind::Directory);
    }
    let name = path.file_name().and_then(|name| name.to_str());
    // Not readable is not inspectable, whatever it is.
    DataFile::open_to_read(path.to_owned())?;
    match name.is_some_and(is_of_the_log) {
        true => Ok(Kind::Segment),
        false => Ok(Kind::Snapshot),
    }
}

/// The snapshots in a data directory, oldest first.
///
/// # Errors
/// [`DiskError`].
pub fn snapshots_in(dir: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut names = disk::names(dir)?;
    names.retain(|name| snapshot_index(name).is_some());
    names.sort_unstable();
    Ok(names.iter().map(|name| dir.join(name)).collect())
}
