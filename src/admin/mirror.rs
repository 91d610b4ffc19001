//! Gauges that show state kept elsewhere, brought up to date when somebody scrapes.
//!
//! The alternative, setting them wherever the state changes, would put label lookups on hot paths and leave
//! series of endpoints behind that are gone. Here each labelled family is emptied and filled again, so its
//! series are exactly the table's. [`Metrics::scrape`] makes this one step for concurrent scrapes.

use crate::ensemble::{Fault, Role, Status};
use crate::routing::{Degradation, RoutingTable, Service};
use crate::telemetry::{Metrics, panics as panics_of_the_process};
use crate::tree::Counts;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Fills the gauges of services and endpoints from `table`. An address that is registered twice for one
/// service is one endpoint here: its exchanges, picks and weights add up.
pub(super) fn table(metrics: &Metrics, table: &RoutingTable) {
    metrics.endpoint_up.reset();
    metrics.endpoint_active.reset();
    metrics.endpoint_weight.reset();
    metrics.endpoint_picks.reset();
    metrics.endpoint_connect_failures.reset();
    metrics.service_endpoints.reset();
    metrics.service_queue.reset();
    metrics.service_degraded.reset();
    metrics.service_unparsed.reset();
    for service in table.services.values() {
        mirror_service(metrics, service);
    }
}

fn mirror_service(metrics: &Metrics, service: &Service) {
    let name = service.name.as_str();
    let picked = service.balancer.endpoints();
    let in_use: HashSet<_> = picked.iter().map(Arc::as_ptr).collect();
    for endpoint in &service.endpoints {
        let labels = &[name, &*endpoint.address];
        let state = &endpoint.state;
        let up = metrics.endpoint_up.with_label_values(labels);
        if in_use.contains(&Arc::as_ptr(endpoint)) {
            up.set(1);
        }
        metrics
            .endpoint_active
            .with_label_values(labels)
            .add(state.active.load(Ordering::Relaxed).into());
        metrics
            .endpoint_weight
            .with_label_values(labels)
            .add(endpoint.weight.into());
        metrics
            .endpoint_picks
            .with_label_values(labels)
            .inc_by(state.picks.load(Ordering::Relaxed));
        metrics
            .endpoint_connect_failures
            .with_label_values(labels)
            .inc_by(state.connect_failures.load(Ordering::Relaxed));
    }
    let waiting = wide(service.balancer.queue().len());
    metrics
        .service_queue
        .with_label_values(&[name])
        .set(waiting);
    for degradation in Degradation::ALL {
        let is = service.selection.is(degradation);
        let degraded = &metrics.service_degraded;
        degraded
            .with_label_values(&[name, degradation.as_str()])
            .set(is.into());
    }
    let (endpoints, unparsed) = (&metrics.service_endpoints, &metrics.service_unparsed);
    endpoints.with_label_values(&[name]).set(wide(picked.len()));
    unparsed
        .with_label_values(&[name])
        .set(wide(service.unparsed.len()));
}

/// Fills the gauges of the ensemble from this member's view of it.
pub(super) fn ensemble(metrics: &Metrics, status: &Status) {
    let gauges = &metrics.coordination;
    gauges.raft_term.set(status.term as i64);
    gauges.raft_role.set(match status.role {
        Role::Observer => 0,
        Role::Follower => 1,
        Role::Candidate => 2,
        Role::Leader => 3,
    });
    gauges.raft_leader.set(status.leader.unwrap_or(0) as i64);
    gauges.raft_committed.set(status.committed as i64);
    gauges.raft_applied.set(status.applied as i64);
    gauges.raft_last_log.set(status.last_log as i64);
    gauges.raft_voters.set(wide(status.voters));
    gauges
        .raft_synced_followers
        .set(wide(status.synced_followers));
    gauges.serving.set(status.serving.into());
    for label in Fault::LABELS {
        let has = status.faults.iter().any(|fault| fault.label() == *label);
        metrics.fault.with_label_values(&[label]).set(has.into());
    }
    gauges.applied_zxid.set(status.applied as i64);
}

/// Fills the gauges of the tree.
pub(super) fn tree(metrics: &Metrics, counts: &Counts) {
    let gauges = &metrics.coordination;
    gauges.znodes.set(wide(counts.znodes));
    gauges.ephemerals.set(wide(counts.ephemerals));
    gauges.tree_bytes.set(counts.data_bytes as i64);
    gauges.sessions.set(wide(counts.sessions));
}

/// Brings the count of panics up to date.
pub(super) fn panics(metrics: &Metrics) {
    let counter = &metrics.coordination.panics;
    counter.inc_by(panics_of_the_process().saturating_sub(counter.get()));
}

/// A count as a gauge holds it; memory cannot hold more than fits.
fn wide(count: usize) -> i64 {
    count as i64
}
