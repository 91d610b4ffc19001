//! How many leases a service has given out that are still held, where a strategy must know.
//!
//! Only `consistent-hash` with a load factor counts: a counter that every pick and every end changes is passed from
//! core to core, which the other strategies do without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Leases that are held. Shared by a table and its successors. Alone on its cache lines, as it is written by each pick.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally(AtomicU32);

/// One lease that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted(Arc<Tally>);

impl Tally {
    /// Counts one more; also says how many there are with it.
    pub(super) fn count(self: &Arc<Tally>) -> (Counted, u32) {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        (Counted(Arc::clone(self)), before.saturating_add(1))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
