//! A process-wide monotonic clock in milliseconds, small enough for an atomic.

use std::sync::OnceLock;
use tokio::time::Instant;

/// Milliseconds since the first call in this process; never goes back and knows no wall clock.
pub fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}
