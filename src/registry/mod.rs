//! The registry: the only bridge from the tree to the data plane.
//!
//! ```text
//! tree --(applied: which services changed)--> follow
//!   follow: reading <--(what they are now)--- tree
//!   reading --payload, settings--> assemble(file, previous table) --> RoutingTable --> one atomic store
//! ```
//! | file | owns |
//! |---|---|
//! | `layout` | where things are in the tree |
//! | `reading` | what is copied out of the tree |
//! | `payload/` | registrations, one file per form |
//! | `settings` | the tree's layer of settings |
//! | `order`, `drains` | what operators want of instances; who wants which drained |
//! | `assemble`, `service` | from all that to a table; pure |
//! | `wanted` | what registrations, settings and operators ask for |
//! | `eligible` | who gets traffic and how much: tiers, panic, slow start; pure |
//! | `departed` | endpoints that may come back |
//! | `departures` | why those that are not there any more have gone |
//! | `dirty`, `due`, `follow` | the loop |
//!
//! Absent on purpose: this room writes nothing into the tree, and nothing here waits for the ensemble or is waited
//! for by traffic. Without a leader the tree stands still, and so does the table.
pub mod assemble;
mod change;
mod departed;
mod departures;
mod dirty;
mod drains;
mod due;
mod eligible;
mod follow;
pub mod layout;
pub mod order;
pub mod payload;
pub mod reading;
mod service;
mod settings;
mod wanted;

pub use assemble::{Assembled, Effects, FileLayer, Given, assemble};
pub use change::{Change, What};
pub use departed::Departed;
pub use departures::{Departure, Removal};
pub use follow::Registry;
pub use settings::{RefusedSettings, TreeSettings, Verdict};

#[cfg(test)]
mod tests;
