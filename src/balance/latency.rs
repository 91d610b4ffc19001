//! How long an endpoint takes, remembered so that the worst counts: a peak-sensitive moving average in one atomic.
//!
//! ```text
//! longer than the estimate:  the estimate is the new one, at once
//! shorter:                   the estimate moves towards it, the further the longer the last one is ago
//! nothing measured:          the estimate fades, so that an endpoint which was slow once is tried again
//! ```
//! With `t` since the last measurement, what is kept of the old estimate is `exp(-t / 10 s)`.
//!
//! An endpoint of which nothing is known (it is new, or was idle until its estimate faded below a microsecond) has no
//! estimate, and whoever compares takes it to be as fast as the other. Finagle gives such a one a penalty as soon as
//! one exchange is under way, tower lets it start with a fixed latency of the caller's choice (linkerd: 30 ms) that
//! fades like a measured one. Both are guesses at the wrong scale for somebody: where answers take 200 us, an assumed
//! 30 ms keep a new endpoint idle for some 50 s, and where they take a second, they send it everything at first.
//! Taking the rival's needs no scale: until it has answered once, its load alone decides.
//!
//! Sources: Finagle `PeakEwma.scala` (decay time 10 s in its balancers), tower `load/peak_ewma.rs`, linkerd2-proxy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After this time without a measurement, an estimate has faded to 1/e, in milliseconds. Finagle's and linkerd's
/// default. Shorter forgets slow answers sooner and lets noise in; longer keeps traffic from an endpoint that has
/// recovered.
const DECAY_MS: f32 = 10_000.0;

/// Estimates below this, in microseconds, say nothing: no answer over a socket is that fast.
const FAINTEST_US: f32 = 1.0;

/// The latency of an endpoint. Two updates at once may lose one of them, never tear.
#[derive(Debug, Default)]
pub struct Latency {
    /// The estimate in microseconds (`f32`) in the high half; in the low half when it was made, in milliseconds, as
    /// far as 32 bits go: 49 days. Zero if nothing was measured.
    packed: AtomicU64,
}

impl Latency {
    /// An answer took that long; `now_ms` is [`crate::net::now_ms`].
    pub fn observe(&self, took: Duration, now_ms: u64) {
        let took = (took.as_secs_f32() * 1e6).max(FAINTEST_US);
        let before = self.packed.load(Ordering::Relaxed);
        let estimate = match before {
            0 => took,
            _ => {
                let (estimate, stamp) = unpacked(before);
                let kept = kept(stamp, now_ms);
                took.max(estimate * kept + took * (1.0 - kept))
            }
        };
        // Somebody who measured in between is as right as we are.
        let _ = self.packed.compare_exchange(
            before,
            packed(estimate, now_ms),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// The estimate as of `now_ms`, in microseconds; `None` while nothing is known.
    pub fn estimate(&self, now_ms: u64) -> Option<f32> {
        let packed = self.packed.load(Ordering::Relaxed);
        if packed == 0 {
            return None;
        }
        let (estimate, stamp) = unpacked(packed);
        Some(estimate * kept(stamp, now_ms)).filter(|estimate| *estimate >= FAINTEST_US)
    }
}

fn packed(estimate: f32, now_ms: u64) -> u64 {
    u64::from(estimate.to_bits()) << 32 | u64::from(now_ms as u32)
}

fn unpacked(packed: u64) -> (f32, u32) {
    (f32::from_bits((packed >> 32) as u32), packed as u32)
}

/// What is left of an estimate made at `stamp`. Clocks of two threads may be a little apart, so a stamp from the
/// future counts as now.
fn kept(stamp: u32, now_ms: u64) -> f32 {
    let age = (now_ms as u32).wrapping_sub(stamp);
    let age = if age > u32::MAX / 2 { 0 } else { age };
    (-(age as f32) / DECAY_MS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(samples: &[(u64, Duration)], now_ms: u64) -> Option<f32> {
        let latency = Latency::default();
        for (at_ms, took) in samples {
            latency.observe(*took, *at_ms);
        }
        latency.estimate(now_ms)
    }

    #[track_caller]
    fn is_about(estimate: Option<f32>, expected_us: f32) {
        let estimate = estimate.expect("something is known");
        let off = (estimate / expected_us - 1.0).abs();
        assert!(off < 0.01, "{estimate} is not about {expected_us}");
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(after(&[], 5), None);
    }

    #[test]
    fn a_peak_counts_at_once_and_fades_slowly() {
        is_about(after(&[(0, MS), (1, 50 * MS)], 1), 50_000.0);
        // A good answer right after a bad one changes next to nothing, ten seconds later most of it.
        is_about(after(&[(0, 50 * MS), (1, MS)], 1), 49_995.0);
        let e = 1.0_f32.exp();
        is_about(
            after(&[(0, 50 * MS), (10_000, MS)], 10_000),
            49_000.0 / e + 1000.0,
        );
    }

    #[test]
    fn an_estimate_never_falls_below_what_was_measured_last() {
        is_about(after(&[(0, MS), (1_000_000, 3 * MS)], 1_000_000), 3000.0);
    }

    #[test]
    fn silence_fades_until_nothing_is_known() {
        let e = 1.0_f32.exp();
        is_about(after(&[(7, 50 * MS)], 10_007), 50_000.0 / e);
        assert!(
            after(&[(0, 50 * MS)], 108_000).is_some(),
            "1 us after 10.8 times the decay"
        );
        assert_eq!(after(&[(0, 50 * MS)], 109_000), None);
    }

    #[test]
    fn the_clock_may_wrap_and_be_a_little_off() {
        let late = u64::from(u32::MAX);
        is_about(after(&[(late, MS)], late + 2), 1000.0);
        is_about(after(&[(5, MS)], 3), 1000.0);
    }

    #[test]
    fn the_shortest_measurement_is_still_one() {
        is_about(after(&[(0, Duration::ZERO)], 0), 1.0);
    }
}
