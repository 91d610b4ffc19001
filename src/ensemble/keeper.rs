//! The tasks that keep what ends by time: notice who the leader is, and reap znodes on the leader.

use super::clock::wall_clock_ms;
use super::handle::{Applied, Ensemble, Role};
use super::limits::{REAP_BATCH, REAP_PAUSE};
use super::machine::Machine;
use super::sessions::Sessions;
use super::types::Types;
use crate::telemetry::Metrics;
use crate::tree::{Actor, Command};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Starts and stops the timers as this member gains and loses the leadership, for ever.
pub(super) async fn follow_leadership(
    ensemble: Ensemble,
    raft: Raft<Types, Machine>,
    sessions: Arc<Sessions>,
) {
    let mut facts = raft.server_metrics();
    let mut led_term = None;
    loop {
        let (leads, term, leader) = {
            let now = facts.borrow_and_update();
            (
                now.current_leader == Some(now.id),
                now.vote.leader_id.term,
                now.current_leader,
            )
        };
        if leads && led_term != Some(term) {
            tracing::info!(term, "this member leads");
            ensemble.read(|tree| sessions.lead(term, tree));
            led_term = Some(term);
        } else if !leads {
            if led_term.take().is_some() {
                tracing::info!(term, "this member leads no more");
                sessions.follow();
            }
            tracing::debug!(term, ?leader, "leader");
        }
        if facts.changed().await.is_err() {
            return;
        }
    }
}

/// Proposes the end of containers and TTL znodes whose time is up, for ever. Idle on followers.
pub(super) async fn reap(ensemble: Ensemble, every: Duration, metrics: Arc<Metrics>) {
    loop {
        sleep(every).await;
        if ensemble.status().role != Role::Leader {
            continue;
        }
        let paths = ensemble.read(|tree| tree.reapable(wall_clock_ms()));
        for (turn, paths) in paths.chunks(REAP_BATCH).enumerate() {
            if turn > 0 {
                sleep(REAP_PAUSE).await;
            }
            let mut reaping = Vec::new();
            for path in paths {
                let command = Command::Reap { path: path.clone() };
                match ensemble.propose(Actor::Ensemble, command).await {
                    Ok(pending) => reaping.push(pending),
                    Err(_) => break,
                }
            }
            for pending in reaping {
                // One that came to use again since is refused, and one whose outcome is unknown is found again.
                if let Ok(Applied { result: Ok(_), .. }) = pending.await {
                    metrics.coordination.znodes_reaped.inc();
                }
            }
            if ensemble.status().role != Role::Leader {
                break;
            }
        }
    }
}
