//! The strategies, one file each. Every one answers `pick(endpoints, input)` with a position among the
//! endpoints (of which there is at least one), or nothing when all of them were tried. `bounded` answers with a lease.
mod bounded;
mod consistent_hash;
mod least_connections;
mod maglev;
mod p2c;
mod random;
mod round_robin;
mod weighted;

pub(super) use bounded::Bounded;
pub(super) use consistent_hash::ConsistentHash;
pub(super) use least_connections::LeastConnections;
pub(super) use maglev::Maglev;
pub(super) use p2c::PowerOfTwo;
pub(super) use random::Random;
pub(super) use round_robin::RoundRobin;
pub(super) use weighted::Weighted;
