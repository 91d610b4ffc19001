//! Metrics of ports with TLS, and of those that should have it. The label `listener` names the port by its section:
//! "ensemble", "zookeeper" or "admin"; a listener of traffic is "listener.NAME".

use super::families::{counters, gauges};
use prometheus::{IntCounterVec, IntGaugeVec, Registry};

/// The failed handshakes of one port.
#[derive(Clone)]
pub struct TlsFailures {
    counters: IntCounterVec,
    listener: String,
}

impl TlsFailures {
    /// Counts one.
    pub fn count(&self, reason: &str) {
        self.counters
            .with_label_values(&[self.listener.as_str(), reason])
            .inc();
    }
}

/// The metrics of all ports.
pub struct TlsMetrics {
    /// `zoogate_tls_certificate_expiry_timestamp_seconds`
    pub expiry: IntGaugeVec,
    /// `zoogate_tls_reloads_total`
    pub reloads: IntCounterVec,
    /// `zoogate_tls_reload_failures_total`
    pub reload_failures: IntCounterVec,
    /// `zoogate_tls_last_reload_successful`
    pub ok: IntGaugeVec,
    /// `zoogate_tls_handshake_failures_total`
    pub failures: IntCounterVec,
    /// `zoogate_insecure_port`
    pub insecure: IntGaugeVec,
}

impl TlsMetrics {
    /// Registers them; none has a series yet.
    pub(super) fn new(r: &Registry) -> TlsMetrics {
        const PORT: &[&str] = &["listener"];
        const REASON: &[&str] = &["listener", "reason"];
        TlsMetrics {
            expiry: gauges(
                r,
                "tls_certificate_expiry_timestamp_seconds",
                "When the certificate of the port expires, Unix time.",
                PORT,
            ),
            reloads: counters(
                r,
                "tls_reloads_total",
                "Changed certificates, keys and authorities of the port taken into use.",
                PORT,
            ),
            reload_failures: counters(
                r,
                "tls_reload_failures_total",
                "Changed certificates, keys and authorities of the port refused because they cannot be used.",
                PORT,
            ),
            ok: gauges(
                r,
                "tls_last_reload_successful",
                "1 unless the last change of the port's certificate, key or authorities was refused.",
                PORT,
            ),
            failures: counters(
                r,
                "tls_handshake_failures_total",
                "Handshakes on the port that failed, by reason; between members, those that this one dialled too.",
                REASON,
            ),
            insecure: gauges(
                r,
                "insecure_port",
                "1 if the port is beyond this machine without TLS, as insecure = true allows.",
                PORT,
            ),
        }
    }

    /// Counts a handshake on a port that failed.
    pub fn failed(&self, listener: &str, reason: &str) {
        self.failures.with_label_values(&[listener, reason]).inc();
    }

    /// The handle by which a port counts handshakes that fail.
    pub fn failures_of(&self, listener: &str) -> TlsFailures {
        TlsFailures {
            counters: self.failures.clone(),
            listener: listener.to_owned(),
        }
    }

    /// Drops every series of a port that is no more. Removing what was never there is no error.
    pub fn forget(&self, listener: &str) {
        let _ = self.ok.remove_label_values(&[listener]);
        let _ = self.expiry.remove_label_values(&[listener]);
        let _ = self.reloads.remove_label_values(&[listener]);
        let _ = self.reload_failures.remove_label_values(&[listener]);
    }

    /// What there is to see of a port with TLS from the start.
    pub fn begin(&self, listener: &str, reasons: impl IntoIterator<Item = &'static str>) {
        self.ok.with_label_values(&[listener]).set(1);
        self.reloads.with_label_values(&[listener]);
        self.reload_failures.with_label_values(&[listener]);
        for reason in reasons {
            self.failures.with_label_values(&[listener, reason]);
        }
    }
}
