//! The tree as its users hold it: `apply` to change it, and the reads.

use super::acl_table::AclTable;
use super::execution::Execution;
use super::membership::Membership;
use super::numbers::Applicant;
use super::record::{Content, Record, ZnodeId};
use super::session::Sessions;
use super::store::Store;
use super::{
    Acl, Actor, Command, ErrorCode, Event, Outcome, Reply, Session, SessionId, Transaction, Znode,
    Zxid, path,
};
#[cfg(feature = "simulation")]
use crate::simulation::{Mutant, is_mutant};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Znodes and sessions after some transaction.
pub struct Tree {
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    pub(super) membership: Membership,
    /// Its share of the digest, which is asked for after every transaction.
    pub(super) membership_digest: u64,
    pub(super) last_zxid: Zxid,
    pub(super) last_time_ms: i64,
}

/// Sizes of a tree. All are kept up to date, so that asking costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Znodes, as ZooKeeper counts them: `/` twice, so that an empty tree has 5.
    pub znodes: usize,
    /// Ephemeral znodes.
    pub ephemerals: usize,
    /// Bytes of all paths and all data (ZooKeeper's `approximate_data_size`).
    pub data_bytes: u64,
    /// Open sessions.
    pub sessions: usize,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("last_zxid", &self.last_zxid)
            .field("digest", &self.digest())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Tree {
    /// The tree before any transaction: `/`, `/zookeeper`, `/zookeeper/quota` and `/zookeeper/config`, the
    /// last readable by everybody, the others open.
    pub fn new() -> Tree {
        let mut acls = AclTable::new();
        let open = Content {
            data: Some(Bytes::new()),
            acl: acls.intern(&Acl::open()),
        };
        let readable = Content {
            data: Some(Bytes::new()),
            acl: acls.intern(&[Acl {
                perms: 1,
                ..Acl::open().swap_remove(0)
            }]),
        };
        let mut store = Store::new(open.clone(), acls);
        for path in path::PROTECTED {
            let Some((parent, segment)) = path.rsplit_once('/').filter(|_| path != "/") else {
                continue;
            };
            let parent = store.resolve(parent).expect("parents are listed first");
            let content = match segment {
                "config" => readable.clone(),
                _ => open.clone(),
            };
            store.insert(parent, segment, Record::default(), content);
            // They were there from the start, so they count as children, not as creations.
            store.change(parent, |above| above.creates = 0);
        }
        Tree {
            store,
            sessions: Sessions::default(),
            membership: Membership::default(),
            membership_digest: 0,
            last_zxid: Zxid(0),
            last_time_ms: 0,
        }
    }

    /// Carries out one transaction. The outcome, and the tree afterwards, depend on nothing but the tree
    /// before and the arguments.
    ///
    /// The transaction's time counts as the latest one seen if it is behind that, so that times in stats
    /// never go back when the leader changes.
    ///
    /// # Panics
    /// Unless `zxid` is greater than that of every transaction applied before: a member that applies its
    /// log out of order must stop rather than diverge.
    pub fn apply(&mut self, zxid: Zxid, transaction: &Transaction) -> Outcome {
        self.advance(zxid);
        self.last_time_ms = self.last_time_ms.max(transaction.time_ms);
        let mut events = Vec::new();
        let result = self
            .admit(&transaction.actor)
            .and_then(|()| self.perform(transaction, &mut events));
        Outcome { result, events }
    }

    /// The next transaction.
    pub(super) fn advance(&mut self, zxid: Zxid) {
        assert!(
            zxid > self.last_zxid,
            "transaction {zxid} was applied after {}",
            self.last_zxid
        );
        self.last_zxid = zxid;
    }

    /// A session acts only while it is open, and only through the connection that attached it last.
    fn admit(&self, actor: &Actor) -> Result<(), ErrorCode> {
        match actor {
            Actor::Session { id, attachment, .. } => self.sessions.attached(*id, *attachment),
            Actor::Ensemble => Ok(()),
        }
    }

    fn perform(
        &mut self,
        transaction: &Transaction,
        events: &mut Vec<Event>,
    ) -> Result<Reply, ErrorCode> {
        let actor = &transaction.actor;
        match &transaction.command {
            Command::OpenSession {
                member,
                password,
                timeout_ms,
            } => {
                let session = Session {
                    password: *password,
                    timeout_ms: *timeout_ms,
                    attachment: self.last_zxid,
                    member: *member,
                };
                let id = SessionId::new(*member, self.last_zxid);
                Ok(self.attach(id, session, events))
            }
            Command::AttachSession {
                session: id,
                password,
                member,
                timeout_ms,
            } => {
                let session = Session {
                    timeout_ms: *timeout_ms,
                    attachment: self.last_zxid,
                    member: *member,
                    ..*self.sessions.proven(*id, password)?
                };
                Ok(self.attach(*id, session, events))
            }
            Command::CloseSession {
                session,
                attachment,
            } => {
                self.may_close(actor, *session, *attachment)?;
                Ok(self.close(*session, attachment.is_some(), events))
            }
            Command::Reap { path } => {
                only_the_ensemble(actor)?;
                let mut execution = self.execution(actor);
                execution.reap(path)?;
                *events = execution.events;
                Ok(Reply::Done)
            }
            Command::Introduce { .. } | Command::Admit { .. } | Command::Announce { .. } => {
                only_the_ensemble(actor)?;
                self.perform_on_members(&transaction.command, events)
            }
            Command::One(op) => {
                let mut execution = self.execution(actor);
                let reply = execution.run(op)?;
                *events = execution.events;
                Ok(Reply::One(reply))
            }
            Command::Multi(ops) => {
                let mut execution = self.execution(actor);
                let replies = execution.run_all(ops);
                *events = execution.events;
                Ok(Reply::Multi(replies))
            }
        }
    }

    /// What members say of themselves, and the numbers they get.
    fn perform_on_members(
        &mut self,
        command: &Command,
        events: &mut Vec<Event>,
    ) -> Result<Reply, ErrorCode> {
        match command {
            Command::Introduce { member, client } => {
                *events = self.introduce(*member, client)?;
                Ok(Reply::Done)
            }
            Command::Admit {
                name,
                nonce,
                observer,
                replaces,
                level,
            } => {
                let number = self.admit_node(&Applicant {
                    name,
                    nonce: *nonce,
                    observer: *observer,
                    replaces: *replaces,
                    level: *level,
                })?;
                Ok(Reply::Admitted(number))
            }
            Command::Announce {
                member,
                boots,
                boot,
                level,
            } => {
                self.membership.announce(*member, *boots, *boot, *level)?;
                self.membership_digest = self.membership.digest();
                Ok(Reply::Done)
            }
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    pub(super) fn execution<'a>(&'a mut self, actor: &'a Actor) -> Execution<'a> {
        let (session, identities) = match actor {
            Actor::Session { id, identities, .. } => (*id, &**identities),
            Actor::Ensemble => (SessionId::NONE, &[][..]),
        };
        Execution {
            store: &mut self.store,
            zxid: self.last_zxid,
            time_ms: self.last_time_ms,
            session,
            identities,
            events: Vec::new(),
        }
    }

    fn attach(&mut self, id: SessionId, session: Session, events: &mut Vec<Event>) -> Reply {
        self.sessions.put(id, session);
        events.push(Event::SessionAttached {
            session: id,
            attachment: session.attachment,
            member: session.member,
        });
        Reply::Session {
            id,
            password: session.password,
            timeout_ms: session.timeout_ms,
        }
    }

    /// A client may close its own session only. The ensemble may close any, but when it does so because
    /// it heard nothing through `attachment`, that must still be the current one.
    fn may_close(
        &self,
        actor: &Actor,
        session: SessionId,
        attachment: Option<Zxid>,
    ) -> Result<(), ErrorCode> {
        if matches!(actor, Actor::Session { id, .. } if *id != session) {
            return Err(ErrorCode::BadArguments);
        }
        let current = self.sessions.find(session).map(|s| s.attachment);
        let current = current.ok_or(ErrorCode::SessionExpired)?;
        self.sessions
            .attached(session, attachment.unwrap_or(current))
    }

    /// Ends a session and removes its ephemerals.
    pub(super) fn close(
        &mut self,
        session: SessionId,
        is_expired: bool,
        events: &mut Vec<Event>,
    ) -> Reply {
        let mut execution = self.execution(&Actor::Ensemble);
        #[cfg(feature = "simulation")]
        let is_kept = execution.zxid.0.is_multiple_of(3) && is_mutant(Mutant::KeepEphemeral);
        #[cfg(not(feature = "simulation"))]
        let is_kept = false;
        if !is_kept {
            execution.remove_ephemerals(session);
        }
        *events = execution.events;
        self.sessions.remove(session);
        events.push(Event::SessionClosed {
            session,
            is_expired,
        });
        Reply::Closed
    }

    /// The znode at a path; the empty path is the root, as in ZooKeeper. Costs O(depth).
    pub fn get(&self, path: &str) -> Option<Znode<'_>> {
        let id = self.store.resolve(path)?;
        Some(Znode {
            store: &self.store,
            id,
        })
    }

    /// The last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// A hash of all znodes, sessions and members, equal on all members that have applied the same transactions.
    pub fn digest(&self) -> u64 {
        self.store
            .digest
            .wrapping_add(self.sessions.digest())
            .wrapping_add(self.membership_digest)
    }

    /// An open session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.find(id)
    }

    /// The open sessions, in order of their ids.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter()
    }

    /// The paths of the ephemerals of a session, in no particular order.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = String> {
        self.store.ephemerals(session).map(|id| self.store.path(id))
    }

    /// The containers and TTL znodes whose time is up at `now_ms`, milliseconds since the Unix epoch, in order
    /// of their paths: for [`Command::Reap`]. Costs O(containers and TTL znodes).
    pub fn reapable(&self, now_ms: i64) -> Vec<Arc<str>> {
        let is_over = |id: &&ZnodeId| self.store.entry(**id).record.is_over(now_ms);
        let over = self.store.perishables.iter().filter(is_over);
        let mut paths: Vec<Arc<str>> = over.map(|id| self.store.path(*id).into()).collect();
        paths.sort_unstable();
        paths
    }

    /// Sizes.
    pub fn counts(&self) -> Counts {
        Counts {
            znodes: self.store.len() + 1,
            ephemerals: self.store.totals.ephemerals,
            data_bytes: self.store.totals.bytes,
            sessions: self.sessions.len(),
        }
    }
}

/// Clients have no operation for such commands.
fn only_the_ensemble(actor: &Actor) -> Result<(), ErrorCode> {
    match actor {
        Actor::Ensemble => Ok(()),
        Actor::Session { .. } => Err(ErrorCode::Unimplemented),
    }
}
