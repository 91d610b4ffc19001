//! The tree: what every member of the ensemble agrees on.
//!
//! A pure core. It is a function of the transactions applied to it, in log order: no clock, no randomness,
//! no I/O, no watches, no waiting. What depends on the world (time, passwords, who asks) travels inside the
//! transaction; what concerns the world leaves as outcome and events.
//!
//! ```text
//!   Transaction --> Tree::apply --> Outcome { result, events }
//!                     |
//!                     +-- sessions     open, attach, close; admission of every request
//!                     +-- membership   members, their numbers and addresses; writes /zookeeper/config
//!                     +-- execution    checks (access: ACLs, quota: hard limits), change and events of each
//!                           |          operation; multi = all or nothing
//!                           +-- store  znodes in slots, index by (parent, name), counts, running digest
//!                                 +-- journal   inverse steps of a multi under way
//!                                 +-- capture   images of slots for a snapshot under way
//!                                 +-- scrub     recomputing the digest, a little at a time
//!
//!   reads      Tree::get -> Znode, Tree::session, Tree::counts, Tree::quotas, Tree::reapable, Tree::digest
//!   snapshots  Tree::start_snapshot, snapshot_chunk --bytes (format)--> TreeLoader -> Tree
//!                                                                 `--> Survey -> Contents
//! ```
//!
//! Invariants ([`Tree::check_invariants`] recomputes them):
//! 1. Same transactions, same outcomes, same digest, on every member.
//! 2. A transaction that fails changes nothing but the last zxid and the last time.
//! 3. Every ephemeral belongs to an open session and has no children.
//! 4. Zxids and times never go back.
//! 5. The digest and the counts are those of the znodes and sessions there are.
//!
//! Source: ZooKeeper 3.9 (`DataTree`, `PrepRequestProcessor`), whose behaviour this reproduces.
mod access;
mod acl;
mod acl_table;
mod capture;
mod command;
mod digest;
mod error;
mod execution;
#[cfg(test)]
mod flip;
mod format;
mod id;
mod index;
mod invariants;
mod journal;
mod loader;
mod membership;
mod numbers;
mod owner;
mod path;
mod quota;
mod record;
mod scrub;
mod session;
mod snapshot;
mod stat;
mod store;
mod survey;
#[cfg(test)]
mod tests;
mod transplant;
#[expect(
    clippy::module_inception,
    reason = "one main type per file, named after it"
)]
mod tree;
mod znode;

pub use access::Permission;
pub use acl_table::AclList;
pub use command::{
    Acl, Actor, Change, Command, CreateMode, Event, Identity, LEVEL, Lifetime, MultiFailure, Op,
    OpReply, Outcome, Reply, Transaction,
};
pub use error::ErrorCode;
#[cfg(test)]
pub(crate) use flip::Flip;
pub use id::{SessionId, Zxid};
pub use loader::{SnapshotError, TreeLoader};
pub use membership::{Member as MemberInfo, is_address};
pub use numbers::{MAX_NAME, NumberRecord, Stage};
pub use path::CONFIG as CONFIG_PATH;
pub use quota::{Quota, Usage};
pub use scrub::Scrub;
pub use session::Session;
pub use stat::Stat;
pub use survey::{Contents, Survey, Surveyed};
pub use transplant::LeftBehind;
pub use tree::{Counts, Tree};
pub use znode::Znode;
