//! The roll: who founds an ensemble, by number, with what each drew when its disk was empty.
//!
//! Voters are numbered 1, 2, … in the order of their names, so that all who have the same list compute the same.
//! The ensemble's id is made of all that, nonces included: an ensemble that is founded again has another id.

use super::types::Member;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// One founder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Founder {
    /// Its `[node] name`.
    pub(super) name: String,
    /// Where the others reach it; empty if there are no others.
    pub(super) address: String,
    /// What it drew.
    pub(super) nonce: u64,
}

/// The founders, in order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Roll(Vec<Founder>);

impl Roll {
    /// The founders of `list`, names and addresses; `nonce` tells what each drew.
    pub(super) fn new(list: &BTreeMap<String, String>, nonce: impl Fn(&str) -> u64) -> Roll {
        let founder = |(name, address): (&String, &String)| Founder {
            name: name.clone(),
            address: address.clone(),
            nonce: nonce(name),
        };
        Roll(list.iter().map(founder).collect())
    }

    /// The id of the ensemble that they found.
    pub(super) fn ensemble(&self) -> u64 {
        let mut hash = Xxh3::new();
        for founder in &self.0 {
            hash.update(&xxh3_64(founder.name.as_bytes()).to_le_bytes());
            hash.update(&xxh3_64(founder.address.as_bytes()).to_le_bytes());
            hash.update(&founder.nonce.to_le_bytes());
        }
        // 0 stands for none.
        hash.digest().max(1)
    }

    /// The number of the founder called `name`, if it drew `nonce`.
    pub(super) fn number(&self, name: &str, nonce: u64) -> Option<u64> {
        let is_it = |founder: &Founder| founder.name == name && founder.nonce == nonce;
        (1..).zip(&self.0).find(|(_, f)| is_it(f)).map(|(n, _)| n)
    }

    /// The first members.
    pub(super) fn voters(&self) -> BTreeMap<u64, Member> {
        let member = |founder: &Founder| Member {
            name: founder.name.clone(),
            address: founder.address.clone(),
            election: None,
        };
        (1..).zip(self.0.iter().map(member)).collect()
    }
}

/// What two nodes with the same founding list have in common.
pub(super) fn fingerprint(list: &BTreeMap<String, String>) -> u64 {
    Roll::new(list, |_| 0).ensemble()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> BTreeMap<String, String> {
        let entry = |name: &&str| (name.to_string(), format!("{name}.example:2888"));
        names.iter().map(entry).collect()
    }

    #[test]
    fn founders_are_numbered_by_name_whatever_the_order() {
        let nonce = |name: &str| name.len() as u64;
        let roll = Roll::new(&list(&["c", "a", "b"]), nonce);
        assert_eq!(roll, Roll::new(&list(&["b", "c", "a"]), nonce));
        assert_eq!(roll.number("b", 1), Some(2));
        assert_eq!(roll.number("b", 2), None, "another disk");
        assert_eq!(roll.number("x", 1), None);
        assert_eq!(roll.voters()[&3].address, "c.example:2888");
    }

    #[test]
    fn another_list_or_another_disk_makes_another_ensemble() {
        let roll = |names: &[&str], nonce| Roll::new(&list(names), |_| nonce).ensemble();
        assert_eq!(roll(&["a", "b"], 1), roll(&["a", "b"], 1));
        assert_ne!(roll(&["a", "b"], 1), roll(&["a", "c"], 1));
        assert_ne!(roll(&["a", "b"], 1), roll(&["a", "b"], 2));
        assert_ne!(fingerprint(&list(&["a"])), fingerprint(&list(&["b"])));
    }
}
