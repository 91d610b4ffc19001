//! How large transactions are, as the log holds them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Nothing was noted yet. No record is as long.
const NONE: u64 = u64::MAX;

/// Encoded sizes of the transactions appended to a log, in bytes.
#[derive(Debug)]
pub struct EntrySizes {
    last: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

impl Default for EntrySizes {
    fn default() -> EntrySizes {
        EntrySizes {
            last: AtomicU64::new(NONE),
            min: AtomicU64::new(NONE),
            max: AtomicU64::new(0),
        }
    }
}

impl EntrySizes {
    /// One more. The log's lock is held, so nobody else notes one meanwhile.
    pub(super) fn note(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.last.store(bytes, Relaxed);
        self.min.fetch_min(bytes, Relaxed);
        self.max.fetch_max(bytes, Relaxed);
    }

    /// The last, the smallest and the largest, in bytes; `None` before the first.
    pub fn read(&self) -> Option<[u64; 3]> {
        let (last, min, max) = (
            self.last.load(Relaxed),
            self.min.load(Relaxed),
            self.max.load(Relaxed),
        );
        (last != NONE && min != NONE).then_some([last, min, max])
    }

    /// Begins anew.
    pub fn reset(&self) {
        self.last.store(NONE, Relaxed);
        self.min.store(NONE, Relaxed);
        self.max.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_since_the_last_reset() {
        let sizes = EntrySizes::default();
        assert_eq!(sizes.read(), None);
        for bytes in [50, 200, 90] {
            sizes.note(bytes);
        }
        assert_eq!(sizes.read(), Some([90, 50, 200]));
        sizes.reset();
        assert_eq!(sizes.read(), None);
        sizes.note(70);
        assert_eq!(sizes.read(), Some([70, 70, 70]));
    }
}
