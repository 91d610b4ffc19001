//! Whether this member may serve clients: has it heard from a leader, or from its quorum, lately?

use super::limits::{SERVING_GRACE, SERVING_INTERVAL};
use super::machine::Machine;
use super::types::Types;
use crate::telemetry::Metrics;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, Raft};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// When a leader was last heard.
pub(super) struct Contact {
    heard: Mutex<Option<Instant>>,
    serving: watch::Sender<bool>,
}

impl Contact {
    /// Nobody was heard yet.
    pub(super) fn new() -> Arc<Contact> {
        Arc::new(Contact {
            heard: Mutex::new(None),
            serving: watch::Sender::new(false),
        })
    }

    /// A leader's append request or heartbeat has arrived.
    pub(super) fn heard(&self) {
        *self.heard.lock() = Some(Instant::now());
    }

    /// Whether clients can be served.
    pub(super) fn serving(&self) -> watch::Receiver<bool> {
        self.serving.subscribe()
    }

    /// Keeps [`Contact::serving`] true to the facts, until dropped.
    pub(super) async fn watch(self: Arc<Self>, raft: Raft<Types, Machine>, metrics: Arc<Metrics>) {
        loop {
            let serving = self
                .age_of_word(&raft)
                .is_some_and(|age| age < SERVING_GRACE);
            metrics.coordination.serving.set(i64::from(serving));
            self.serving.send_if_modified(|now| {
                if *now != serving {
                    tracing::info!(
                        serving,
                        "ZooKeeper clients are {}served",
                        if serving { "" } else { "not " }
                    );
                }
                std::mem::replace(now, serving) != serving
            });
            tokio::time::sleep(SERVING_INTERVAL).await;
        }
    }

    /// How long ago a follower last heard its leader, or a leader its quorum; `None` without a leader.
    fn age_of_word(&self, raft: &Raft<Types, Machine>) -> Option<Duration> {
        let metrics = raft.metrics();
        let now = metrics.borrow_watched();
        let me = now.current_leader? == now.id;
        if !me {
            return self.heard.lock().map(|at| at.elapsed());
        }
        if now.membership_config.membership().voter_ids().count() == 1 {
            return Some(Duration::ZERO);
        }
        now.last_quorum_acked.as_ref().map(|at| at.elapsed())
    }
}
