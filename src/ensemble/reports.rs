//! Telling the leader of signs of life, and knowing that it was told.
//!
//! A member reports when its clients give signs of life, and now and then that they give none. What was answered to clients
//! and not reported is lost with the member, so it answers nobody any more once no leader has taken its reports for a
//! while ([`Contact::reported`]): the leader may then count on when the last answer was given, at the latest.

use super::barrier::leader_address;
use super::contact::Contact;
use super::duties::Duties;
use super::limits::{ASK_TIMEOUT, REPORT_INTERVAL, TOUCH_INTERVAL, TOUCH_RETRY};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me, Touch};
use super::sessions::Sessions;
use super::types::Types;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// The task that reports.
pub(super) struct Reporter {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// What there is to report.
    pub(super) sessions: Arc<Sessions>,
    /// Who must know when a report was taken.
    pub(super) contact: Arc<Contact>,
    /// The leader's part, when this member leads.
    pub(super) duties: Arc<Duties>,
}

impl Reporter {
    /// Runs until Raft stops.
    pub(super) async fn run(self) {
        let mut link = None;
        loop {
            // Also when it is not known yet where that is.
            let followed = self.raft.server_metrics().borrow_watched().current_leader;
            let leader = leader_address(&self.raft);
            let begun = Instant::now();
            let report = self.sessions.report();
            let taken = tokio::select! {
                taken = self.tell(leader.as_ref(), report, &mut link) => taken,
                // Who leads no more may never answer.
                () = self.other_leader(followed) => false,
            };
            self.sessions.reported(taken);
            let pause = match taken {
                true => {
                    self.contact.reported(begun);
                    TOUCH_INTERVAL
                }
                false => TOUCH_RETRY,
            };
            let rest = async {
                tokio::time::sleep(pause).await;
                let next = REPORT_INTERVAL.saturating_sub(pause);
                if taken {
                    let _ = timeout(next, self.sessions.touched()).await;
                }
            };
            tokio::select! {
                () = rest => {}
                () = self.other_leader(followed) => {}
            }
        }
    }

    /// Whether the leader has taken all of a report.
    async fn tell(
        &self,
        leader: Option<&(u64, String)>,
        report: Vec<Vec<Touch>>,
        link: &mut Option<(u64, Link)>,
    ) -> bool {
        let Some((leader, address)) = leader else {
            return false;
        };
        if *leader == self.me.member {
            return self.duties.touch(*leader, &report.concat());
        }
        if link.as_ref().is_none_or(|(to, _)| to != leader) {
            *link = Some((*leader, Link::new(&self.me, Some(*leader), address)));
        }
        let Some((_, link)) = link else { return false };
        for touches in report {
            let answer = link.ask(&Ask::Touch(touches), ASK_TIMEOUT).await;
            if !matches!(answer, Ok(Answer::Done)) {
                return false;
            }
        }
        true
    }

    /// Resolves when this member follows somebody else than `leader`.
    async fn other_leader(&self, leader: Option<u64>) {
        let mut facts = self.raft.server_metrics();
        while facts.borrow_and_update().current_leader == leader {
            if facts.changed().await.is_err() {
                // Raft has stopped, and this task is about to.
                std::future::pending::<()>().await;
            }
        }
    }
}
