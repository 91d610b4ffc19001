//! The tasks that keep sessions and znodes that end by time: report signs of life to the leader, expire and
//! reap on the leader, and notice who the leader is.

use super::barrier::leader_address;
use super::clock::wall_clock_ms;
use super::handle::{Applied, Ensemble, Role};
use super::limits::{
    ASK_TIMEOUT, EXPIRY_RETRY, PAUSE, REAP_BATCH, REAP_PAUSE, TOUCH_INTERVAL, TOUCH_RETRY,
};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::sessions::Sessions;
use super::types::Types;
use crate::telemetry::Metrics;
use crate::tree::{Actor, Command};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Reports this member's signs of life to the leader, for ever.
pub(super) async fn report(me: Me, raft: Raft<Types, Machine>, sessions: Arc<Sessions>) {
    let mut link: Option<(u64, Link)> = None;
    loop {
        sessions.touched().await;
        let mut pause = TOUCH_INTERVAL;
        for touches in sessions.report() {
            let taken_at = Instant::now();
            let taken = match leader_address(&raft) {
                None => false,
                Some((leader, _)) if leader == me.member => sessions.note(&touches),
                Some((leader, address)) => {
                    if link.as_ref().is_none_or(|(to, _)| *to != leader) {
                        link = Some((leader, Link::new(&me, Some(leader), &address)));
                    }
                    let (_, link) = link.as_mut().expect("set above");
                    matches!(
                        link.ask(&Ask::Touch(touches.clone()), ASK_TIMEOUT).await,
                        Ok(Answer::Done)
                    )
                }
            };
            if !taken {
                sessions.unreported(&touches, taken_at);
                pause = TOUCH_RETRY;
            }
        }
        sleep(pause).await;
    }
}

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
            ensemble.read(|tree| sessions.lead(tree));
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

/// Proposes the end of sessions whose time is up, for ever. Idle on followers.
pub(super) async fn expire(ensemble: Ensemble, sessions: Arc<Sessions>, metrics: Arc<Metrics>) {
    loop {
        let slept = sessions.until_due().await;
        failpoint!("expiry");
        if slept > PAUSE {
            tracing::warn!(
                ?slept,
                "this process was paused; session deadlines are moved by as much"
            );
            sessions.extend(slept);
        }
        let mut closing = Vec::new();
        for overdue in sessions.overdue() {
            let (session, attachment) = (overdue.session, Some(overdue.attachment));
            tracing::info!(%session, "session gave no sign of life within its timeout");
            match ensemble
                .propose(
                    Actor::Ensemble,
                    Command::CloseSession {
                        session,
                        attachment,
                    },
                )
                .await
            {
                Ok(pending) => closing.push(pending),
                Err(_) => break,
            }
        }
        // Whatever is not applied by then becomes overdue again and is proposed anew.
        let deadline = Instant::now() + EXPIRY_RETRY;
        for pending in closing {
            if let Ok(Ok(Applied { result: Ok(_), .. })) = timeout_at(deadline, pending).await {
                metrics.coordination.sessions_expired.inc();
            }
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
