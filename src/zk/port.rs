//! What all connections of the port share.

use super::local::LocalSessions;
use super::monitor::Facts;
use super::tally::Tally;
use super::watches::Watches;
use crate::config::ZookeeperConfig;
use crate::ensemble::Ensemble;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The ZooKeeper port of one member.
pub(super) struct Port {
    /// Where writes go and reads look.
    pub(super) ensemble: Ensemble,
    /// Who watches what.
    pub(super) watches: Arc<Watches>,
    /// Counts.
    pub(super) tally: Tally,
    /// Sessions without an ensemble.
    pub(super) local: LocalSessions,
    /// What the operator wants.
    pub(super) settings: ZookeeperConfig,
    /// What the port turned out to be.
    pub(super) facts: Facts,
    /// One large answer to an operator is put together at a time.
    pub(super) large_answers: Arc<Semaphore>,
}

impl Port {
    /// A port without connections.
    pub(super) fn new(
        ensemble: Ensemble,
        watches: Arc<Watches>,
        settings: ZookeeperConfig,
        facts: Facts,
        metrics: Arc<Metrics>,
    ) -> Port {
        Port {
            ensemble,
            watches,
            tally: Tally::new(metrics),
            local: LocalSessions::new(),
            settings,
            facts,
            large_answers: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether clients can be served now.
    pub(super) fn is_serving(&self) -> bool {
        *self.ensemble.serving().borrow()
    }

    /// Whether clients may change the ensemble.
    pub(super) fn takes_reconfig(&self) -> bool {
        self.settings.reconfig
    }

    /// Whether clients that allow it may only read now.
    pub(super) fn is_read_only(&self) -> bool {
        self.settings.read_only && !self.is_serving() && self.ensemble.is_sound()
    }

    /// Whether it tells of itself: while it serves anybody, as a ZooKeeper server does.
    pub(super) fn tells(&self) -> bool {
        self.is_serving() || self.is_read_only()
    }

    /// The session timeout granted to a client that asks for `asked` milliseconds.
    pub(super) fn timeout_ms(&self, asked: i32) -> u32 {
        granted_ms(asked, &self.settings)
    }
}

fn granted_ms(asked: i32, settings: &ZookeeperConfig) -> u32 {
    let asked = Duration::from_millis(u64::try_from(asked).unwrap_or(0));
    let granted = asked
        .min(settings.session_timeout_max)
        .max(settings.session_timeout_min);
    // The wire has a signed 32-bit number of milliseconds, 24 days.
    granted.as_millis().min(i32::MAX as u128) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_timeouts_are_kept_within_bounds() {
        let settings = ZookeeperConfig::at("127.0.0.1:0".parse().expect("an address"));
        for (asked, granted) in [
            (1, 4_000),
            (0, 4_000),
            (-5, 4_000),
            (i32::MIN, 4_000),
            (4_777, 4_777),
            (40_000, 40_000),
            (i32::MAX, 40_000),
        ] {
            assert_eq!(granted_ms(asked, &settings), granted, "{asked}");
        }
    }
}
