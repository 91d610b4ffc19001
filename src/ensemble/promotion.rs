//! The leader gives a member that was admitted its vote, once it has nearly all of the log. Before that it finishes what
//! a lost leader has begun.
//!
//! That a member wants its vote is kept in the tree, so it is not lost with a leader. The member whose place it takes
//! leaves in the same change.

use super::handle::Ensemble;
use super::limits::{PROMOTION_INTERVAL, PROMOTION_REST, SYNCED_LAG};
use super::reconfig::{Alteration, change, finish};
use crate::tree::Stage;
use openraft::async_runtime::WatchReceiver;
use tokio::time::{sleep, timeout};

/// Runs as long as the member; does something while it leads.
pub(super) async fn promote(ensemble: Ensemble) {
    let mut facts = ensemble.inner().raft.server_metrics();
    let mut told = None;
    loop {
        // Seen now, so that only a later change ends the rest.
        facts.borrow_and_update();
        if leads(&ensemble)
            && let Err(error) = finish(&ensemble).await
        {
            tracing::info!(%error, "a change of the members is not finished by this one");
        }
        let Some(number) = candidate(&ensemble) else {
            if let Ok(Err(_)) = timeout(PROMOTION_REST, facts.changed()).await {
                return;
            }
            continue;
        };
        if is_caught_up(&ensemble, number) {
            match change(&ensemble, &Alteration::Promote(number)).await {
                Ok(_) => tracing::info!(number, "a member has its vote"),
                Err(error) => {
                    let why = error.to_string();
                    if told.as_ref() != Some(&(number, why.clone())) {
                        tracing::warn!(number, %error, "a member cannot have its vote yet");
                        told = Some((number, why));
                    }
                    sleep(PROMOTION_REST).await;
                }
            }
        }
        sleep(PROMOTION_INTERVAL).await;
    }
}

fn leads(ensemble: &Ensemble) -> bool {
    let facts = ensemble.inner().raft.server_metrics();
    facts.borrow_watched().current_leader == Some(ensemble.member())
}

/// A member that is to vote and does not, if this one leads: the first that is within reach.
fn candidate(ensemble: &Ensemble) -> Option<u64> {
    if !leads(ensemble) {
        return None;
    }
    let waiting: Vec<u64> = ensemble.read(|tree| {
        let numbers = tree.numbers().iter();
        let waiting = numbers.filter(|(_, r)| r.wants_vote && r.stage == Stage::Member);
        waiting.map(|(number, _)| *number).collect()
    });
    waiting.into_iter().find(|id| ensemble.is_in_reach(*id))
}

fn is_caught_up(ensemble: &Ensemble, number: u64) -> bool {
    let facts = ensemble.inner().raft.metrics();
    let facts = facts.borrow_watched();
    let goal = facts.last_log_index.unwrap_or(0).saturating_sub(SYNCED_LAG);
    let replication = facts.replication.as_ref();
    let matched = replication.and_then(|r| r.get(&number).cloned().flatten());
    matched.is_some_and(|log_id| log_id.index() >= goal)
}
