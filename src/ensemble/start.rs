//! Starting a member: disk, tree, Raft, tasks, in this order.

use super::arrival::{self, ArrivalError};
use super::barrier::Waiting;
use super::census::{Census, Dismissal, objection};
use super::contact::Contact;
use super::damage::{AsideError, Damage};
use super::digest::{self, Condition};
use super::duties::Duties;
use super::fault::Fault;
use super::handle::{Ensemble, Follower, Inner};
use super::housekeeping::Housekeeping;
use super::joining::{self, ConfigChanged, Introduction};
use super::keeper;
use super::limits::{
    BATCH_PROPOSALS, KEPT_PART, OBJECTION_PATIENCE, ROOM, SNAPSHOT_STALL, STATE_MACHINE_QUEUE,
    USUAL_ENTRIES,
};
use super::log::{Identity, Log, OpenError};
use super::machine::{Machine, RestoreError};
use super::opening::{self, off_runtime, open_disk};
use super::papers::{self, Number, Papers};
use super::peer::{Me, Peers, Presence, Transport};
use super::promotion;
use super::proposer::Queued;
use super::readmission::has_peers;
use super::running::{Queues, Running};
use super::sessions::Sessions;
use super::snapshot::SnapshotStore;
use super::space::Space;
use super::standing::Standing;
use super::state::Shared;
use super::tickets::Tickets;
use super::transfers::Transfers;
use super::types::{Member, Types};
use crate::config::{EnsembleConfig, FreshAcl};
use crate::net::{PeerTls, TcpListener};
#[cfg(feature = "simulation")]
use crate::simulation::Mutant;
use crate::telemetry::Metrics;
use crate::tree::LEVEL;
use openraft::storage::RaftLogStorage;
use openraft::{Config, Raft, SnapshotPolicy, StorageHelper};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
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
    /// Its certificate for other members, if they speak TLS to each other.
    pub tls: Option<Arc<PeerTls>>,
    /// Who hears of every change of the tree.
    pub followers: Vec<Arc<dyn Follower>>,
    /// Where its figures go.
    pub metrics: Arc<Metrics>,
    /// `host:port` where its ZooKeeper clients connect, for `/zookeeper/config`; `None` if nobody else can reach it.
    pub client: Option<String>,
    /// Time between searches for containers and TTL znodes whose time is up, while this member leads.
    pub reap_interval: Duration,
    /// Log entries after which a snapshot is due even if they have few bytes, at least 5; normally [`super::SNAPSHOT_ENTRIES`].
    pub snapshot_entries: u64,
    /// Who may use the znodes that a new tree begins with.
    pub fresh_acl: FreshAcl,
}

/// Why a member cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node has no number in an ensemble.
    #[error(transparent)]
    Arrival(#[from] ArrivalError),
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
        source: RestoreError,
    },
    /// The disk is damaged, and what this member had promised may be lost. It must not vote again under its number.
    #[error(
        "the disk is damaged, so this member cannot be the one it was; if it has peers, remove it from the ensemble, move its data directory away and start it anew; \
         if it is alone, restore a backup into an empty data directory"
    )]
    Damaged(#[source] Damage),
    /// Damaged files cannot be set aside.
    #[error("damaged files cannot be set aside")]
    Aside(#[from] AsideError),
    /// Raft refuses to start.
    #[error("Raft cannot start: {0}")]
    Raft(String),
}

impl StartError {
    /// Raft's or the runtime's refusal.
    pub(super) fn raft(error: impl std::fmt::Display) -> StartError {
        StartError::Raft(error.to_string())
    }
}

impl Ensemble {
    /// Starts a member: opens its disk, restores its tree, joins its peers.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(start: Start) -> Result<(Ensemble, Running), StartError> {
        let token = arrival::token(start.config.as_ref()).map_err(ArrivalError::from)?;
        let Opened {
            me,
            papers,
            log,
            snapshots,
            shared,
            sessions,
            config_changed,
            lacks_snapshot,
        } = open(&start).await?;
        let introduction = introduction(&start, papers.facts());
        let contact = Contact::new();
        doubt(&start.data_dir, &shared, &contact).await?;
        let census = Arc::new(Census::new(shared.clone()));
        let transfers = Transfers::new(start.snapshot_entries.min(USUAL_ENTRIES));
        let (to_be_sent, metrics) = (transfers.clone(), start.metrics.clone());
        let machine = Machine::new(shared.clone(), snapshots.clone(), to_be_sent, metrics);
        let peers = Peers::new(me.clone(), contact.clone(), census.clone(), transfers);
        let raft = start_raft(&start, &me, peers, log.clone(), machine).await?;
        let (proposals, barriers, queues) = queues();
        let ensemble = Ensemble::new(Inner {
            me: me.clone(),
            raft: raft.clone(),
            shared,
            sessions,
            contact,
            proposals,
            barriers,
            room: Arc::new(Semaphore::new(ROOM)),
            reconfiguring: tokio::sync::Mutex::new(()),
            data_dir: start.data_dir.clone(),
            snapshots: snapshots.clone(),
            backups: Arc::new(Semaphore::new(1)),
            entry_sizes: log.entry_sizes(),
            space: Space::new(log.room(), start.metrics.clone()),
            token,
            census,
            roll: papers.facts().roll.clone(),
            answerer: OnceLock::new(),
        });
        let housekeeping = Housekeeping {
            raft: raft.clone(),
            log: log.clone(),
            snapshots: snapshots.clone(),
            metrics: start.metrics.clone(),
            lacks_snapshot,
        };
        let mut running = Running::new(raft, log, heartbeat(&start));
        let is_closing = start.fresh_acl == FreshAcl::Closed;
        running.spawn_all(&me, &ensemble, queues, start.metrics.clone());
        running.spawn_comparison(&me, &ensemble, &snapshots, start.metrics.clone());
        running.spawn_disk_care(&me, &ensemble, housekeeping);
        running.spawn_serving_watch(&ensemble, is_closing, start.metrics.clone());
        if let Some(listener) = start.listener {
            running.spawn_listener(&me, &ensemble, snapshots, listener);
        }
        let reaping = keeper::reap(ensemble.clone(), start.reap_interval, start.metrics);
        running.spawn("reaping", reaping);
        let own_address = own_address(&start.name, start.config.as_ref());
        spawn_membership(own_address, &me, &ensemble, &mut running);
        let introducing = joining::introduce(ensemble.clone(), introduction, config_changed);
        running.spawn("introduction", introducing);
        let (standing, dismissal) = Standing::of(papers, me, running.raft().clone(), &ensemble);
        running.spawn("standing", standing.watch());
        running.end_on(dismissal);
        running.watch(&ensemble).map_err(StartError::raft)?;
        Ok((ensemble, running))
    }
}

/// What this member tells the others of itself.
fn introduction(start: &Start, facts: &papers::Facts) -> Introduction {
    Introduction {
        client: start.client.clone(),
        boots: facts.boots,
        boot: facts.boot,
        level: LEVEL,
    }
}

/// Raft, on what it needs.
async fn start_raft(
    start: &Start,
    me: &Me,
    peers: Peers,
    log: Log,
    machine: Machine,
) -> Result<Raft<Types, Machine>, StartError> {
    let config = raft_config(start).validate().map_err(StartError::raft)?;
    let raft = Raft::new(me.member, Arc::new(config), peers, log, machine);
    let raft = raft.await.map_err(StartError::raft)?;
    me.transport.follow(raft.server_metrics());
    Ok(raft)
}

/// The ways of what clients queue.
fn queues() -> (mpsc::Sender<Queued>, mpsc::Sender<Waiting>, Queues) {
    let (proposals, proposed) = mpsc::channel(ROOM);
    let (barriers, begun) = mpsc::channel(ROOM);
    let queues = Queues {
        proposals: proposed,
        barriers: begun,
    };
    (proposals, barriers, queues)
}

/// Starts what sees to the members: this one's founding and address, and others' votes.
fn spawn_membership(
    own_address: Option<String>,
    me: &Me,
    ensemble: &Ensemble,
    running: &mut Running,
) {
    running.spawn("promotion", promotion::promote(ensemble.clone()));
    let raft = running.raft().clone();
    if let Some(roll) = ensemble.inner().roll.clone() {
        running.spawn(
            "bootstrap",
            joining::bootstrap(me.clone(), roll, raft.clone()),
        );
    }
    if let Some(address) = own_address {
        let duties = Duties::new(raft.clone(), ensemble.inner());
        let keeping = joining::keep_address(me.clone(), address, raft, Arc::new(duties));
        running.spawn("own address", keeping);
    }
}

/// A member's disk, and what is made of it before Raft.
struct Opened {
    me: Me,
    papers: Papers,
    log: Log,
    snapshots: SnapshotStore,
    shared: Arc<Shared>,
    sessions: Arc<Sessions>,
    config_changed: Arc<ConfigChanged>,
    lacks_snapshot: bool,
}

/// Finds out who this member is, opens its disk, and makes sure that nobody objects to its taking part. If its
/// disk turns out to be an older copy it comes back as somebody else.
async fn open(start: &Start) -> Result<Opened, StartError> {
    let mut has_given_up = false;
    loop {
        let transport = Transport::new(start.tls.clone(), start.metrics.clone());
        let nobody = Me::nobody(Arc::new(transport));
        let (number, mut papers) = arrival::arrive(start, &nobody).await?;
        let Number { ensemble, member } = number;
        let me = Me {
            ensemble,
            member,
            ..nobody
        };
        if let Some(roll) = &papers.facts().roll {
            for (number, founder) in roll.voters() {
                me.transport.hear(number, &founder.name);
            }
        }
        let identity = Identity {
            ensemble,
            member,
            name: start.name.clone(),
        };
        let (dir, metrics) = (start.data_dir.clone(), start.metrics.clone());
        let disk = match open_disk(dir, identity, metrics).await {
            Err(StartError::Damaged(damage)) if !has_given_up && has_peers(start) => {
                tracing::error!(%damage, member, "this member gives up its number, since it may have forgotten what it promised");
                papers.give_up(number).map_err(ArrivalError::from)?;
                has_given_up = true;
                continue;
            }
            disk => disk?,
        };
        if has_given_up {
            start.metrics.coordination.damage_repaired.inc();
        }
        let mut opened = prepare(start, me, papers, disk)?;
        let Some(dismissal) = objected(start, &mut opened).await? else {
            return Ok(opened);
        };
        let noted = opened.papers.dismiss(number, dismissal);
        noted.map_err(ArrivalError::from)?;
    }
}

/// Notes the start, and wraps up what was read from the disk.
fn prepare(
    start: &Start,
    me: Me,
    mut papers: Papers,
    disk: opening::Opened,
) -> Result<Opened, StartError> {
    let opening::Opened {
        log,
        snapshots,
        replica,
        lacks_snapshot,
    } = disk;
    let Me {
        ensemble, member, ..
    } = me;
    let number = Number { ensemble, member };
    let known = replica.tree.numbers().get(&member);
    let boots = known.map_or(0, |known| known.boots);
    let started = papers
        .change(|facts| facts.standing = papers::Standing::Member(number))
        .and_then(|()| papers.start(boots));
    started.map_err(ArrivalError::from)?;
    let (boots, boot) = (papers.facts().boots, papers.facts().boot);
    let sessions = Arc::new(Sessions::new());
    sessions.replaced(&replica.tree);
    let config_changed = Arc::new(ConfigChanged::default());
    let mut followers = start.followers.clone();
    followers.push(sessions.clone());
    followers.push(config_changed.clone());
    let tickets = Tickets::new(member, rand::random());
    Ok(Opened {
        me: Me { boots, boot, ..me },
        papers,
        log,
        snapshots,
        shared: Arc::new(Shared::new(replica, tickets, followers)),
        sessions,
        config_changed,
        lacks_snapshot,
    })
}

/// Asks the members that this one knows whether it may take part, before it does.
async fn objected(start: &Start, opened: &mut Opened) -> Result<Option<Dismissal>, StartError> {
    let last = opened.log.get_log_state().await.map_err(StartError::raft)?;
    let last = last.last_log_id.map(|id| id.index());
    let (metrics, snapshots) = (start.metrics.clone(), opened.snapshots.clone());
    let transfers = Transfers::new(start.snapshot_entries.min(USUAL_ENTRIES));
    let mut machine = Machine::new(opened.shared.clone(), snapshots, transfers, metrics);
    let mut log = opened.log.clone();
    let membership = StorageHelper::new(&mut log, &mut machine)
        .get_membership()
        .await
        .map_err(StartError::raft)?;
    let nodes = membership.effective().membership().nodes();
    let others: BTreeMap<u64, Member> = nodes.map(|(id, m)| (*id, m.clone())).collect();
    let me = &opened.me;
    for (number, other) in &others {
        me.transport.hear(*number, &other.name);
    }
    let presence = {
        let (ensemble, member) = (me.ensemble, me.member);
        let roll = opened.papers.facts().roll.clone();
        move || Presence::Member {
            number: Number { ensemble, member },
            roll: roll.clone(),
        }
    };
    let asking = objection(me, last, &others, OBJECTION_PATIENCE);
    Ok(arrival::receiving(me, start.listener.as_ref(), presence, asking).await)
}

/// Where other members reach this one, if that is for this node to say: a founding list may be out of date.
fn own_address(name: &str, config: Option<&EnsembleConfig>) -> Option<String> {
    let config = config?;
    let is_listed = config.members.contains_key(name) && config.members.len() > 1;
    match is_listed && config.advertise.is_none() {
        true => None,
        false => arrival::address(name, config),
    }
}

/// A tree that was doubted when this disk was last used is compared before anybody is served from it.
async fn doubt(dir: &Path, shared: &Shared, contact: &Contact) -> Result<(), StartError> {
    let marked = dir.to_owned();
    let is_marked = off_runtime(move || {
        digest::mark::is_set(&marked).map_err(|error| StartError::Snapshot {
            dir: marked.clone(),
            source: error.into(),
        })
    });
    if is_marked.await? {
        shared.soundness.set(Condition::Unproven);
        let index = shared.points(|points| points.latest());
        contact.set_fault(Fault::Diverged {
            index: index.map_or(0, |point| point.index),
        });
    }
    Ok(())
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
        max_in_snapshot_log_to_keep: start.snapshot_entries + start.snapshot_entries / KEPT_PART,
        replication_lag_threshold: start.snapshot_entries.min(USUAL_ENTRIES) * 2,
        // What the state machine has still to do while it is busy loading a snapshot. Were there no room for it, Raft
        // itself would stand still.
        state_machine_channel_size: Some(STATE_MACHINE_QUEUE),
        install_snapshot_timeout: u64::try_from(SNAPSHOT_STALL.as_millis()).unwrap_or(u64::MAX),
        // A leader sends entries to its followers while its own disk still writes them. Were it to lead on in
        // the same term after a crash, it could put other entries at indexes that followers have filled
        // already, and they would take them for the same.
        #[cfg(not(feature = "simulation"))]
        enable_leader_restore: Some(false),
        #[cfg(feature = "simulation")]
        enable_leader_restore: Some(crate::simulation::is_mutant(Mutant::LeadOn)),
        // A member that was cut off asks first and disturbs no healthy leader when it returns.
        enable_pre_vote: Some(true),
        ..Config::default()
    }
}

/// Heartbeat of an ensemble of one, which has nobody to send it to.
const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(50);
