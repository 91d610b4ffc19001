//! The bodies of requests, replies and events.
//!
//! A reply's body is a record of its own only where it has more than one field; the others are plain
//! values: `create` answers an `Arc<str>`, `exists` and the setters a [`Stat`], `getChildren` and
//! `getEphemerals` a `Vec<Arc<str>>`, `getAllChildrenNumber` an `i32`, `whoAmI` a `Vec` of
//! [`ClientIdentity`], `sync` the path it was given, `sasl` a buffer, everything else `()`. So are the
//! requests of `sync` and `getEphemerals`, a string that may be null, and of `sasl`, a buffer.
//!
//! Source: `zookeeper.jute`, modules `org.apache.zookeeper.data` and `org.apache.zookeeper.proto`.

use super::codec::record;
use super::{Wire, WireError};
use crate::tree::{Acl, Change, SessionId, Stat, Zxid};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// A long; log indexes never reach the sign bit.
impl Wire for Zxid {
    const MIN_LEN: usize = 8;

    fn encode(&self, out: &mut BytesMut) {
        self.to_wire().encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<Zxid, WireError> {
        Ok(Zxid(i64::decode(input)? as u64))
    }
}

/// A long.
impl Wire for SessionId {
    const MIN_LEN: usize = 8;

    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<SessionId, WireError> {
        i64::decode(input).map(SessionId)
    }
}

/// Implements [`Wire`] for a struct of another room, by naming its fields in the order of the record.
macro_rules! layout {
    ($name:ident { $($field:ident: $type:ty,)* }) => {
        impl Wire for $name {
            const MIN_LEN: usize = 0 $(+ <$type as Wire>::MIN_LEN)*;

            fn encode(&self, out: &mut BytesMut) {
                $(self.$field.encode(out);)*
            }

            fn decode(input: &mut Bytes) -> Result<$name, WireError> {
                Ok($name { $($field: Wire::decode(input)?,)* })
            }
        }
    };
}

layout!(Stat {
    czxid: Zxid,
    mzxid: Zxid,
    ctime: i64,
    mtime: i64,
    version: i32,
    cversion: i32,
    aversion: i32,
    ephemeral_owner: SessionId,
    data_length: i32,
    num_children: i32,
    pzxid: Zxid,
});

layout!(Acl {
    perms: i32,
    scheme: String,
    id: String,
});

record! {
    /// `create`, `create2` and `createContainer`.
    pub struct CreateRequest {
        /// Path, or its prefix for sequential modes.
        pub path: Arc<str>,
        /// Data, or null.
        pub data: Option<Bytes>,
        /// ACL.
        pub acl: Vec<Acl>,
        /// 0 persistent, 1 ephemeral, 2 sequential, 3 both; 4 container, 5 and 6 with a time to live.
        pub flags: i32,
    }
}

record! {
    /// `createTTL`.
    pub struct CreateTtlRequest {
        /// What `create` has; the flags are 5, or 6 for a sequential one.
        pub create: CreateRequest,
        /// How long the znode may be left alone, milliseconds.
        pub ttl_ms: i64,
    }
}

record! {
    /// Answer to `create2`, `createContainer` and `createTTL`.
    pub struct Create2Response {
        /// Path, with suffix.
        pub path: Arc<str>,
        /// The new znode's stat.
        pub stat: Stat,
    }
}

record! {
    /// `delete`, and `check` inside a multi.
    pub struct VersionRequest {
        /// The znode.
        pub path: Arc<str>,
        /// Expected data version, -1 for any.
        pub version: i32,
    }
}

record! {
    /// `exists`, `getData`, `getChildren` and `getChildren2`.
    pub struct ReadRequest {
        /// The znode.
        pub path: Arc<str>,
        /// Whether to set a watch.
        pub watch: bool,
    }
}

record! {
    /// Answer to `getData` and `reconfig`.
    pub struct DataResponse {
        /// Data.
        pub data: Option<Bytes>,
        /// Stat.
        pub stat: Stat,
    }
}

record! {
    /// `setData`.
    pub struct SetDataRequest {
        /// The znode.
        pub path: Arc<str>,
        /// New data, or null.
        pub data: Option<Bytes>,
        /// Expected data version, -1 for any.
        pub version: i32,
    }
}

record! {
    /// `getACL`, `getAllChildrenNumber` and `sync`: a path and nothing else.
    pub struct PathRequest {
        /// The znode.
        pub path: Arc<str>,
    }
}

record! {
    /// Answer to `getACL`.
    pub struct AclResponse {
        /// ACL.
        pub acl: Vec<Acl>,
        /// Stat.
        pub stat: Stat,
    }
}

record! {
    /// `setACL`.
    pub struct SetAclRequest {
        /// The znode.
        pub path: Arc<str>,
        /// New ACL.
        pub acl: Vec<Acl>,
        /// Expected ACL version, -1 for any.
        pub version: i32,
    }
}

record! {
    /// Answer to `getChildren2`.
    pub struct ChildrenResponse {
        /// Names, without the parent's path.
        pub children: Vec<Arc<str>>,
        /// The parent's stat.
        pub stat: Stat,
    }
}

record! {
    /// `setWatches`: what a client that reconnects watched before.
    pub struct SetWatchesRequest {
        /// The newest transaction it had seen then.
        pub relative_zxid: i64,
        /// Znodes whose data it watched.
        pub data: Vec<Arc<str>>,
        /// Absent znodes it waited for.
        pub exist: Vec<Arc<str>>,
        /// Znodes whose children it watched.
        pub child: Vec<Arc<str>>,
    }
}

record! {
    /// `setWatches2`.
    pub struct SetWatches2Request {
        /// What `setWatches` has.
        pub one_shot: SetWatchesRequest,
        /// Znodes with a persistent watch.
        pub persistent: Vec<Arc<str>>,
        /// Roots of recursive watches.
        pub recursive: Vec<Arc<str>>,
    }
}

record! {
    /// `auth`.
    pub struct AuthRequest {
        /// Always 0; ignored.
        pub kind: i32,
        /// `digest`, or another scheme.
        pub scheme: Arc<str>,
        /// For `digest`: `user:password`.
        pub auth: Option<Bytes>,
    }
}

record! {
    /// One of the identities that `whoAmI` answers.
    pub struct ClientIdentity {
        /// `ip`, `digest`, `x509` or `super`.
        pub scheme: Arc<str>,
        /// Whom the scheme knows the client as, without anything secret.
        pub user: Arc<str>,
    }
}

record! {
    /// `reconfig`: either members that join and leave, or all members there are to be.
    pub struct ReconfigRequest {
        /// `server.N=host:port:port:role;client`, separated by commas.
        pub joining: Option<Arc<str>>,
        /// Numbers of members, separated by commas.
        pub leaving: Option<Arc<str>>,
        /// As `joining`, separated by commas or line ends.
        pub new_members: Option<Arc<str>>,
        /// The version of the configuration that is to be changed, -1 for any.
        pub from_version: i64,
    }
}

impl From<SetWatchesRequest> for SetWatches2Request {
    /// A client that has only one-shot watches.
    fn from(one_shot: SetWatchesRequest) -> SetWatches2Request {
        SetWatches2Request {
            one_shot,
            persistent: Vec::new(),
            recursive: Vec::new(),
        }
    }
}

/// What happened to a watched znode. Source: `Watcher.Event.EventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum EventType {
    /// It appeared.
    Created = 1,
    /// It went.
    Deleted = 2,
    /// Its data was set.
    DataChanged = 3,
    /// A child appeared or went.
    ChildrenChanged = 4,
}

impl EventType {
    /// The type that tells of a change.
    pub fn of(change: Change) -> EventType {
        match change {
            Change::Created => EventType::Created,
            Change::Deleted => EventType::Deleted,
            Change::Data => EventType::DataChanged,
            Change::Children => EventType::ChildrenChanged,
        }
    }

    /// The type with this number.
    pub fn from_wire(number: i32) -> Option<EventType> {
        use EventType::*;
        [Created, Deleted, DataChanged, ChildrenChanged]
            .into_iter()
            .find(|kind| *kind as i32 == number)
    }
}

record! {
    /// A watch fired; its header has xid -1.
    pub struct WatcherEvent {
        /// An [`EventType`].
        pub kind: i32,
        /// Always [`STATE_SYNC_CONNECTED`].
        pub state: i32,
        /// The znode.
        pub path: Arc<str>,
    }
}

/// The only state a server puts into events. Source: `Watcher.Event.KeeperState.SyncConnected`.
pub const STATE_SYNC_CONNECTED: i32 = 3;
