//! Whether endpoints are well: probes, and ejections for failed exchanges, once per node, on a thread that carries no
//! traffic.
//!
//! ```text
//! registry --(a new table)--> roster --one prober per endpoint--> probe --> verdict --> EndpointState
//!     ^                                                                                     |
//!     |    workers --(how exchanges went; a bell)--> ejector ---------------------------------> |
//!     '------------------------- changed(service): assemble a table that goes by it <-------'
//! ```
//! Who is probed: every endpoint of a service that has a `check`, and of any service those about which it matters
//! right now whether they answer: the suspect and the held. Probers begin and end with their endpoints, and with
//! their settings. Nothing here decides who gets traffic: facts are recorded, and a table that goes by them is
//! assembled.
//!
//! Why once per node and not once per ensemble: an endpoint that one node cannot reach is of no use to that node,
//! whatever the others see. The price is that a service is probed by every node.
mod ejector;
mod outliers;
mod probe;
mod prober;
mod roster;
#[cfg(test)]
mod tests;
mod verdict;

pub use prober::Changed;

use crate::balance::Bell;
use crate::net::{UnverifiedTls, now_ms};
use crate::routing::RoutingTable;
use crate::upstream::Dialer;
use arc_swap::ArcSwap;
use ejector::Ejector;
use probe::Tools;
use prober::Probing;
use roster::Roster;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

/// Probes under way at once. Each has a descriptor for up to its timeout; when more are due they wait, and intervals
/// become longer: 10,000 endpoints that all time out after 1 s are probed every 20 s.
const MAX_PROBES: usize = 512;

/// Shortest time between two looks at the table. A look costs some milliseconds with 10,000 services; the first table
/// after a quiet time is looked at at once.
const PAUSE: Duration = Duration::from_millis(50);

/// How often it is looked which services' success rates are to be compared.
const RATES: Duration = Duration::from_secs(1);

/// The health of a node's endpoints.
pub struct Health {
    /// Where connections come from, in turn; the kernel decides if there are none.
    pub source_addresses: Vec<IpAddr>,
    /// The table in use.
    pub table: Arc<ArcSwap<RoutingTable>>,
    /// Changes with each table.
    pub swaps: watch::Receiver<u64>,
    /// Rung when an endpoint may have to be ejected.
    pub bell: Arc<Bell>,
    /// Who is told when what is known of endpoints has changed.
    pub changed: Changed,
}

impl Health {
    /// Probes and ejects until `stop`, in tasks of the runtime that runs this.
    pub async fn run(mut self, stop: &CancellationToken) {
        let mut roster = Roster::new(Probing {
            places: Semaphore::new(MAX_PROBES),
            tools: Tools {
                dialer: Dialer::new(&self.source_addresses),
                tls: UnverifiedTls::default(),
            },
            changed: Arc::clone(&self.changed),
        });
        let mut ejector = Ejector::new(self.changed);
        let (table, bell) = (Arc::clone(&self.table), self.bell);
        let ejecting = async {
            let mut tick = interval(RATES);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = bell.heard() => {
                        ejector.judge_rows(&table.load(), now_ms());
                        sleep(PAUSE).await;
                    }
                    _ = tick.tick() => ejector.judge_rates(&table.load(), now_ms()),
                }
            }
        };
        let following = async {
            loop {
                roster.update(self.table.load_full());
                sleep(PAUSE).await;
                // Its owner may be gone before this is told to stop.
                if self.swaps.changed().await.is_err() {
                    return;
                }
            }
        };
        let working = async {
            tokio::select! {
                () = following => {}
                () = ejecting => {}
            }
        };
        stop.run_until_cancelled(working).await;
        roster.stop().await;
    }
}
