//! What goes into the log and what comes out of applying it.
//!
//! A [`Transaction`] is the only way to change the tree. Everything that is not a function of the tree
//! (time, random bytes, who is asking) travels inside it, so that every member computes the same.

use super::{ErrorCode, SessionId, Stat, Zxid};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One log entry's worth of change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The leader's clock when it proposed, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// On whose behalf.
    pub actor: Actor,
    /// What to do.
    pub command: Command,
}

/// On whose behalf a transaction acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// A client. The transaction is refused unless the session is open and still attached as it was
    /// when the request arrived.
    Session {
        /// The client's session.
        id: SessionId,
        /// Zxid of the transaction that opened the session or last attached it ([`Reply::Session`]).
        attachment: Zxid,
        /// What the connection has proved about its client.
        identities: Arc<[Identity]>,
    },
    /// The ensemble itself: opening, attaching and expiring sessions.
    Ensemble,
}

/// Something a connection has proved about its client, as ACLs name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `digest`, `ip`, `x509`, `super`.
    pub scheme: String,
    /// The identity within the scheme.
    pub id: String,
}

/// A change of the tree or of the set of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Opens a session owned by `member`.
    OpenSession {
        /// The member the client is connected to.
        member: u64,
        /// 16 random bytes, the client's proof when it reattaches.
        password: [u8; 16],
        /// Negotiated timeout, milliseconds.
        timeout_ms: u32,
    },
    /// Attaches an open session to a new connection, on this or another member.
    AttachSession {
        /// The session the client claims.
        session: SessionId,
        /// The password it presents; any length may arrive, only 16 bytes can match.
        password: Bytes,
        /// The member the client is connected to now.
        member: u64,
        /// Newly negotiated timeout, milliseconds.
        timeout_ms: u32,
    },
    /// Ends a session and removes its ephemerals, at one zxid. `attachment` is set when the leader
    /// expires a session: the expiry is void if the session was attached anew since the leader decided.
    CloseSession {
        /// The session to end.
        session: SessionId,
        /// The attachment that expired; `None` when the client itself closes.
        attachment: Option<Zxid>,
    },
    /// One operation.
    One(Op),
    /// Several operations, all or nothing.
    Multi(Vec<Op>),
}

/// A change of one znode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Creates a znode.
    Create {
        /// Its path; for sequential modes the prefix of it.
        path: Arc<str>,
        /// Its data.
        data: Bytes,
        /// Its ACL.
        acl: Vec<Acl>,
        /// Persistent or ephemeral, sequential or not.
        mode: CreateMode,
    },
    /// Deletes a znode without children.
    Delete {
        /// Its path.
        path: Arc<str>,
        /// Expected data version, -1 for any.
        version: i32,
    },
    /// Replaces the data.
    SetData {
        /// The znode.
        path: Arc<str>,
        /// The new data.
        data: Bytes,
        /// Expected data version, -1 for any.
        version: i32,
    },
    /// Replaces the ACL.
    SetAcl {
        /// The znode.
        path: Arc<str>,
        /// The new ACL.
        acl: Vec<Acl>,
        /// Expected ACL version, -1 for any.
        version: i32,
    },
    /// Compares the data version; changes nothing.
    Check {
        /// The znode.
        path: Arc<str>,
        /// Expected data version, -1 for any.
        version: i32,
    },
}

/// How a znode is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateMode {
    /// Lives as long as its session.
    pub ephemeral: bool,
    /// Gets a ten-digit suffix from its parent's counter.
    pub sequential: bool,
}

/// One entry of an access-control list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// Bits: READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16.
    pub perms: i32,
    /// `world`, `auth`, `digest`, `ip`, `x509`.
    pub scheme: String,
    /// The identity within the scheme.
    pub id: String,
}

impl Acl {
    /// Everything for everybody: ZooKeeper's `OPEN_ACL_UNSAFE`.
    pub fn open() -> Vec<Acl> {
        vec![Acl {
            perms: 31,
            scheme: "world".into(),
            id: "anyone".into(),
        }]
    }
}

/// What applying a transaction gave: an answer for its origin, and events for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub result: Result<Reply, ErrorCode>,
    /// What changed, in the order in which watchers must hear of it. Empty when the result is an error.
    pub events: Vec<Event>,
}

/// The answer to an accepted transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A session was opened or attached; the zxid of this transaction is its new attachment.
    Session {
        /// The session.
        id: SessionId,
        /// Its password.
        password: [u8; 16],
        /// Its timeout, milliseconds.
        timeout_ms: u32,
    },
    /// The session is closed.
    Closed,
    /// The result of [`Command::One`].
    One(OpReply),
    /// The results of [`Command::Multi`], in order; or, when nothing was done, which operation failed and why.
    Multi(Result<Vec<OpReply>, MultiFailure>),
}

/// The operation that made a `multi` fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultiFailure {
    /// Its position, from 0.
    pub index: usize,
    /// Why.
    pub code: ErrorCode,
}

/// The answer to one accepted operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpReply {
    /// Created; the path has its suffix.
    Created {
        /// Full path.
        path: Arc<str>,
        /// Its first stat.
        stat: Stat,
    },
    /// Deleted.
    Deleted,
    /// Data replaced.
    DataSet(Stat),
    /// ACL replaced.
    AclSet(Stat),
    /// The version matched.
    Checked,
}

/// Something that happened, for watchers and for the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A znode appeared.
    Created(Arc<str>),
    /// A znode went.
    Deleted(Arc<str>),
    /// A znode's data was set.
    DataChanged(Arc<str>),
    /// A child of this znode appeared or went.
    ChildrenChanged(Arc<str>),
    /// A session was opened or attached: connections with an older attachment are over.
    SessionAttached {
        /// The session.
        session: SessionId,
        /// The transaction that attached it.
        attachment: Zxid,
        /// The member that owns it now.
        member: u64,
    },
    /// A session ended.
    SessionClosed(SessionId),
}
