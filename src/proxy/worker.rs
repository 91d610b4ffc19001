//! One worker: a thread with its own single-threaded runtime, its own sockets and its own connections.
//!
//! Nothing on the path of a byte is shared between workers, so none waits for another and no connection is woken
//! from a foreign core. Shared are only the routing table (read with an atomic load) and counters.
//!
//! The kernel hands each connection to one worker by a hash of its addresses, and there it stays; with few and
//! very unequal connections some workers are busier than others.
//!
//! ```text
//! serving --stop--> draining: accept no more, idle keep-alive connections close, the rest finishes
//!                      |-- all ended ----------------------------> done
//!                      '-- grace is over: end everything with FIN -> done
//! ```

use super::body::RequestBody;
use super::ledger::Ledger;
use super::listener::Entrance;
use super::outcome::Outcome;
use super::posts::{Order, Posts};
use super::relay::Stock;
use super::watch::{SWEEP, Watches};
use crate::net::{Descriptors, now_ms};
use crate::routing::RoutingTable;
use crate::upstream::{Dialer, Idle};
use arc_swap::ArcSwap;
use std::cell::Cell;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::unconstrained;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After every exchange was told to end: the time to get the words out before the thread stops regardless. Only
/// a flow that is stuck outside its socket could need it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What the node lets its traffic have.
#[derive(Clone)]
pub struct Means {
    /// Addresses that connections to endpoints come from, in turn; empty leaves it to the kernel.
    pub source_addresses: Vec<IpAddr>,
    /// Descriptors for connections and pipes.
    pub descriptors: Arc<Descriptors>,
    /// Where exchanges are recorded.
    pub ledger: Arc<Ledger>,
}

impl Default for Means {
    /// Whatever there is.
    fn default() -> Means {
        Means {
            source_addresses: Vec::new(),
            descriptors: Descriptors::unlimited(),
            ledger: Ledger::closed(),
        }
    }
}

/// What the flows of one worker share.
pub struct Worker {
    /// The routing table in use.
    pub table: Arc<ArcSwap<RoutingTable>>,
    /// Every client connection.
    pub watches: Watches,
    /// Free buffers and pipes of the relays.
    pub stock: Stock,
    /// What connects to endpoints.
    pub dialer: Dialer,
    /// Descriptors for connections.
    pub descriptors: Arc<Descriptors>,
    /// Where exchanges are recorded.
    pub ledger: Arc<Ledger>,
    /// HTTP connections to endpoints that wait for a request.
    pub idle: Idle<RequestBody>,
    /// Every flow.
    pub tasks: TaskTracker,
    /// Cancelled when no new work is to be taken on.
    pub draining: CancellationToken,
    random: Cell<u64>,
}

impl Worker {
    /// A worker without connections.
    pub fn new(table: Arc<ArcSwap<RoutingTable>>, means: Means) -> Worker {
        Worker {
            table,
            watches: Watches::default(),
            stock: Stock::new(means.descriptors.clone()),
            dialer: Dialer::new(&means.source_addresses),
            idle: Idle::new(means.descriptors.clone()),
            descriptors: means.descriptors,
            ledger: means.ledger,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            random: Cell::new(rand::random()),
        }
    }

    /// A random number, good enough to spread load.
    ///
    /// Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    pub fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn sweep(&self) {
        let now = now_ms();
        self.watches.sweep(now);
        self.idle.sweep(now);
        self.stock.sweep();
    }
}

/// Serves `sockets`, and those it is told of, until `stop` holds a deadline, then drains until it.
pub async fn run(
    worker: Rc<Worker>,
    sockets: Vec<(Arc<Entrance>, TcpListener)>,
    mut orders: mpsc::Receiver<Order>,
    mut stop: watch::Receiver<Option<Instant>>,
) {
    let mut posts = Posts::new(worker.clone());
    for (entrance, socket) in sockets {
        posts.hold(entrance.clone(), socket);
        posts.open(&entrance);
    }
    let sweeping = sweep_forever(worker.clone());
    tokio::pin!(sweeping);
    let deadline = loop {
        tokio::select! {
            deadline = stop_deadline(&mut stop) => break deadline,
            () = &mut sweeping => unreachable!("sweeping has no end"),
            Some(order) = orders.recv() => posts.obey(order),
            Some(ended) = posts.ended() => match ended.map_err(|error| error.try_into_panic()) {
                // Its socket was closed.
                Ok(()) => {}
                // A listener without anybody who accepts: the thread ends, and with it the process.
                Err(Ok(panic)) => resume_unwind(panic),
                Err(Err(_)) => unreachable!("nobody aborts them"),
            },
        }
    };
    worker.draining.cancel();
    worker.watches.wake_all();
    let finished = async {
        posts.all_ended().await;
        worker.tasks.close();
        worker.tasks.wait().await;
    };
    let drained = async {
        tokio::select! {
            () = finished => {}
            () = &mut sweeping => {}
        }
    };
    if timeout_at(deadline, drained).await.is_err() {
        // Who still waits to be let in is reset.
        posts.abort();
        posts.all_ended().await;
        worker.watches.decide_all(Outcome::Stopped);
        worker.tasks.close();
        let _ = timeout(LAST_WORDS, worker.tasks.wait()).await;
    }
}

/// The deadline, once there is one; an owner that vanished leaves no time at all.
async fn stop_deadline(stop: &mut watch::Receiver<Option<Instant>>) -> Instant {
    match stop.wait_for(Option::is_some).await {
        Ok(deadline) => deadline.unwrap_or_else(Instant::now),
        Err(_) => Instant::now(),
    }
}

async fn sweep_forever(worker: Rc<Worker>) {
    let mut tick = interval(SWEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // The runtime's budget would make every idle connection after the first hundred look undisturbed.
        unconstrained(async { worker.sweep() }).await;
    }
}
