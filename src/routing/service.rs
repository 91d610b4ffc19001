//! A service as the data plane sees it.

use crate::balance::{Balancer, Endpoint};
use crate::config::{ServiceName, ServicePolicy};
use crate::telemetry::ServiceMetrics;
use std::sync::Arc;

/// A service, ready for picks.
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// Its settings.
    pub policy: ServicePolicy,
    /// Picks among the endpoints that get traffic.
    pub balancer: Balancer,
    /// All endpoints; those with `state.retire_at()` set are draining.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Registrations that cannot be read, with the reason.
    pub unparsed: Vec<Unparsed>,
    /// Its metrics.
    pub metrics: Arc<ServiceMetrics>,
}

/// A registration that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unparsed {
    /// The znode's name.
    pub instance: Arc<str>,
    /// What is wrong with it.
    pub reason: String,
}
