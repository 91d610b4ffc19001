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
    /// The members that a reconfig asks for would not make up a quorum within reach.
    #[error("no quorum of the new configuration is within reach")]
    NewConfigNoQuorum = -13,
    /// Another reconfig is under way.
    #[error("another reconfig is in progress")]
    ReconfigInProgress = -14,
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
    /// There is no such watch.
    #[error("no such watch")]
    NoWatcher = -121,
    /// The session is attached to another member or connection by now.
    #[error("session moved to another connection")]
    SessionMoved = -118,
    /// No leader is within reach, so nothing can be written; the client asked for that kind of session.
    #[error("only reads are served while no leader is within reach")]
    NotReadOnly = -119,
    /// Clients may not change the ensemble here.
    #[error("reconfig is not enabled")]
    ReconfigDisabled = -123,
    /// The hard limit of a quota would be exceeded.
    #[error("quota exceeded")]
    QuotaExceeded = -125,
    /// The ensemble's disks are full. The operation was not tried and may be tried again later, which is what
    /// ZooKeeper's clients take this code for.
    #[error("there is no room on disk, nothing was done; try again later")]
    ThrottledOp = -127,
}

impl ErrorCode {
    /// As reply headers carry it.
    pub fn to_wire(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of `KeeperException.Code` in ZooKeeper 3.9. Clients break at any other.
    const ZOOKEEPERS: [i32; 30] = [
        -1, -2, -3, -4, -5, -6, -7, -8, -12, -13, -14, -101, -102, -103, -108, -110, -111, -112,
        -113, -114, -115, -118, -119, -120, -121, -122, -123, -124, -125, -127,
    ];

    #[test]
    fn every_code_is_one_that_clients_know() {
        let all = (0..u8::MAX).map_while(|n| postcard::from_bytes::<ErrorCode>(&[n]).ok());
        let codes: Vec<i32> = all.map(ErrorCode::to_wire).collect();
        assert!(codes.len() > 15, "{codes:?}");
        for code in codes {
            assert!(ZOOKEEPERS.contains(&code), "{code}");
        }
    }
}
