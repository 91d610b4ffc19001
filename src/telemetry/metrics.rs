//! Every metric of a node, by name.
//!
//! One [`Metrics`] per node, never a global, so that several nodes can live in one process. Labels are
//! limited to `listener`, `service`, `endpoint`, `code`, `reason`, `fault` and `node` (and `version` on
//! `zoogate_build_info`), so the number of series is bounded by what the operator named.
//!
//! Two ways in, one way out:
//! ```text
//! proxy, zk, ensemble, registry -- count as things happen --+
//!                                                           +-- Metrics::scrape -> text
//! admin -- mirrors the table, the tree and the ensemble ----+
//! ```
//! Sources: the exposition format 0.0.4 and the naming rules of prometheus.io.

use super::coordination::CoordinationMetrics;
use super::families::{counter, counters, gauges};
use super::tls::TlsMetrics;
use super::traffic::{ListenerMetrics, ServiceMetrics, TrafficFamilies};
use parking_lot::Mutex;
use prometheus::{Encoder, IntCounter, IntCounterVec, IntGaugeVec, Registry, TextEncoder};
use std::sync::Arc;

/// All metrics of one node.
pub struct Metrics {
    registry: Registry,
    /// The data plane's, by listener and service.
    traffic: TrafficFamilies,
    /// The control plane's.
    pub coordination: CoordinationMetrics,
    /// Those of ports with TLS.
    pub tls: TlsMetrics,
    /// `zoogate_endpoint_up`
    pub endpoint_up: IntGaugeVec,
    /// `zoogate_endpoint_active`
    pub endpoint_active: IntGaugeVec,
    /// `zoogate_endpoint_weight`
    pub endpoint_weight: IntGaugeVec,
    /// `zoogate_endpoint_picks_total`
    pub endpoint_picks: IntCounterVec,
    /// `zoogate_endpoint_connect_failures_total`
    pub endpoint_connect_failures: IntCounterVec,
    /// `zoogate_service_endpoints`
    pub service_endpoints: IntGaugeVec,
    /// `zoogate_service_queue`
    pub service_queue: IntGaugeVec,
    /// `zoogate_service_degraded`
    pub service_degraded: IntGaugeVec,
    /// `zoogate_service_unparsed`
    pub service_unparsed: IntGaugeVec,
    /// `zoogate_access_log_dropped_total`
    pub access_log_dropped: IntCounter,
    /// `zoogate_fault`
    pub fault: IntGaugeVec,
    /// Held from the first mirrored value to the last rendered line: see [`Metrics::scrape`].
    scraping: Mutex<()>,
}

impl Metrics {
    /// The metrics of the node called `node`, all at zero.
    pub fn new(node: &str) -> Arc<Metrics> {
        const ENDPOINT: &[&str] = &["service", "endpoint"];
        const SERVICE: &[&str] = &["service"];
        const BUILD: &str = "Constant 1, labelled with the node and its version.";
        let r = Registry::new();
        gauges(&r, "build_info", BUILD, &["node", "version"])
            .with_label_values(&[node, env!("CARGO_PKG_VERSION")])
            .set(1);
        let coordination = CoordinationMetrics::new(&r);
        coordination.settings_ok.set(1);
        Arc::new(Metrics {
            traffic: TrafficFamilies::new(&r),
            coordination,
            tls: TlsMetrics::new(&r),
            endpoint_up: gauges(
                &r,
                "endpoint_up",
                "1 while the endpoint gets new traffic, 0 while it does not, for whatever reason.",
                ENDPOINT,
            ),
            endpoint_active: gauges(&r, "endpoint_active", "Exchanges under way.", ENDPOINT),
            endpoint_weight: gauges(&r, "endpoint_weight", "Weight in force.", ENDPOINT),
            endpoint_picks: counters(&r, "endpoint_picks_total", "Times picked.", ENDPOINT),
            endpoint_connect_failures: counters(
                &r,
                "endpoint_connect_failures_total",
                "Connection attempts that failed.",
                ENDPOINT,
            ),
            service_endpoints: gauges(
                &r,
                "service_endpoints",
                "Endpoints that get new traffic.",
                SERVICE,
            ),
            service_queue: gauges(
                &r,
                "service_queue",
                "Exchanges that wait for an endpoint.",
                SERVICE,
            ),
            service_degraded: gauges(
                &r,
                "service_degraded",
                "1 while the service is not served as it is meant to be, by why.",
                &["service", "reason"],
            ),
            service_unparsed: gauges(
                &r,
                "service_unparsed",
                "Registrations that cannot be read.",
                SERVICE,
            ),
            access_log_dropped: counter(
                &r,
                "access_log_dropped_total",
                "Lines of the access log that were not written, because nobody read them in time or at all.",
            ),
            fault: gauges(
                &r,
                "fault",
                "1 while this member has the fault, which keeps it from doing its work.",
                &["fault"],
            ),
            scraping: Mutex::new(()),
            registry: r,
        })
    }

    /// The handles of a listener; the same counters for the same name.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        self.traffic.listener(name)
    }

    /// The handles of a service; the same counters for the same name.
    pub fn service(&self, name: &str) -> ServiceMetrics {
        self.traffic.service(name)
    }

    /// Drops every series of a service that no longer exists, so that names which come and go do not pile
    /// up. Handles given out before keep working but are no longer shown; a service that comes back
    /// starts from zero, which Prometheus takes for a restart.
    pub fn forget_service(&self, name: &str) {
        self.traffic.forget_service(name);
    }

    /// Runs `mirror`, which brings gauges up to date with the state they show, and renders everything.
    /// One step: a scrape that comes at the same time waits, so that it never meets a family that the
    /// other has emptied and not filled again.
    pub fn scrape(&self, mirror: impl FnOnce(&Metrics)) -> String {
        let _alone = self.scraping.lock();
        mirror(self);
        self.render()
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        debug_assert!(
            encoded.is_ok(),
            "encoding into memory fails only for families without metrics"
        );
        String::from_utf8(out).unwrap_or_default()
    }
}
