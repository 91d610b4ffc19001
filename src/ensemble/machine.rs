//! openraft's view of the tree: apply entries, build and install snapshots.
//!
//! Driven by openraft's state-machine task alone, in log order. Answers go to this member's own clients
//! through tickets (see [`super::state`]), not through openraft's responders, so that a follower's client is
//! answered by the follower as soon as *it* has applied.

use super::snapshot::{SnapshotFile, SnapshotStore};
use super::state::{Replica, Shared};
use super::types::{Done, Types};
use crate::telemetry::Metrics;
use crate::tree::TreeLoader;
use futures_util::{Stream, TryStreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use std::io;
use std::sync::Arc;
use tokio::time::Instant;

/// The state machine of this member; clones share it.
#[derive(Clone)]
pub(super) struct Machine {
    shared: Arc<Shared>,
    snapshots: SnapshotStore,
    metrics: Arc<Metrics>,
}

impl Machine {
    /// A machine over `shared` that keeps its snapshots in `snapshots`.
    pub(super) fn new(
        shared: Arc<Shared>,
        snapshots: SnapshotStore,
        metrics: Arc<Metrics>,
    ) -> Machine {
        Machine {
            shared,
            snapshots,
            metrics,
        }
    }
}

/// The replica to start from: the newest snapshot that is whole and reaches up to `purged`, where the log
/// begins; empty when the log itself begins at the beginning.
///
/// # Errors
/// When the log has entries only from `purged` on and no snapshot covers what was before: this member cannot
/// know its tree.
pub(super) fn restore(snapshots: &SnapshotStore, purged: Option<u64>) -> io::Result<Replica> {
    let mut damage = None;
    for verdict in snapshots.verdicts().map_err(io::Error::other)? {
        match verdict {
            Ok(file) if file.meta.last_log_id.map(|id| id.index()) >= purged => return load(&file),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "a snapshot is damaged; looking for an older one");
                damage.get_or_insert(error);
            }
        }
    }
    match (purged, damage) {
        (None, _) => Ok(Replica::empty()),
        (Some(_), Some(damage)) => Err(io::Error::other(damage)),
        (Some(purged), None) => {
            let why = format!(
                "the log begins after index {purged} and no snapshot covers what was before"
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }
}

fn load(file: &SnapshotFile) -> io::Result<Replica> {
    let mut loader = TreeLoader::new();
    for block in file.blocks() {
        loader
            .chunk(&block.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    let tree = loader.finish().map_err(io::Error::other)?;
    Ok(Replica {
        tree,
        last_applied: file.meta.last_log_id,
        membership: file.meta.last_membership.clone(),
        generation: 0,
    })
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Machine;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        Ok(self.shared.applied_state())
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let log_id = entry.log_id();
            match entry.payload {
                EntryPayload::Normal(proposal) => self.shared.apply(log_id, &proposal),
                EntryPayload::Blank => self.shared.pass(log_id),
                EntryPayload::Membership(membership) => {
                    let stored = StoredMembershipOf::<Types>::new(Some(log_id), membership);
                    self.shared.member(log_id, stored);
                }
            }
            if let Some(responder) = responder {
                responder.send(Done);
            }
        }
        self.shared.publish_applied();
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMetaOf<Types>,
        file: SnapshotFile,
    ) -> io::Result<()> {
        let store = self.snapshots.clone();
        let adopt_and_load = move || load(&store.adopt(file).map_err(io::Error::other)?);
        // Built beside the old tree and swapped in, so that reads go on meanwhile.
        let replica = tokio::task::spawn_blocking(adopt_and_load)
            .await
            .map_err(io::Error::other)??;
        self.shared.replace(replica);
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<Types, SnapshotFile>>> {
        let latest = self.snapshots.latest().map_err(io::Error::other)?;
        Ok(latest.map(|file| SnapshotOf::<Types, SnapshotFile> {
            meta: file.meta.clone(),
            snapshot: file,
        }))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, SnapshotFile>> {
        let begun = Instant::now();
        let machine = self.clone();
        let file = tokio::task::spawn_blocking(move || machine.write_snapshot())
            .await
            .map_err(io::Error::other)??;
        self.metrics.coordination.snapshots.inc();
        self.metrics
            .coordination
            .snapshot_duration
            .observe(begun.elapsed().as_secs_f64());
        Ok(SnapshotOf::<Types, SnapshotFile> {
            meta: file.meta.clone(),
            snapshot: file,
        })
    }
}

impl Machine {
    /// Writes the tree as it is now to a file. Writers are held up only while a chunk is copied.
    fn write_snapshot(&self) -> io::Result<SnapshotFile> {
        let (meta, generation) = self.shared.with_replica(|replica| {
            replica.tree.start_snapshot();
            let last_membership = replica.membership.clone();
            (
                SnapshotMetaOf::<Types> {
                    last_log_id: replica.last_applied,
                    last_membership,
                },
                replica.generation,
            )
        });
        let written = self.write_chunks(meta, generation);
        if written.is_err() {
            self.shared
                .with_replica(|replica| replica.tree.cancel_snapshot());
        }
        written
    }

    fn write_chunks(
        &self,
        meta: SnapshotMetaOf<Types>,
        generation: u64,
    ) -> io::Result<SnapshotFile> {
        let mut writer = self.snapshots.writer(&meta).map_err(io::Error::other)?;
        loop {
            let chunk = self.shared.with_replica(|replica| {
                if replica.generation == generation {
                    Ok(replica.tree.snapshot_chunk(ZNODES_PER_CHUNK))
                } else {
                    Err(io::Error::other(
                        "the tree was replaced by the leader's snapshot meanwhile",
                    ))
                }
            })?;
            match chunk {
                Some(chunk) => writer.block(&chunk).map_err(io::Error::other)?,
                None => return writer.finish().map_err(io::Error::other),
            }
        }
    }
}

/// Znodes copied under the lock at a time: about 0.1 ms, the longest a write waits for a snapshot.
const ZNODES_PER_CHUNK: usize = 256;
