//! A service as the data plane sees it.

use super::{Drain, Selection};
use crate::balance::{Balancer, Bell, Endpoint, Standing};
use crate::config::{Origin, ServiceName, ServicePolicy};
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
    /// How those that get traffic were chosen.
    pub selection: Selection,
    /// What else is to be known of its instances.
    pub notes: Notes,
    /// Its metrics.
    pub metrics: Arc<ServiceMetrics>,
    /// Rung when one of its endpoints may have to be ejected.
    pub bell: Arc<Bell>,
}

impl Service {
    /// An exchange with that endpoint went well.
    pub fn succeeded(&self, endpoint: &Endpoint) {
        if let Some(outlier) = self.policy.outlier.active() {
            endpoint.state.record.success(outlier.success_rate > 0);
        }
    }

    /// An exchange with that endpoint failed by the endpoint's fault.
    pub fn failed(&self, endpoint: &Endpoint) {
        if let Some(outlier) = self.policy.outlier.active() {
            let in_a_row = endpoint.state.record.failure();
            // Again and again: it may not have been ejected because too many others were.
            if outlier.consecutive > 0 && in_a_row.is_multiple_of(outlier.consecutive) {
                self.bell.ring();
            }
        }
    }
}

impl Service {
    /// What an endpoint of it is in at `now_ms`, and how that came about.
    pub fn standing(&self, endpoint: &Endpoint, now_ms: u64) -> Standing {
        let slow_start = self.policy.slow_start.as_millis();
        let slow_start_ms = u64::try_from(slow_start).unwrap_or(u64::MAX);
        endpoint.state.facts().standing(now_ms, slow_start_ms)
    }
}

/// What no pick depends on, for whoever asks why the endpoints are what they are. Each list is in the order of the
/// instances' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Instances that something drains, registered or not.
    pub drains: Vec<Drain>,
    /// Drains asked for by operators that cannot be read, with the reason; what they asked for before holds.
    pub misread: Vec<Unparsed>,
    /// Registrations that say of themselves that they do not serve.
    pub aside: Vec<Aside>,
    /// Where the service's strategy comes from.
    pub strategy_from: Origin,
}

impl Notes {
    /// Why that instance is drained, if it is.
    pub fn drain(&self, instance: &str) -> Option<&Drain> {
        let found = self
            .drains
            .binary_search_by(|drain| (*drain.instance).cmp(instance));
        found.ok().map(|at| &self.drains[at])
    }
}

/// A registration that says of itself that it does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// The znode's name.
    pub instance: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    /// It does not serve yet; if not, it does not serve any more.
    pub is_starting: bool,
}

/// A registration that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unparsed {
    /// The znode's name.
    pub instance: Arc<str>,
    /// What is wrong with it.
    pub reason: String,
}
