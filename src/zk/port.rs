//! What all connections of the port share.

use super::tally::Tally;
use super::watches::Watches;
use crate::config::ZookeeperConfig;
use crate::ensemble::Ensemble;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;

/// The ZooKeeper port of one member.
pub(super) struct Port {
    /// Where writes go and reads look.
    pub(super) ensemble: Ensemble,
    /// Who watches what.
    pub(super) watches: Arc<Watches>,
    /// Counts.
    pub(super) tally: Tally,
    /// Bounds of session timeouts.
    settings: ZookeeperConfig,
}

impl Port {
    /// A port without connections.
    pub(super) fn new(
        ensemble: Ensemble,
        watches: Arc<Watches>,
        settings: ZookeeperConfig,
        metrics: Arc<Metrics>,
    ) -> Port {
        Port {
            ensemble,
            watches,
            tally: Tally::new(metrics),
            settings,
        }
    }

    /// Whether clients can be served now.
    pub(super) fn is_serving(&self) -> bool {
        *self.ensemble.serving().borrow()
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
        let settings = ZookeeperConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            tick_time: Duration::from_secs(2),
            session_timeout_min: Duration::from_secs(4),
            session_timeout_max: Duration::from_secs(40),
        };
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
