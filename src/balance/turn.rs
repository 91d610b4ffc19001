//! Whose turn it is: the counter behind the strategies that go round.

use super::PickInput;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts picks. Shared by all workers, and by a table and its successors, so that a change of the endpoints
/// does not start every round again at the first of them.
///
/// Alone on its cache lines: it is written by each pick, and nothing read by other picks may lie beside it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Turn(AtomicUsize);

impl Turn {
    /// The turn of a pick in a round of `length`, which is not zero.
    ///
    /// Each number is handed out once, so concurrent picks divide a round exactly. The counter may wrap
    /// around; on 64 bits that takes centuries and then costs one uneven round.
    ///
    /// A retry looks at the turn without taking it. If it took one, two endpoints of which one is dead would
    /// hand the dead one to every exchange first and the live one to every retry.
    pub(super) fn of(&self, input: &PickInput<'_>, length: usize) -> usize {
        let turn = match input.tried {
            [] => self.0.fetch_add(1, Ordering::Relaxed),
            _ => self.0.load(Ordering::Relaxed),
        };
        turn % length
    }
}
