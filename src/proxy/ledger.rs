//! Where the records of exchanges are written, besides the metrics: the access log, and the node's log if that takes
//! them.

use super::access_line::AccessLine;
use super::account::ACCESS;
use super::outcome::Outcome;
use super::termination::Phase;
use crate::config::AccessFormat;
use crate::telemetry::{AccessLog, unix_millis};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The access log of a node, if it has one.
pub struct Ledger {
    node: String,
    log: Option<(AccessFormat, AccessLog)>,
    /// Connections that are open now; counted only if there is a log that says so.
    open: AtomicI64,
}

impl Ledger {
    /// No access log.
    pub fn closed() -> Arc<Ledger> {
        Arc::new(Ledger {
            node: String::new(),
            log: None,
            open: AtomicI64::new(0),
        })
    }

    /// The access log of `node`.
    pub fn open(node: &str, format: AccessFormat, log: AccessLog) -> Arc<Ledger> {
        Arc::new(Ledger {
            node: node.to_owned(),
            log: Some((format, log)),
            open: AtomicI64::new(0),
        })
    }

    /// A connection has been let in.
    pub fn opened(self: &Arc<Ledger>) -> Option<Open> {
        self.log.as_ref()?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Open(self.clone()))
    }

    /// Connections that are open now.
    pub fn connections(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether anybody wants a line.
    pub fn wants_lines(&self) -> bool {
        self.log.is_some() || in_the_nodes_log()
    }

    /// Writes a line.
    pub fn write(&self, line: &AccessLine<'_>, outcome: Outcome, phase: Phase) {
        if let Some((format, log)) = &self.log {
            let now_ms = unix_millis().unsigned_abs();
            log.write(match format {
                AccessFormat::Json => line.json(&self.node, now_ms),
                AccessFormat::Tcplog => line.tcplog(outcome, phase, now_ms),
            });
        }
        if in_the_nodes_log() {
            tracing::info!(
                target: ACCESS,
                listener = line.listener,
                client = %line.client,
                service = line.service,
                endpoint = line.endpoint,
                method = line.method,
                host = line.host,
                path = line.path,
                status = line.status,
                reason = line.reason,
                received = line.received,
                sent = line.sent,
                queue_us = line.queue_us,
                connect_us = line.connect_us,
                first_byte_us = line.first_byte_us,
                duration_us = line.duration_us,
            );
        }
    }

    /// Waits until every line is written, for up to `patience`.
    pub async fn finish(&self, patience: Duration) {
        if let Some((_, log)) = &self.log {
            log.finish(patience).await;
        }
    }
}

/// A connection that is counted; dropping it counts it no more.
pub struct Open(Arc<Ledger>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn in_the_nodes_log() -> bool {
    tracing::enabled!(target: ACCESS, tracing::Level::INFO)
}
