//! What was counted and how long it took.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Counts and latencies of one worker, or of several together.
#[derive(Default)]
pub(crate) struct Tally {
    /// Latencies of what was answered within the window, microseconds.
    measured: Vec<u32>,
    /// Operations answered, within the window and outside of it: what servers spent their time on.
    answered: u64,
    /// Operations that failed.
    errors: u64,
    /// Why the first one did.
    first_error: Option<String>,
}

impl Tally {
    /// Counts an operation that has just been answered; latencies count from `begin` to `end`.
    pub(crate) fn answered(&mut self, asked: Instant, window: crate::Window) {
        let now = Instant::now();
        self.answered += 1;
        if now >= window.begin && now <= window.end {
            self.measured.push(microseconds(now - asked));
        }
    }

    /// Counts an operation that failed.
    pub(crate) fn failed(&mut self, why: &str) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| why.into());
    }

    /// Adds what another worker counted.
    pub(crate) fn merge(&mut self, other: Tally) {
        self.measured.extend(other.measured);
        self.answered += other.answered;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// Rate over `seconds`, quantiles in milliseconds, and counts.
    pub(crate) fn report(&mut self, seconds: f64) -> Value {
        self.measured.sort_unstable();
        json!({
            "per_second": self.measured.len() as f64 / seconds,
            "p50_ms": self.quantile_ms(0.50),
            "p99_ms": self.quantile_ms(0.99),
            "answered": self.answered,
            "errors": self.errors,
            "first_error": self.first_error,
        })
    }

    /// By the nearest rank; 0 of nothing.
    fn quantile_ms(&self, share: f64) -> f64 {
        let rank = (share * self.measured.len() as f64).ceil() as usize;
        let latency = self.measured.get(rank.saturating_sub(1));
        latency.map_or(0.0, |&us| f64::from(us) / 1e3)
    }
}

fn microseconds(latency: Duration) -> u32 {
    u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)
}
