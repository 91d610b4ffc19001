//! openraft's own suite for storage, on this member's real log, snapshots and state machine, on real files.

use super::log::{Identity, Limits, Log};
use super::machine::{self, Machine};
use super::snapshot::SnapshotStore;
use super::state::Shared;
use super::tickets::Tickets;
use super::transfers::Transfers;
use super::types::Types;
use crate::telemetry::Metrics;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;
use tempfile::TempDir;

/// Builds each test an empty member in a directory of its own.
struct Members;

impl StoreBuilder<Types, Log, Machine, TempDir> for Members {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError<Types>> {
        let dir = TempDir::new_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/target").unwrap();
        let metrics = Metrics::new("n1");
        let identity = Identity {
            ensemble: 1,
            member: 1,
            name: "n1".into(),
        };
        // Segments so small that the suite makes the log rotate and purge files.
        let limits = Limits {
            segment_bytes: 4096,
            recent_bytes: 1024,
        };
        let log = Log::open_with(dir.path(), identity, metrics.clone(), limits).unwrap();
        let snapshots = SnapshotStore::open(dir.path()).unwrap();
        let replica = machine::restore(&snapshots, None).unwrap().replica;
        let shared = Arc::new(Shared::new(replica, Tickets::new(1, 1), Vec::new()));
        Ok((
            dir,
            log,
            Machine::new(shared, snapshots, Transfers::new(1000), metrics),
        ))
    }
}

#[tokio::test]
async fn storage_passes_the_suite_of_openraft() {
    Suite::test_all(Members).await.unwrap();
}
