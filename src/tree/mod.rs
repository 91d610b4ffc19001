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
//!                     +-- membership   members and their addresses; writes /zookeeper/config
//!                     +-- execution    checks (access: ACLs, quota: hard limits), change and events of each
//!                           |          operation; multi = all or nothing
//!                           +-- store  znodes in slots, index by (parent, name), counts, running digest
//!                                 +-- journal   inverse steps of a multi under way
//!                                 +-- capture   images of slots for a snapshot under way
//!
//!   reads      Tree::get -> Znode, Tree::session, Tree::counts, Tree::quotas, Tree::reapable, Tree::digest
//!   snapshots  Tree::start_snapshot, snapshot_chunk --bytes (format)--> TreeLoader -> Tree
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
mod format;
mod id;
mod index;
mod invariants;
mod journal;
mod loader;
mod membership;
mod owner;
mod path;
mod quota;
mod record;
mod session;
mod snapshot;
mod stat;
mod store;
#[cfg(test)]
mod tests;
#[expect(
    clippy::module_inception,
    reason = "one main type per file, named after it"
)]
mod tree;
mod znode;

pub use access::Permission;
pub use acl_table::AclList;
pub use command::{
    Acl, Actor, Change, Command, CreateMode, Event, Identity, Lifetime, MultiFailure, Op, OpReply,
    Outcome, Reply, Transaction,
};
pub use error::ErrorCode;
pub use id::{SessionId, Zxid};
pub use loader::{SnapshotError, TreeLoader};
pub use membership::Member as MemberInfo;
pub use path::CONFIG as CONFIG_PATH;
pub use quota::{Quota, Usage};
pub use session::Session;
pub use stat::Stat;
pub use tree::{Counts, Tree};
pub use znode::Znode;
