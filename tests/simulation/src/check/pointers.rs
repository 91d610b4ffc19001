//! purged <= snapshot <= applied <= committed <= last, and none of them goes back while a process lives.
//!
//! Source: openraft, `docs/data/log_pointers.md`.

/// What is known of each member's log.
pub struct Pointers {
    /// Purged, saved, applied, committed, last, as Raft told it.
    last: Vec<[u64; 5]>,
    /// The newest durable snapshot: this one is never lost.
    saved: Vec<u64>,
    purged: Vec<u64>,
}

const NAMES: [&str; 5] = ["purged", "snapshot", "applied", "committed", "last"];

impl Pointers {
    pub fn new(members: usize) -> Pointers {
        Pointers {
            last: vec![[0; 5]; members],
            saved: vec![0; members],
            purged: vec![0; members],
        }
    }

    /// A member starts: what it knew only in memory is gone.
    pub fn booted(&mut self, host: usize) {
        self.last[host] = [0; 5];
    }

    /// A snapshot is durable.
    pub fn saved(&mut self, host: usize, index: u64) {
        self.saved[host] = self.saved[host].max(index);
    }

    /// The log begins behind this entry.
    pub fn purged(&mut self, host: usize, index: u64) -> Result<(), String> {
        self.purged[host] = self.purged[host].max(index);
        match index <= self.saved[host] {
            true => Ok(()),
            false => Err(format!(
                "member {} purged its log up to {index}, its last snapshot ends at {}",
                host + 1,
                self.saved[host]
            )),
        }
    }

    /// At rest the whole chain holds.
    pub fn at_rest(&self, host: usize) -> Result<(), String> {
        let now = self.last[host];
        match now.is_sorted() {
            true => Ok(()),
            false => Err(format!(
                "member {}: {NAMES:?} out of order in {now:?}",
                host + 1
            )),
        }
    }

    /// What Raft says.
    pub fn told(&mut self, host: usize, now: [u64; 5]) -> Result<(), String> {
        let before = std::mem::replace(&mut self.last[host], now);
        // While a snapshot is installed, it is known before it is applied.
        for (low, high) in [(0, 1), (1, 3), (2, 3), (3, 4)] {
            if now[low] > now[high] {
                let names = (NAMES[low], NAMES[high]);
                let member = host + 1;
                return Err(format!(
                    "member {member}: {names:?} out of order in {now:?}"
                ));
            }
        }
        // The end of the log may be cut off and written anew; everything before it may not.
        match (0..4).find(|at| now[*at] < before[*at]) {
            None => Ok(()),
            Some(at) => Err(format!(
                "member {}: {} went back from {} to {}",
                host + 1,
                NAMES[at],
                before[at],
                now[at]
            )),
        }
    }
}
