//! File descriptors of the process, shared out: so many for traffic, the rest kept for everything else.
//!
//! Traffic is what the outside can multiply at will, so it is counted, and refused while the process still has
//! descriptors left: members, sessions, the log's files and the admin port go on under any flood.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One part in so many is kept for necessities; what can do without takes none of it.
const LAST_PART: usize = 10;

/// A share of the process's descriptors.
#[derive(Debug)]
pub struct Descriptors {
    limit: usize,
    taken: AtomicUsize,
}

impl Descriptors {
    /// A share of `limit` descriptors, none of them taken.
    pub fn new(limit: usize) -> Arc<Descriptors> {
        let taken = AtomicUsize::new(0);
        Arc::new(Descriptors { limit, taken })
    }

    /// A share without end, for what is bounded otherwise.
    pub fn unlimited() -> Arc<Descriptors> {
        Descriptors::new(usize::MAX)
    }

    /// How many there are in all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The right to `count` more, if so many are left.
    pub fn take(self: &Arc<Self>, count: usize) -> Option<DescriptorsTaken> {
        self.take_below(self.limit, count)
    }

    /// As [`Descriptors::take`], for what can do without: leaves the last tenth to others.
    pub fn take_spare(self: &Arc<Self>, count: usize) -> Option<DescriptorsTaken> {
        self.take_below(self.limit - self.limit / LAST_PART, count)
    }

    fn take_below(self: &Arc<Self>, limit: usize, count: usize) -> Option<DescriptorsTaken> {
        // Added first and looked at then: two who come at once may both be refused the last one, and none gets too many.
        let before = self.taken.fetch_add(count, Ordering::Relaxed);
        let taken = DescriptorsTaken {
            from: self.clone(),
            count,
        };
        (before.saturating_add(count) <= limit).then_some(taken)
    }
}

/// The right to some descriptors; dropping it gives them back.
#[derive(Debug)]
pub struct DescriptorsTaken {
    from: Arc<Descriptors>,
    count: usize,
}

impl Drop for DescriptorsTaken {
    fn drop(&mut self) {
        self.from.taken.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Descriptors this process may have open now: the soft limit of `RLIMIT_NOFILE`.
pub fn open_files_limit() -> usize {
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Raises the soft limit of `RLIMIT_NOFILE` as far as this process may, which is what the low default of 1,024 is
/// for: it protects programs that use select(2). Returns the limit then in force.
pub fn raise_open_files_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // Refused where the hard limit is more than the kernel allows by now; the old limit then stands.
    let _ = setrlimit(Resource::Nofile, raised);
    open_files_limit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_taken_than_there_are() {
        let descriptors = Descriptors::new(5);
        let first = descriptors.take(2);
        let second = descriptors.take(2);
        assert!(first.is_some() && second.is_some());
        assert!(descriptors.take(2).is_none());
        assert!(descriptors.take(1).is_some(), "a refusal takes nothing");
        drop(first);
        assert!(descriptors.take(3).is_some());
    }

    #[test]
    fn what_can_do_without_leaves_the_last_tenth() {
        let descriptors = Descriptors::new(20);
        let taken = descriptors.take(17);
        assert!(descriptors.take_spare(2).is_none());
        assert!(descriptors.take(3).is_some());
        drop(taken);
        assert!(descriptors.take_spare(18).is_some());
    }

    #[test]
    fn there_is_no_end_to_an_unlimited_share() {
        let descriptors = Descriptors::unlimited();
        let taken = descriptors.take(usize::MAX / 2);
        assert!(taken.is_some() && descriptors.take(2).is_some());
    }
}
