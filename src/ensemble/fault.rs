//! What is wrong with this member, and what it may not do because of it.
//!
//! ```text
//!   digest, log, watchdog --set, clear--> Faults --> serving (at once), /readyz, zoogate_fault, one log line
//! ```
//! A member without a leader has no fault: it only waits. A fault is about the member itself, and others have to be
//! used in its place.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fmt;

/// Something that keeps this member from doing its work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Its tree differs from the leader's at this log index: nothing it answers can be trusted.
    Diverged {
        /// Where that was found.
        index: u64,
    },
    /// Its disk has no room for the log. Reads go on, writes are refused.
    DiskFull,
    /// A critical part makes no progress; the process ends soon unless it goes on.
    Stalled {
        /// The part.
        part: &'static str,
    },
}

impl Fault {
    /// All values that [`Fault::label`] can have.
    pub const LABELS: &[&str] = &["diverged", "disk_full", "stalled"];

    /// Its kind, for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Fault::Diverged { .. } => "diverged",
            Fault::DiskFull => "disk_full",
            Fault::Stalled { .. } => "stalled",
        }
    }

    /// Whether clients may be served in spite of it.
    pub fn allows_serving(&self) -> bool {
        match self {
            Fault::DiskFull => true,
            Fault::Diverged { .. } | Fault::Stalled { .. } => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Diverged { index } => {
                write!(f, "the tree differs from the leader's at index {index}")
            }
            Fault::DiskFull => write!(f, "the disk is full, writes are refused"),
            Fault::Stalled { part } => write!(f, "{part} makes no progress"),
        }
    }
}

/// The faults that a member has now.
#[derive(Default)]
pub(super) struct Faults {
    set: Mutex<BTreeSet<Fault>>,
}

impl Faults {
    /// Adds a fault; tells whether it is new.
    pub(super) fn set(&self, fault: Fault) -> bool {
        let mut set = self.set.lock();
        let is_new = !set.contains(&fault);
        if is_new {
            tracing::error!(fault = fault.label(), "this member has a fault: {fault}");
            set.insert(fault);
        }
        is_new
    }

    /// Removes those that `are_over`; tells whether there were any.
    pub(super) fn clear(&self, are_over: impl Fn(&Fault) -> bool) -> bool {
        let mut set = self.set.lock();
        let before = set.len();
        set.retain(|fault| {
            let is_over = are_over(fault);
            if is_over {
                tracing::info!(fault = fault.label(), "a fault is over: {fault}");
            }
            !is_over
        });
        set.len() < before
    }

    /// What there is, in no order that matters.
    pub(super) fn all(&self) -> Vec<Fault> {
        self.set.lock().iter().cloned().collect()
    }

    /// Whether any of them silences the member towards the others.
    pub(super) fn silence(&self) -> bool {
        let silences = |fault: &Fault| matches!(fault, Fault::Stalled { .. });
        self.set.lock().iter().any(silences)
    }

    /// Whether clients may be served.
    pub(super) fn allow_serving(&self) -> bool {
        self.set.lock().iter().all(Fault::allows_serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_label_of_the_list() {
        let all = [
            Fault::Diverged { index: 7 },
            Fault::DiskFull,
            Fault::Stalled { part: "log" },
        ];
        let labels: Vec<_> = all.iter().map(Fault::label).collect();
        assert_eq!(labels, Fault::LABELS);
    }

    #[test]
    fn a_fault_is_told_once_and_stays_until_it_is_cleared() {
        let faults = Faults::default();
        assert!(faults.set(Fault::Stalled { part: "log" }));
        assert!(!faults.set(Fault::Stalled { part: "log" }));
        assert!(faults.set(Fault::Stalled { part: "apply" }));
        assert!(!faults.clear(|fault| *fault == Fault::DiskFull));
        assert!(faults.clear(|fault| *fault == Fault::Stalled { part: "log" }));
        assert_eq!(faults.all(), [Fault::Stalled { part: "apply" }]);
    }

    #[test]
    fn only_a_full_disk_leaves_the_clients() {
        let faults = Faults::default();
        faults.set(Fault::DiskFull);
        assert!(faults.allow_serving());
        faults.set(Fault::Diverged { index: 7 });
        assert!(!faults.allow_serving());
    }
}
