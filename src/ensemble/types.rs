//! How openraft sees this ensemble: what an entry carries, who a member is.

use crate::tree::Transaction;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Who proposed an entry, so that this member can find the waiting client when it applies the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The proposing member's number.
    pub member: u64,
    /// Random per start of that member's process: a restarted member does not know its old tickets.
    pub run: u64,
    /// Counts up per proposal within a run.
    pub ticket: u64,
}

/// What a normal log entry carries: one transaction and where it came from. Entries share it: each is copied for
/// every follower and once more to be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Who waits for the outcome.
    pub origin: Origin,
    /// The change.
    pub transaction: Transaction,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proposal {}/{}", self.origin.member, self.origin.ticket)
    }
}

/// The answer openraft carries back to the proposing leader. Empty: the origin answers its client from its
/// own apply, so nothing travels here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done;

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("done")
    }
}

/// A member as the membership entries name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its `[node] name`.
    pub name: String,
    /// Where it listens for other members, `host:port`.
    pub address: String,
    /// The port for elections that `reconfig` told beside it. Shown to clients, not used.
    pub election: Option<u16>,
}

impl Member {
    /// Whether it is the same member at the same address.
    pub(super) fn is_like(&self, other: &Member) -> bool {
        self.name == other.name && self.address == other.address
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

openraft::declare_raft_types!(
    /// The types openraft is generic over.
    pub Types:
        D = Arc<Proposal>,
        R = Done,
        NodeId = u64,
        Node = Member,
);
