//! What a node knows about its own state: alive, ready, stopping.
//!
//! ```text
//! starting --> ready <--> not ready (no leader, or a fault) --> stopping
//!     any state --> failed (a critical task ended), for good
//! ```
//! Health and readiness are asked by different callers. A supervisor restarts what is not healthy, so a lost
//! leader must not make a node unhealthy: its traffic still flows. A load balancer in front only stops
//! sending to what is not ready.

use crate::ensemble::Fault;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the node, shown at `/healthz` and `/readyz`.
#[derive(Debug, Default)]
pub struct Health {
    failure: OnceLock<String>,
    stopping: AtomicBool,
}

impl Health {
    /// A critical task ended though nobody asked it to. The first reason is kept: what follows it is
    /// usually its consequence.
    pub fn fail(&self, why: impl Into<String>) {
        let _ = self.failure.set(why.into());
    }

    /// Shutdown has begun: no longer ready, still healthy.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why the node is unhealthy, if it is.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Why the node should get no clients, given whether it is `serving`, the `faults` of its member, and whether a
    /// routing table was built since the start (`routed`). Empty when it is ready.
    pub(super) fn obstacles(&self, serving: bool, faults: &[Fault], routed: bool) -> Vec<String> {
        let failed = self.failure().map(|why| format!("failed: {why}"));
        let stopping = self.stopping.load(Ordering::Acquire);
        let is_explained = faults.iter().any(|fault| !fault.allows_serving());
        let others = [
            (stopping, "stopping"),
            (!serving && !is_explained, "no leader"),
            (!routed, "routing table not built"),
        ];
        let others = others.into_iter().filter(|(applies, _)| *applies);
        failed
            .into_iter()
            .chain(faults.iter().map(Fault::to_string))
            .chain(others.map(|(_, reason)| reason.into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_is_named() {
        let check = |health: &Health, serving, routed, expected: &[&str]| {
            assert_eq!(health.obstacles(serving, &[], routed), expected);
        };
        let health = Health::default();
        check(&health, true, true, &[]);
        check(&health, false, true, &["no leader"]);
        check(
            &health,
            false,
            false,
            &["no leader", "routing table not built"],
        );
        health.stop();
        check(&health, true, true, &["stopping"]);
        health.fail("log: disk full");
        check(&health, true, true, &["failed: log: disk full", "stopping"]);
    }

    #[test]
    fn a_fault_is_named_in_place_of_what_follows_from_it() {
        let health = Health::default();
        let stalled = Fault::Stalled { part: "log" };
        let obstacles = health.obstacles(false, &[stalled], true);
        assert_eq!(obstacles, ["log makes no progress"]);
        let obstacles = health.obstacles(false, &[Fault::DiskFull], true);
        assert_eq!(
            obstacles,
            ["the disk is full, writes are refused", "no leader"]
        );
    }

    #[test]
    fn first_failure_is_kept() {
        let health = Health::default();
        assert_eq!(health.failure(), None);
        health.fail("the log's disk is full");
        health.fail("the ensemble stopped");
        assert_eq!(health.failure(), Some("the log's disk is full"));
    }

    #[test]
    fn stopping_is_healthy() {
        let health = Health::default();
        health.stop();
        assert_eq!(health.failure(), None);
    }
}
