//! `Stat`: what ZooKeeper tells about a znode besides its data.

use super::{SessionId, Zxid};
use serde::{Deserialize, Serialize};

/// The public facts of a znode, in the order of the wire record.
///
/// Source: the `Stat` record of `zookeeper.jute`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Transaction that created the znode.
    pub czxid: Zxid,
    /// Transaction that last changed its data.
    pub mzxid: Zxid,
    /// Creation time, milliseconds since the Unix epoch, by the leader's clock.
    pub ctime: i64,
    /// Time of the last data change, milliseconds since the Unix epoch.
    pub mtime: i64,
    /// Number of data changes; wraps and then skips -1, which means "any" in requests.
    pub version: i32,
    /// Number of children created plus children deleted.
    pub cversion: i32,
    /// Number of ACL changes.
    pub aversion: i32,
    /// Owning session of an ephemeral, else none.
    pub ephemeral_owner: SessionId,
    /// Bytes of data.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
    /// Transaction that last created or deleted a child.
    pub pzxid: Zxid,
}
