//! Writing snapshots until they are written.
//!
//! A member whose snapshot cannot be written is as good as before: its log only gets longer. So a failure is counted
//! and told, and after a while the tree, as it is then, is tried again; what was written of the first is removed. Raft
//! asks for no other snapshot meanwhile.

use super::limits::{SNAPSHOT_RETRY_MAX, SNAPSHOT_RETRY_MIN};
use super::machine::{Machine, Written};
use super::snapshot::SnapshotFile;
use super::types::Types;
use crate::net::off_runtime;
use crate::telemetry::Metrics;
use openraft::alias::SnapshotOf;
use openraft::storage::RaftSnapshotBuilder;
use std::io;
use std::sync::Arc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Writes one snapshot.
pub(super) struct Saver {
    machine: Machine,
    /// Raft has let go of its machine.
    stopped: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Saver {
    /// One that writes the tree of `machine` until it has done so or Raft has `stopped`.
    pub(super) fn new(
        machine: Machine,
        stopped: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Saver {
        Saver {
            machine,
            stopped,
            metrics,
        }
    }

    async fn write(&self) -> io::Result<SnapshotFile> {
        let begun = Instant::now();
        let machine = self.machine.clone();
        let written = off_runtime(move || machine.write_snapshot()).await;
        match written.map_err(io::Error::other)?? {
            Written::File(file) => {
                let metrics = &self.metrics.coordination;
                metrics.snapshots.inc();
                metrics
                    .snapshot_duration
                    .observe(begun.elapsed().as_secs_f64());
                self.machine.note_newest(&file);
                Ok(file)
            }
            // A snapshot no newer than what Raft knows changes nothing for it.
            Written::Overtaken | Written::Unsound => {
                let newest = self.machine.newest_snapshot().await?;
                newest.ok_or_else(|| io::Error::other("the tree in memory is damaged"))
            }
        }
    }
}

impl RaftSnapshotBuilder<Types> for Saver {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, SnapshotFile>> {
        let metrics = &self.metrics.coordination;
        let mut pause = SNAPSHOT_RETRY_MIN;
        loop {
            match self.write().await {
                Ok(file) => {
                    return Ok(SnapshotOf::<Types, SnapshotFile> {
                        meta: file.meta.clone(),
                        snapshot: file,
                    });
                }
                Err(error) => {
                    metrics.snapshot_failures.inc();
                    let cause = crate::telemetry::chain(&error);
                    tracing::error!(%cause, ?pause, "a snapshot cannot be written; it is tried again");
                }
            }
            if timeout(pause, self.stopped.cancelled()).await.is_ok() {
                return Err(io::Error::other("the member stops"));
            }
            pause = (pause * 2).min(SNAPSHOT_RETRY_MAX);
        }
    }
}
