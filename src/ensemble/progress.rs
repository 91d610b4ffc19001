//! What a part of the member tells of its work, for the [watchdog](super::watchdog).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Steps done, and whether there is more to do. Telling costs one atomic store; nobody waits for anybody.
#[derive(Debug, Default)]
pub(super) struct Progress {
    steps: AtomicU64,
    is_busy: AtomicBool,
}

/// A part at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Steps done ever.
    pub(super) steps: u64,
    /// Whether the next one is due.
    pub(super) is_busy: bool,
}

impl Progress {
    /// Work has come.
    pub(super) fn begin(&self) {
        self.is_busy.store(true, Ordering::Relaxed);
    }

    /// Something is done.
    pub(super) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// All is done.
    pub(super) fn end(&self) {
        self.step();
        self.is_busy.store(false, Ordering::Relaxed);
    }

    /// How it stands now.
    pub(super) fn look(&self) -> Look {
        Look {
            steps: self.steps.load(Ordering::Relaxed),
            is_busy: self.is_busy.load(Ordering::Relaxed),
        }
    }
}
