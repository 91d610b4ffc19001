//! The errors a transaction or a read can end with: ZooKeeper's codes, no others.

use serde::{Deserialize, Serialize};

/// Why the tree refused. The discriminants are ZooKeeper's wire codes (`KeeperException.Code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[repr(i32)]
pub enum ErrorCode {
    /// An operation of a failed `multi` that comes after the one that failed.
    #[error("not tried, because an earlier operation of the multi failed")]
    RuntimeInconsistency = -2,
    /// The request does not parse.
    #[error("the request could not be parsed")]
    MarshallingError = -5,
    /// The operation is unknown or not served.
    #[error("the operation is not implemented")]
    Unimplemented = -6,
    /// The leader did not answer in time.
    #[error("the operation timed out")]
    OperationTimeout = -7,
    /// A path or flag that can never be right.
    #[error("bad arguments")]
    BadArguments = -8,
    /// The znode, or the parent of a new one, does not exist.
    #[error("no such znode")]
    NoNode = -101,
    /// The caller lacks the permission.
    #[error("not permitted by the ACL")]
    NoAuth = -102,
    /// The expected version is not the current one.
    #[error("version does not match")]
    BadVersion = -103,
    /// Ephemerals cannot have children.
    #[error("ephemeral znodes cannot have children")]
    NoChildrenForEphemerals = -108,
    /// The znode exists already.
    #[error("znode exists")]
    NodeExists = -110,
    /// The znode still has children.
    #[error("znode has children")]
    NotEmpty = -111,
    /// The session is closed or was never opened.
    #[error("session expired")]
    SessionExpired = -112,
    /// The ACL is empty or one of its entries is malformed.
    #[error("invalid ACL")]
    InvalidAcl = -114,
    /// The credentials were refused.
    #[error("authentication failed")]
    AuthFailed = -115,
    /// The session is attached to another member or connection by now.
    #[error("session moved to another connection")]
    SessionMoved = -118,
}

impl ErrorCode {
    /// As reply headers carry it.
    pub fn to_wire(self) -> i32 {
        self as i32
    }
}
