//! At most one leader per leader id, each for one life of its process, and no promise is forgotten.
//!
//! What Raft calls a term is a pair here: a number, and the candidate's number (openraft's `leader_id_adv`). Pairs are
//! totally ordered, and a member gives its vote only to a greater one than before. Of the pairs (7, 2) and (7, 3) both
//! may be granted by a quorum, as the terms 7 and 8 may in the paper, "although only the last is valid and can commit"
//! (openraft, `docs/data/leader_id.md`). So that two members lead in the number 7 is no error, in whatever order they
//! are seen: the granted votes of (7, 2) may arrive when (7, 3) leads already, and then member 2 believes that it leads
//! and is refused by a majority at its first entry. What must hold is this:
//!
//! - A member that is up leads under an id that names itself, and its number never goes back.
//! - A pair belongs to one life of one process. A restarted leader has forgotten entries that it sent and had not
//!   written yet; were it to lead on under the same pair, two different entries could have the same id.
//! - A member's durable vote never goes back, over restarts either: this makes "only the last can commit" true.
//! - Entries that are committed are ordered by the pair that proposed them, and there is one entry per index:
//!   [`committed`](super::committed) checks both. So no leader commits anything behind what a greater one committed.
//!
//! Source: Ongaro, "Consensus: Bridging Theory and Practice", 3.2 Election Safety; openraft `vote::leader_id`.

use std::collections::BTreeMap;
use zoogate::ensemble::{Role, Status};
use zoogate::simulation as world;

/// Who led when, and who promised what.
pub struct Leaders {
    /// In which life of which host's process a pair of term and member has led.
    reigns: BTreeMap<(u64, u64), (usize, u64)>,
    /// How often each host's process was started.
    lives: Vec<u64>,
    votes: Vec<(u64, u64)>,
    terms: Vec<u64>,
}

impl Leaders {
    pub fn new(members: usize) -> Leaders {
        Leaders {
            reigns: BTreeMap::new(),
            lives: vec![0; members],
            votes: vec![(0, 0); members],
            terms: vec![0; members],
        }
    }

    /// A member starts.
    pub fn booted(&mut self, host: usize) {
        self.lives[host] += 1;
    }

    /// A member's vote is durable.
    pub fn voted(&mut self, host: usize, vote: (u64, u64)) -> Result<(), String> {
        let before = std::mem::replace(&mut self.votes[host], vote);
        match vote >= before {
            true => Ok(()),
            false => Err(format!(
                "member {} voted in {vote:?} after {before:?}",
                host + 1
            )),
        }
    }

    /// A member says what it is.
    pub fn status(&mut self, host: usize, status: &Status) -> Result<(), String> {
        let before = std::mem::replace(&mut self.terms[host], status.term);
        if status.term < before {
            let member = host + 1;
            return Err(format!(
                "member {member} went from term {before} back to {}",
                status.term
            ));
        }
        if status.role != Role::Leader {
            return Ok(());
        }
        let (id, now) = ((status.term, status.member), (host, self.lives[host]));
        let first = self.reigns.entry(id).or_insert_with(|| {
            world::count("elections");
            now
        });
        match *first == now {
            true => Ok(()),
            false => Err(format!(
                "member {} leads under {id:?} in life {} of its process; member {} has done so in its life {}",
                host + 1,
                now.1,
                first.0 + 1,
                first.1
            )),
        }
    }
}
