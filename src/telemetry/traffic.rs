//! The data plane's metrics, as handles.
//!
//! Hot paths never look a label up: a listener or service asks [`super::Metrics`] for its handles once and
//! keeps them. What stays behind a lookup is what happens once per connection or per failure, by reason.

use super::families::{FAST, families};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use std::time::Duration;

/// A listener's handles.
pub struct ListenerMetrics {
    /// Connections accepted.
    pub connections: IntCounter,
    /// Connections open now.
    pub connections_active: IntGauge,
    /// Connections that had to wait because as many were open as may be.
    pub delayed_by_seats: IntCounter,
    /// Connections that had to wait because too many came per second.
    pub delayed_by_rate: IntCounter,
    closed: IntCounterVec,
    name: String,
}

impl ListenerMetrics {
    /// Counts the end of a connection, by why it ended.
    pub fn closed(&self, reason: &'static str) {
        self.closed
            .with_label_values(&[self.name.as_str(), reason])
            .inc();
    }
}

/// A service's handles.
pub struct ServiceMetrics {
    /// Bytes from clients towards endpoints.
    pub received_bytes: IntCounter,
    /// Bytes from endpoints towards clients.
    pub sent_bytes: IntCounter,
    /// Requests answered, by class of status code; index with [`StatusClass`].
    pub requests: [IntCounter; 5],
    /// From the head of the request to the last byte of the response.
    pub request_duration: Histogram,
    /// Time to connect to an endpoint.
    pub connect_duration: Histogram,
    /// Time an exchange waited for an endpoint that is not full; those that did not wait are not in it.
    pub queue_wait: Histogram,
    /// Attempts on a second endpoint.
    pub retries: IntCounter,
    probe_duration: Histogram,
    probes: IntCounterVec,
    ejections: IntCounterVec,
    errors: IntCounterVec,
    name: String,
}

impl ServiceMetrics {
    /// Counts an exchange that failed, by why.
    pub fn error(&self, reason: &'static str) {
        self.errors
            .with_label_values(&[self.name.as_str(), reason])
            .inc();
    }

    /// Counts a probe of an endpoint: `ok`, or why it failed; and how long it took.
    pub fn probed(&self, reason: &'static str, took: Duration) {
        self.probes
            .with_label_values(&[self.name.as_str(), reason])
            .inc();
        self.probe_duration.observe(took.as_secs_f64());
    }

    /// Counts an ejection of an endpoint, by why.
    pub fn ejected(&self, reason: &'static str) {
        self.ejections
            .with_label_values(&[self.name.as_str(), reason])
            .inc();
    }

    /// Counts an answered request.
    pub fn answered(&self, status: u16) {
        self.requests[StatusClass::of(status) as usize].inc();
    }
}

/// The class of an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 1xx
    Informational = 0,
    /// 2xx
    Success = 1,
    /// 3xx
    Redirection = 2,
    /// 4xx
    ClientError = 3,
    /// 5xx and everything else
    ServerError = 4,
}

impl StatusClass {
    /// The values of the label `code`, in the order of the variants.
    const LABELS: [&'static str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

    /// The class of `status`.
    pub fn of(status: u16) -> StatusClass {
        match status / 100 {
            1 => StatusClass::Informational,
            2 => StatusClass::Success,
            3 => StatusClass::Redirection,
            4 => StatusClass::ClientError,
            _ => StatusClass::ServerError,
        }
    }
}

families! {
    /// The families from which listeners and services take their handles.
    pub(super) struct TrafficFamilies {
        connections: IntCounterVec = counters("connections_total", "Connections accepted.", &["listener"]);
        connections_active: IntGaugeVec = gauges("connections_active", "Connections open now.", &["listener"]);
        connections_delayed: IntCounterVec = counters("connections_delayed_total", "Connections that were accepted later because of a limit, by which.", &["listener", "reason"]);
        connections_closed: IntCounterVec = counters("connections_closed_total", "Connections ended, by why.", &["listener", "reason"]);
        received_bytes: IntCounterVec = counters("received_bytes_total", "Bytes from clients to endpoints.", &["service"]);
        sent_bytes: IntCounterVec = counters("sent_bytes_total", "Bytes from endpoints to clients.", &["service"]);
        requests: IntCounterVec = counters("requests_total", "HTTP requests answered, by class of status.", &["service", "code"]);
        request_duration: HistogramVec = histograms("request_duration_seconds", "From a request's head to its response's last byte.", FAST);
        connect_duration: HistogramVec = histograms("connect_duration_seconds", "Time to connect to an endpoint.", FAST);
        queue_wait: HistogramVec = histograms("queue_wait_seconds", "Time that exchanges which had to wait for an endpoint waited.", FAST);
        retries: IntCounterVec = counters("retries_total", "Attempts on a second endpoint.", &["service"]);
        probes: IntCounterVec = counters("probes_total", "Probes of endpoints, ok or by why they failed.", &["service", "reason"]);
        ejections: IntCounterVec = counters("ejections_total", "Endpoints ejected because exchanges failed, by why.", &["service", "reason"]);
        probe_duration: HistogramVec = histograms("probe_duration_seconds", "Time a probe of an endpoint took.", FAST);
        upstream_errors: IntCounterVec = counters("upstream_errors_total", "Exchanges that failed, by why.", &["service", "reason"]);
    }
}

impl TrafficFamilies {
    /// The handles of a listener; the same counters for the same name.
    pub(super) fn listener(&self, name: &str) -> ListenerMetrics {
        let delayed = |by| self.connections_delayed.with_label_values(&[name, by]);
        ListenerMetrics {
            connections: self.connections.with_label_values(&[name]),
            connections_active: self.connections_active.with_label_values(&[name]),
            delayed_by_seats: delayed("max-connections"),
            delayed_by_rate: delayed("accept-rate"),
            closed: self.connections_closed.clone(),
            name: name.into(),
        }
    }

    /// The handles of a service; the same counters for the same name.
    pub(super) fn service(&self, name: &str) -> ServiceMetrics {
        ServiceMetrics {
            received_bytes: self.received_bytes.with_label_values(&[name]),
            sent_bytes: self.sent_bytes.with_label_values(&[name]),
            requests: StatusClass::LABELS
                .map(|class| self.requests.with_label_values(&[name, class])),
            request_duration: self.request_duration.with_label_values(&[name]),
            connect_duration: self.connect_duration.with_label_values(&[name]),
            queue_wait: self.queue_wait.with_label_values(&[name]),
            retries: self.retries.with_label_values(&[name]),
            probe_duration: self.probe_duration.with_label_values(&[name]),
            probes: self.probes.clone(),
            ejections: self.ejections.clone(),
            errors: self.upstream_errors.clone(),
            name: name.into(),
        }
    }

    /// Drops every series of a service. Removing what was never there is no error.
    pub(super) fn forget_service(&self, name: &str) {
        for family in [&self.received_bytes, &self.sent_bytes, &self.retries] {
            let _ = family.remove_label_values(&[name]);
        }
        for class in StatusClass::LABELS {
            let _ = self.requests.remove_label_values(&[name, class]);
        }
        for family in [
            &self.request_duration,
            &self.connect_duration,
            &self.queue_wait,
            &self.probe_duration,
        ] {
            let _ = family.remove_label_values(&[name]);
        }
        for family in [&self.upstream_errors, &self.probes, &self.ejections] {
            for reason in reasons_of(family, name) {
                let _ = family.remove_label_values(&[name, &reason]);
            }
        }
    }
}

/// The reasons under which `family` has a series for the service `name`.
fn reasons_of(family: &IntCounterVec, name: &str) -> Vec<String> {
    let value = |metric: &prometheus::proto::Metric, label: &str| {
        let pairs = metric.get_label();
        let pair = pairs.iter().find(|pair| pair.name() == label);
        pair.map(|pair| pair.value().to_owned())
    };
    let families = family.collect();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    metrics
        .filter(|metric| value(metric, "service").as_deref() == Some(name))
        .filter_map(|metric| value(metric, "reason"))
        .collect()
}
