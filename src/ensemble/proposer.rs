//! From this member's clients to the leader: one queue, one task, in order.
//!
//! ```text
//!   propose() -> queue -> this task -+-> leader here:  openraft, a batch at a time
//!                                    +-> elsewhere:    one forward connection
//!                                 the way breaks -> every ticket out there is void
//! ```
//! A *route* is a leader in a term. While it stands, proposals of a session reach the log in the order in
//! which they were queued. When it ends, in whatever way, nobody can tell which of the proposals under way
//! made it, so their owners are told just that; queued ones wait for the next route. Nothing is sent twice.

use super::duties::{Duties, Proposed, UnderWay};
use super::limits::{BACKOFF_MIN, BATCH_BYTES, BATCH_PROPOSALS};
use super::machine::Machine;
use super::peer::{ForwardLink, Me};
use super::state::Shared;
use super::tickets::Waiter;
use super::types::{Proposal, Types};
use crate::tree::{Actor, Command, Transaction};
use openraft::Raft;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A proposal that waits for its turn.
pub(super) struct Queued {
    /// On whose behalf.
    pub(super) actor: Actor,
    /// What to do.
    pub(super) command: Command,
    /// The term in which alone it may be proposed, by this member as the leader.
    pub(super) as_leader_in: Option<u64>,
    /// Bytes it brings along, for the bound on batches.
    pub(super) bytes: usize,
    /// Who waits.
    pub(super) waiter: Waiter,
}

/// The task behind the queue.
pub(super) struct Proposer {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// Where tickets are issued.
    pub(super) shared: Arc<Shared>,
    /// The leader's part, when this member leads.
    pub(super) duties: Arc<Duties>,
    /// What clients queued.
    pub(super) queue: mpsc::Receiver<Queued>,
}

impl Drop for Proposer {
    /// However it ends: nobody hands on what became of the proposals under way.
    fn drop(&mut self) {
        self.shared.tickets.void_all();
    }
}

/// Where proposals go for the time being.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    term: u64,
    leader: u64,
    address: String,
}

impl Proposer {
    /// Runs until the queue closes.
    pub(super) async fn run(mut self) {
        let mut facts = self.raft.server_metrics();
        while let Some(route) = next_route(&mut facts).await {
            let open = if route.leader == self.me.member {
                self.lead(&route, &mut facts).await
            } else {
                self.forward(&route, &mut facts).await
            };
            self.shared.tickets.void_all();
            if !open {
                return;
            }
        }
    }

    /// Proposes to Raft in this process while this member leads. False when the queue has closed.
    async fn lead(
        &mut self,
        route: &Route,
        facts: &mut WatchReceiverOf<Types, RaftServerMetrics<Types>>,
    ) -> bool {
        let mut under_way = UnderWay::default();
        loop {
            tokio::select! {
                biased;
                () = route_ends(route, facts) => return true,
                () = under_way.refused() => {
                    // Refused although the route stands: the quorum lease is out. Do not spin on it.
                    tokio::time::sleep(BACKOFF_MIN).await;
                    return true;
                }
                first = self.queue.recv() => {
                    let Some(first) = first else { return false };
                    let batch = self.batch(first, route);
                    failpoint!("proposer");
                    match self.duties.propose(batch).await {
                        Some(Proposed { batch, refused }) => {
                            under_way.push(batch);
                            refused.iter().for_each(|origin| self.shared.refuse(origin));
                        }
                        None => return false,
                    }
                }
            }
        }
    }

    /// Forwards to the leader while it is one and the connection holds. False when the queue has closed.
    async fn forward(
        &mut self,
        route: &Route,
        facts: &mut WatchReceiverOf<Types, RaftServerMetrics<Types>>,
    ) -> bool {
        let dialled = tokio::select! {
            () = route_ends(route, facts) => return true,
            dialled = ForwardLink::dial(&route.address, &self.me, route.leader) => dialled,
        };
        let mut link = match dialled {
            Ok(link) => link,
            Err(error) => {
                tracing::debug!(leader = route.leader, %error, "cannot forward to the leader yet");
                pause(route, facts).await;
                return true;
            }
        };
        loop {
            tokio::select! {
                biased;
                () = route_ends(route, facts) => return true,
                news = link.news() => {
                    let error = match news {
                        Ok(refused) => {
                            refused.iter().for_each(|origin| self.shared.refuse(origin));
                            continue;
                        }
                        Err(error) => error,
                    };
                    tracing::debug!(leader = route.leader, %error, "forwarding ended");
                    pause(route, facts).await;
                    return true;
                }
                first = self.queue.recv() => {
                    let Some(first) = first else { return false };
                    let batch = self.batch(first, route);
                    if link.send(batch).await.is_err() {
                        return true;
                    }
                }
            }
        }
    }

    /// Everything queued behind `first`, up to the bounds of a batch. Those who do not wait any more are
    /// left out: their connection is gone and their write was never sent. So is what a leader decided that leads no more.
    fn batch(&mut self, first: Queued, route: &Route) -> Vec<Proposal> {
        let mut bytes = 0;
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(queued) = next {
            bytes += queued.bytes;
            let is_stale = queued
                .as_leader_in
                .is_some_and(|term| route.leader != self.me.member || route.term != term);
            if !is_stale && !queued.waiter.tx.is_closed() {
                let origin = self.shared.tickets.issue(queued.waiter);
                let transaction = Transaction {
                    time_ms: 0,
                    actor: queued.actor,
                    command: queued.command,
                };
                batch.push(Proposal {
                    origin,
                    transaction,
                });
            }
            let full = batch.len() == BATCH_PROPOSALS || bytes >= BATCH_BYTES;
            next = if full {
                None
            } else {
                self.queue.try_recv().ok()
            };
        }
        batch
    }
}

/// Waits for a leader. `None` when Raft has stopped.
async fn next_route(facts: &mut WatchReceiverOf<Types, RaftServerMetrics<Types>>) -> Option<Route> {
    loop {
        let route = current_route(&facts.borrow_and_update());
        match route {
            Some(route) => return Some(route),
            None => facts.changed().await.ok()?,
        }
    }
}

/// Resolves when `route` is not the way to the leader any more.
async fn route_ends(route: &Route, facts: &mut WatchReceiverOf<Types, RaftServerMetrics<Types>>) {
    while current_route(&facts.borrow_and_update()).as_ref() == Some(route) {
        if facts.changed().await.is_err() {
            return;
        }
    }
}

/// Waits a little before a way that has just failed is tried again; not at all once there is another.
async fn pause(route: &Route, facts: &mut WatchReceiverOf<Types, RaftServerMetrics<Types>>) {
    let _ = timeout(BACKOFF_MIN, route_ends(route, facts)).await;
}

fn current_route(facts: &RaftServerMetrics<Types>) -> Option<Route> {
    let leader = facts.current_leader?;
    let address = facts
        .membership_config
        .membership()
        .get_node(&leader)?
        .address
        .clone();
    Some(Route {
        term: facts.vote.leader_id.term,
        leader,
        address,
    })
}
