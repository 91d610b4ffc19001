//! A member at work: its tasks, noticing that one of them is broken, and stopping in order.

use super::barrier::{Barriers, Waiting};
use super::census::Dismissal;
use super::digest::{self, Comparer, Rebuilder};
use super::duties::Duties;
use super::expiry::Expiry;
use super::founding;
use super::handle::Ensemble;
use super::housekeeping::Housekeeping;
use super::keeper;
use super::limits::{COMMITTED_INTERVAL, HANDOVER_TIMEOUT};
use super::log::Log;
use super::machine::Machine;
use super::peer::{self, Me, PeerServer};
use super::progress::Progress;
use super::proposer::{Proposer, Queued};
use super::pulse::Pulse;
use super::reports::Reporter;
use super::snapshot::SnapshotStore;
use super::space::SpaceWatch;
use super::takeover::Takeover;
use super::types::Types;
use super::watchdog::{self, Watchdog};
use crate::net::{TcpListener, off_runtime};
use crate::telemetry::{Metrics, chain};
use openraft::async_runtime::WatchReceiver;
use openraft::{Raft, RaftMetrics};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// A member's running tasks, owned by the node.
pub struct Running {
    raft: Raft<Types, Machine>,
    log: Log,
    tasks: JoinSet<&'static str>,
    /// Ends the peer listener.
    stop: CancellationToken,
    /// Time between a leader's heartbeats.
    heartbeat: Duration,
    /// Tells when the others do not want this member any more.
    dismissal: Option<watch::Receiver<Option<Dismissal>>>,
    /// Once the member is at work.
    watchdog: Option<Watchdog>,
}

/// A critical part of the member has died; the process must end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{part} failed: {why}")]
pub struct MemberFailed {
    part: &'static str,
    why: String,
    is_dismissal: bool,
}

impl MemberFailed {
    pub(super) fn new(part: &'static str, why: impl Into<String>) -> MemberFailed {
        let why = why.into();
        MemberFailed {
            part,
            why,
            is_dismissal: false,
        }
    }

    /// Whether the ensemble does not want this member any more: to start it again changes nothing.
    pub fn is_dismissal(&self) -> bool {
        self.is_dismissal
    }
}

/// The receiving ends of what clients queue.
pub(super) struct Queues {
    /// For the proposer.
    pub(super) proposals: mpsc::Receiver<Queued>,
    /// For the barriers.
    pub(super) barriers: mpsc::Receiver<Waiting>,
}

impl Running {
    /// A member without tasks yet.
    pub(super) fn new(raft: Raft<Types, Machine>, log: Log, heartbeat: Duration) -> Running {
        Running {
            heartbeat,
            raft,
            log,
            tasks: JoinSet::new(),
            stop: CancellationToken::new(),
            dismissal: None,
            watchdog: None,
        }
    }

    /// Raft, in this process.
    pub(super) fn raft(&self) -> &Raft<Types, Machine> {
        &self.raft
    }

    /// Ends the member when the others do not want it any more.
    pub(super) fn end_on(&mut self, dismissal: watch::Receiver<Option<Dismissal>>) {
        self.dismissal = Some(dismissal);
    }

    /// Adds a task that runs as long as the member; its end is the member's failure.
    pub(super) fn spawn(
        &mut self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            task.await;
            part
        });
    }

    /// Starts what every member runs.
    pub(super) fn spawn_all(
        &mut self,
        me: &Me,
        ensemble: &Ensemble,
        queues: Queues,
        metrics: Arc<Metrics>,
    ) {
        let (inner, raft) = (ensemble.inner(), self.raft.clone());
        let duties = Arc::new(Duties::new(raft.clone(), inner));
        let (shared, queue) = (inner.shared.clone(), queues.proposals);
        self.spawn(
            "proposer",
            Proposer {
                me: me.clone(),
                raft: raft.clone(),
                shared,
                duties: duties.clone(),
                queue,
            }
            .run(),
        );
        self.spawn(
            "barriers",
            Barriers {
                me: me.clone(),
                raft: raft.clone(),
                duties: duties.clone(),
                queue: queues.barriers,
            }
            .run(),
        );
        self.spawn_session_care(me, ensemble, duties, metrics);
        let contact = inner.contact.clone();
        let takeover = Takeover {
            me: me.clone(),
            raft: raft.clone(),
            contact: contact.clone(),
        };
        self.spawn("takeover", takeover.run());
        let pulse = Pulse {
            raft,
            contact,
            heartbeat: self.heartbeat,
        };
        self.spawn("heartbeats", pulse.run());
        let log = self.log.clone();
        self.spawn("committed index", async move {
            let mut ticks = interval(COMMITTED_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                log.write_committed().await;
            }
        });
    }

    /// Starts to keep sessions as long as their clients live, and no longer.
    fn spawn_session_care(
        &mut self,
        me: &Me,
        ensemble: &Ensemble,
        duties: Arc<Duties>,
        metrics: Arc<Metrics>,
    ) {
        let (inner, raft) = (ensemble.inner(), self.raft.clone());
        let sessions = || inner.sessions.clone();
        let reporter = Reporter {
            me: me.clone(),
            raft: raft.clone(),
            sessions: sessions(),
            contact: inner.contact.clone(),
            duties,
        };
        self.spawn("session reports", reporter.run());
        self.spawn(
            "leadership",
            keeper::follow_leadership(ensemble.clone(), raft.clone(), sessions()),
        );
        let expiry = Expiry {
            me: me.clone(),
            raft,
            ensemble: ensemble.clone(),
            sessions: sessions(),
            metrics,
        };
        self.spawn("session expiry", expiry.run());
    }

    /// Starts to look after the room on disk.
    pub(super) fn spawn_disk_care(
        &mut self,
        me: &Me,
        ensemble: &Ensemble,
        housekeeping: Housekeeping,
    ) {
        let space = SpaceWatch {
            me: me.clone(),
            raft: self.raft.clone(),
            log: housekeeping.log.clone(),
            space: ensemble.inner().space.clone(),
            contact: ensemble.inner().contact.clone(),
        };
        self.spawn("room on disk", space.run());
        self.spawn("housekeeping", housekeeping.run());
    }

    /// Starts to compare the tree with the others', and to look at it.
    pub(super) fn spawn_comparison(
        &mut self,
        me: &Me,
        ensemble: &Ensemble,
        snapshots: &SnapshotStore,
        metrics: Arc<Metrics>,
    ) {
        let inner = ensemble.inner();
        let rebuilder = Rebuilder {
            me: me.clone(),
            raft: self.raft.clone(),
            log: self.log.clone(),
            snapshots: snapshots.clone(),
        };
        let (shared, contact) = (inner.shared.clone(), inner.contact.clone());
        let dir = inner.data_dir.clone();
        let comparer = Comparer::new(rebuilder, shared.clone(), contact, metrics, dir);
        self.spawn("digest comparison", comparer.run());
        self.spawn("scrubbing", digest::scrub(shared));
    }

    /// Starts to look whether clients can be served; if a new tree `is_closing`, not before it is closed.
    pub(super) fn spawn_serving_watch(
        &mut self,
        ensemble: &Ensemble,
        is_closing: bool,
        metrics: Arc<Metrics>,
    ) {
        if is_closing {
            self.spawn("closing of the tree", founding::close(ensemble.clone()));
        }
        let (contact, shared) = (
            ensemble.inner().contact.clone(),
            ensemble.inner().shared.clone(),
        );
        let is_ready = move || !is_closing || !shared.read(founding::is_fresh);
        let watch = contact.watch(self.raft.clone(), is_ready, metrics);
        self.spawn("serving watch", watch);
    }

    /// Starts to listen for other members.
    pub(super) fn spawn_listener(
        &mut self,
        me: &Me,
        ensemble: &Ensemble,
        snapshots: SnapshotStore,
        listener: TcpListener,
    ) {
        let (raft, inner) = (self.raft.clone(), ensemble.inner());
        let duties = Arc::new(Duties::new(raft.clone(), inner));
        let server = PeerServer {
            me: me.clone(),
            raft,
            snapshots,
            contact: inner.contact.clone(),
            ensemble: ensemble.clone(),
            duties,
            strangers: peer::Strangers::default(),
        };
        self.spawn(
            "peer listener",
            peer::serve(listener, Arc::new(server), self.stop.clone()),
        );
    }

    /// Starts to watch over the critical parts.
    pub(super) fn watch(&mut self, ensemble: &Ensemble) -> io::Result<()> {
        let inner = ensemble.inner();
        let (log, shared) = (self.log.progress(), inner.shared.clone());
        let [runtime, core] = [(); 2].map(|()| Arc::new(Progress::default()));
        self.spawn("runtime's ticks", watchdog::tick(runtime.clone()));
        self.spawn(
            "core's answers",
            watchdog::ask(self.raft.clone(), core.clone()),
        );
        let facts = self.raft.metrics();
        let parts: Vec<watchdog::Part> = vec![
            ("runtime", Box::new(move || runtime.look())),
            ("log", Box::new(move || log.look())),
            ("raft", Box::new(move || core.look())),
            (
                "apply",
                Box::new(move || {
                    let committed = facts.borrow_watched().local_committed.map(|id| id.index());
                    shared.progress(committed)
                }),
            ),
        ];
        self.watchdog = Some(Watchdog::start(parts, inner.contact.clone())?);
        Ok(())
    }

    /// Has `end` end the process when a critical part stands still for so long that the member counts as dead. It is called
    /// on a thread of its own, since whoever waits for [`Running::failed`] may stand still too.
    pub fn end_when_stalled(&self, end: impl Fn(&MemberFailed) + Send + Sync + 'static) {
        let stop = self.stop.clone();
        let end = move |failed: &MemberFailed| {
            stop.cancel();
            end(failed);
        };
        if let Some(watchdog) = &self.watchdog {
            watchdog.end_by(Arc::new(end));
        }
    }

    /// Resolves when a critical part has died. The process must then end: a member that cannot log, apply or
    /// vote must not look alive.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn failed(&mut self) -> MemberFailed {
        let raft = self.raft.clone();
        let mut log = self.log.failed();
        let log_died = async move {
            match log.wait_for(Option::is_some).await {
                Ok(failure) => failure
                    .as_ref()
                    .map_or_else(String::new, |failure| chain(failure).to_string()),
                Err(_) => "its writer has ended".to_owned(),
            }
        };
        let raft_died = async move {
            // Of Raft's facts these change most rarely, and the core's end closes all of them. To wait for the
            // others would wake this task many times for each transaction.
            let mut facts = raft.server_metrics();
            while facts.changed().await.is_ok() {}
            match &raft.metrics().borrow_watched().running_state {
                Err(fatal) => fatal.to_string(),
                Ok(()) => "its core has stopped".to_owned(),
            }
        };
        let stalled = self.watchdog.as_ref().map(Watchdog::failed);
        let stalled = async move {
            if let Some(mut stalled) = stalled
                && let Ok(failed) = stalled.wait_for(Option::is_some).await
                && let Some(failed) = &*failed
            {
                return failed.clone();
            }
            std::future::pending().await
        };
        tokio::select! {
            // When several can be told, the cause: a failed log ends Raft, and Raft that has ended makes no progress.
            biased;
            why = dismissed(self.dismissal.clone()) => MemberFailed {
                is_dismissal: true,
                ..MemberFailed::new("membership", why)
            },
            why = log_died => MemberFailed::new("log", why),
            why = raft_died => MemberFailed::new("raft", why),
            failed = stalled => failed,
            ended = self.tasks.join_next() => match ended {
                Some(Ok(part)) => MemberFailed::new(part, "it ended by itself"),
                Some(Err(error)) => MemberFailed::new("a task", error.to_string()),
                None => MemberFailed::new("all tasks", "they ended by themselves"),
            },
        }
    }

    /// Stops the member. A leader first hands its leadership over, so that the others need no election.
    pub async fn stop(mut self) {
        self.hand_over().await;
        // From here on parts end by order.
        self.watchdog = None;
        self.stop.cancel();
        self.tasks.shutdown().await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not stop in order");
        }
        // Tasks of Raft that are still winding down hold the log for a moment longer.
        let deadline = Instant::now() + HANDOVER_TIMEOUT;
        while !self.log.is_last_handle() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The last handle waits for what is queued to be written.
        let (log, raft) = (self.log, self.raft);
        if let Err(error) = off_runtime(move || drop((raft, log))).await {
            tracing::warn!(%error, "the log did not close in order");
        }
    }

    async fn hand_over(&self) {
        let successor = {
            let facts = self.raft.metrics();
            let facts = facts.borrow_watched();
            let voters: Vec<u64> = facts.membership_config.membership().voter_ids().collect();
            let peers = facts
                .replication
                .iter()
                .flatten()
                .filter(|(id, _)| **id != facts.id && voters.contains(id));
            peers
                .max_by_key(|(_, matched)| **matched)
                .map(|(id, _)| *id)
        };
        let Some(successor) = successor else { return };
        if self.raft.trigger().transfer_leader(successor).await.is_ok() {
            let me = *self.raft.node_id();
            let other = |facts: &RaftMetrics<Types>| {
                facts.current_leader.is_some_and(|leader| leader != me)
            };
            let waited = self
                .raft
                .wait(Some(HANDOVER_TIMEOUT))
                .metrics(other, "another member leads")
                .await;
            tracing::info!(successor, done = waited.is_ok(), "leadership handed over");
        }
    }
}

/// Resolves when the others do not want this member any more, with what they say.
async fn dismissed(dismissal: Option<watch::Receiver<Option<Dismissal>>>) -> String {
    let Some(mut dismissal) = dismissal else {
        return std::future::pending().await;
    };
    let dismissal = dismissal
        .wait_for(Option::is_some)
        .await
        .map(|found| *found);
    match dismissal {
        Ok(Some(Dismissal::Removed)) => {
            "it was removed from the ensemble; to join again under a new number, empty the data directory".into()
        }
        Ok(Some(Dismissal::Outdated)) => {
            "its disk is an older copy; started again, it asks to be admitted under a new number".into()
        }
        // The task that watches has ended, which is noticed as such.
        Ok(None) | Err(_) => std::future::pending().await,
    }
}
