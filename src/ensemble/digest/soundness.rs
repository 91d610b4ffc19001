//! Whether this member's tree can be trusted, as far as it knows.
//!
//! ```text
//!              differs, no majority          all agree again
//!   Sound ----------------------> Disputed -----------------> Sound
//!     \                              | a majority has another digest
//!      \ its own walk finds damage   v
//!       `-------------------------> Wrong --rebuilt--> Unproven --agrees with the leader--> Sound
//! ```

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// What is known of the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ensemble) enum Condition {
    /// Nothing is known against it.
    #[default]
    Sound,
    /// Members differ, and no majority says who is right: nobody rebuilds, for that would destroy evidence.
    Disputed,
    /// It is this one that is wrong.
    Wrong,
    /// It was replaced, or read from disk after it was found wrong; it has still to agree with the leader's.
    Unproven,
}

/// The condition, and who waits for it.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Soundness {
    condition: watch::Sender<Condition>,
    /// Another member has told a digest that is not this one's.
    suspected: Mutex<Option<u64>>,
    woken: Notify,
}

impl Soundness {
    /// What is known now.
    pub(in crate::ensemble) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Takes over a finding; gives the one before.
    pub(in crate::ensemble) fn set(&self, condition: Condition) -> Condition {
        self.condition.send_replace(condition)
    }

    /// Resolves when the tree is doubted.
    pub(in crate::ensemble) async fn doubted(&self) {
        let mut condition = self.condition.subscribe();
        let doubted = condition.wait_for(|now| *now != Condition::Sound).await;
        // The sender is in `self`.
        debug_assert!(doubted.is_ok());
    }

    /// Whether what this member says of its tree counts for others.
    pub(in crate::ensemble) fn may_testify(&self) -> bool {
        matches!(self.condition(), Condition::Sound | Condition::Disputed)
    }

    /// Another member's digest at `index` is not this one's.
    pub(in crate::ensemble) fn suspect(&self, index: u64) {
        *self.suspected.lock() = Some(index);
        self.wake();
    }

    /// The index at which another member differed, told once.
    pub(in crate::ensemble) fn take_suspicion(&self) -> Option<u64> {
        self.suspected.lock().take()
    }

    /// There is something to compare.
    pub(in crate::ensemble) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Waits for that; for one task.
    pub(in crate::ensemble) async fn woken(&self) {
        self.woken.notified().await;
    }
}
