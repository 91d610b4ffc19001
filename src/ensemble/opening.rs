//! Opening a member's disk: its log, its snapshots, and the tree that both make.

use super::damage::{self, Damage};
use super::log::{Identity, Log};
use super::machine::{self, RestoreError};
use super::snapshot::SnapshotStore;
use super::start::StartError;
use super::state::Replica;
use crate::net;
use crate::telemetry::Metrics;
use openraft::storage::RaftLogStorage;
use std::path::PathBuf;
use std::sync::Arc;

/// A member's disk, open.
pub(super) struct Opened {
    /// The log.
    pub(super) log: Log,
    /// The snapshots.
    pub(super) snapshots: SnapshotStore,
    /// The tree of the newest one that is whole.
    pub(super) replica: Replica,
    /// There were damaged ones, so that a new one is wanted at once.
    pub(super) lacks_snapshot: bool,
}

/// Opens what member `identity` has in `dir`.
///
/// # Errors
/// [`StartError`]; [`StartError::Damaged`] if what this member had promised may be lost.
pub(super) async fn open_disk(
    dir: PathBuf,
    identity: Identity,
    metrics: Arc<Metrics>,
) -> Result<Opened, StartError> {
    let opened = open(dir, identity, metrics.clone()).await;
    if let Err(StartError::Damaged(damage)) = &opened {
        metrics.coordination.damage_found.inc();
        tracing::error!(
            file = %damage.path.display(), offset = damage.offset, why = %damage.why,
            "this member's disk is damaged"
        );
    }
    opened
}

async fn open(
    dir: PathBuf,
    identity: Identity,
    metrics: Arc<Metrics>,
) -> Result<Opened, StartError> {
    let (log_dir, log_metrics) = (dir.clone(), metrics.clone());
    let mut log = off_runtime(move || {
        Log::open(&log_dir, identity, log_metrics).map_err(|source| match Damage::of_log(&source) {
            Some(damage) => StartError::Damaged(damage),
            None => StartError::Log {
                dir: log_dir,
                source,
            },
        })
    })
    .await?;
    let state = log.get_log_state().await.map_err(StartError::raft)?;
    let purged = state.last_purged_log_id.map(|id| id.index());
    let (snapshots, replica, lacks_snapshot) =
        off_runtime(move || restore(dir, purged, &metrics)).await?;
    Ok(Opened {
        log,
        snapshots,
        replica,
        lacks_snapshot,
    })
}

/// The snapshots in `dir`, the tree to start from, and whether it is an older one than there should be.
fn restore(
    dir: PathBuf,
    purged: Option<u64>,
    metrics: &Metrics,
) -> Result<(SnapshotStore, Replica, bool), StartError> {
    let not_read = |source: RestoreError| match Damage::of_tree(&source) {
        Some(damage) => StartError::Damaged(damage),
        None => {
            let dir = dir.clone();
            StartError::Snapshot { dir, source }
        }
    };
    let snapshots = SnapshotStore::open(&dir).map_err(|e| not_read(RestoreError::from(e)))?;
    let restored = machine::restore(&snapshots, purged).map_err(not_read)?;
    let lacks_snapshot = !restored.damaged.is_empty();
    // None of them may be found again: it would be sent to a follower, or hide an older one.
    for damage in restored.damaged.iter().filter_map(Damage::of_snapshot) {
        metrics.coordination.damage_found.inc();
        let aside = damage::set_file_aside(&dir, &damage.path)?;
        tracing::error!(
            file = %damage.path.display(), offset = damage.offset, why = %damage.why, aside = %aside.display(),
            "a snapshot is damaged; an older one is used, with the log after it"
        );
    }
    if lacks_snapshot {
        metrics.coordination.damage_repaired.inc();
    }
    Ok((snapshots, restored.replica, lacks_snapshot))
}

/// Does blocking work on a thread of its own.
pub(super) async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    net::off_runtime(work)
        .await
        .unwrap_or_else(|panicked| Err(StartError::raft(panicked)))
}
