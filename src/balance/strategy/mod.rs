//! The strategies, one file each. Every one answers `pick(endpoints, input)` with a position among the
//! endpoints (of which there is at least one), or nothing when all of them were tried.
mod consistent_hash;
mod random;
mod round_robin;
mod weighted;

pub(super) use consistent_hash::ConsistentHash;
pub(super) use random::Random;
pub(super) use round_robin::RoundRobin;
pub(super) use weighted::Weighted;
