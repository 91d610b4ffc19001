//! What a member did to its log and its tree, told to those who check it.

use super::world;
use std::cell::RefCell;

/// One thing a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It applied an entry with these contents.
    Applied {
        /// The entry's index.
        index: u64,
        /// Who proposed it: the leader's term and number.
        leader: (u64, u64),
        /// A hash of what is in it.
        hash: u64,
    },
    /// It replaced its tree by a snapshot that ends here.
    Installed {
        /// The snapshot's last entry.
        index: u64,
    },
    /// Its log begins behind this entry now.
    Purged {
        /// The last entry that is gone.
        index: u64,
    },
    /// A snapshot up to here is durable on its disk.
    Saved {
        /// The snapshot's last entry.
        index: u64,
    },
    /// It promised a vote, and the promise is durable.
    Voted {
        /// In which term.
        term: u64,
        /// For whom.
        candidate: u64,
    },
}

thread_local! {
    static FACTS: RefCell<Vec<(usize, Fact)>> = const { RefCell::new(Vec::new()) };
}

/// Notes what the member whose code runs has done.
pub fn note(fact: Fact) {
    let host = world::with(|world| world.current);
    FACTS.with_borrow_mut(|facts| facts.push((host, fact)));
}

/// Everything noted since the last call, with the host.
pub fn take_facts() -> Vec<(usize, Fact)> {
    FACTS.take()
}
