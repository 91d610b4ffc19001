//! The two identifiers everybody passes around: transaction ids and session ids.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The id of a transaction: the index of its entry in the Raft log, so it only ever grows and is the
/// same on every member. Zero means "before any transaction". On the wire it is a signed 64-bit
/// integer; log indexes never reach the sign bit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Zxid(pub u64);

impl Zxid {
    /// As ZooKeeper's records carry it.
    pub fn to_wire(self) -> i64 {
        self.0 as i64
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// The id of a client session: the opening member's number in the high byte and the zxid of the
/// opening transaction below it. Zero stands for "no session".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: the owner of a persistent znode.
    pub const NONE: SessionId = SessionId(0);

    /// The id of the session that `member` opens by the transaction `zxid`. The high byte stays below
    /// 0x7f because ZooKeeper reserves 0x80 and 0xff there for containers and TTL nodes.
    pub fn new(member: u64, zxid: Zxid) -> SessionId {
        SessionId((((member % 0x7f) << 56) | (zxid.0 & LOW)) as i64)
    }

    /// The id of a session that only one member knows. Its high byte is 0x7f, which no other session has.
    pub fn local(number: u64) -> SessionId {
        SessionId(((LOCAL << 56) | (number & LOW)) as i64)
    }

    /// Whether only one member knows it.
    pub fn is_local(self) -> bool {
        self.0 as u64 >> 56 == LOCAL
    }
}

/// What is below the high byte of a session's id.
const LOW: u64 = 0x00ff_ffff_ffff_ffff;

/// The high byte of a local session's id.
const LOCAL: u64 = 0x7f;

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_sessions_are_told_from_all_others_and_from_what_zookeeper_reserves() {
        for number in [0, 1, u64::MAX] {
            let local = SessionId::local(number);
            assert!(local.is_local() && local.0 > 0);
        }
        for member in [0, 1, 0x7e, 0x7f, 0xff, u64::MAX] {
            assert!(!SessionId::new(member, Zxid(u64::MAX)).is_local());
        }
        assert!(!SessionId::NONE.is_local());
    }
}
