//! One recorded fact about an endpoint: since when, until when, by which transaction. Atomics, no lock.
//!
//! The writer stores the details first and the beginning last; a reader that sees the beginning sees details at
//! least as old. Two facts about one endpoint may be of different moments; each of them is whole in what decisions
//! depend on, which is one atomic: whether it holds.

use std::sync::atomic::{AtomicU64, Ordering};

/// A fact that holds or does not, as others may change it at any time.
#[derive(Debug, Default)]
pub struct Fact {
    /// Zero while it does not hold.
    since_ms: AtomicU64,
    /// Zero if no end is set.
    until_ms: AtomicU64,
    /// Zero if no transaction did it.
    zxid: AtomicU64,
}

/// A fact that holds, as it was when it was looked at. Times are those of [`crate::net::now_ms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Since when, in milliseconds.
    pub since_ms: u64,
    /// Until when, in milliseconds, if it ends by itself.
    pub until_ms: Option<u64>,
    /// The transaction that did it, if one did.
    pub zxid: Option<u64>,
}

impl Mark {
    /// From now on, until something else ends it.
    pub fn new(since_ms: u64) -> Mark {
        Mark {
            since_ms,
            until_ms: None,
            zxid: None,
        }
    }

    /// Whether its time is not up.
    pub fn holds(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }
}

impl Fact {
    /// It holds from now on, as `mark` says.
    pub fn set(&self, mark: Mark) {
        let or_none = |value: Option<u64>| value.map_or(0, |value| value.max(1));
        self.zxid.store(or_none(mark.zxid), Ordering::Relaxed);
        self.until_ms
            .store(or_none(mark.until_ms), Ordering::Relaxed);
        self.since_ms.store(mark.since_ms.max(1), Ordering::Release);
    }

    /// It holds no more.
    pub fn clear(&self) {
        self.since_ms.store(0, Ordering::Release);
    }

    /// It holds no more, if it still says what `mark` says. False if it is another or none by now.
    pub fn clear_if(&self, mark: Mark) -> bool {
        let still = self.mark() == Some(mark);
        still
            && self
                .since_ms
                .compare_exchange(mark.since_ms, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// What it says, if it holds. One whose time is up is still there until it is cleared.
    pub fn mark(&self) -> Option<Mark> {
        let or_none = |value: u64| (value != 0).then_some(value);
        Some(Mark {
            since_ms: or_none(self.since_ms.load(Ordering::Acquire))?,
            until_ms: or_none(self.until_ms.load(Ordering::Relaxed)),
            zxid: or_none(self.zxid.load(Ordering::Relaxed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_says_what_was_set_until_it_is_cleared() {
        let fact = Fact::default();
        assert_eq!(fact.mark(), None);
        let mark = Mark {
            since_ms: 5,
            until_ms: Some(9),
            zxid: Some(7),
        };
        fact.set(mark);
        assert_eq!(fact.mark(), Some(mark));
        fact.set(Mark::new(6));
        assert_eq!(fact.mark(), Some(Mark::new(6)), "nothing of it is left");
        assert!(!fact.clear_if(mark), "it is another one by now");
        assert!(fact.clear_if(Mark::new(6)));
        assert_eq!(fact.mark(), None);
        fact.set(mark);
        fact.clear();
        assert_eq!(fact.mark(), None);
    }

    #[test]
    fn times_of_zero_are_still_times() {
        let fact = Fact::default();
        fact.set(Mark {
            since_ms: 0,
            until_ms: Some(0),
            zxid: None,
        });
        let mark = fact.mark().unwrap();
        assert_eq!((mark.since_ms, mark.until_ms), (1, Some(1)));
        assert!(mark.holds(0));
        assert!(!mark.holds(1));
    }
}
