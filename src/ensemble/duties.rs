//! What only the leader does, for its own clients and for its peers alike.

use super::clock::wall_clock_ms;
use super::handle::{Inner, bytes_of};
use super::limits::SERVING_GRACE;
use super::machine::Machine;
use super::peer::Touch;
use super::sessions::Sessions;
use super::space::Space;
use super::state::Shared;
use super::types::{Member, Origin, Proposal, Types};
use crate::tree::{Actor, Command, ErrorCode, Op};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt};
use openraft::alias::VoteOf;
use openraft::async_runtime::WatchReceiver;
use openraft::base::BoxFuture;
use openraft::{ChangeMembers, Instant as _, Raft, RaftMetrics, ReadPolicy};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The leader's duties. Every member has them; all but the leader refuse.
pub(super) struct Duties {
    raft: Raft<Types, Machine>,
    sessions: Arc<Sessions>,
    space: Arc<Space>,
    shared: Arc<Shared>,
    /// How long Raft lets a leader write after the last word from its quorum.
    lease: Duration,
}

/// A batch that Raft accepted: resolves to true once all of it is applied here, to false when any of it was
/// refused after all.
pub(super) type Batch = BoxFuture<'static, bool>;

/// What became of a batch that was to be proposed.
pub(super) struct Proposed {
    /// What Raft accepted.
    pub(super) batch: Batch,
    /// What it was not asked for, because there is no room on disk. These take no effect.
    pub(super) refused: Vec<Origin>,
}

impl Duties {
    /// The duties of the member that runs `raft`.
    pub(super) fn new(raft: Raft<Types, Machine>, inner: &Inner) -> Duties {
        let lease = Duration::from_millis(raft.config().election_timeout_max);
        Duties {
            raft,
            sessions: inner.sessions.clone(),
            space: inner.space.clone(),
            shared: inner.shared.clone(),
            lease,
        }
    }

    /// Stamps a batch with the time and hands it to Raft in order, without what there is no room for. `None` when
    /// Raft has stopped.
    pub(super) async fn propose(&self, mut batch: Vec<Proposal>) -> Option<Proposed> {
        let transactions = batch.iter().map(|p| &p.transaction);
        let bytes = transactions.map(|t| bytes_of(&t.actor, &t.command)).sum();
        self.space.until_known(bytes).await;
        // Last, since a leader may lose word of its quorum while it waits.
        self.until_writable().await;
        failpoint!("propose");
        let mut refused = Vec::new();
        batch.retain(|proposal| {
            let admits = self.space.admits(&proposal.transaction.command);
            if !admits {
                refused.push(proposal.origin);
            }
            admits
        });
        if batch.is_empty() {
            let batch = Box::pin(std::future::ready(true));
            return Some(Proposed { batch, refused });
        }
        let now = wall_clock_ms();
        for proposal in &mut batch {
            proposal.transaction.time_ms = now;
            let level = proposal.transaction.command.level();
            if level > 0 && level > self.shared.read(|tree| tree.level()) {
                hold_back(proposal);
            }
        }
        let batch = batch.into_iter().map(Arc::new);
        let mut results = self.raft.client_write_many(batch).await.ok()?;
        let batch = Box::pin(async move {
            loop {
                match results.try_next().await {
                    Ok(Some(Ok(_))) => {}
                    Ok(None) => return true,
                    Ok(Some(Err(_))) | Err(_) => return false,
                }
            }
        });
        Some(Proposed { batch, refused })
    }

    /// Waits while this member leads and has no word from its quorum: Raft would refuse the batch, and everybody
    /// in it would lose the connection, for an election that is not over yet or a disk that was slow.
    async fn until_writable(&self) {
        let mut facts = self.raft.metrics();
        let may_try =
            |facts: &RaftMetrics<Types>| !facts.state.is_leader() || self.has_lease(facts);
        if may_try(&facts.borrow_watched()) {
            return;
        }
        // When nothing changes, Raft refuses as it would have at once.
        let _ = timeout(SERVING_GRACE, async {
            while !may_try(&facts.borrow_and_update()) && facts.changed().await.is_ok() {}
        })
        .await;
    }

    /// Whether no other member can lead yet: so many have heard this one lately.
    fn has_lease(&self, facts: &RaftMetrics<Types>) -> bool {
        let acked = facts.last_quorum_acked.as_ref().map(|at| at.elapsed());
        acked.is_some_and(|age| age < self.lease)
            || facts.membership_config.membership().voter_ids().count() == 1
    }

    /// The index a linearizable read has to wait for, confirmed by a quorum (ReadIndex, Raft thesis 6.4).
    /// `None` when this member does not lead or has lost its quorum.
    pub(super) async fn read_index(&self) -> Option<u64> {
        let linearizer = self
            .raft
            .get_read_linearizer(ReadPolicy::ReadIndex)
            .await
            .ok()?;
        Some(linearizer.read_log_id().index())
    }

    /// Whether this member leads under `vote`.
    pub(super) async fn leads(&self, vote: VoteOf<Types>) -> bool {
        let leads = self.raft.with_raft_state(move |state| {
            state.server_state.is_leader() && *state.vote_ref() == vote
        });
        leads.await.unwrap_or(false)
    }

    /// Takes note of signs of life of sessions at a member. False when this member does not lead, or cannot be sure of
    /// it: then another leader may never hear of them.
    pub(super) fn touch(&self, member: u64, touches: &[Touch]) -> bool {
        self.has_lease(&self.raft.metrics().borrow_watched()) && self.sessions.note(member, touches)
    }

    /// Notes that a member is reached at `address` now. False when this member does not lead, or there is no such
    /// member.
    pub(super) async fn relocate(&self, id: u64, address: String) -> bool {
        let membership = self.raft.with_raft_state(move |state| {
            let effective = state.membership_state.effective();
            effective.membership().get_node(&id).cloned()
        });
        match membership.await {
            Ok(Some(known)) if known.address == address => true,
            Ok(Some(known)) => {
                let moved = Member { address, ..known };
                let step = ChangeMembers::SetNodes(BTreeMap::from([(id, moved)]));
                self.raft.change_membership(step, true).await.is_ok()
            }
            Ok(None) | Err(_) => false,
        }
    }
}

/// Puts a refusal, which every version knows, in the place of a command that some member does not know.
fn hold_back(proposal: &mut Proposal) {
    tracing::warn!(command = ?proposal.transaction.command, "not proposed: some member does not know it yet");
    let refusal = Op::Refuse(ErrorCode::Unimplemented);
    proposal.transaction.actor = Actor::Ensemble;
    proposal.transaction.command = Command::Multi(vec![refusal]);
}

/// Batches whose results are not all in.
#[derive(Default)]
pub(super) struct UnderWay(FuturesUnordered<Batch>);

impl UnderWay {
    /// One more.
    pub(super) fn push(&mut self, batch: Batch) {
        self.0.push(batch);
    }

    /// Resolves when a batch was refused; never while all is well.
    ///
    /// # Cancel safety
    /// Safe: results that came in stay counted.
    pub(super) async fn refused(&mut self) {
        loop {
            match self.0.next().await {
                Some(true) => {}
                Some(false) => return,
                None => std::future::pending().await,
            }
        }
    }
}
