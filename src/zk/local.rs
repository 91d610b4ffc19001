//! Sessions that this member alone knows: for reading while no leader is within reach.
//!
//! They own nothing and are in no log, so there is nothing to keep either: the password of a local session is
//! computed from its id with a secret of this process. Whoever presents it comes back to it here; everywhere
//! else, and once there is a leader again, the session is gone.
//!
//! Source: `ReadOnlyZooKeeperServer` and `SessionTrackerImpl` of ZooKeeper 3.9.

use crate::tree::SessionId;
use sha1::{Digest, Sha1};

/// The local sessions of one process.
pub(super) struct LocalSessions {
    secret: [u8; 32],
}

impl LocalSessions {
    /// None yet.
    pub(super) fn new() -> LocalSessions {
        LocalSessions {
            secret: rand::random(),
        }
    }

    /// A new session's id and password.
    pub(super) fn open(&self) -> (SessionId, [u8; 16]) {
        let id = SessionId::local(rand::random());
        (id, self.password(id))
    }

    /// The password of the local session `id`.
    pub(super) fn password(&self, id: SessionId) -> [u8; 16] {
        let hash = Sha1::new()
            .chain_update(self.secret)
            .chain_update(id.0.to_be_bytes())
            .finalize();
        let (password, _) = hash
            .split_first_chunk()
            .expect("SHA-1 has 20 bytes, a password 16");
        *password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_belongs_to_one_session_of_one_process() {
        let (here, there) = (LocalSessions::new(), LocalSessions::new());
        let (one, password) = here.open();
        let (other, _) = here.open();
        assert!(one.is_local() && other.is_local() && one != other);
        assert_eq!(here.password(one), password);
        assert_ne!(here.password(other), password);
        assert_ne!(there.password(one), password);
    }
}
