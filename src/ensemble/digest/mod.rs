//! Replica digests: noticing that this member's tree is not the others', and getting the right one.
//!
//! ```text
//!  apply --(index, digest)--> points          scrub: walks over the own tree, a little at a time
//!                               |                |
//!  every DIGEST_EVERY entries, and every DIGEST_INTERVAL if there were writes
//!                               v                |
//!  follower --Ask::Digest(point)--> leader       |
//!     same: done                                 |
//!     differs: ask all voters --> verdict        | damaged
//!        right -> the odd one finds out itself   |
//!        wrong -+--------------------------------+--> not serving, hands leadership over, rebuild
//!        no majority -> all say so and do not serve; nobody rebuilds
//! ```
//! The comparison goes beside the log, not through it: an entry of its own would cost every member a durable write
//! and take a zxid that no client asked for, and a member asks no more often than it has something to tell. Digests
//! are of one index, so writes meanwhile do not matter. Whoever leads is one vote among the voters. A member that
//! found damage by its own walk needs no votes: memory that differs from what was written is wrong.
//!
//! Rebuilding (`rebuild`) replaces the tree by one from a member of the majority, and goes on from there by the own
//! log, which nobody doubts. A file named `diverged` says from before the first step until the end that this
//! disk's tree is doubted, so that a restart in between serves nobody either.
//!
//! Invariants:
//! 1. A member that is not [`Condition::Sound`] serves no client and writes no snapshot.
//! 2. One that is wrong neither votes on digests nor leads.
//! 3. It serves again only after its digest was the leader's, or a majority's, at one index.

mod compare;
pub(super) mod mark;
mod points;
mod rebuild;
mod scrub;
mod soundness;
#[cfg(test)]
pub(super) mod tests;
mod verdict;

pub(super) use compare::Comparer;
pub use points::DigestPoint;
pub(super) use points::Points;
pub(super) use rebuild::Rebuilder;
pub(super) use scrub::scrub;
pub(super) use soundness::{Condition, Soundness};
