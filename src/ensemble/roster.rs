//! Who the members are, by number, from what the configuration says.
//!
//! Voters are numbered 1, 2, … in the order of their names, so that every member with the same list computes
//! the same numbers. An observer's number is derived from its name, far above the voters'. The list's names
//! make the ensemble's fingerprint: members of different lists refuse each other at the greeting.

use super::types::Member;
use crate::config::EnsembleConfig;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// The members this one knows from its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Roster {
    /// Fingerprint of the list of voters' names.
    pub(super) ensemble: u64,
    /// This member's number.
    pub(super) me: u64,
    /// The voters.
    pub(super) voters: BTreeMap<u64, Member>,
    /// How others reach this member, when it is an observer.
    pub(super) observer: Option<Member>,
}

impl Roster {
    /// The roster that member `name` computes; an ensemble of one without `config`.
    pub(super) fn new(name: &str, config: Option<&EnsembleConfig>) -> Result<Roster, RosterError> {
        let Some(config) = config else {
            let alone = BTreeMap::from([(
                1,
                Member {
                    name: name.into(),
                    address: String::new(),
                    election: None,
                },
            )]);
            return Ok(Roster {
                ensemble: fingerprint(alone.values()),
                me: 1,
                voters: alone,
                observer: None,
            });
        };
        let listed = config
            .members
            .iter()
            .filter(|(member, _)| !(config.observer && *member == name));
        let voters: BTreeMap<u64, Member> = (1..)
            .zip(listed.map(|(name, address)| Member {
                name: name.clone(),
                address: address.clone(),
                election: None,
            }))
            .collect();
        let ensemble = fingerprint(voters.values());
        if config.observer {
            let address = config
                .members
                .get(name)
                .cloned()
                .unwrap_or_else(|| config.listen.to_string());
            let observer = Some(Member {
                name: name.into(),
                address,
                election: None,
            });
            return Ok(Roster {
                ensemble,
                me: observer_number(name),
                voters,
                observer,
            });
        }
        let me = voters
            .iter()
            .find(|(_, member)| member.name == name)
            .map(|(id, _)| *id);
        let me = me.ok_or_else(|| RosterError { name: name.into() })?;
        Ok(Roster {
            ensemble,
            me,
            voters,
            observer: None,
        })
    }
}

/// The list of members lacks this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[ensemble] members does not list this node, {name:?}; add it, or set observer = true")]
pub struct RosterError {
    name: String,
}

fn fingerprint<'a>(members: impl Iterator<Item = &'a Member>) -> u64 {
    let names: Vec<&str> = members.map(|member| member.name.as_str()).collect();
    xxh3_64(names.join("\n").as_bytes())
}

/// Above any number a voter can have, and small enough to read.
fn observer_number(name: &str) -> u64 {
    1000 + xxh3_64(name.as_bytes()) % 0xffff_fffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(names: &[&str], observer: bool) -> EnsembleConfig {
        let members = names
            .iter()
            .map(|n| (n.to_string(), format!("{n}.example:2888")))
            .collect();
        let listen = "127.0.0.1:2888".parse().unwrap();
        EnsembleConfig {
            listen,
            members,
            observer,
            heartbeat: Duration::from_millis(50),
        }
    }

    #[test]
    fn voters_are_numbered_by_name_on_every_member_alike() {
        let a = Roster::new("a", Some(&config(&["c", "a", "b"], false))).unwrap();
        let b = Roster::new("b", Some(&config(&["b", "c", "a"], false))).unwrap();
        assert_eq!((a.me, b.me), (1, 2));
        assert_eq!(a.voters, b.voters);
        assert_eq!(a.ensemble, b.ensemble);
    }

    #[test]
    fn observer_is_no_voter_whether_listed_or_not() {
        let voters = Roster::new("a", Some(&config(&["a", "b"], false))).unwrap();
        for names in [&["a", "b"][..], &["a", "b", "o"][..]] {
            let observer = Roster::new("o", Some(&config(names, true))).unwrap();
            assert_eq!(observer.voters, voters.voters);
            assert_eq!(observer.ensemble, voters.ensemble);
            assert!(observer.me >= 1000);
        }
    }

    #[test]
    fn member_missing_from_its_own_list_is_an_error() {
        let error = Roster::new("x", Some(&config(&["a"], false))).unwrap_err();
        assert!(error.to_string().contains("\"x\""));
    }

    #[test]
    fn other_names_make_another_ensemble() {
        let a = Roster::new("a", Some(&config(&["a", "b"], false))).unwrap();
        let b = Roster::new("a", Some(&config(&["a", "c"], false))).unwrap();
        assert_ne!(a.ensemble, b.ensemble);
    }
}
