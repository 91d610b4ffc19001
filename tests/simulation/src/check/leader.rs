//! At most one leader per term, and no promise is forgotten: a member's vote never goes back, over restarts either.
//!
//! openraft's terms are pairs: a number, and the candidate's number to break ties (`leader_id_adv`). A member that gave
//! its vote in (7, member 1) may give it in (7, member 2), which is a later term; never the other way round.
//!
//! Source: Ongaro, "Consensus: Bridging Theory and Practice", 3.2 Election Safety; openraft `vote::leader_id`.

use std::collections::BTreeMap;
use zoogate::ensemble::{Role, Status};
use zoogate::simulation as world;

/// Who led when, and who promised what.
pub struct Leaders {
    by_term: BTreeMap<u64, Vec<u64>>,
    votes: Vec<(u64, u64)>,
    terms: Vec<u64>,
}

impl Leaders {
    pub fn new(members: usize) -> Leaders {
        Leaders {
            by_term: BTreeMap::new(),
            votes: vec![(0, 0); members],
            terms: vec![0; members],
        }
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
        let leaders = self.by_term.entry(status.term).or_default();
        if leaders.contains(&status.member) {
            return Ok(());
        }
        world::count("elections");
        leaders.push(status.member);
        match leaders.is_sorted() {
            true => Ok(()),
            false => Err(format!(
                "in term {} led members {leaders:?}, in this order",
                status.term
            )),
        }
    }
}
