//! Why a log cannot be opened, and what ends one that was.

use super::Identity;
use super::disk::DiskError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the log in a data directory cannot be opened. None of these goes away by trying again, except
/// [`InUse`](OpenError::InUse) and some of [`Disk`](OpenError::Disk).
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another process has the directory.
    #[error("{} is held by another process", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory belongs to another member or another ensemble. A member that took over another one's
    /// vote could elect two leaders.
    #[error("{} belongs to {found}, not to {expected}", path.display())]
    WrongMember {
        /// The segment that says so.
        path: PathBuf,
        /// Whose log it is.
        found: Identity,
        /// Who opened it.
        expected: Identity,
    },
    /// The log was written by a later version of Zoogate.
    #[error("{} has log format version {found}, which this program does not know", path.display())]
    Version {
        /// The segment that says so.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
    /// Bytes that had been durable are not what was written. What they held may have been acknowledged, so
    /// nothing is cut or skipped: this member must be replaced by a new one.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How it shows.
        reason: String,
    },
    /// Segments are missing.
    #[error("{} lacks {what}", path.display())]
    Missing {
        /// The data directory.
        path: PathBuf,
        /// What is not there.
        what: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread for the log")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// Which file is damaged and at which byte, if that is what is wrong, and how it shows. A directory that lacks
    /// files is damaged at its beginning, as is a file that the disk cannot read.
    pub(in crate::ensemble) fn damage(&self) -> Option<(&Path, u64, String)> {
        match self {
            OpenError::Damaged {
                path,
                offset,
                reason,
            } => Some((path, *offset, reason.clone())),
            OpenError::Missing { path, what } => Some((path, 0, format!("it lacks {what}"))),
            OpenError::Disk(error) if error.is_unreadable() => {
                Some((&error.path, 0, error.source.to_string()))
            }
            OpenError::Disk(_)
            | OpenError::InUse { .. }
            | OpenError::WrongMember { .. }
            | OpenError::Version { .. }
            | OpenError::Thread(_) => None,
        }
    }
}

/// The failed write or sync that ended a log. After it the state of the disk is unknown, and asking again may
/// succeed without having written anything, so the process must end and read its log anew.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the log has failed, nothing is acknowledged any more")]
pub struct Failure(#[source] pub(super) Arc<DiskError>);

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        io::Error::new(failure.0.source.kind(), failure)
    }
}
