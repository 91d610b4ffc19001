//! The immutable routing table: listeners' rules lead to services.
//!
//! ```text
//! listener name --> rules, in order --first match--> Service --balancer--> endpoint
//! ```
//!
//! A table is never changed once it is in use; a change is a new table, which shares with its predecessor
//! every service that stays as it is. Whoever routes loads the table once per connection or request, so one
//! decision never mixes two tables. Routing allocates nothing and takes no lock.
mod drain;
mod rule;
mod selection;
mod service;
mod table;

pub use drain::{Drain, DrainOrder};
pub use rule::{Asked, Rule};
pub use selection::{Degradation, Selection, TierUse};
pub use service::{Aside, Notes, Service, Unparsed};
pub use table::RoutingTable;
