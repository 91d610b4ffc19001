//! The ensemble: agreeing with the other members on the tree, and keeping it on disk.
//!
//! ```text
//!   zk, admin, registry
//!        | propose(actor, command)         ^ Applied            ^ events        | barrier()
//!        v                                 | (tickets)          | (Follower)    v
//!   proposer --route: leader here--> duties --> openraft --> machine --> tree   barrier --> read index
//!        \--route: leader elsewhere--> peer (forward) --> its duties
//!   openraft <--> log, snapshot (disk)      openraft <--> peer (append, control, snapshot)
//!   sessions: touches --> reports --> the leader's deadlines --> expiry --> propose CloseSession
//! ```
//! Three rules hold it together. The origin answers its own client, from its own apply. A proposal is sent
//! once; if its way breaks, its outcome is *unknown* and said to be. Time, randomness and identities enter in the
//! proposal, never in `apply`.
//!
//! openraft is pinned and seen by this room only; the rooms above see [`Ensemble`].

mod admission;
mod arrival;
mod backup;
mod barrier;
mod census;
mod clock;
mod contact;
mod damage;
mod deadlines;
mod digest;
#[cfg(test)]
mod disk_tests;
mod duties;
mod expiry;
mod fault;
mod founding;
mod handle;
mod housekeeping;
mod inspect;
mod joining;
mod keeper;
mod limits;
pub mod log;
mod machine;
pub mod offline;
mod opening;
mod papers;
mod peer;
mod progress;
mod promotion;
mod proposer;
mod pulse;
mod question;
mod readmission;
mod reconfig;
mod reports;
mod roll;
mod running;
mod saving;
mod sessions;
mod snapshot;
mod space;
mod standing;
mod start;
mod state;
#[cfg(test)]
mod suite;
mod survey;
mod takeover;
mod tickets;
mod transfers;
pub mod types;
#[cfg_attr(
    feature = "simulation",
    expect(dead_code, reason = "nobody watches in virtual time")
)]
mod watchdog;

pub use admission::AdmissionError;
pub use arrival::ArrivalError;
pub use backup::{Backup, BackupError};
pub use damage::{AsideError, Damage};
pub use digest::DigestPoint;
pub use fault::Fault;
pub use handle::{
    Applied, Barrier, Ensemble, Follower, OutcomeUnknown, Pending, ProposeError, Role, Status,
};
pub use inspect::{Following, Saved, Storage};
pub use limits::SNAPSHOT_ENTRIES;
pub use machine::RestoreError;
pub use papers::PapersError;
pub use question::{Answerer, MemberAnswer, Unanswered};
pub use reconfig::{Alteration, Altered, ReconfigError, Reconfiguration};
pub use running::{MemberFailed, Running};
pub use start::{Start, StartError};
pub use survey::{Survey, Surveyed};
