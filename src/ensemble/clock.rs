//! The leader's wall clock: the only one the tree ever sees.

#[cfg(feature = "simulation")]
pub(super) use crate::simulation::wall_clock_ms;
#[cfg(not(feature = "simulation"))]
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; zero on a machine whose clock stands before it.
#[cfg(not(feature = "simulation"))]
#[expect(
    clippy::disallowed_methods,
    reason = "the leader's stamp; the tree makes it monotonic when it applies"
)]
pub(super) fn wall_clock_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
