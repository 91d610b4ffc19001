//! What goes into the log and what comes out of applying it.
//!
//! A [`Transaction`] is the only way to change the tree. Everything that is not a function of the tree
//! (time, random bytes, who is asking) travels inside it, so that every member computes the same.

use super::{AclList, ErrorCode, SessionId, Stat, Zxid};
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
    /// The ensemble itself: opening, attaching and expiring sessions, housekeeping. No ACL stops it.
    Ensemble,
}

/// Something a connection has proved about its client, as ACLs name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `digest`, `ip`, `x509`; or `super`, which may do everything.
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
    /// Removes a container or TTL znode whose time is up. Proposed by the leader, as the ensemble; void if the
    /// znode has come to use again since: [`ErrorCode::BadVersion`], or [`ErrorCode::NoNode`] if it is gone.
    Reap {
        /// The znode.
        path: Arc<str>,
    },
    /// Says where clients reach a member: part of `/zookeeper/config`. Proposed by that member, as the
    /// ensemble; refused with [`ErrorCode::BadArguments`] if it is no address.
    Introduce {
        /// The member.
        member: u64,
        /// `host:port` of its ZooKeeper port; `None` if it has none that others can reach.
        client: Option<String>,
    },
    /// One operation.
    One(Op),
    /// Several operations, all or nothing.
    Multi(Vec<Op>),
    /// Gives a node that wants to become a member a number that none ever had. Proposed by the leader; asked for
    /// again with the same name and nonce it gives the same number.
    Admit {
        /// The node's name.
        name: String,
        /// What the node drew before it first asked; 0 keeps the number for the first node of that name.
        nonce: u64,
        /// Whether it shall never vote.
        observer: bool,
        /// The member that it takes the place of.
        replaces: Option<u64>,
        /// The newest commands that it knows.
        level: u16,
    },
    /// Says that a member was started. Proposed by that member, as the ensemble; refused with
    /// [`ErrorCode::BadVersion`] if a later start of it is known.
    Announce {
        /// The member.
        member: u64,
        /// How often it was started, this time included.
        boots: u64,
        /// What it drew at this start.
        boot: u64,
        /// The newest commands that it knows.
        level: u16,
    },
}

/// The newest commands that this version knows.
pub const LEVEL: u16 = 1;

impl Command {
    /// The level a member must know to apply it. The leader proposes nothing above the level that all members have
    /// announced, so that one of the version before never gets an entry that it cannot read. Commands that are added
    /// get the next level, and [`LEVEL`] becomes that.
    pub fn level(&self) -> u16 {
        match self {
            Command::OpenSession { .. }
            | Command::AttachSession { .. }
            | Command::CloseSession { .. }
            | Command::Reap { .. }
            | Command::Introduce { .. }
            | Command::One(_)
            | Command::Multi(_)
            | Command::Announce { .. } => 0,
            Command::Admit { .. } => 1,
        }
    }
}

/// A change of one znode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Creates a znode.
    Create {
        /// Its path; for sequential modes the prefix of it.
        path: Arc<str>,
        /// Its data; null, which some clients write, is not the same as empty.
        data: Option<Bytes>,
        /// Its ACL.
        acl: Vec<Acl>,
        /// How long it lives, sequential or not.
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
        data: Option<Bytes>,
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
    /// Fails. Stands for an operation of a multi whose form is wrong: those before it are tried first,
    /// because the first failure is the one that is told.
    Refuse(ErrorCode),
}

/// How a znode is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateMode {
    /// How long it lives.
    pub lifetime: Lifetime,
    /// Gets a ten-digit suffix from its parent's counter.
    pub sequential: bool,
}

/// How long a znode lives if nobody deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifetime {
    /// For ever.
    Persistent,
    /// As long as the session that created it.
    Ephemeral,
    /// Until its last child is gone; as long as it never had one, for ever.
    Container,
    /// Until it has no children and its data was not set for this many milliseconds: 1 to 2^40 - 1.
    Ttl(u64),
}

impl CreateMode {
    /// Lives for ever, under the name given.
    pub const PERSISTENT: CreateMode = CreateMode {
        lifetime: Lifetime::Persistent,
        sequential: false,
    };

    /// Lives as long as its session, under the name given.
    pub const EPHEMERAL: CreateMode = CreateMode {
        lifetime: Lifetime::Ephemeral,
        sequential: false,
    };

    /// Whether it lives as long as its session.
    pub fn is_ephemeral(self) -> bool {
        self.lifetime == Lifetime::Ephemeral
    }
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
    /// A [`Command::Reap`], [`Command::Introduce`] or [`Command::Announce`] took effect.
    Done,
    /// The number that [`Command::Admit`] gave.
    Admitted(u64),
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

/// What happened to a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// It appeared.
    Created,
    /// It went.
    Deleted,
    /// Its data was set.
    Data,
    /// A child of it appeared or went.
    Children,
}

/// Something that happened, for watchers and for the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something happened to a znode.
    Znode {
        /// What.
        change: Change,
        /// The znode.
        path: Arc<str>,
        /// Its ACL at that moment, of a deleted one the last: who may not read it hears nothing of it.
        acl: Arc<AclList>,
    },
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
    SessionClosed {
        /// The session.
        session: SessionId,
        /// The leader ended it, having heard nothing of its client; if not, the client did.
        is_expired: bool,
    },
}
