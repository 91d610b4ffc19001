//! The tasks that keep sessions: report signs of life to the leader, expire on the leader, and notice who
//! the leader is.

use super::barrier::leader_address;
use super::handle::{Applied, Ensemble};
use super::limits::{
    ASK_TIMEOUT, BOOTSTRAP_TURN, EXPIRY_INTERVAL, EXPIRY_RETRY, JOIN_RETRY, JOIN_TIMEOUT, PAUSE,
    TOUCH_INTERVAL,
};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::roster::Roster;
use super::sessions::Sessions;
use super::types::Types;
use crate::telemetry::Metrics;
use crate::tree::{Actor, Command};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

/// Reports this member's signs of life to the leader, for ever.
pub(super) async fn report(me: Me, raft: Raft<Types, Machine>, sessions: Arc<Sessions>) {
    let mut ticks = interval(TOUCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut link: Option<(u64, Link)> = None;
    loop {
        ticks.tick().await;
        let touches = sessions.report();
        if touches.is_empty() {
            continue;
        }
        let taken_at = Instant::now();
        let taken = match leader_address(&raft) {
            None => false,
            Some((leader, _)) if leader == me.member => sessions.note(&touches),
            Some((leader, address)) => {
                if link.as_ref().is_none_or(|(to, _)| *to != leader) {
                    link = Some((leader, Link::new(me, Some(leader), &address)));
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
        }
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
    let mut before = Instant::now();
    loop {
        sleep(EXPIRY_INTERVAL).await;
        let slept = before.elapsed();
        if slept > EXPIRY_INTERVAL + PAUSE {
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
        before = Instant::now();
    }
}

/// Founds the ensemble if nobody else does, then idles.
///
/// Every voter may found it: they all write the same first membership. But one that does it late asks for votes
/// and unseats a leader that the others have elected meanwhile. So each waits in turn for the ones before it.
pub(super) async fn bootstrap(me: Me, roster: Roster, raft: Raft<Types, Machine>) {
    let turn = roster
        .voters
        .keys()
        .position(|id| *id == me.member)
        .unwrap_or_default();
    let patience = BOOTSTRAP_TURN * u32::try_from(turn).unwrap_or(u32::MAX);
    let mut facts = raft.server_metrics();
    let founded = async {
        while facts
            .borrow_and_update()
            .membership_config
            .membership()
            .nodes()
            .next()
            .is_none()
        {
            if facts.changed().await.is_err() {
                return;
            }
        }
    };
    if timeout(patience, founded).await.is_err()
        && let Err(error) = raft.initialize(roster.voters).await
    {
        // Somebody else was first, which is as good.
        tracing::debug!(%error, "did not found the ensemble");
    }
    std::future::pending().await
}

/// Has this observer added to the ensemble, and its address corrected there should it change, for ever.
pub(super) async fn join(me: Me, roster: Roster, raft: Raft<Types, Machine>) {
    let Some(observer) = roster.observer else {
        return;
    };
    let mut facts = raft.server_metrics();
    loop {
        let known = facts
            .borrow_and_update()
            .membership_config
            .membership()
            .get_node(&me.member)
            .cloned();
        if known.as_ref() == Some(&observer) {
            if facts.changed().await.is_err() {
                return;
            }
            continue;
        }
        for voter in roster.voters.values() {
            // Any voter may be asked; only the leader says yes.
            let mut link = Link::new(me, None, &voter.address);
            match link
                .ask(&Ask::Join(me.member, observer.clone()), JOIN_TIMEOUT)
                .await
            {
                Ok(Answer::Done) => tracing::info!(voter = %voter, "joined as an observer"),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "cannot ask to join"),
            }
        }
        sleep(JOIN_RETRY).await;
    }
}
