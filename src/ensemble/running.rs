//! A member at work: its tasks, noticing that one of them is broken, and stopping in order.

use super::barrier::{Barriers, Waiting};
use super::duties::Duties;
use super::founding;
use super::handle::Ensemble;
use super::keeper;
use super::limits::{COMMITTED_INTERVAL, HANDOVER_TIMEOUT};
use super::log::Log;
use super::machine::Machine;
use super::peer::{self, Me, PeerServer};
use super::proposer::{Proposer, Queued};
use super::pulse::Pulse;
use super::snapshot::SnapshotStore;
use super::takeover::Takeover;
use super::types::Types;
use crate::telemetry::Metrics;
use openraft::async_runtime::WatchReceiver;
use openraft::{Raft, RaftMetrics};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
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
}

/// A critical part of the member has died; the process must end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{part} failed: {why}")]
pub struct MemberFailed {
    part: &'static str,
    why: String,
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
        }
    }

    /// Raft, in this process.
    pub(super) fn raft(&self) -> &Raft<Types, Machine> {
        &self.raft
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
        me: Me,
        ensemble: &Ensemble,
        queues: Queues,
        metrics: Arc<Metrics>,
    ) {
        let (inner, raft) = (ensemble.inner(), self.raft.clone());
        let sessions = || inner.sessions.clone();
        let duties = Arc::new(Duties::new(raft.clone(), sessions()));
        let (shared, queue) = (inner.shared.clone(), queues.proposals);
        self.spawn(
            "proposer",
            Proposer {
                me,
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
                me,
                raft: raft.clone(),
                duties,
                queue: queues.barriers,
            }
            .run(),
        );
        self.spawn(
            "session reports",
            keeper::report(me, raft.clone(), sessions()),
        );
        self.spawn(
            "leadership",
            keeper::follow_leadership(ensemble.clone(), raft.clone(), sessions()),
        );
        self.spawn(
            "session expiry",
            keeper::expire(ensemble.clone(), sessions(), metrics),
        );
        let contact = inner.contact.clone();
        let takeover = Takeover {
            me,
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
        me: Me,
        ensemble: &Ensemble,
        snapshots: SnapshotStore,
        listener: TcpListener,
    ) {
        let (raft, inner) = (self.raft.clone(), ensemble.inner());
        let duties = Arc::new(Duties::new(raft.clone(), inner.sessions.clone()));
        let server = PeerServer {
            me,
            raft,
            snapshots,
            contact: inner.contact.clone(),
            ensemble: ensemble.clone(),
            duties,
        };
        self.spawn(
            "peer listener",
            peer::serve(listener, Arc::new(server), self.stop.clone()),
        );
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
                    .map_or_else(String::new, ToString::to_string),
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
        tokio::select! {
            why = log_died => MemberFailed { part: "log", why },
            why = raft_died => MemberFailed { part: "raft", why },
            ended = self.tasks.join_next() => match ended {
                Some(Ok(part)) => MemberFailed { part, why: "it ended by itself".into() },
                Some(Err(error)) => MemberFailed { part: "a task", why: error.to_string() },
                None => MemberFailed { part: "all tasks", why: "they ended by themselves".into() },
            },
        }
    }

    /// Stops the member. A leader first hands its leadership over, so that the others need no election.
    pub async fn stop(mut self) {
        self.hand_over().await;
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
        if let Err(error) = tokio::task::spawn_blocking(move || drop((raft, log))).await {
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
