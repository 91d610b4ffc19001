//! openraft's view of the tree: apply entries, build and install snapshots.
//!
//! Driven by openraft's state-machine task alone, in log order. Answers go to this member's own clients
//! through tickets (see [`super::state`]), not through openraft's responders, so that a follower's client is
//! answered by the follower as soon as *it* has applied.

use super::digest::Condition;
use super::log::DiskError;
use super::saving::Saver;
use super::snapshot::{SnapshotFile, SnapshotFileError, SnapshotStore, SnapshotWriter};
use super::state::{Replica, Shared};
use super::transfers::Transfers;
use super::types::{Done, Types};
use crate::net::off_runtime;
#[cfg(feature = "simulation")]
use crate::simulation::{self, Fact, Mutant};
use crate::telemetry::Metrics;
#[cfg(feature = "simulation")]
use crate::tree::{Command, Op};
use crate::tree::{SnapshotError, TreeLoader};
use futures_util::{Stream, TryStreamExt};
#[cfg(feature = "simulation")]
use openraft::alias::EntryOf;
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The state machine of this member; clones share it.
#[derive(Clone)]
pub(super) struct Machine {
    shared: Arc<Shared>,
    snapshots: SnapshotStore,
    /// The newest snapshot, once it was looked for.
    newest: Arc<Mutex<Option<SnapshotFile>>>,
    transfers: Arc<Transfers>,
    metrics: Arc<Metrics>,
    /// Cancelled when Raft lets go of its machine.
    stopped: CancellationToken,
    _alive: Option<Arc<DropGuard>>,
}

impl Machine {
    /// A machine over `shared` that keeps its snapshots in `snapshots`.
    pub(super) fn new(
        shared: Arc<Shared>,
        snapshots: SnapshotStore,
        transfers: Arc<Transfers>,
        metrics: Arc<Metrics>,
    ) -> Machine {
        let stopped = CancellationToken::new();
        Machine {
            shared,
            snapshots,
            newest: Arc::default(),
            transfers,
            metrics,
            _alive: Some(Arc::new(stopped.clone().drop_guard())),
            stopped,
        }
    }
}

/// What a member starts from.
pub(super) struct Restored {
    /// Its tree.
    pub(super) replica: Replica,
    /// Newer snapshots that are damaged. The log reaches back far enough to do without them.
    pub(super) damaged: Vec<SnapshotFileError>,
}

/// Why a member does not know its tree.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A snapshot cannot be read, or is damaged and no older one will do.
    #[error(transparent)]
    File(#[from] SnapshotFileError),
    /// A snapshot is as it was written, but holds no tree.
    #[error("{} holds no tree that this program can read", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: SnapshotError,
    },
    /// The log has entries only from `purged` on, and no snapshot covers what was before.
    #[error("the log begins after index {purged} and no snapshot covers what was before")]
    Uncovered {
        /// The data directory.
        dir: PathBuf,
        /// The last index that the log has not.
        purged: u64,
    },
}

impl From<DiskError> for RestoreError {
    fn from(error: DiskError) -> RestoreError {
        RestoreError::File(error.into())
    }
}

impl From<RestoreError> for io::Error {
    fn from(error: RestoreError) -> io::Error {
        io::Error::other(error)
    }
}

/// What to start from: the newest snapshot that is whole and reaches up to `purged`, where the log begins; nothing
/// when the log itself begins at the beginning.
///
/// # Errors
/// [`RestoreError`].
pub(super) fn restore(
    snapshots: &SnapshotStore,
    purged: Option<u64>,
) -> Result<Restored, RestoreError> {
    let mut damaged = Vec::new();
    for verdict in snapshots.verdicts()? {
        match verdict {
            Ok(file) if file.meta.last_log_id.map(|id| id.index()) >= purged => {
                let replica = load(&file)?;
                return Ok(Restored { replica, damaged });
            }
            Ok(_) => {}
            Err(error) if error.damage().is_none() => return Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "a snapshot is damaged; looking for an older one");
                damaged.push(error);
            }
        }
    }
    match purged {
        None => Ok(Restored {
            replica: Replica::empty(),
            damaged,
        }),
        Some(purged) if damaged.is_empty() => Err(RestoreError::Uncovered {
            dir: snapshots.dir().to_owned(),
            purged,
        }),
        Some(_) => Err(damaged.swap_remove(0).into()),
    }
}

/// The replica that a snapshot holds.
pub(super) fn load(file: &SnapshotFile) -> Result<Replica, RestoreError> {
    let contents = |source| RestoreError::Contents {
        path: file.path().to_owned(),
        source,
    };
    let mut loader = TreeLoader::new();
    for block in file.blocks() {
        loader.chunk(&block?).map_err(contents)?;
    }
    let tree = loader.finish().map_err(contents)?;
    Ok(Replica {
        tree,
        last_applied: file.meta.last_log_id,
        membership: file.meta.last_membership.clone(),
        ..Replica::empty()
    })
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Saver;

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
            #[cfg(feature = "simulation")]
            let entry = simulated(entry);
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

    async fn get_snapshot_builder(&mut self) -> Saver {
        let machine = Machine {
            _alive: None,
            ..self.clone()
        };
        Saver::new(machine, self.stopped.clone(), self.metrics.clone())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Saver> {
        let covered = self
            .newest
            .lock()
            .as_ref()
            .and_then(|file| file.meta.last_log_id);
        let covered = covered.map_or(0, |id| id.index());
        let since = self.applied_index().saturating_sub(covered);
        let is_sound = self.shared.soundness.condition() == Condition::Sound;
        let now = is_sound && !self.transfers.hold_back(since, Instant::now());
        match force || now {
            true => Some(self.get_snapshot_builder().await),
            false => None,
        }
    }

    async fn install_snapshot(
        &mut self,
        _: &SnapshotMetaOf<Types>,
        file: SnapshotFile,
    ) -> io::Result<()> {
        let store = self.snapshots.clone();
        let adopt_and_load = move || {
            let file = store.adopt(file).map_err(RestoreError::from)?;
            load(&file).map(|replica| (replica, file))
        };
        // Built beside the old tree and swapped in, so that reads go on meanwhile.
        failpoint!("install-before");
        self.shared.install(true);
        let loaded = off_runtime(adopt_and_load).await;
        self.shared.install(false);
        let (replica, file) = loaded.map_err(io::Error::other)?.map_err(io::Error::from)?;
        #[cfg(feature = "simulation")]
        simulation::note(Fact::Installed {
            index: replica.last_applied.map_or(0, |id| id.index()),
        });
        let old = self.exchange(replica, Some(file));
        failpoint!("install-after");
        off_runtime(move || drop(old))
            .await
            .map_err(io::Error::other)
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<Types, SnapshotFile>>> {
        let latest = self.newest_snapshot().await?;
        Ok(latest.map(|file| SnapshotOf::<Types, SnapshotFile> {
            meta: file.meta.clone(),
            snapshot: file,
        }))
    }
}

/// What became of writing a snapshot.
pub(super) enum Written {
    /// It is durable.
    File(SnapshotFile),
    /// The tree was replaced meanwhile, by a snapshot that is on disk.
    Overtaken,
    /// The tree is not what its digest says. Nothing was kept.
    Unsound,
}

/// Tells the checkers of an entry that is about to be applied; a mutant changes it first.
#[cfg(feature = "simulation")]
fn simulated(mut entry: EntryOf<Types>) -> EntryOf<Types> {
    let id = entry.log_id;
    let is_second = simulation::current() == simulation::HostId(1);
    if let EntryPayload::Normal(proposal) = &mut entry.payload
        && is_second
        && simulation::one_in(20, Mutant::AlterEntry)
    {
        Arc::make_mut(proposal).transaction.time_ms += 1;
    }
    let bytes = postcard::to_stdvec(&entry.payload).unwrap_or_default();
    let leader = id.committed_leader_id();
    simulation::note(Fact::Applied {
        index: id.index,
        leader: (leader.term, leader.node_id),
        hash: xxhash_rust::xxh3::xxh3_64(&bytes),
    });
    if let EntryPayload::Normal(proposal) = &mut entry.payload
        && id.index.is_multiple_of(10)
        && simulation::is_mutant(Mutant::LoseWrite)
        && let Command::One(Op::SetData { data, .. }) =
            &mut Arc::make_mut(proposal).transaction.command
    {
        *data = None;
    }
    if is_second && simulation::one_in(20, Mutant::SkipEntry) {
        entry.payload = EntryPayload::Blank;
    }
    entry
}

impl Machine {
    /// The last index applied.
    pub(super) fn applied_index(&self) -> u64 {
        let (applied, _) = self.shared.applied_state();
        applied.map_or(0, |id| id.index())
    }

    /// Replaces the tree by `replica`, put together from the newest snapshot, `file`, if there is any; gives the old one
    /// back.
    pub(super) fn exchange(&self, replica: Replica, file: Option<SnapshotFile>) -> Replica {
        *self.newest.lock() = file;
        self.shared.replace(replica)
    }

    /// A snapshot has been written.
    pub(super) fn note_newest(&self, file: &SnapshotFile) {
        *self.newest.lock() = Some(file.clone());
    }

    /// The newest snapshot. Read and verified once, not whenever it is asked for: a large one takes seconds.
    pub(super) async fn newest_snapshot(&self) -> io::Result<Option<SnapshotFile>> {
        if let Some(file) = self.newest.lock().clone() {
            return Ok(Some(file));
        }
        let store = self.snapshots.clone();
        let latest = off_runtime(move || store.latest()).await;
        let latest = latest
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        self.newest.lock().clone_from(&latest);
        Ok(latest)
    }

    /// Writes the tree as it is now to a file. Writers are held up only while a chunk is copied.
    pub(super) fn write_snapshot(&self) -> io::Result<Written> {
        match capture(&self.shared, &self.snapshots)? {
            Captured::Whole(writer, _) => {
                writer.finish().map_err(io::Error::other).map(Written::File)
            }
            Captured::Overtaken => Ok(Written::Overtaken),
            Captured::Unsound => Ok(Written::Unsound),
        }
    }
}

/// What became of capturing the tree.
pub(super) enum Captured {
    /// Its last block is written; this is what it covers.
    Whole(Box<SnapshotWriter>, SnapshotMetaOf<Types>),
    /// The tree was replaced meanwhile.
    Overtaken,
    /// The tree is not what its digest says.
    Unsound,
}

/// Writes the tree as it is now, as far as the end of its last block. A tree can be captured once at a time: another
/// capture, which goes on at the speed of the disk, is waited for.
pub(super) fn capture(shared: &Shared, snapshots: &SnapshotStore) -> io::Result<Captured> {
    let _turn = shared.capturing.lock();
    let (meta, generation) = shared.with_replica(|replica| {
        replica.tree.start_snapshot();
        let meta = SnapshotMetaOf::<Types> {
            last_log_id: replica.last_applied,
            last_membership: replica.membership.clone(),
        };
        (meta, replica.generation)
    });
    let captured = capture_chunks(shared, snapshots, meta, generation);
    if !matches!(captured, Ok(Captured::Whole(..))) {
        shared.with_replica(|replica| {
            if replica.generation == generation {
                replica.tree.cancel_snapshot();
            }
        });
    }
    captured
}

fn capture_chunks(
    shared: &Shared,
    snapshots: &SnapshotStore,
    meta: SnapshotMetaOf<Types>,
    generation: u64,
) -> io::Result<Captured> {
    let mut writer = snapshots.writer(&meta).map_err(io::Error::other)?;
    loop {
        let chunk = shared.with_replica(|replica| {
            (replica.generation == generation)
                .then(|| replica.tree.snapshot_chunk(ZNODES_PER_CHUNK))
        });
        match chunk {
            None => return Ok(Captured::Overtaken),
            Some(Some(chunk)) => writer.block(&chunk).map_err(io::Error::other)?,
            Some(None) => break,
        }
    }
    let is_sound = |replica: &mut Replica| {
        replica.generation != generation || replica.tree.is_snapshot_sound()
    };
    if !shared.with_replica(is_sound) {
        tracing::error!("the tree has changed in memory by itself: it is not saved");
        shared.soundness.set(Condition::Wrong);
        shared.soundness.wake();
        return Ok(Captured::Unsound);
    }
    Ok(Captured::Whole(Box::new(writer), meta))
}

/// Znodes copied under the lock at a time: about 0.1 ms, the longest a write waits for a snapshot.
const ZNODES_PER_CHUNK: usize = 256;
