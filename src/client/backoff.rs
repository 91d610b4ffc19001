//! How long to wait before the next attempt: exponential, jittered, bounded.

use rand::RngExt;
use std::time::Duration;

/// Waits that double from `first` to `longest`, each drawn uniformly from its upper half, so that clients
/// that lost the same server do not come back in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first`; no wait is longer than `longest`.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff {
            first,
            longest,
            next: first.min(longest),
        }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let upper = self.next;
        self.next = upper.saturating_mul(2).min(self.longest);
        upper.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// After a success: the next failure is answered as quickly as the first.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_bounds_and_restart() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(500));
        for upper in [100, 200, 400, 500, 500] {
            let wait = backoff.wait();
            assert!(
                wait >= ms(upper / 2) && wait <= ms(upper),
                "{wait:?} of {upper}"
            );
        }
        backoff.reset();
        assert!(backoff.wait() <= ms(100));
    }

    #[test]
    fn waits_differ_between_clients() {
        let draw = || Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).wait();
        let first = draw();
        assert!((0..64).any(|_| draw() != first));
    }
}
