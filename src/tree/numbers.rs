//! Every number that a member ever had, so that none is given twice.
//!
//! ```text
//!   Admit -> Reserved --entry of the Raft log names it--> Member --entry leaves it out--> Removed
//!            (a member that founds the ensemble, or that `reconfig` names, begins as Member)
//! ```
//! Numbers are given by the log: the one after the highest there ever was. So two leaders cannot give the same
//! one, and a node that asks again because the answer was lost, with the same nonce, gets the number it was given.
//! A node that comes back with nothing on its disk has another nonce and gets another number: under its old one it
//! has promised things that it does not know any more.
//!
//! A number also keeps how often its member was started and a random number of the last start. A member that
//! presents less, or the same count with another random number, runs from an older copy of its disk.

use super::membership::Membership;
use super::{ErrorCode, digest};
use std::collections::BTreeMap;

/// Numbers there may ever be. Each costs some 100 bytes on every member, for ever; one is used per node that joins.
const MAX_NUMBERS: usize = 65_536;

/// Longest name of a member, bytes: as long as the configuration allows.
pub const MAX_NAME: usize = 255;

/// How far a number has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Given to a node that is not yet a member.
    #[default]
    Reserved,
    /// That of a member.
    Member,
    /// That of nobody any more, for ever.
    Removed,
}

/// What is known of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberRecord {
    /// How far it has come.
    pub stage: Stage,
    /// The name of the node it was given to; empty if it was not given but named in the founding list or by `reconfig`.
    pub name: String,
    /// What that node drew before it asked; 0 while the number waits for a node of its name.
    pub nonce: u64,
    /// Whether it is to vote once it has caught up.
    pub wants_vote: bool,
    /// The number that leaves when this one gets its vote.
    pub replaces: Option<u64>,
    /// How often its member was started; 0 if it never told.
    pub boots: u64,
    /// What its member drew at the last start.
    pub boot: u64,
    /// The newest commands that its member knows: see [`Command::level`](super::Command::level).
    pub level: u16,
}

/// A node that asks for a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Applicant<'a> {
    pub(super) name: &'a str,
    pub(super) nonce: u64,
    pub(super) observer: bool,
    pub(super) replaces: Option<u64>,
    pub(super) level: u16,
}

impl Membership {
    /// Gives the applicant a number: that which it has already, that which waits for its name, or a new one.
    pub(super) fn admit(&mut self, applicant: &Applicant<'_>) -> Result<u64, ErrorCode> {
        if applicant.name.is_empty() || applicant.name.len() > MAX_NAME {
            return Err(ErrorCode::BadArguments);
        }
        let known = self.numbers.iter_mut().find(|(_, known)| {
            let is_same = known.nonce == applicant.nonce;
            let waits = known.nonce == 0 && known.boots == 0;
            known.stage != Stage::Removed && known.name == applicant.name && (is_same || waits)
        });
        if let Some((number, known)) = known {
            known.nonce = applicant.nonce;
            known.level = applicant.level;
            return Ok(*number);
        }
        if self.numbers.len() >= MAX_NUMBERS {
            return Err(ErrorCode::BadArguments);
        }
        // What an earlier life of the node was given and has not used, nobody can use any more.
        for other in self.numbers.values_mut() {
            if other.stage == Stage::Reserved && other.name == applicant.name {
                other.stage = Stage::Removed;
            }
        }
        let highest = self.numbers.keys().next_back();
        let number = highest.map_or(1, |highest| highest.saturating_add(1));
        let record = NumberRecord {
            stage: Stage::Reserved,
            name: applicant.name.into(),
            nonce: applicant.nonce,
            wants_vote: !applicant.observer,
            replaces: applicant.replaces,
            level: applicant.level,
            ..NumberRecord::default()
        };
        self.numbers.insert(number, record);
        Ok(number)
    }

    /// Notes that a member was started. What is older than what is known changes nothing and is refused.
    pub(super) fn announce(
        &mut self,
        member: u64,
        boots: u64,
        boot: u64,
        level: u16,
    ) -> Result<(), ErrorCode> {
        let record = self.numbers.get_mut(&member).ok_or(ErrorCode::NoNode)?;
        if record.stage == Stage::Removed {
            return Err(ErrorCode::NoNode);
        }
        if boots < record.boots || (boots == record.boots && boot != record.boot) {
            return Err(ErrorCode::BadVersion);
        }
        (record.boots, record.boot, record.level) = (boots, boot, level);
        Ok(())
    }

    /// Takes over who is a member now.
    pub(super) fn note_members(&mut self) {
        for (number, record) in &mut self.numbers {
            if record.stage == Stage::Member && !self.members.contains_key(number) {
                record.stage = Stage::Removed;
                record.wants_vote = false;
            }
        }
        for (number, member) in &self.members {
            let record = self.numbers.entry(*number).or_default();
            record.stage = Stage::Member;
            record.wants_vote &= !member.voter;
        }
    }

    /// The newest commands that every member knows: of those that vote, and of the others that were ever started.
    pub(super) fn level(&self) -> u16 {
        let records = self.members.iter().filter_map(|(number, member)| {
            let record = self.numbers.get(number)?;
            (member.voter || record.boots > 0).then_some(record.level)
        });
        records.min().unwrap_or(0)
    }

    /// The numbers' share of the digest.
    pub(super) fn numbers_digest(&self) -> u64 {
        let terms = self.numbers.iter().map(|(id, r)| digest::number(*id, r));
        terms.fold(0, u64::wrapping_add)
    }
}

/// All numbers, in order.
pub(super) type Numbers = BTreeMap<u64, NumberRecord>;

impl Stage {
    /// As it is written.
    pub(super) fn to_byte(self) -> u8 {
        match self {
            Stage::Reserved => 0,
            Stage::Member => 1,
            Stage::Removed => 2,
        }
    }

    /// As it was written.
    pub(super) fn from_byte(byte: u8) -> Option<Stage> {
        [Stage::Reserved, Stage::Member, Stage::Removed]
            .into_iter()
            .find(|stage| stage.to_byte() == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemberInfo;

    fn applicant(name: &str, nonce: u64) -> Applicant<'_> {
        Applicant {
            name,
            nonce,
            observer: false,
            replaces: None,
            level: 1,
        }
    }

    fn set(membership: &mut Membership, numbers: &[(u64, bool)]) {
        let member = |&(number, voter): &(u64, bool)| {
            let info = MemberInfo {
                address: format!("h{number}:1"),
                election: None,
                voter,
            };
            (number, info)
        };
        membership.members = numbers.iter().map(member).collect();
        membership.note_members();
    }

    #[test]
    fn a_number_is_given_once_and_to_the_same_nonce_again() {
        let mut membership = Membership::default();
        set(&mut membership, &[(1, true), (2, true), (100, false)]);
        assert_eq!(membership.admit(&applicant("a", 7)), Ok(101));
        assert_eq!(membership.admit(&applicant("a", 7)), Ok(101));
        assert_eq!(membership.admit(&applicant("b", 7)), Ok(102));
        // Wiped meanwhile: what it was given before is void.
        assert_eq!(membership.admit(&applicant("a", 8)), Ok(103));
        assert_eq!(membership.numbers[&101].stage, Stage::Removed);
        assert_eq!(membership.admit(&applicant("a", 7)), Ok(104));
        assert_eq!(
            membership.admit(&applicant("", 1)),
            Err(ErrorCode::BadArguments)
        );
    }

    #[test]
    fn a_number_that_waits_is_taken_by_the_first_node_of_its_name() {
        let mut membership = Membership::default();
        assert_eq!(membership.admit(&applicant("a", 0)), Ok(1));
        assert_eq!(membership.admit(&applicant("a", 5)), Ok(1));
        assert_eq!(membership.admit(&applicant("a", 6)), Ok(2));
    }

    #[test]
    fn a_removed_number_stays_removed_and_is_not_given_again() {
        let mut membership = Membership::default();
        set(&mut membership, &[(1, true), (2, true), (3, true)]);
        set(&mut membership, &[(1, true), (2, true)]);
        assert_eq!(membership.numbers[&3].stage, Stage::Removed);
        assert_eq!(membership.announce(3, 1, 1, 1), Err(ErrorCode::NoNode));
        assert_eq!(membership.admit(&applicant("n3", 1)), Ok(4));
    }

    #[test]
    fn an_older_start_is_refused() {
        let mut membership = Membership::default();
        set(&mut membership, &[(1, true)]);
        assert_eq!(membership.announce(1, 2, 9, 1), Ok(()));
        assert_eq!(membership.announce(1, 2, 9, 1), Ok(()));
        for (boots, boot) in [(1, 9), (2, 8)] {
            let refused = membership.announce(1, boots, boot, 1);
            assert_eq!(refused, Err(ErrorCode::BadVersion), "{boots} {boot}");
        }
        assert_eq!(membership.announce(1, 3, 8, 1), Ok(()));
        assert_eq!(membership.announce(9, 1, 1, 1), Err(ErrorCode::NoNode));
    }

    #[test]
    fn the_level_is_that_of_the_oldest_member() {
        let mut membership = Membership::default();
        set(&mut membership, &[(1, true), (2, true), (9, false)]);
        assert_eq!(membership.level(), 0);
        membership.announce(1, 1, 1, 2).unwrap();
        assert_eq!(membership.level(), 0, "2 has not told");
        membership.announce(2, 1, 1, 1).unwrap();
        assert_eq!(membership.level(), 1, "9 was never started");
        membership.announce(9, 1, 1, 0).unwrap();
        assert_eq!(membership.level(), 0);
        set(&mut membership, &[(1, true), (2, true)]);
        assert_eq!(membership.level(), 1);
    }

    #[test]
    fn the_wish_to_vote_ends_with_the_vote() {
        let mut membership = Membership::default();
        let number = membership.admit(&applicant("a", 1)).unwrap();
        set(&mut membership, &[(number, false)]);
        assert!(membership.numbers[&number].wants_vote);
        set(&mut membership, &[(number, true)]);
        set(&mut membership, &[(number, false)]);
        assert!(!membership.numbers[&number].wants_vote);
    }
}
