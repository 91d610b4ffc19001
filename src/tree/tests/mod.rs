//! Tests of the room as a whole: rules by example, a naive model, snapshots under way.

mod fixture;
mod history;

mod model;
mod multi;
mod operations;
mod permissions;
mod quotas;
mod random;
mod scrub;
mod sessions;
mod siblings;
mod snapshots;
mod stats;
mod survey;
