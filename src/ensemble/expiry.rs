//! Ending sessions whose time is up. Idle on followers.
//!
//! Before the leader proposes a session's end, it asks the member that holds it: it may have answered the client and not
//! reported yet. A member that gives no answer is waited for until its last answer to the client must be a timeout
//! ago ([`super::deadlines`]).

use super::deadlines::{Doubt, Overdue};
use super::handle::{Applied, Ensemble, Pending};
use super::limits::{EXPIRY_ASK, EXPIRY_RETRY, PAUSE};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::sessions::Sessions;
use super::types::Types;
use crate::telemetry::Metrics;
use crate::tree::{Command, SessionId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// The task that ends sessions.
pub(super) struct Expiry {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// Where ends are proposed.
    pub(super) ensemble: Ensemble,
    /// When who is due.
    pub(super) sessions: Arc<Sessions>,
    /// Counts them.
    pub(super) metrics: Arc<Metrics>,
}

impl Expiry {
    /// Runs for ever.
    pub(super) async fn run(self) {
        let mut links = BTreeMap::new();
        loop {
            let slept = self.sessions.until_due().await;
            failpoint!("expiry");
            if slept > PAUSE {
                tracing::warn!(
                    ?slept,
                    "this process was paused; session deadlines are moved by as much"
                );
                self.sessions.extend(slept);
            }
            let closing = self.round(&mut links).await;
            // Whatever is not applied by then becomes overdue again and is proposed anew.
            let deadline = Instant::now() + EXPIRY_RETRY;
            for pending in closing {
                if let Ok(Ok(Applied { result: Ok(_), .. })) = timeout_at(deadline, pending).await {
                    self.metrics.coordination.sessions_expired.inc();
                }
            }
        }
    }

    /// Proposes the end of those that are overdue and whose members know nothing better.
    async fn round(&self, links: &mut BTreeMap<u64, Link>) -> Vec<Pending> {
        let (term, overdue) = self.sessions.overdue();
        let (mut over, mut silent) = (Vec::new(), Vec::new());
        let mut doubted: BTreeMap<u64, Vec<Overdue>> = BTreeMap::new();
        for (overdue, doubt) in overdue {
            match doubt {
                _ if overdue.member == self.me.member => {
                    doubted.entry(overdue.member).or_default().push(overdue);
                }
                Doubt::None => over.push(overdue),
                Doubt::AskItsMember => doubted.entry(overdue.member).or_default().push(overdue),
                Doubt::MemberIsSilent => silent.push(overdue),
            }
        }
        self.sessions.postpone(&silent);
        // Only to put their next turn right.
        self.sessions.over(silent);
        let mut closing = Vec::new();
        self.end(term, over, &mut closing).await;
        let mut asked: FuturesUnordered<_> = doubted
            .into_iter()
            .map(|(member, overdue)| {
                let link = links.remove(&member).or_else(|| self.link(member));
                self.ask(member, overdue, link)
            })
            .collect();
        while let Some((member, overdue, link)) = asked.next().await {
            links.extend(link.map(|link| (member, link)));
            self.end(term, overdue, &mut closing).await;
        }
        closing
    }

    /// Asks a member for signs of life of its sessions, and takes note of what it says, or that it says nothing.
    async fn ask(
        &self,
        member: u64,
        overdue: Vec<Overdue>,
        mut link: Option<Link>,
    ) -> (u64, Vec<Overdue>, Option<Link>) {
        let sessions: Vec<SessionId> = overdue.iter().map(|it| it.session).collect();
        let answer = match &mut link {
            _ if member == self.me.member => Some(self.sessions.signs(&sessions)),
            Some(link) => match link.ask(&Ask::Signs(sessions), EXPIRY_ASK).await {
                Ok(Answer::Signs(signs)) => Some(signs),
                Ok(_) | Err(_) => None,
            },
            None => None,
        };
        match answer {
            Some(signs) => {
                self.sessions.note(member, &signs);
            }
            None => self.sessions.postpone(&overdue),
        }
        (member, overdue, link)
    }

    async fn end(&self, term: u64, overdue: Vec<Overdue>, closing: &mut Vec<Pending>) {
        for overdue in self.sessions.over(overdue) {
            let (session, attachment) = (overdue.session, Some(overdue.attachment));
            tracing::info!(%session, "session gave no sign of life within its timeout");
            let close = Command::CloseSession {
                session,
                attachment,
            };
            match self.ensemble.propose_as_leader(term, close).await {
                Ok(pending) => closing.push(pending),
                Err(_) => return,
            }
        }
    }

    /// The way to a member; none to one that was removed.
    fn link(&self, member: u64) -> Option<Link> {
        let facts = self.raft.server_metrics();
        let facts = facts.borrow_watched();
        let node = facts.membership_config.membership().get_node(&member)?;
        (member != self.me.member).then(|| Link::new(&self.me, Some(member), &node.address))
    }
}
