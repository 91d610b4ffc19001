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
        let last = self
            .raft
            .with_raft_state(|state| state.log_ids.last().copied());
        let last = last.await.ok()?.map(|id| id.index());
        let facts = self.raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        let nodes = membership.nodes();
        Some((last, nodes.map(|(id, m)| (*id, m.clone())).collect()))
    }
}
