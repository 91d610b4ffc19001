//! Keeping the log short, and telling how much room there is.
//!
//! ```text
//!   |-- purged --|---- kept, for laggards and for an older snapshot ----| newest snapshot |---- since ----|
//!                 <- at most as long as `since` may become ------------>                   <- bound ->
//! ```
//! Raft counts entries; a disk counts bytes, and an entry may have a million of them. So here the log is measured in
//! bytes: when it has grown by the bound since the newest snapshot, a new one is written, and what is kept behind it
//! is purged down to the bound, and a part more for what came while it was written. The bound is what the newest
//! snapshot takes, but 64 MiB at least and 1 GiB at most ([`LOG_BYTES`], [`MOST_LOG_BYTES`]): a tree is written again
//! when as much was written to the log, and a restart reads a snapshot and replays about as much at most. With the two
//! snapshots that are kept, a data directory holds at most two and a quarter bounds of log, the segments in reserve,
//! and three snapshots while one is written.

use super::limits::{HOUSEKEEPING_INTERVAL, KEPT_PART, LOG_BYTES, MOST_LOG_BYTES};
use super::log::{Log, Room, disk};
use super::machine::Machine;
use super::snapshot::SnapshotStore;
use super::types::Types;
use crate::net::off_runtime;
use crate::telemetry::Metrics;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use tokio::time::{MissedTickBehavior, interval};

/// The task.
pub(super) struct Housekeeping {
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// This member's log.
    pub(super) log: Log,
    /// Its snapshots.
    pub(super) snapshots: SnapshotStore,
    /// Where its figures go.
    pub(super) metrics: Arc<Metrics>,
    /// A snapshot is wanted even though little has happened since the last one.
    pub(super) lacks_snapshot: bool,
}

/// How far this member is, as log indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    snapshot: u64,
    purged: u64,
    applied: u64,
    committed: u64,
}

impl Housekeeping {
    /// Runs for ever.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(HOUSEKEEPING_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let snapshots = self.snapshots.clone();
            // A hung disk holds up this task and nothing else.
            let looked = off_runtime(move || {
                let space = disk::space(snapshots.dir()).ok();
                (space, snapshots.newest_bytes().unwrap_or_default())
            });
            let Ok((space, snapshot_bytes)) = looked.await else {
                continue;
            };
            if let Some(space) = space {
                let gauge = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
                self.metrics.coordination.disk_free.set(gauge(space.free));
                self.metrics.coordination.disk_size.set(gauge(space.size));
            }
            self.shorten(snapshot_bytes).await;
        }
    }

    async fn shorten(&mut self, snapshot_bytes: u64) {
        let progress = self.progress();
        let is_full = *self.log.room().borrow() != Room::Ample;
        let bound = bound(snapshot_bytes);
        let since = self.log.bytes_after(progress.snapshot);
        let is_restored = progress.applied == progress.committed;
        let is_wanted = since > bound || is_full || (self.lacks_snapshot && is_restored);
        // If Raft has ended, so will the process.
        if is_wanted && progress.applied > progress.snapshot {
            let _ = self.raft.trigger().snapshot().await;
        }
        self.lacks_snapshot &= !is_restored;
        // A full disk wants back what can be spared.
        let kept = if is_full {
            0
        } else {
            bound + bound / KEPT_PART
        };
        let upto = self.log.purgeable(progress.snapshot, kept);
        if let Some(upto) = upto.filter(|upto| *upto > progress.purged) {
            let _ = self.raft.trigger().purge_log(upto).await;
        }
    }

    fn progress(&self) -> Progress {
        let facts = self.raft.metrics();
        let facts = facts.borrow_watched();
        Progress {
            snapshot: facts.snapshot.map_or(0, |id| id.index()),
            purged: facts.purged.map_or(0, |id| id.index()),
            applied: facts.last_applied.map_or(0, |id| id.index()),
            committed: facts.local_committed.map_or(0, |id| id.index()),
        }
    }
}

/// Bytes of log after a snapshot of so many bytes at which the next one is due.
fn bound(snapshot_bytes: u64) -> u64 {
    snapshot_bytes.clamp(LOG_BYTES, MOST_LOG_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_when_the_log_has_as_many_bytes_within_bounds() {
        const MIB: u64 = 1 << 20;
        for (snapshot, expected) in [
            (0, 64 * MIB),
            (64 * MIB, 64 * MIB),
            (65 * MIB, 65 * MIB),
            (300 * MIB, 300 * MIB),
            (1025 * MIB, 1024 * MIB),
            (u64::MAX, 1024 * MIB),
        ] {
            assert_eq!(bound(snapshot), expected, "{snapshot}");
        }
    }
}
