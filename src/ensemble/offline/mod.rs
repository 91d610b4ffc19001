//! Backups and data directories without a running member: checking, restoring, looking.
//!
//! ```text
//! bytes of a backup or snapshot --Check--> what is in it, or where it is damaged
//! backup --restore--> data directory of a member of a new ensemble
//! data directory, of a running member too --look--> what is in log and snapshots, or where they are damaged
//! ```
//! Nothing here takes the lock of a data directory, but [`restore`] for the one it makes.

mod check;
mod look;
mod restore;
#[cfg(test)]
mod tests;

pub use super::log::finding::{Ending, Entry, Fact, Finding};
pub use super::log::inspection::inspect_log;
pub use check::{Check, CheckError, Checked, check_file};
pub use look::{Kind, kind_of, snapshots_in};
pub use restore::{Plan, RestoreError, Restored, restore};
