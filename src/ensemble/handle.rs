//! The handle through which the rooms above use the ensemble.

use super::barrier::{Waiting, reached};
use super::census::Census;
use super::contact::Contact;
use super::fault::Fault;
use super::inspect::following;
use super::limits::{BARRIER_TIMEOUT, ROOM, ROOM_UNIT};
use super::log::EntrySizes;
use super::machine::Machine;
use super::papers::Number;
use super::peer::{Me, Presence};
use super::proposer::Queued;
use super::question::Answerer;
use super::roll::Roll;
use super::sessions::Sessions;
use super::snapshot::SnapshotStore;
use super::space::Space;
use super::state::Shared;
use super::tickets::Waiter;
use super::types::Types;
use crate::net::Secret;
use crate::tree::{Actor, Command, ErrorCode, Event, Identity, Op, Reply, SessionId, Tree, Zxid};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::{Raft, RaftMetrics, ServerState};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

/// One member of the ensemble, in this process. Cheap to clone.
#[derive(Clone)]
pub struct Ensemble {
    inner: Arc<Inner>,
}

/// What the handle reaches.
pub(super) struct Inner {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// The tree.
    pub(super) shared: Arc<Shared>,
    /// Sessions owned by this member.
    pub(super) sessions: Arc<Sessions>,
    /// Whether clients are served.
    pub(super) contact: Arc<Contact>,
    /// To the proposer.
    pub(super) proposals: mpsc::Sender<Queued>,
    /// To the barriers.
    pub(super) barriers: mpsc::Sender<Waiting>,
    /// Bounds what is under way.
    pub(super) room: Arc<Semaphore>,
    /// Held while the members are changed.
    pub(super) reconfiguring: tokio::sync::Mutex<()>,
    /// Where log and snapshots are kept.
    pub(super) data_dir: PathBuf,
    /// Its snapshots.
    pub(super) snapshots: SnapshotStore,
    /// One backup at a time.
    pub(super) backups: Arc<Semaphore>,
    /// How large transactions are.
    pub(super) entry_sizes: Arc<EntrySizes>,
    /// Whether there is room for more.
    pub(super) space: Arc<Space>,
    /// What who wants to become a member must know.
    pub(super) token: Option<Arc<Secret>>,
    /// Judges other members.
    pub(super) census: Arc<Census>,
    /// Who founded the ensemble, if this member did.
    pub(super) roll: Option<Roll>,
    /// Answers what the rooms above ask of all members.
    pub(super) answerer: OnceLock<Arc<Answerer>>,
}

/// Someone who follows the tree as it changes (watches, the registry).
pub trait Follower: Send + Sync {
    /// Called after each transaction, in order, while `apply` still holds the tree: whatever is queued
    /// here cannot be overtaken by a read. Must be quick and must not call back into the ensemble.
    fn applied(&self, tree: &Tree, zxid: Zxid, events: &[Event]);

    /// The whole tree was replaced by a snapshot from the leader: anything may have changed.
    fn replaced(&self, tree: &Tree);
}

/// What became of a proposal, told once this member has applied it.
#[derive(Debug)]
pub struct Applied {
    /// Its zxid.
    pub zxid: Zxid,
    /// The answer.
    pub result: Result<Reply, ErrorCode>,
}

/// A proposal on its way. Resolves when this member applied it.
pub struct Pending(oneshot::Receiver<Applied>);

/// A barrier that was begun: everything that was committed anywhere before is behind it.
pub struct Barrier {
    index: oneshot::Receiver<Result<u64, ProposeError>>,
    applied: watch::Receiver<u64>,
}

impl Barrier {
    /// Waits until this member has applied everything before the barrier.
    ///
    /// # Errors
    /// [`ProposeError`] when the leader cannot be asked, or this member does not catch up in time.
    pub async fn wait(self) -> Result<(), ProposeError> {
        #[cfg(feature = "simulation")]
        if crate::simulation::is_mutant(crate::simulation::Mutant::IdleSync) {
            return Ok(());
        }
        let wait = async {
            let index = self.index.await.map_err(|_| ProposeError::Stopping)??;
            reached(self.applied, index).await
        };
        timeout(BARRIER_TIMEOUT, wait)
            .await
            .unwrap_or(Err(ProposeError::NoLeader))
    }
}

/// The proposal may or may not take effect: the leader was lost before this member heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leader was lost before the outcome was known")]
pub struct OutcomeUnknown;

impl Future for Pending {
    type Output = Result<Applied, OutcomeUnknown>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|r| r.map_err(|_| OutcomeUnknown))
    }
}

/// Why a proposal was not even sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No leader is known to be alive.
    #[error("no quorum: the ensemble has no leader that this member can reach")]
    NoLeader,
    /// The member is stopping.
    #[error("this member is stopping")]
    Stopping,
}

/// What a member is in the ensemble now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proposes.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote.
    Observer,
}

/// A member's view of the ensemble.
#[derive(Clone, Debug)]
pub struct Status {
    /// This member's number.
    pub member: u64,
    /// Its role.
    pub role: Role,
    /// The leader it follows.
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
    /// Index of the last entry in its log.
    pub last_log: u64,
    /// Index of the last entry that is no longer in its log; 0 if all are.
    pub purged: u64,
    /// Last index known to be committed.
    pub committed: u64,
    /// Last index applied.
    pub applied: u64,
    /// Followers that are within reach and not far behind; only known to the leader.
    pub synced_followers: usize,
    /// Voting members.
    pub voters: usize,
    /// Whether a leader was heard from recently enough to serve clients, and no fault forbids it.
    pub serving: bool,
    /// What is wrong with this member itself.
    pub faults: Vec<Fault>,
}

impl Ensemble {
    pub(super) fn new(inner: Inner) -> Ensemble {
        Ensemble {
            inner: Arc::new(inner),
        }
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// This member's number.
    pub fn member(&self) -> u64 {
        self.inner.me.member
    }

    /// What it tells those who are no members.
    pub(super) fn presence(&self) -> Presence {
        let Me {
            ensemble, member, ..
        } = self.inner.me;
        Presence::Member {
            number: Number { ensemble, member },
            roll: self.inner.roll.clone(),
        }
    }

    /// Looks at the applied tree. Holds up `apply` meanwhile, so be quick; never nest calls. To keep a
    /// reply in order with watch events, put it into the connection's queue inside `look`.
    pub fn read<R>(&self, look: impl FnOnce(&Tree) -> R) -> R {
        self.inner.shared.read(look)
    }

    /// Hands a command to the leader. Proposals of one task reach the log in call order. Waits while too
    /// many are under way.
    ///
    /// # Errors
    /// [`ProposeError`] when it was certainly not proposed.
    ///
    /// # Cancel safety
    /// A cancelled call has proposed nothing.
    pub async fn propose(&self, actor: Actor, command: Command) -> Result<Pending, ProposeError> {
        self.enqueue(actor, command, None).await
    }

    /// As [`propose`](Ensemble::propose), on behalf of the ensemble, but only while this member leads in `term`: what it has
    /// decided as the leader is not for another one to carry out.
    pub(super) async fn propose_as_leader(
        &self,
        term: u64,
        command: Command,
    ) -> Result<Pending, ProposeError> {
        self.enqueue(Actor::Ensemble, command, Some(term)).await
    }

    async fn enqueue(
        &self,
        actor: Actor,
        command: Command,
        as_leader_in: Option<u64>,
    ) -> Result<Pending, ProposeError> {
        let bytes = bytes_of(&actor, &command);
        let units = u32::try_from(1 + bytes / ROOM_UNIT)
            .unwrap_or(u32::MAX)
            .min(ROOM as u32);
        let room = self
            .inner
            .room
            .clone()
            .acquire_many_owned(units)
            .await
            .map_err(|_| ProposeError::Stopping)?;
        let (tx, rx) = oneshot::channel();
        let queued = Queued {
            actor,
            command,
            as_leader_in,
            bytes,
            waiter: Waiter { tx, _room: room },
        };
        self.inner
            .proposals
            .send(queued)
            .await
            .map_err(|_| ProposeError::Stopping)?;
        Ok(Pending(rx))
    }

    /// Waits until this member has applied everything that was committed anywhere before the call
    /// (ReadIndex through the leader).
    ///
    /// # Errors
    /// [`ProposeError`] when the leader cannot be asked, or this member does not catch up in time.
    pub async fn barrier(&self) -> Result<(), ProposeError> {
        self.begin_barrier().await?.wait().await
    }

    /// Begins a [`barrier`](Ensemble::barrier) that is to be waited for later. Waits only while very many are
    /// under way.
    ///
    /// # Errors
    /// [`ProposeError::Stopping`].
    pub async fn begin_barrier(&self) -> Result<Barrier, ProposeError> {
        let (tx, index) = oneshot::channel();
        let sent = self.inner.barriers.send(tx).await;
        sent.map_err(|_| ProposeError::Stopping)?;
        let applied = self.applied();
        Ok(Barrier { index, applied })
    }

    /// Notes that a session owned by this member gave a sign of life. False when this member may not answer it, because
    /// no leader may ever hear of it.
    #[must_use]
    pub fn touch(&self, session: SessionId) -> bool {
        let may_answer = self.inner.contact.may_answer(&self.inner.raft);
        if may_answer {
            self.inner.sessions.touch(session);
        }
        may_answer
    }

    /// Whether clients can be served: true while a leader is within reach.
    pub fn serving(&self) -> watch::Receiver<bool> {
        self.inner.contact.serving()
    }

    /// How far this member has applied the log.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.inner.shared.applied()
    }

    /// This member's view of the ensemble.
    pub fn status(&self) -> Status {
        let facts = self.inner.raft.metrics();
        let facts = facts.borrow_watched();
        Status {
            member: self.inner.me.member,
            role: role(&facts),
            leader: facts.current_leader,
            term: facts.current_term,
            last_log: facts.last_log_index.unwrap_or(0),
            purged: facts.purged.map_or(0, |id| id.index()),
            committed: facts.local_committed.map_or(0, |id| id.index()),
            applied: facts.last_applied.map_or(0, |id| id.index()),
            synced_followers: following(&facts).synced_followers,
            voters: facts.membership_config.membership().voter_ids().count(),
            serving: *self.inner.contact.serving().borrow(),
            faults: self.inner.contact.faults(),
        }
    }
}

fn role(facts: &RaftMetrics<Types>) -> Role {
    match facts.state {
        ServerState::Leader => Role::Leader,
        ServerState::Candidate => Role::Candidate,
        ServerState::Follower => Role::Follower,
        ServerState::Learner | ServerState::Shutdown => Role::Observer,
    }
}

/// Bytes that a proposal brings along, about: all that a client can make long. What bounds batches by this is
/// far enough from the limit of a frame for the rest.
pub(super) fn bytes_of(actor: &Actor, command: &Command) -> usize {
    let identities = match actor {
        Actor::Session { identities, .. } => {
            let each = |i: &Identity| PART_OVERHEAD + i.scheme.len() + i.id.len();
            identities.iter().map(each).sum()
        }
        Actor::Ensemble => 0,
    };
    let command = match command {
        Command::One(op) => op_bytes(op),
        Command::Multi(ops) => ops.iter().map(op_bytes).sum(),
        Command::OpenSession { .. }
        | Command::AttachSession { .. }
        | Command::CloseSession { .. }
        | Command::Introduce { .. }
        | Command::Announce { .. } => 0,
        Command::Admit { name, .. } => name.len(),
        Command::Reap { path } => path.len(),
    };
    identities + command
}

/// Bytes an operation, an entry of an ACL or an identity takes besides its texts and data, at most: tags, lengths,
/// numbers.
const PART_OVERHEAD: usize = 24;

fn op_bytes(op: &Op) -> usize {
    let (path, data, acl) = match op {
        Op::Create {
            path, data, acl, ..
        } => (&**path, data.as_ref(), &acl[..]),
        Op::SetData { path, data, .. } => (&**path, data.as_ref(), &[][..]),
        Op::SetAcl { path, acl, .. } => (&**path, None, &acl[..]),
        Op::Delete { path, .. } | Op::Check { path, .. } => (&**path, None, &[][..]),
        Op::Refuse(_) => ("", None, &[][..]),
    };
    let acl = acl
        .iter()
        .map(|a| PART_OVERHEAD + a.scheme.len() + a.id.len());
    PART_OVERHEAD + path.len() + data.map_or(0, Bytes::len) + acl.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Acl, CreateMode, Zxid};

    const LONG: usize = 10_000;

    fn long() -> String {
        "x".repeat(LONG)
    }

    fn create(path: &str, data: usize, acl: Vec<Acl>) -> Op {
        Op::Create {
            path: path.into(),
            data: Some(Bytes::from(vec![0; data])),
            acl,
            mode: CreateMode::PERSISTENT,
        }
    }

    #[test]
    fn what_bounds_batches_counts_everything_that_a_client_can_make_long() {
        let acl = || {
            let (perms, scheme, id) = (31, "digest".into(), long());
            vec![Acl { perms, scheme, id }]
        };
        let many = vec![Acl::open().swap_remove(0); LONG / 10];
        let client = Actor::Session {
            id: SessionId(1),
            attachment: Zxid(1),
            identities: Arc::new([Identity {
                scheme: "digest".into(),
                id: long(),
            }]),
        };
        let ops = vec![create("/a", 0, Vec::new()); LONG / 10];
        for (actor, command) in [
            (&Actor::Ensemble, Command::One(create(&long(), 0, vec![]))),
            (&Actor::Ensemble, Command::One(create("/a", LONG, vec![]))),
            (&Actor::Ensemble, Command::One(create("/a", 0, acl()))),
            (&Actor::Ensemble, Command::One(create("/a", 0, many))),
            (&Actor::Ensemble, Command::Multi(ops)),
            (&client, Command::One(create("/a", 0, vec![]))),
        ] {
            let bytes = bytes_of(actor, &command);
            let encoded = postcard::to_stdvec(&(actor, &command)).expect("it encodes");
            assert!(encoded.len() >= LONG / 2);
            assert!(bytes + 64 >= encoded.len(), "{bytes}, {}", encoded.len());
        }
    }
}
