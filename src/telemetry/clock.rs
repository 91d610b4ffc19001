//! The wall clock, for people and for dashboards.
//!
//! Wall clocks jump, so nothing is decided by one: timers use tokio's monotonic clock. What needs a date
//! (a log line, a `_timestamp_seconds` metric) asks here, and clippy refuses `SystemTime::now` elsewhere.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch; 0 on a machine whose clock is set before it.
pub fn unix_seconds() -> i64 {
    since_epoch().as_secs() as i64
}

/// Milliseconds since the Unix epoch; 0 on a machine whose clock is set before it.
pub fn unix_millis() -> i64 {
    since_epoch().as_millis() as i64
}

#[allow(clippy::disallowed_methods)] // the one place outside `ensemble` that may read the wall clock
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
