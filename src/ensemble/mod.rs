//! The ensemble: agreeing with the other members on the tree, and keeping it on disk.
//!
//! ```text
//!   zk, admin, registry
//!        | propose(actor, command)         ^ Applied            ^ events        | barrier()
//!        v                                 | (tickets)          | (Follower)    v
//!   proposer --route: leader here--> duties --> openraft --> machine --> tree   barrier --> read index
//!        \--route: leader elsewhere--> peer (forward) --> its duties
//!   openraft <--> log, snapshot (disk)      openraft <--> peer (append, control, snapshot)
//!   sessions: touches --> keeper --> the leader's deadlines --> propose CloseSession
//! ```
//! Three rules hold it together. The origin answers its own client, from its own apply. A proposal is sent
//! once; if its way breaks, its outcome is *unknown* and said to be. Time, randomness and identities enter in the
//! proposal, never in `apply`.
//!
//! openraft is pinned and seen by this room only; the rooms above see [`Ensemble`].

mod barrier;
mod clock;
mod contact;
mod duties;
mod founding;
mod handle;
mod inspect;
mod joining;
mod keeper;
mod limits;
pub mod log;
mod machine;
mod peer;
mod proposer;
mod pulse;
mod reconfig;
mod roster;
mod running;
mod sessions;
mod snapshot;
mod start;
mod state;
#[cfg(test)]
mod suite;
mod takeover;
mod tickets;
pub mod types;

pub use handle::{
    Applied, Barrier, Ensemble, Follower, OutcomeUnknown, Pending, ProposeError, Role, Status,
};
pub use inspect::{Following, Saved, Storage};
pub use limits::SNAPSHOT_ENTRIES;
pub use reconfig::{ReconfigError, Reconfiguration};
pub use roster::RosterError;
pub use running::{MemberFailed, Running};
pub use start::{Start, StartError};
