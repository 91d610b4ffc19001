//! Getting the right tree when this member's own is wrong.
//!
//! ```text
//! leader's snapshot, at or behind the difference   -> draft, verified, named: newer than all this member has
//! load it beside the old tree
//! Raft's state machine stands still: replay the own log from there to where this member was; swap
//! remove the other snapshots: a restart must not find them
//! ```
//! openraft ignores snapshots at or below what is committed, hence this way of its own; it never notices, for what
//! was applied stays applied. The own log is as good as anybody's: it is the tree that is wrong. Nothing is applied
//! twice: the replay goes to a tree that nobody has seen yet. If this process dies at any point, its disk has the old
//! snapshots, or the right one and the old, of which the right one is the newest, or the right one alone; and the
//! mark, until the tree has been compared.

use crate::ensemble::limits::REBUILD_CATCH_UP;
use crate::ensemble::log::{DiskError, Log};
use crate::ensemble::machine::{self, Machine, RestoreError};
use crate::ensemble::peer::{LinkError, Me, fetch_snapshot};
use crate::ensemble::snapshot::{SnapshotFile, SnapshotStore};
use crate::ensemble::state::Replica;
use crate::ensemble::types::Types;
use crate::net::off_runtime;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use openraft::storage::RaftLogReader;
use std::io;
use tokio::task::JoinError;

/// What rebuilding needs.
pub(in crate::ensemble) struct Rebuilder {
    /// Who this member is.
    pub(in crate::ensemble) me: Me,
    /// Raft, in this process.
    pub(in crate::ensemble) raft: Raft<Types, Machine>,
    /// Its log.
    pub(in crate::ensemble) log: Log,
    /// Its snapshots.
    pub(in crate::ensemble) snapshots: SnapshotStore,
}

/// Why it did not succeed; nothing is worse than before.
#[derive(Debug, thiserror::Error)]
pub(super) enum RebuildError {
    /// The leader has not sent a snapshot.
    #[error("no snapshot from the leader: {0}")]
    Fetch(#[from] LinkError),
    /// This member's snapshots cannot be read or removed.
    #[error("the own snapshots: {0}")]
    Store(#[from] DiskError),
    /// The snapshot or the log cannot be read.
    #[error("the tree cannot be put together: {0}")]
    Read(#[from] io::Error),
    /// The leader's snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] RestoreError),
    /// This member's log does not reach the snapshot.
    #[error("this member has not applied what the snapshot covers")]
    Behind,
    /// The process is stopping.
    #[error("stopping: {0}")]
    Stopping(String),
}

impl From<JoinError> for RebuildError {
    fn from(error: JoinError) -> RebuildError {
        RebuildError::Stopping(error.to_string())
    }
}

impl Rebuilder {
    /// Replaces the tree by that of `leader`, found wrong at index `found`. Tells from which index the leader's is.
    pub(super) async fn rebuild(
        &self,
        leader: u64,
        address: &str,
        found: u64,
    ) -> Result<u64, RebuildError> {
        // Behind the own snapshots, so that a restart prefers it, and the own log reaches back to it.
        let own = self.snapshots.clone();
        let newest = off_runtime(move || own.newest_index()).await??;
        let at_least = found.max(newest.unwrap_or(0));
        let file = fetch_snapshot(address, &self.me, leader, at_least, &self.snapshots).await?;
        let index = file.meta.last_log_id.map_or(0, |id| id.index);
        self.applied(index).await?;
        let path = file.path().to_owned();
        let to_load = file.clone();
        let replica = off_runtime(move || machine::load(&to_load)).await??;
        let old = self.swap(replica, Some(file)).await?;
        let own = self.snapshots.clone();
        off_runtime(move || {
            drop(old);
            own.keep_only(&path)
        })
        .await??;
        Ok(index)
    }

    /// Puts the tree together again from this member's own disk: for one that has nobody to ask, and whose memory it
    /// was that changed. No snapshot was ever written that its digest did not fit.
    pub(super) async fn reload(&self) -> Result<u64, RebuildError> {
        let own = self.snapshots.clone();
        let (replica, file) = off_runtime(move || {
            let newest = own.latest().map_err(io::Error::other)?;
            let replica = newest.as_ref().map(machine::load).transpose()?;
            Ok::<_, io::Error>((replica.unwrap_or_else(Replica::empty), newest))
        })
        .await??;
        let index = replica.last_applied.map_or(0, |id| id.index);
        let old = self.swap(replica, file).await?;
        off_runtime(move || drop(old)).await?;
        Ok(index)
    }

    /// Brings `replica`, which is the snapshot `file`, to where this member is, and puts it in place of the tree.
    async fn swap(
        &self,
        replica: Replica,
        file: Option<SnapshotFile>,
    ) -> Result<Replica, RebuildError> {
        let log = self.log.clone();
        let swapped = self.raft.with_state_machine(move |machine| {
            let machine = machine.clone();
            Box::pin(async move {
                let target = machine.applied_index();
                let replica = replay(replica, log, target).await?;
                Ok::<_, RebuildError>(machine.exchange(replica, file))
            })
        });
        let swapped = swapped.await;
        swapped.map_err(|fatal| RebuildError::Stopping(fatal.to_string()))?
    }

    /// Waits until this member has applied `index`, as long as it gets on.
    async fn applied(&self, index: u64) -> Result<(), RebuildError> {
        let applied = || {
            let facts = self.raft.metrics();
            let applied = facts.borrow_watched().last_applied;
            applied.map_or(0, |id| id.index)
        };
        loop {
            let before = applied();
            let wait = self.raft.wait(Some(REBUILD_CATCH_UP));
            let reached = wait
                .applied_index_at_least(Some(index), "the snapshot's index")
                .await;
            match reached {
                Ok(_) => return Ok(()),
                Err(_) if applied() > before => {}
                Err(_) => return Err(RebuildError::Behind),
            }
        }
    }
}

/// Applies the own log to `replica`, up to index `target`.
async fn replay(mut replica: Replica, mut log: Log, target: u64) -> Result<Replica, RebuildError> {
    loop {
        let next = replica.last_applied.map_or(0, |id| id.index + 1);
        if next > target {
            return Ok(replica);
        }
        // As many as fit into one message: a bounded amount of memory.
        let entries = log.limited_get_log_entries(next, target + 1).await?;
        if entries.first().map(|entry| entry.log_id.index) != Some(next) {
            let why = format!("the log begins behind index {next}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why).into());
        }
        replica = off_runtime(move || {
            for entry in entries {
                replica.replay(entry);
            }
            replica
        })
        .await?;
    }
}
