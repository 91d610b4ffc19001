//! `sync`: wait until this member has applied everything committed before the call.
//!
//! One task asks the leader for a read index on behalf of everybody who waits; while a round is under way,
//! later callers gather for the next, so the cost per `sync` falls with load. A caller is only ever answered by a
//! round that began after it called.

use super::duties::Duties;
use super::handle::ProposeError;
use super::limits::{ASK_TIMEOUT, BARRIER_BATCH};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::types::Types;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Someone who waits; gets the index to wait for.
pub(super) type Waiting = oneshot::Sender<Result<u64, ProposeError>>;

/// The task behind [`super::Ensemble::barrier`].
pub(super) struct Barriers {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// The leader's part, when this member leads.
    pub(super) duties: Arc<Duties>,
    /// Who waits.
    pub(super) queue: mpsc::Receiver<Waiting>,
}

impl Barriers {
    /// Runs until the queue closes.
    pub(super) async fn run(mut self) {
        let mut link = None;
        let mut waiting = Vec::new();
        while self.queue.recv_many(&mut waiting, BARRIER_BATCH).await > 0 {
            let index = self.round(&mut link).await;
            for one in waiting.drain(..) {
                // A client that has gone does not want its answer any more.
                let _ = one.send(index);
            }
        }
    }

    async fn round(&self, link: &mut Option<(u64, Link)>) -> Result<u64, ProposeError> {
        let (leader, address) = leader_address(&self.raft).ok_or(ProposeError::NoLeader)?;
        if leader == self.me.member {
            let index = timeout(ASK_TIMEOUT, self.duties.read_index()).await;
            return index.ok().flatten().ok_or(ProposeError::NoLeader);
        }
        if link.as_ref().is_none_or(|(to, _)| *to != leader) {
            *link = Some((leader, Link::new(&self.me, Some(leader), &address)));
        }
        let (_, link) = link.as_mut().expect("set above");
        match link.ask(&Ask::ReadIndex, ASK_TIMEOUT).await {
            Ok(Answer::ReadIndex(index)) => Ok(index),
            Ok(_) | Err(_) => Err(ProposeError::NoLeader),
        }
    }
}

/// Number and address of the leader this member follows.
pub(super) fn leader_address(raft: &Raft<Types, Machine>) -> Option<(u64, String)> {
    let facts = raft.server_metrics();
    let facts = facts.borrow_watched();
    let leader = facts.current_leader?;
    Some((
        leader,
        facts
            .membership_config
            .membership()
            .get_node(&leader)?
            .address
            .clone(),
    ))
}

/// Waits until `applied` reaches `index`.
pub(super) async fn reached(
    mut applied: watch::Receiver<u64>,
    index: u64,
) -> Result<(), ProposeError> {
    applied
        .wait_for(|now| *now >= index)
        .await
        .map(|_| ())
        .map_err(|_| ProposeError::Stopping)
}
