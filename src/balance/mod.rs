//! How one endpoint is chosen among many: strategies, leases and the state endpoints keep across tables.
//!
//! ```text
//! PickInput { key, random, tried, limit } --> Balancer::pick --> Lease --drop--> slot given back, Queue::call
//!                                          |
//!              round_robin | weighted | random | consistent_hash      one file each in strategy/
//! ```
//!
//! A pure core: no I/O, no clock, no randomness of its own. Invariants:
//! - A pick takes no lock, waits for nobody and allocates nothing.
//! - What is expensive to arrange (a hash ring, a weighted sequence) is arranged when a table is built, and
//!   shared with the next table when endpoints and weights stay as they are.
//! - An arrangement depends on instance names and weights alone, so all nodes arrange alike.
//! - Whether an endpoint gets traffic is decided when a table is assembled, by its [`Condition`]; no pick asks.
mod balancer;
mod cause;
mod condition;
mod endpoint;
mod fact;
mod lease;
mod pick;
mod queue;
mod strategy;
mod turn;

pub use balancer::Balancer;
pub use cause::{EjectionCause, ProbeFailure};
pub use condition::{Availability, Condition, Facts, Standing};
pub use endpoint::{Endpoint, EndpointState};
pub use fact::{Fact, Mark};
pub use lease::Lease;
pub use pick::{PickError, PickInput, UNLIMITED};
pub use queue::{Place, Queue};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
