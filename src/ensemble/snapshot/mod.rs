//! Snapshots on disk: the whole tree at one log index, so that the log before it can go.
//!
//! ```text
//! writer(meta) --block()--> snap-0.tmp --finish: sync, read back, rename, sync directory--> snap-<index>-<term>
//! incoming()   --write()-->     "        "                                                      | read_raw()
//!                ^------------------------- another member ------------------------------------'
//! ```
//!
//! What is in the blocks is the state machine's business. Nothing that has a snapshot's name is unfinished, and nothing
//! is used that was not read to its end and found right. A damaged snapshot is reported, never skipped in silence:
//! whether an older one will do depends on how far back the log reaches.

mod file;
mod format;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use file::SnapshotFile;
pub use format::FormatError;
pub(in crate::ensemble) use store::snapshot_index;
pub use store::{SnapshotFileError, SnapshotStore};
pub use stream::{Part, SnapshotStream};
pub use writer::SnapshotWriter;

use super::types::Types;

/// What a snapshot covers: the last log id and the membership as of it.
pub type Meta = openraft::alias::SnapshotMetaOf<Types>;
