//! How one endpoint is chosen among many: strategies, leases and the state endpoints keep across tables.
//!
//! ```text
//! PickInput { key, random, now, tried, limit } --> Balancer::pick --> Lease --drop--> slot given back, Queue::call
//!                                                      |                '--observe--> Latency, for p2c
//!        round_robin | weighted | random | least_connections | p2c | consistent_hash (bounded) | maglev
//!                               one file each in strategy/
//! ```
//!
//! A pure core: no I/O, no clock, no randomness of its own. Invariants:
//! - A pick takes no lock, waits for nobody and allocates nothing.
//! - What is expensive to arrange (a hash ring, a weighted sequence) is arranged when a table is built, and
//!   shared with the next table when endpoints and weights stay as they are.
//! - An arrangement depends on instance names and shares alone, so nodes that agree on those arrange alike.
//! - Whether an endpoint gets traffic, and how much of its weight counts, is decided when a table is assembled, by its
//!   [`Condition`] and its tier; no pick asks.
mod arrangement;
mod balancer;
mod bell;
mod candidate;
mod cause;
mod condition;
mod draw;
mod endpoint;
mod fact;
mod latency;
mod lease;
mod pick;
mod queue;
mod record;
mod strategy;
mod tally;
mod turn;

pub use balancer::{Balancer, Method};
pub use bell::Bell;
pub use candidate::{Candidate, WHOLE};
pub use cause::{EjectionCause, ProbeFailure};
pub use condition::{Availability, Condition, Facts, Standing};
pub use endpoint::{Endpoint, EndpointState};
pub use fact::{Fact, Mark};
pub use latency::Latency;
pub use lease::Lease;
pub use pick::{PickError, PickInput, UNLIMITED};
pub use queue::{Place, Queue};
pub use record::{Record, Totals};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
