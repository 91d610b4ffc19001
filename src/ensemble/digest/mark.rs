//! The file that says that this member's tree, as its disk has it, is doubted.

use crate::ensemble::log::DiskError;
use crate::ensemble::log::disk::{self, DataFile};
use std::path::Path;

/// Its name.
pub(in crate::ensemble) const NAME: &str = "diverged";

/// Whether the mark is there.
pub(in crate::ensemble) fn is_set(dir: &Path) -> Result<bool, DiskError> {
    disk::exists(&dir.join(NAME))
}

/// Sets the mark, durably. What it says is for people: where the tree differed.
pub(in crate::ensemble) fn set(dir: &Path, index: u64) -> Result<(), DiskError> {
    let path = dir.join(NAME);
    if !disk::exists(&path)? {
        let file = DataFile::create(path)?;
        file.write(format!("{index}\n").as_bytes(), 0)?;
        file.sync()?;
        disk::sync_dir(dir)?;
    }
    Ok(())
}

/// Removes the mark, durably.
pub(in crate::ensemble) fn clear(dir: &Path) -> Result<(), DiskError> {
    let path = dir.join(NAME);
    if disk::exists(&path)? {
        disk::remove(&path)?;
        disk::sync_dir(dir)?;
    }
    Ok(())
}
