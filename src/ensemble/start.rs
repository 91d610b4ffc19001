//! Starting a member: disk, tree, Raft, tasks, in this order.

use super::contact::Contact;
use super::handle::{Ensemble, Follower, Inner};
use super::joining::{self, ConfigChanged};
use super::keeper;
use super::limits::{BATCH_PROPOSALS, KEPT_PART, ROOM, SNAPSHOT_STALL};
use super::log::{Identity, Log, OpenError};
use super::machine::{self, Machine};
use super::peer::{Me, Peers};
use super::roster::{Roster, RosterError};
use super::running::{Queues, Running};
use super::sessions::Sessions;
use super::snapshot::SnapshotStore;
use super::state::{Replica, Shared};
use super::tickets::Tickets;
use crate::config::{EnsembleConfig, FreshAcl};
use crate::telemetry::Metrics;
use openraft::storage::RaftLogStorage;
use openraft::{Config, Raft, SnapshotPolicy};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

/// What a member needs to start.
pub struct Start {
    /// Its `[node] name`.
    pub name: String,
    /// Where it keeps log and snapshots.
    pub data_dir: PathBuf,
    /// Its `[ensemble]` section; `None` for an ensemble of one.
    pub config: Option<EnsembleConfig>,
    /// Where it listens for other members, bound; `None` for an ensemble of one.
    pub listener: Option<TcpListener>,
    /// Who hears of every change of the tree.
    pub followers: Vec<Arc<dyn Follower>>,
    /// Where its figures go.
    pub metrics: Arc<Metrics>,
    /// `host:port` where its ZooKeeper clients connect, for `/zookeeper/config`; `None` if nobody else can reach it.
    pub client: Option<String>,
    /// Time between searches for containers and TTL znodes whose time is up, while this member leads.
    pub reap_interval: Duration,
    /// Log entries between snapshots, at least 5; normally [`super::SNAPSHOT_ENTRIES`].
    pub snapshot_entries: u64,
    /// Who may use the znodes that a new tree begins with.
    pub fresh_acl: FreshAcl,
}

/// Why a member cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("the ensemble is not configured right")]
    Roster(#[from] RosterError),
    /// The log cannot be opened.
    #[error("the log in {dir} cannot be opened")]
    Log {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The snapshots cannot be read.
    #[error("the snapshots in {dir} cannot be read")]
    Snapshot {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Raft refuses to start.
    #[error("Raft cannot start: {0}")]
    Raft(String),
}

impl Ensemble {
    /// Starts a member: opens its disk, restores its tree, joins its peers.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(start: Start) -> Result<(Ensemble, Running), StartError> {
        let roster = Roster::new(&start.name, start.config.as_ref())?;
        let me = Me {
            ensemble: roster.ensemble,
            member: roster.me,
        };
        let (log, snapshots, replica) = open_disk(&start, me).await?;

        let sessions = Arc::new(Sessions::default());
        sessions.replaced(&replica.tree);
        let heartbeat = heartbeat(&start);
        let config = raft_config(&start).validate().map_err(raft_error)?;
        let mut followers = start.followers;
        followers.push(sessions.clone());
        let config_changed = Arc::new(ConfigChanged::default());
        followers.push(config_changed.clone());
        let shared = Arc::new(Shared::new(
            replica,
            Tickets::new(me.member, rand::random()),
            followers,
        ));
        let machine = Machine::new(shared.clone(), snapshots.clone(), start.metrics.clone());
        let raft = Raft::new(
            me.member,
            Arc::new(config),
            Peers::new(me),
            log.clone(),
            machine,
        );
        let raft = raft.await.map_err(raft_error)?;
        let (proposals, proposal_queue) = mpsc::channel(ROOM);
        let (barriers, barrier_queue) = mpsc::channel(ROOM);
        let ensemble = Ensemble::new(Inner {
            me,
            raft: raft.clone(),
            shared,
            sessions,
            contact: Contact::new(),
            proposals,
            barriers,
            room: Arc::new(Semaphore::new(ROOM)),
            reconfiguring: tokio::sync::Mutex::new(()),
            data_dir: start.data_dir.clone(),
            entry_sizes: log.entry_sizes(),
        });
        let mut running = Running::new(raft, log, heartbeat);
        let queues = Queues {
            proposals: proposal_queue,
            barriers: barrier_queue,
        };
        let is_closing = start.fresh_acl == FreshAcl::Closed;
        running.spawn_all(me, &ensemble, queues, start.metrics.clone());
        running.spawn_serving_watch(&ensemble, is_closing, start.metrics.clone());
        if let Some(listener) = start.listener {
            running.spawn_listener(me, &ensemble, snapshots, listener);
        }
        let reaping = keeper::reap(ensemble.clone(), start.reap_interval, start.metrics);
        running.spawn("reaping", reaping);
        if start.config.is_some() {
            let introduction = joining::introduce(ensemble.clone(), start.client, config_changed);
            running.spawn("introduction", introduction);
        }
        let raft = running.raft().clone();
        match roster.observer {
            Some(_) => running.spawn("observer's join", joining::join(me, roster, raft)),
            None => running.spawn("bootstrap", joining::bootstrap(me, roster, raft)),
        }
        Ok((ensemble, running))
    }
}

async fn open_disk(start: &Start, me: Me) -> Result<(Log, SnapshotStore, Replica), StartError> {
    let identity = Identity {
        ensemble: me.ensemble,
        member: me.member,
        name: start.name.clone(),
    };
    let (dir, metrics) = (start.data_dir.clone(), start.metrics.clone());
    let mut log = off_runtime(move || {
        Log::open(&dir, identity, metrics).map_err(|source| StartError::Log { dir, source })
    })
    .await?;
    let dir = start.data_dir.clone();
    let snapshot_error = move |source| StartError::Snapshot {
        dir: dir.clone(),
        source,
    };
    let purged = log
        .get_log_state()
        .await
        .map_err(raft_error)?
        .last_purged_log_id
        .map(|id| id.index());
    let (snapshots, replica) = {
        let dir = start.data_dir.clone();
        off_runtime(move || {
            let snapshots = SnapshotStore::open(&dir)
                .map_err(io::Error::other)
                .map_err(&snapshot_error)?;
            let replica = machine::restore(&snapshots, purged).map_err(&snapshot_error)?;
            Ok((snapshots, replica))
        })
        .await?
    };
    Ok((log, snapshots, replica))
}

/// Does blocking work on a thread of its own.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panicked| Err(raft_error(panicked)))
}

fn raft_error(error: impl std::fmt::Display) -> StartError {
    StartError::Raft(error.to_string())
}

fn heartbeat(start: &Start) -> Duration {
    start
        .config
        .as_ref()
        .map_or(DEFAULT_HEARTBEAT, |c| c.heartbeat)
}

fn raft_config(start: &Start) -> Config {
    let heartbeat = heartbeat(start);
    let heartbeat = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX / 16);
    Config {
        cluster_name: "zoogate".into(),
        heartbeat_interval: heartbeat,
        election_timeout_min: heartbeat * 3,
        // Also the lease that a silent leader has before anybody may follow it: at worst both, twice this, go
        // by until an election begins.
        election_timeout_max: heartbeat * 11 / 2,
        max_payload_entries: BATCH_PROPOSALS as u64,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(start.snapshot_entries),
        max_in_snapshot_log_to_keep: start.snapshot_entries / KEPT_PART,
        replication_lag_threshold: start.snapshot_entries * 2,
        install_snapshot_timeout: u64::try_from(SNAPSHOT_STALL.as_millis()).unwrap_or(u64::MAX),
        // A leader sends entries to its followers while its own disk still writes them. Were it to lead on in
        // the same term after a crash, it could put other entries at indexes that followers have filled
        // already, and they would take them for the same.
        enable_leader_restore: Some(false),
        // A member that was cut off asks first and disturbs no healthy leader when it returns.
        enable_pre_vote: Some(true),
        ..Config::default()
    }
}

/// Heartbeat of an ensemble of one, which has nobody to send it to.
const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(50);
