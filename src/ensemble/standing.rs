//! A member that hears no leader, or that leads and hears no quorum, asks the others whether it is wanted.
//!
//! The others do not talk to a member that was removed, or whose disk is an older copy, so it would wait for ever. A leader
//! that was cut off while it was removed would even take itself for the leader: whoever leads now does not dial it. What
//! a member is told is written down first: started again, it need not ask anybody.

use super::census::{Dismissal, objection};
use super::contact::Contact;
use super::handle::Ensemble;
use super::limits::{OBJECTION_PATIENCE, STANDING_INTERVAL};
use super::machine::Machine;
use super::papers::{Number, Papers};
use super::peer::Me;
use super::types::{Member, Types};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::sleep;

/// Watches whether this member may take part.
pub(super) struct Standing {
    papers: Papers,
    me: Me,
    raft: Raft<Types, Machine>,
    contact: Arc<Contact>,
    dismissal: watch::Sender<Option<Dismissal>>,
}

impl Standing {
    /// The watch of member `me`, and where it tells what it finds.
    pub(super) fn of(
        papers: Papers,
        me: Me,
        raft: Raft<Types, Machine>,
        ensemble: &Ensemble,
    ) -> (Standing, watch::Receiver<Option<Dismissal>>) {
        let (dismissal, found) = watch::channel(None);
        let standing = Standing {
            papers,
            me,
            raft,
            contact: ensemble.inner().contact.clone(),
            dismissal,
        };
        (standing, found)
    }

    /// Runs until Raft stops.
    pub(super) async fn watch(mut self) {
        loop {
            sleep(STANDING_INTERVAL).await;
            let Some((last, others)) = self.lonely().await else {
                continue;
            };
            let found = objection(&self.me, last, &others, OBJECTION_PATIENCE).await;
            let Some(dismissal) = found else { continue };
            let now = self.last_log().await;
            if !now.is_some_and(|now| still_counts(dismissal, last, now)) {
                continue;
            }
            let Me {
                ensemble, member, ..
            } = self.me;
            let number = Number { ensemble, member };
            if let Err(error) = self.papers.dismiss(number, dismissal) {
                tracing::error!(%error, "cannot write down that this member is not wanted");
            }
            tracing::error!(?dismissal, "the other members do not talk to this one");
            self.dismissal.send_replace(Some(dismissal));
            return std::future::pending().await;
        }
    }

    /// The end of the log and the other members, if this one has not heard a leader lately or, leading, its quorum.
    async fn lonely(&self) -> Option<(Option<u64>, BTreeMap<u64, Member>)> {
        let age = self.contact.age_of_word(&self.raft);
        if age.is_some_and(|age| age < STANDING_INTERVAL) {
            return None;
        }
        let last = self.last_log().await?;
        let facts = self.raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        let nodes = membership.nodes();
        Some((last, nodes.map(|(id, m)| (*id, m.clone())).collect()))
    }
    /// The end of the log, as far as entries were taken; `None` when Raft has stopped.
    async fn last_log(&self) -> Option<Option<u64>> {
        let last = self
            .raft
            .with_raft_state(|state| state.log_ids.last().copied());
        Some(last.await.ok()?.map(|id| id.index()))
    }
}

/// Whether an objection counts that was made when the log was said to end at `asked`, and that ends at `now`.
///
/// Between question and answer a leader may have been found, and entries acknowledged to it that the question knew
/// nothing of: then the log looks like an older copy, and is none. If it is one, it does not grow, and the next
/// question is answered alike.
fn still_counts(dismissal: Dismissal, asked: Option<u64>, now: Option<u64>) -> bool {
    match dismissal {
        Dismissal::Removed => true,
        Dismissal::Outdated => asked == now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_has_grown_since_it_was_told_of_is_no_older_copy() {
        assert!(!still_counts(Dismissal::Outdated, Some(7), Some(8)));
        assert!(!still_counts(Dismissal::Outdated, None, Some(1)));
        assert!(still_counts(Dismissal::Outdated, Some(7), Some(7)));
        assert!(still_counts(Dismissal::Outdated, None, None));
        assert!(still_counts(Dismissal::Removed, Some(7), Some(8)));
    }
}
