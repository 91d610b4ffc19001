//! Ejects endpoints whose exchanges fail: the one place that does, so that no more are ejected than may be.
//!
//! ```text
//! workers: Record counts, Bell rings at each `consecutive` failures in a row --> judge: failures in a row
//! every second: services whose interval is over                             --> judge: success rates
//! ```
//! An ejection ends by itself: the registry assembles a table when its time is up.

use super::outliers::{Rate, below_the_others, is_failing, room, term};
use super::prober::Changed;
use crate::balance::{EjectionCause, Endpoint, Totals};
use crate::config::{Outlier, ServiceName};
use crate::routing::{RoutingTable, Service};
use std::collections::HashMap;
use std::sync::Arc;

/// What is remembered from one interval to the next.
pub(super) struct Ejector {
    changed: Changed,
    intervals: HashMap<ServiceName, Interval>,
}

/// An interval under way.
struct Interval {
    since_ms: u64,
    /// The totals when it began, by the address of the endpoint's state.
    then: HashMap<usize, Totals>,
}

impl Ejector {
    /// Nothing is remembered.
    pub(super) fn new(changed: Changed) -> Ejector {
        let intervals = HashMap::new();
        Ejector { changed, intervals }
    }

    /// Ejects those that have failed too often in a row.
    pub(super) fn judge_rows(&self, table: &RoutingTable, now_ms: u64) {
        for service in table.services.values() {
            let Some(outlier) = service.policy.outlier.active() else {
                continue;
            };
            let failing = service.endpoints.iter().filter(|e| is_failing(e, outlier));
            let failing: Vec<_> = failing.collect();
            self.eject(
                service,
                outlier,
                &failing,
                EjectionCause::Consecutive,
                now_ms,
            );
        }
    }

    /// Ejects those that succeed less often than the others, in services whose interval is over.
    pub(super) fn judge_rates(&mut self, table: &RoutingTable, now_ms: u64) {
        let asks = |service: &Service| service.policy.outlier.success_rate > 0;
        let is_there = |name: &ServiceName| table.service(name.as_str()).is_some_and(|s| asks(s));
        self.intervals.retain(|name, _| is_there(name));
        for service in table.services.values().filter(|service| asks(service)) {
            self.judge_rate(service, now_ms);
        }
    }

    fn judge_rate(&mut self, service: &Service, now_ms: u64) {
        let outlier = &service.policy.outlier;
        let key = |endpoint: &Arc<Endpoint>| Arc::as_ptr(&endpoint.state) as usize;
        let now = service.endpoints.iter();
        let now = now.map(|e| (key(e), e.state.record.totals())).collect();
        let Some(interval) = self.intervals.get_mut(&service.name) else {
            let interval = Interval {
                since_ms: now_ms,
                then: now,
            };
            self.intervals.insert(service.name.clone(), interval);
            return;
        };
        let interval_ms = u64::try_from(outlier.interval.as_millis()).unwrap_or(u64::MAX);
        if now_ms.saturating_sub(interval.since_ms) < interval_ms {
            return;
        }
        let rates: Vec<Rate> = service
            .endpoints
            .iter()
            .map(|endpoint| {
                let now = endpoint.state.record.totals();
                let then = interval.then.get(&key(endpoint)).copied();
                let then = then.unwrap_or_default();
                let succeeded = now.succeeded.saturating_sub(then.succeeded);
                let failed = now.failed.saturating_sub(then.failed);
                Rate {
                    succeeded,
                    total: succeeded + failed,
                }
            })
            .collect();
        *interval = Interval {
            since_ms: now_ms,
            then: now,
        };
        let below = below_the_others(&rates, outlier).into_iter();
        let below: Vec<_> = below.map(|at| &service.endpoints[at]).collect();
        self.eject(service, outlier, &below, EjectionCause::SuccessRate, now_ms);
    }

    /// Ejects as many of them as there is room for.
    fn eject(
        &self,
        service: &Service,
        outlier: &Outlier,
        endpoints: &[&Arc<Endpoint>],
        cause: EjectionCause,
        now_ms: u64,
    ) {
        if endpoints.is_empty() {
            return;
        }
        let all: Vec<_> = service.endpoints.iter().map(|e| e.state.facts()).collect();
        let mut room = room(&all, outlier, now_ms);
        let mut news = false;
        for endpoint in endpoints {
            let state = &endpoint.state;
            let facts = state.facts();
            let is_out = facts.ejected.is_some_and(|(mark, _)| mark.holds(now_ms));
            if room == 0 || is_out || facts.drained.is_some() {
                continue;
            }
            let last = facts.ejected.and_then(|(mark, _)| mark.until_ms);
            let (nth, term_ms) = term(outlier, state.record.ejections(), last, now_ms);
            state.record.ejected(nth);
            state.eject(now_ms, now_ms.saturating_add(term_ms), cause);
            service.metrics.ejected(cause.as_str());
            tracing::warn!(
                service = %service.name, instance = %endpoint.instance, address = %endpoint.address,
                reason = cause.as_str(), seconds = term_ms as f64 / 1000.0,
                "endpoint is ejected"
            );
            room -= 1;
            news = true;
        }
        if news {
            (self.changed)(&service.name);
        }
    }
}
