//! The Raft log on disk: what this member has promised, in the order it did.
//!
//! ```text
//!  openraft --append--> State (readable at once) --queue--> writer --write, fdatasync--> 0000000000000007.wal
//!           <------------------- callback, once durable --------'                        (prepared: ...8.wal)
//!           --read----> State: newest entries from memory, older ones by index from their segments
//! ```
//!
//! A log of our own because everything a library would add (a store's trees, compaction, a second sync path)
//! costs more than the few hundred lines it saves, and because votes, entries, truncations and purges
//! must be one stream: a vote in a file of its own can be older than the log beside it.
//!
//! | file | owns |
//! |---|---|
//! | `record` | the bytes of a record, checksums, `Position` |
//! | `disk` | every file operation; `injected` makes them fail in tests |
//! | `recovery` | reading the log back, telling torn from damaged |
//! | `writer`, `preparer` | the two threads; `command` what the first is asked; `worker` that it is a thread |
//! | `segment` | the files' names; `headroom` how much more fits |
//! | `recent`, `index`, `shared` | what readers see |
//! | `owner` | whose log it is, without opening it |
//! | `inspection`, `finding` | looking at a log without opening it |
//! | `sizes` | how large transactions are |
//! | `handle`, `storage` | [`Log`], and openraft's traits on it |
//!
//! Invariants:
//! 1. What was answered is on disk, and stays there over any crash.
//! 2. What is read back is what was written, up to a point behind everything that was answered; if not, the
//!    log does not open.
//! 3. A failed write or sync ends the log ([`Log::failed`]).
//! 4. Only segments whose entries are all purged are removed, after the purge is durable, oldest first.
//!
//! Sources: Ongaro, "Consensus: Bridging Theory and Practice", 3.8 (what must be durable when); Rebello et al.,
//! "Can Applications Recover from fsync Failures?", USENIX ATC 2020 (why a failed sync is final); Alagappan et
//! al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018 (why damage is not a torn write).

mod command;
pub(in crate::ensemble) mod disk;
mod error;
pub mod finding;
mod handle;
mod headroom;
mod index;
#[cfg(test)]
pub(in crate::ensemble) mod injected;
pub mod inspection;
mod owner;
mod preparer;
mod recent;
mod record;
mod recovery;
mod segment;
mod shared;
mod sizes;
mod storage;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

pub use disk::DiskError;
pub use error::{Failure, OpenError};
pub use handle::{Identity, Log};
pub use headroom::Room;
pub(in crate::ensemble) use owner::owner;
pub use record::MAX_RECORD_BYTES;
pub(in crate::ensemble) use segment::is_of_the_log;
pub use sizes::EntrySizes;

use super::types::Types;
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use record::RecordError;

type Entry = EntryOf<Types>;
type LogId = LogIdOf<Types>;
type Vote = VoteOf<Types>;

/// Largest segment that may be chosen. A segment is read whole when the log is opened.
pub const MAX_SEGMENT_BYTES: usize = 64 << 20;

/// Sizes of a log. None of them changes what is in it: a log opens with other limits than it was written with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a segment, up to [`MAX_SEGMENT_BYTES`]. Two exist at least. Larger ones rotate more rarely but
    /// hold more purged entries that cannot be removed yet, and take longer to prepare.
    pub segment_bytes: usize,
    /// Bytes of the newest entries kept in memory. A follower further behind is served from disk.
    pub recent_bytes: usize,
}

impl Default for Limits {
    /// 16 MiB, about 50,000 small transactions and 20 ms to prepare; 8 MiB, about 20,000 of them: more than is ever
    /// on its way to a follower that keeps up. What lies further back is in the system's cache as a rule.
    fn default() -> Limits {
        #[cfg(feature = "simulation")]
        return Limits {
            segment_bytes: crate::simulation::SEGMENT_BYTES,
            recent_bytes: crate::simulation::RECENT_BYTES,
        };
        #[cfg(not(feature = "simulation"))]
        Limits {
            segment_bytes: 16 << 20,
            recent_bytes: 8 << 20,
        }
    }
}
