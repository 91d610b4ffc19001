//! Damage: bytes on this member's disk that are not what was written there.
//!
//! ```text
//!   log or snapshot --verdict--> Damage { path, offset, why }
//!        |- a newer snapshot only, and the log reaches back: it goes to damaged-N/, an older one is used
//!        `- anything else: this member may have forgotten what it had promised, so it must not vote again
//!              others are there:  everything goes to damaged-N/, it is admitted under a fresh number
//!              it is alone:       it stops, and says what can be done
//! ```
//! What is damaged is set aside, durably and whole, and never removed by us: it is evidence, and perhaps the last copy
//! of something.
//!
//! Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018: a member that lost part of its log and
//! votes on is how acknowledged writes disappear.

use super::digest::mark;
use super::log::disk::{self, DiskError};
use super::log::{OpenError, is_of_the_log};
use super::machine::RestoreError;
use super::snapshot::SnapshotFileError;
use std::path::{Path, PathBuf};

/// Where bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset}: {why}", path.display())]
pub struct Damage {
    /// The file; the data directory if files are missing.
    pub path: PathBuf,
    /// How far it was found right.
    pub offset: u64,
    /// How it shows.
    pub why: String,
}

/// Directories of damaged files that are kept. A disk that damages more often is to be replaced, and each may take
/// as much room as the log and the snapshots.
const KEPT: usize = 4;

/// Why damaged files cannot be set aside.
#[derive(Debug, thiserror::Error)]
pub enum AsideError {
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There were enough already.
    #[error(
        "{} holds {KEPT} directories of damaged files already; look whether its disk is sound, then remove the \
         directories damaged-1 to damaged-{KEPT} and start again",
        dir.display()
    )]
    TooMany {
        /// The data directory.
        dir: PathBuf,
    },
}

impl Damage {
    /// What is damaged, if that is why a log does not open.
    pub(super) fn of_log(error: &OpenError) -> Option<Damage> {
        error.damage().map(Damage::new)
    }

    /// What is damaged, if that is why a tree cannot be restored.
    pub(super) fn of_tree(error: &RestoreError) -> Option<Damage> {
        match error {
            RestoreError::File(error) => Damage::of_snapshot(error),
            RestoreError::Contents { path, source } => {
                Some(Damage::new((path.as_path(), 0, source.to_string())))
            }
            RestoreError::Uncovered { dir, .. } => {
                Some(Damage::new((dir.as_path(), 0, error.to_string())))
            }
        }
    }

    /// What is damaged, if that is what is wrong with a snapshot.
    pub(super) fn of_snapshot(error: &SnapshotFileError) -> Option<Damage> {
        error.damage().map(Damage::new)
    }

    fn new((path, offset, why): (&Path, u64, String)) -> Damage {
        let path = path.to_owned();
        Damage { path, offset, why }
    }
}

/// Sets everything aside that belongs to the log or the snapshots in `dir`, and tells where to; `None` if there is
/// nothing. May be called again after a crash: what was left is set aside then.
///
/// # Errors
/// [`AsideError`].
pub(super) fn set_aside(dir: &Path) -> Result<Option<PathBuf>, AsideError> {
    let mut names = disk::names(dir)?;
    // Snapshots that were not finished, too: they are traces of a log.
    names.retain(|name| is_of_the_log(name) || name.starts_with("snap-") || name == mark::NAME);
    names.sort_unstable();
    let files: Vec<_> = names.iter().map(|name| dir.join(name)).collect();
    match files.is_empty() {
        true => Ok(None),
        false => move_all(dir, &files).map(Some),
    }
}

/// Sets one file in `dir` aside, and tells where to.
///
/// # Errors
/// [`AsideError`].
pub(super) fn set_file_aside(dir: &Path, file: &Path) -> Result<PathBuf, AsideError> {
    move_all(dir, &[file.to_owned()])
}

fn move_all(dir: &Path, files: &[PathBuf]) -> Result<PathBuf, AsideError> {
    let target = unused(dir)?;
    disk::create_dir(&target)?;
    for file in files {
        let name = file.file_name().unwrap_or_default();
        disk::rename(file, &target.join(name))?;
    }
    disk::sync_dir(&target)?;
    disk::sync_dir(dir)?;
    Ok(target)
}

fn unused(dir: &Path) -> Result<PathBuf, AsideError> {
    for number in 1..=KEPT {
        let path = dir.join(format!("damaged-{number}"));
        // An empty one is what a crash has left.
        if !disk::exists(&path)? || disk::names(&path)?.is_empty() {
            return Ok(path);
        }
    }
    let dir = dir.to_owned();
    Err(AsideError::TooMany { dir })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn log_and_snapshots_are_set_aside_whole_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mine = [
            "0000000000000003.wal",
            "0000000000000004.wal",
            "reserve-0.recycled",
            "snap-0000000000000009-0000000000000001",
            "snap-7.tmp",
            "diverged",
        ];
        for name in mine.iter().chain(&["lock", "notes.txt"]) {
            fs::write(dir.path().join(name), name).unwrap();
        }
        // A crash came just after it was made.
        fs::create_dir(dir.path().join("damaged-1")).unwrap();
        let target = set_aside(dir.path()).unwrap().expect("files");
        assert_eq!(target, dir.path().join("damaged-1"));
        assert_eq!(set_aside(dir.path()).unwrap(), None);
        for name in mine {
            assert!(!dir.path().join(name).exists(), "{name}");
            assert_eq!(fs::read(target.join(name)).unwrap(), name.as_bytes());
        }
        assert!(dir.path().join("lock").exists() && dir.path().join("notes.txt").exists());
    }

    #[test]
    fn only_a_few_are_kept_and_none_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("snap-0000000000000009-0000000000000001");
        for number in 1..=KEPT {
            fs::write(&file, [number as u8]).unwrap();
            set_file_aside(dir.path(), &file).unwrap();
        }
        fs::write(&file, b"one too many").unwrap();
        let error = set_file_aside(dir.path(), &file).unwrap_err();
        assert!(matches!(error, AsideError::TooMany { .. }), "{error}");
        assert!(file.exists());
        for number in 1..=KEPT {
            let kept = dir.path().join(format!("damaged-{number}"));
            let kept = kept.join(file.file_name().unwrap());
            assert_eq!(fs::read(kept).unwrap(), [number as u8]);
        }
    }
}
