//! Whether a history of a tree of znodes is linearizable: whether every operation can have happened at one instant
//! between its request and its answer, so that each saw what the ones before it left.
//!
//! ```text
//! lines --history--> operations --partition--> groups of keys that no transaction joins --search--> verdict each
//!                                                              model: one step of one znode ----'
//! ```
//! A history is linearizable exactly when each group by itself is (Herlihy and Wing, "Linearizability", TOPLAS 1990,
//! theorem 1, with a group as the object). The search is Wing and Gong's with Lowe's memory of what was tried
//! ("Testing for linearizability", 2017).
//!
//! What is not known is not guessed: an operation without an answer may have happened at any time after its request, or never.
//! A search that is not done in time says so ([`Verdict::Unknown`]), which is no acquittal.

pub mod history;
pub mod model;
pub mod partition;
pub mod search;

use std::time::{Duration, Instant};

pub use history::{Answer, HistoryError, Operation, read};
pub use search::Verdict;

/// What was found out about a history.
#[derive(Debug)]
pub struct Report {
    /// The worst verdict of all groups: no order exists, else not known, else all is well.
    pub verdict: Verdict,
    /// Operations that were judged; reads without an answer say nothing and are left out.
    pub operations: usize,
    /// Of them, those whose outcome is not known.
    pub unknown: usize,
    /// Groups of keys.
    pub groups: usize,
    /// Keys.
    pub keys: usize,
    /// States that were visited.
    pub states: u64,
}

/// Judges a history within `limit`.
#[must_use]
pub fn check(operations: &[Operation], limit: Duration) -> Report {
    let deadline = Instant::now() + limit;
    let groups = partition::groups(operations);
    let mut report = Report {
        verdict: Verdict::Linearizable,
        operations: 0,
        unknown: 0,
        groups: groups.len(),
        keys: 0,
        states: 0,
    };
    for group in groups {
        report.operations += group.operations.len();
        report.keys += group.keys.len();
        let open = |operation: &&partition::Local| operation.complete.is_none();
        report.unknown += group.operations.iter().filter(open).count();
        let (verdict, states) = search::search(&group, deadline);
        report.states += states;
        report.verdict = report.verdict.or_worse(verdict);
    }
    report
}
