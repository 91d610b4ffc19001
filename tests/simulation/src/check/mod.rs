//! One checker per promise; each has a mutant that it catches (`mutants.rs`).

pub mod acknowledged;
pub mod committed;
pub mod digest;
pub mod ephemeral;
pub mod leader;
pub mod pointers;
pub mod session;
pub mod sync;
pub mod watch;

/// What the checkers know.
pub struct Checks {
    pub acknowledged: acknowledged::Acknowledged,
    pub committed: committed::Committed,
    pub digest: digest::Digests,
    pub ephemeral: ephemeral::Ephemerals,
    pub leader: leader::Leaders,
    pub pointers: pointers::Pointers,
}

impl Checks {
    pub fn new(members: usize) -> Checks {
        Checks {
            acknowledged: Default::default(),
            committed: Default::default(),
            digest: Default::default(),
            ephemeral: Default::default(),
            leader: leader::Leaders::new(members),
            pointers: pointers::Pointers::new(members),
        }
    }
}
