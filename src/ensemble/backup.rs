//! A copy of the tree for somebody outside, taken from a running member.
//!
//! ```text
//! tree --capture, at the speed of the disk--> file without a name --as slowly as the reader likes--> reader
//! ```
//! The copy is a snapshot like those of Raft: consistent, at one zxid, checksums and digest included. It goes by
//! way of a file, so that a slow reader holds disk space and nothing of the tree, and so that Raft's own snapshots
//! wait for the capture only. They stay as they are: the file has no name, so nothing takes it for one of them.

use super::fault::Fault;
use super::handle::Ensemble;
use super::machine::{Captured, capture};
use super::snapshot::SnapshotFile;
use crate::net::off_runtime;
use bytes::Bytes;
use std::io;
use tokio::sync::OwnedSemaphorePermit;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One is being taken already.
    #[error("another backup is being taken from this member")]
    Busy,
    /// This member's tree is known to be wrong.
    #[error("no backup from this member: {0}; ask another one")]
    Wrong(Fault),
    /// The tree was found to be wrong while it was written.
    #[error(
        "no backup from this member: its tree has changed in memory by itself; ask another one"
    )]
    Unsound,
    /// A snapshot from the leader came in between.
    #[error("the leader has replaced the tree of this member meanwhile; ask again")]
    Overtaken,
    /// The tree could not be written.
    #[error("the backup cannot be written to this member's disk: {0}")]
    Disk(#[source] io::Error),
}

/// A backup that was taken, to be read once. As long as it lives no other is taken from this member.
#[derive(Debug)]
pub struct Backup {
    file: SnapshotFile,
    /// The last log entry in it.
    pub index: u64,
    /// Whether everything is in it that was committed when it was asked for; otherwise no leader could be asked.
    pub is_current: bool,
    _turn: OwnedSemaphorePermit,
}

impl Ensemble {
    /// Takes a backup. Waits for the leader to be caught up with, a few seconds at most, then for the disk.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn backup(&self) -> Result<Backup, BackupError> {
        let turn = self.inner().backups.clone().try_acquire_owned();
        let turn = turn.map_err(|_| BackupError::Busy)?;
        let faults = self.inner().contact.faults();
        let is_wrong = |fault: &Fault| matches!(fault, Fault::Diverged { .. });
        if let Some(fault) = faults.into_iter().find(is_wrong) {
            return Err(BackupError::Wrong(fault));
        }
        let is_current = self.barrier().await.is_ok();
        let ensemble = self.clone();
        let write = move || {
            let inner = ensemble.inner();
            match capture(&inner.shared, &inner.snapshots).map_err(BackupError::Disk)? {
                Captured::Whole(writer, meta) => {
                    let file = writer.finish_unnamed(meta).map_err(io::Error::other);
                    file.map_err(BackupError::Disk)
                }
                Captured::Overtaken => Err(BackupError::Overtaken),
                Captured::Unsound => Err(BackupError::Unsound),
            }
        };
        let written = off_runtime(write).await.map_err(io::Error::other);
        let file = written.map_err(BackupError::Disk)??;
        Ok(Backup {
            index: file.meta.last_log_id.map_or(0, |id| id.index),
            file,
            is_current,
            _turn: turn,
        })
    }
}

impl Backup {
    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.file.bytes
    }

    /// At most `limit` bytes from `offset`; none at the end.
    ///
    /// # Errors
    /// The disk's.
    pub async fn read(&self, offset: u64, limit: usize) -> io::Result<Bytes> {
        let file = self.file.clone();
        let read = move || {
            let mut buffer = vec![0; limit];
            let count = file.read_raw(&mut buffer, offset);
            let count = count.map_err(io::Error::other)?;
            buffer.truncate(count);
            Ok(buffer.into())
        };
        off_runtime(read).await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FreshAcl;
    use crate::ensemble::Start;
    use crate::telemetry::Metrics;
    use std::time::Duration;

    #[tokio::test]
    async fn a_tree_that_is_wrong_is_not_backed_up() {
        let dir = tempfile::tempdir().unwrap();
        let start = Start {
            name: "a".into(),
            data_dir: dir.path().into(),
            config: None,
            listener: None,
            tls: None,
            followers: Vec::new(),
            metrics: Metrics::new("a"),
            client: None,
            reap_interval: Duration::from_secs(60),
            snapshot_entries: crate::ensemble::SNAPSHOT_ENTRIES,
            fresh_acl: FreshAcl::Open,
        };
        let (ensemble, running) = Ensemble::start(start).await.unwrap();
        let fault = Fault::Diverged { index: 7 };
        ensemble.inner().contact.set_fault(fault);
        let refused = ensemble.backup().await;
        assert!(matches!(refused, Err(BackupError::Wrong(_))), "{refused:?}");
        ensemble.inner().contact.clear_fault(|_| true);
        assert!(ensemble.backup().await.is_ok());
        running.stop().await;
    }
}
