//! What the tests share: members in temporary directories, data planes with endpoints made for one test, and
//! waiting for conditions.

mod disks;
pub mod ensemble;
pub mod http;
pub mod links;
pub mod node;
pub mod proposals;
pub mod tls;
pub mod traffic;
pub mod zookeeper;

use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for anything that should happen at once or after an election; a loaded machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`]; names `what` was waited for.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for: {what}"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// What `future` comes to, which must be soon.
///
/// # Panics
/// When it takes longer than [`PATIENCE`].
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("what is waited for does not happen")
}
