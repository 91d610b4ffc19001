//! What a node says about itself: every metric and label by name, the set-up of logs, the printer of
//! error chains, and the wall clock that dates them.
//!
//! The room knows no other room. Those who count take handles from [`Metrics`]; `admin` renders it.
mod access_log;
mod chain;
mod clock;
mod coordination;
mod families;
mod log_line;
mod logs;
mod metrics;
mod panics;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;

pub use access_log::AccessLog;
pub use chain::chain;
pub use clock::{unix_millis, unix_seconds};
pub use coordination::CoordinationMetrics;
pub use logs::{LOG_VARIABLE, LogsError, init_logs};
pub use metrics::Metrics;
pub use panics::{contained, contained_panic, doomed, is_doomed, panics};
pub use tls::{TlsFailures, TlsMetrics};
pub use traffic::{ListenerMetrics, ServiceMetrics, StatusClass};
