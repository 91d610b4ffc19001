//! The leader has another voter lead.

use super::{Altered, ReconfigError};
use crate::ensemble::handle::Ensemble;
use crate::ensemble::limits::{SYNCED_LAG, TRANSFER_TIMEOUT};
use openraft::RaftMetrics;
use openraft::async_runtime::WatchReceiver;
use std::collections::BTreeSet;

/// Has `to` lead, or whoever is the best of the voters.
///
/// # Errors
/// [`ReconfigError`]; this member leads on then, or the outcome is unknown.
pub(super) async fn transfer(
    ensemble: &Ensemble,
    to: Option<u64>,
) -> Result<Altered, ReconfigError> {
    let voters: BTreeSet<u64> = {
        let facts = ensemble.inner().raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        if let Some(to) = to
            && membership.get_node(&to).is_none()
        {
            return Err(ReconfigError::Unknown(to));
        }
        membership.voter_ids().collect()
    };
    let zxid = ensemble.read(|tree| tree.last_zxid());
    let leader = match to {
        Some(to) if to == ensemble.member() => to,
        Some(to) if !voters.contains(&to) => {
            let why = format!("member {to} has no vote, so it cannot lead");
            return Err(ReconfigError::BadArguments(why));
        }
        Some(to) => hand_over(ensemble, &BTreeSet::from([to])).await?,
        None => hand_over(ensemble, &voters).await?,
    };
    Ok(Altered {
        zxid,
        member: Some(leader),
    })
}

/// Has the best of `among` lead: the one that has most of the log and answers. Returns which one leads then.
///
/// # Errors
/// [`ReconfigError::NoSuccessor`] if there is none; [`ReconfigError::OutcomeUnknown`] if it did not take over in time.
pub(super) async fn hand_over(
    ensemble: &Ensemble,
    among: &BTreeSet<u64>,
) -> Result<u64, ReconfigError> {
    let raft = &ensemble.inner().raft;
    let me = ensemble.member();
    let successor = {
        let facts = raft.metrics();
        let facts = facts.borrow_watched();
        let least = facts.last_log_index.unwrap_or(0).saturating_sub(SYNCED_LAG);
        let matched = facts.replication.iter().flatten();
        let matched = matched.filter_map(|(id, at)| Some((at.as_ref()?.index(), *id)));
        let able = matched.filter(|(at, id)| *id != me && among.contains(id) && *at >= least);
        let able: Vec<(u64, u64)> = able.collect();
        drop(facts);
        let there = able.into_iter().filter(|(_, id)| ensemble.is_in_reach(*id));
        there.max().map(|(_, id)| id)
    };
    let successor = successor.ok_or(ReconfigError::NoSuccessor)?;
    let transfer = raft.trigger().transfer_leader(successor).await;
    transfer.map_err(|_| ReconfigError::NoLeader)?;
    let other = |facts: &RaftMetrics<_>| facts.current_leader.is_some_and(|leader| leader != me);
    let waiting = raft.wait(Some(TRANSFER_TIMEOUT));
    let waited = waiting.metrics(other, "another member leads").await;
    let leader = waited.ok().and_then(|facts| facts.current_leader);
    tracing::info!(successor, ?leader, "handed the leadership over");
    leader.ok_or(ReconfigError::OutcomeUnknown)
}
