//! The admin door: health, readiness, metrics and the list of services, over HTTP/1.1, read-only.
//!
//! | path | answers |
//! |---|---|
//! | `/` | what there is, as text |
//! | `/healthz` | 200 `ok` while every critical task lives and makes progress, else 503 and why: restart the node |
//! | `/readyz` | 200 `ready` once it can serve, else 503 and the reasons, one per line: send traffic elsewhere |
//! | `/metrics` | Prometheus' text format 0.0.4 |
//! | `/v1/services`, .. | JSON: services, their endpoints and registrations that cannot be read; drains them from this machine, or with the token: see `services` |
//! | `/v1/cluster`, .. | JSON: the members; changes them from this machine, or with the token: see `cluster` |
//! | `/v1/snapshot` | a backup of the tree; from this machine, or with the token |
//! | `/commands`, `/commands/<name>` | JSON: what ZooKeeper's AdminServer answers |
//!
//! Everything is answered to `GET` and `HEAD`; request bodies are ignored. The room looks at the routing
//! table, the tree and the ensemble but changes nothing, except that two commands begin counts anew, as ZooKeeper's
//! do. Without `[admin.tls]` it asks nobody who he is, which is why the default address is on loopback.
//!
//! ```text
//! server   sockets, limits, deadlines, shutdown     -> method, path
//! routes   which page                               -> health | mirror + Metrics::scrape | services | commands
//! ```
mod access;
mod asked;
mod cluster;
mod commands;
mod health;
mod mirror;
mod reply;
mod routes;
mod server;
mod services;
mod snapshot;
#[cfg(test)]
mod tests;

pub use commands::{CommandAnswer, Commands, Refusal, Run};
pub use health::Health;
pub use server::{Door, serve};

use crate::ensemble::Ensemble;
use crate::net::Secret;
use crate::registry::Registry;
use crate::routing::RoutingTable;
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// What the admin door shows. Cheap to clone.
#[derive(Clone)]
pub struct AdminState {
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// The routing table in use.
    pub table: Arc<ArcSwap<RoutingTable>>,
    /// Who puts it into use, and remembers what was in it.
    pub registry: Arc<Registry>,
    /// This member of the ensemble.
    pub ensemble: Ensemble,
    /// What the node knows about itself.
    pub health: Arc<Health>,
    /// What ZooKeeper's AdminServer would answer.
    pub commands: Commands,
    /// What who changes something must show.
    pub token: Option<Arc<Secret>>,
}
