//! Every file operation of the log and of the snapshots, in one place.
//!
//! Each function does one thing to one path and names both when it fails. Nothing here decides anything, so that
//! a simulated disk can take this file's place.

#[cfg(feature = "simulation")]
use crate::simulation::{self as fs, File, OpenOptions, TryLockError};
use rustix::io::Errno;
#[cfg(not(feature = "simulation"))]
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
#[cfg(not(feature = "simulation"))]
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct DiskError {
    /// What was tried.
    pub action: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Attaches the action and the path to an I/O error.
pub(in crate::ensemble) fn at(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError {
        action,
        path,
        source,
    }
}

impl DiskError {
    /// Whether there was no room: on the disk, or in what this user may have of it.
    pub(in crate::ensemble) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self.source.kind(), StorageFull | QuotaExceeded)
    }

    /// Whether the disk has lost what was to be read.
    pub(in crate::ensemble) fn is_unreadable(&self) -> bool {
        self.action == "read" && self.source.raw_os_error() == Some(Errno::IO.raw_os_error())
    }

    /// The same once more, for somebody else.
    pub(super) fn again(&self) -> DiskError {
        DiskError {
            action: self.action,
            path: self.path.clone(),
            source: io::Error::new(self.source.kind(), self.source.to_string()),
        }
    }
}

/// Fails if a test wants it so.
#[cfg(test)]
fn check(action: &'static str, path: &Path) -> Result<(), DiskError> {
    super::injected::check(action, path).map_err(at(action, path))
}

/// Fails if a test wants it so; this is none.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "as the one for tests")]
fn check(_: &'static str, _: &Path) -> Result<(), DiskError> {
    Ok(())
}

/// Zeroes written per call.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// Bytes that are written before they are synced, where much is written behind the log's back: a single large flush
/// would hold up the log's own syncs on the same disk for as long as it takes.
pub(in crate::ensemble) const SYNC_BYTES: u64 = 4 << 20;

/// An exclusive right to a data directory, given back when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub(in crate::ensemble) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the right; `None` if another process, or another log of this one, has it.
    pub(in crate::ensemble) fn take(path: &Path) -> Result<Option<Lock>, DiskError> {
        check("open", path)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(at("open", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(at("lock", path)(e)),
        }
    }
}

/// A file, open for reading and writing at any offset.
#[derive(Debug)]
pub(in crate::ensemble) struct DataFile {
    /// Where it was opened. It may have been renamed or removed since; the open file stays what it is.
    pub(in crate::ensemble) path: PathBuf,
    file: File,
}

impl DataFile {
    /// Opens an existing file.
    pub(in crate::ensemble) fn open(path: PathBuf) -> Result<DataFile, DiskError> {
        check("open", &path)?;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(at("open", &path))?;
        Ok(DataFile { path, file })
    }

    /// Opens an existing file for reading only: whoever looks on needs no right to write.
    pub(in crate::ensemble) fn open_to_read(path: PathBuf) -> Result<DataFile, DiskError> {
        let file = File::open(&path).map_err(at("open", &path))?;
        Ok(DataFile { path, file })
    }

    /// Makes an empty file where there is none.
    pub(in crate::ensemble) fn create(path: PathBuf) -> Result<DataFile, DiskError> {
        check("create", &path)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(at("create", &path))?;
        Ok(DataFile { path, file })
    }

    /// Its length on disk.
    pub(in crate::ensemble) fn bytes(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(at("look at", &self.path))?.len())
    }

    /// Fills `buffer` from `offset`.
    pub(in crate::ensemble) fn read(
        &self,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<(), DiskError> {
        check("read", &self.path)?;
        self.file
            .read_exact_at(buffer, offset)
            .map_err(at("read", &self.path))
    }

    /// Writes all of `buffer` at `offset`.
    pub(in crate::ensemble) fn write(&self, buffer: &[u8], offset: u64) -> Result<(), DiskError> {
        check("write", &self.path)?;
        self.file
            .write_all_at(buffer, offset)
            .map_err(at("write", &self.path))
    }

    /// Writes zeroes from `from` up to `to`, cuts off what lies behind, and makes both durable. Real zeroes, not
    /// a hole: then a later `fdatasync` has no metadata to write.
    pub(in crate::ensemble) fn zero(&self, from: u64, to: u64) -> Result<(), DiskError> {
        let mut offset = from;
        while offset < to {
            let step = (to - offset).min(ZEROES.len() as u64);
            self.write(&ZEROES[..step as usize], offset)?;
            offset += step;
            if (offset - from).is_multiple_of(SYNC_BYTES) {
                self.sync()?;
            }
        }
        check("sync", &self.path)?;
        self.file.set_len(to).map_err(at("resize", &self.path))?;
        self.file.sync_all().map_err(at("sync", &self.path))
    }

    /// Makes the contents durable, and the length if it has changed.
    pub(in crate::ensemble) fn sync(&self) -> Result<(), DiskError> {
        check("sync", &self.path)?;
        self.file.sync_data().map_err(at("sync", &self.path))
    }
}

/// The names in `dir`, in no order; those that are not UTF-8 are left out, because nothing here makes such.
pub(in crate::ensemble) fn names(dir: &Path) -> Result<Vec<String>, DiskError> {
    check("list", dir)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(at("list", dir))? {
        let name = entry.map_err(at("list", dir))?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

/// Makes `dir` and its parents, all durable.
pub(in crate::ensemble) fn create_dir(dir: &Path) -> Result<(), DiskError> {
    check("create", dir)?;
    let mut new = Vec::new();
    for path in dir.ancestors() {
        if path.as_os_str().is_empty() || exists(path)? {
            break;
        }
        new.push(path);
    }
    fs::create_dir_all(dir).map_err(at("create", dir))?;
    for path in new {
        match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new("."))?,
            Some(parent) => sync_dir(parent)?,
            None => {}
        }
    }
    Ok(())
}

/// Room on a file system, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ensemble) struct Space {
    /// What this process may still take.
    pub(in crate::ensemble) free: u64,
    /// All there is.
    pub(in crate::ensemble) size: u64,
}

/// How much room there is where `dir` lies.
#[cfg(not(feature = "simulation"))]
pub(in crate::ensemble) fn space(dir: &Path) -> Result<Space, DiskError> {
    let found = rustix::fs::statvfs(dir).map_err(|e| at("measure", dir)(e.into()))?;
    Ok(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        size: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// How much room there is on the simulated disk.
#[cfg(feature = "simulation")]
pub(in crate::ensemble) fn space(dir: &Path) -> Result<Space, DiskError> {
    let (free, size) = fs::space().map_err(at("measure", dir))?;
    Ok(Space { free, size })
}

/// Makes what was created, renamed or removed in `dir` durable.
pub(in crate::ensemble) fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    check("sync", dir)?;
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(at("sync", dir))
}

/// Whether `path` is a directory.
pub(in crate::ensemble) fn is_dir(path: &Path) -> Result<bool, DiskError> {
    let metadata = fs::metadata(path).map_err(at("look at", path))?;
    Ok(metadata.is_dir())
}

/// Whether there is something at `path`.
pub(in crate::ensemble) fn exists(path: &Path) -> Result<bool, DiskError> {
    fs::exists(path).map_err(at("look at", path))
}

/// Removes a file; the directory still has to be synced.
pub(in crate::ensemble) fn remove(path: &Path) -> Result<(), DiskError> {
    check("remove", path)?;
    fs::remove_file(path).map_err(at("remove", path))
}

/// Renames a file, replacing what is there; the directory still has to be synced.
pub(in crate::ensemble) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    check("rename", from)?;
    fs::rename(from, to).map_err(at("rename", from))
}
