//! What a znode's life depends on, in the 64 bits that ZooKeeper calls its ephemeral owner.
//!
//! ```text
//! 0                                 persistent
//! 0x00.. to 0x7e.., but not 0       ephemeral: the id of its session
//! 0x80 00 00 00 00 00 00 00         container
//! 0xff 00 00 followed by 40 bits    TTL: that many milliseconds, not 0
//! ```
//! Anything else is nobody's. Session ids stay out of the way: see [`SessionId::new`]. Clients see the owner
//! of ephemerals only; the others show 0.
//!
//! Source: `EphemeralType` of ZooKeeper 3.9.

use super::{ErrorCode, Lifetime, SessionId};

/// The lifetime of a znode, and its session if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Owner(i64);

const CONTAINER: i64 = i64::MIN;

/// The high byte 0xff, the two after it zero.
const TTL: i64 = -1 << 56;

/// Longest TTL, milliseconds: what 40 bits hold, almost 35 years.
const MAX_TTL_MS: u64 = (1 << 40) - 1;

impl Owner {
    /// Of a znode that `session`, or none, creates with a lifetime.
    ///
    /// # Errors
    /// [`ErrorCode::BadArguments`] for an ephemeral without a session, and for a TTL of 0 or above 2^40 - 1.
    pub(super) fn new(lifetime: Lifetime, session: SessionId) -> Result<Owner, ErrorCode> {
        match lifetime {
            Lifetime::Persistent => Ok(Owner(0)),
            Lifetime::Ephemeral if session != SessionId::NONE => Ok(Owner(session.0)),
            Lifetime::Container => Ok(Owner(CONTAINER)),
            Lifetime::Ttl(ms @ 1..=MAX_TTL_MS) => Ok(Owner(TTL | ms as i64)),
            Lifetime::Ephemeral | Lifetime::Ttl(_) => Err(ErrorCode::BadArguments),
        }
    }

    /// From the bits of a snapshot; `None` if they mean nothing.
    pub(super) fn from_bits(bits: i64) -> Option<Owner> {
        let is_ttl = bits & !(MAX_TTL_MS as i64) == TTL && bits != TTL;
        (bits >= 0 || bits == CONTAINER || is_ttl).then_some(Owner(bits))
    }

    /// The 64 bits.
    pub(super) fn to_bits(self) -> i64 {
        self.0
    }

    /// How long the znode lives.
    pub(super) fn lifetime(self) -> Lifetime {
        match self.0 {
            0 => Lifetime::Persistent,
            1.. => Lifetime::Ephemeral,
            CONTAINER => Lifetime::Container,
            ttl => Lifetime::Ttl((ttl ^ TTL) as u64),
        }
    }

    /// The session whose ephemeral the znode is, or none.
    pub(super) fn session(self) -> SessionId {
        SessionId(self.0.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Zxid;

    #[test]
    fn owners_are_the_bits_of_zookeeper() {
        let session = SessionId::new(3, Zxid(5));
        for (lifetime, bits) in [
            (Lifetime::Persistent, 0u64),
            (Lifetime::Ephemeral, 0x0300_0000_0000_0005),
            (Lifetime::Container, 0x8000_0000_0000_0000),
            (Lifetime::Ttl(1), 0xff00_0000_0000_0001),
            (Lifetime::Ttl(MAX_TTL_MS), 0xff00_00ff_ffff_ffff),
        ] {
            let owner = Owner::new(lifetime, session).expect("valid");
            assert_eq!(owner.to_bits(), bits as i64, "{lifetime:?}");
            assert_eq!(Owner::from_bits(bits as i64), Some(owner));
            assert_eq!(owner.lifetime(), lifetime);
            let is_its = lifetime == Lifetime::Ephemeral;
            assert_eq!(owner.session() == session, is_its, "{lifetime:?}");
            assert_eq!(owner.session() == SessionId::NONE, !is_its, "{lifetime:?}");
        }
    }

    #[test]
    fn impossible_lifetimes_are_refused() {
        for (lifetime, session) in [
            (Lifetime::Ephemeral, SessionId::NONE),
            (Lifetime::Ttl(0), SessionId(1)),
            (Lifetime::Ttl(1 << 40), SessionId(1)),
            (Lifetime::Ttl(u64::MAX), SessionId(1)),
        ] {
            let refused = Err(ErrorCode::BadArguments);
            assert_eq!(Owner::new(lifetime, session), refused, "{lifetime:?}");
        }
        for bits in [
            0x8000_0000_0000_0001u64,
            0xff00_0000_0000_0000,
            0xff00_0100_0000_0000,
            0xfe00_0000_0000_0001,
            u64::MAX,
        ] {
            assert_eq!(Owner::from_bits(bits as i64), None, "{bits:#x}");
        }
    }

    #[test]
    fn no_session_looks_like_another_lifetime() {
        for member in [0, 1, 126, 127, 128, 255, u64::MAX] {
            for zxid in [1, u64::MAX >> 8, u64::MAX] {
                let session = SessionId::new(member, Zxid(zxid));
                let owner = Owner::new(Lifetime::Ephemeral, session).expect("a session");
                assert_eq!(owner.lifetime(), Lifetime::Ephemeral);
                assert_eq!(owner.session(), session);
            }
        }
    }
}
