//! What a change of the members comes to: decided from the members there are and the request alone.

use super::spec::ServerSpec;
use super::{Alteration, ReconfigError, Reconfiguration};
use crate::config::limits;
use crate::ensemble::types::Member;
use std::collections::{BTreeMap, BTreeSet};

/// The members, and which of them vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// All of them.
    pub(super) nodes: BTreeMap<u64, Member>,
    /// Those that vote.
    pub(super) voters: BTreeSet<u64>,
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Members that are new, or have another address.
    pub(super) set: BTreeMap<u64, Member>,
    /// Who votes in the end.
    pub(super) voters: BTreeSet<u64>,
    /// Who is no member any more.
    pub(super) removed: BTreeSet<u64>,
    /// Where clients reach those that were named.
    pub(super) clients: BTreeMap<u64, String>,
}

/// Members there may be: each costs the leader two connections and every client a line of the config.
const MAX_MEMBERS: usize = 64;

impl Plan {
    /// The way from the members `now` to those that `change` asks for.
    ///
    /// # Errors
    /// [`ReconfigError::BadArguments`].
    pub(super) fn new(
        now: &Members,
        wanted: &Alteration,
        replaced: impl Fn(u64) -> Option<u64>,
    ) -> Result<Plan, ReconfigError> {
        let mut next = now.clone();
        match wanted {
            Alteration::Reconfigure(change) => return Plan::reconfigured(now, change),
            Alteration::Promote(number) => {
                next.known(*number)?;
                next.voters.insert(*number);
                let leaves = replaced(*number).filter(|other| other != number);
                next.remove(leaves.unwrap_or_default());
            }
            Alteration::Demote(number) => {
                next.known(*number)?;
                next.voters.remove(number);
            }
            Alteration::Remove(number) => {
                next.known(*number)?;
                next.remove(*number);
            }
            Alteration::Invite { .. } | Alteration::TransferLeader(_) => {}
        }
        Plan::between(now, next, BTreeMap::new())
    }

    fn reconfigured(now: &Members, change: &Reconfiguration) -> Result<Plan, ReconfigError> {
        let (mut next, specs) = match &change.new_members {
            Some(all) => (Members::default(), all),
            None => {
                let mut next = now.clone();
                for id in &change.leaving {
                    next.remove(*id);
                }
                (next, &change.joining)
            }
        };
        let mut clients = BTreeMap::new();
        for text in specs {
            let spec = ServerSpec::read(text)?;
            next.take(&spec, now)?;
            if clients.insert(spec.id, spec.client).is_some() {
                return Err(bad(format!("member {} is named twice", spec.id)));
            }
        }
        Plan::between(now, next, clients)
    }

    fn between(
        now: &Members,
        next: Members,
        clients: BTreeMap<u64, String>,
    ) -> Result<Plan, ReconfigError> {
        if next.voters.len() < MIN_VOTERS && next.voters != now.voters {
            return Err(bad(format!("fewer than {MIN_VOTERS} members would vote")));
        }
        if next.voters.len() > *limits::MEMBERS.end() || next.nodes.len() > MAX_MEMBERS {
            return Err(bad("there would be too many members".into()));
        }
        let removed = now.nodes.keys().filter(|id| !next.nodes.contains_key(id));
        Ok(Plan {
            removed: removed.copied().collect(),
            voters: next.voters,
            set: next
                .nodes
                .into_iter()
                .filter(|(id, member)| now.nodes.get(id) != Some(member))
                .collect(),
            clients,
        })
    }
}

impl Members {
    fn known(&self, number: u64) -> Result<(), ReconfigError> {
        match self.nodes.contains_key(&number) {
            true => Ok(()),
            false => Err(ReconfigError::Unknown(number)),
        }
    }

    fn remove(&mut self, number: u64) {
        self.nodes.remove(&number);
        self.voters.remove(&number);
    }

    /// Adds the member `spec`, or changes it; one that is known keeps its name.
    fn take(&mut self, spec: &ServerSpec, now: &Members) -> Result<(), ReconfigError> {
        let mut others = self.nodes.iter().filter(|(id, _)| **id != spec.id);
        if let Some((other, _)) = others.find(|(_, member)| member.address == spec.address) {
            return Err(bad(format!("member {other} has that address")));
        }
        let name = match now.nodes.get(&spec.id) {
            Some(known) => known.name.clone(),
            None => format!("server.{}", spec.id),
        };
        let member = Member {
            name,
            address: spec.address.clone(),
            election: spec.election,
        };
        self.nodes.insert(spec.id, member);
        match spec.voter {
            true => self.voters.insert(spec.id),
            false => self.voters.remove(&spec.id),
        };
        Ok(())
    }
}

/// ZooKeeper refuses to shrink an ensemble to one participant unless it was told to (`standaloneEnabled`).
const MIN_VOTERS: usize = 2;

fn bad(why: String) -> ReconfigError {
    ReconfigError::BadArguments(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, address: &str) -> Member {
        Member {
            name: name.into(),
            address: address.into(),
            election: None,
        }
    }

    /// Voters 1 to 3 and observer 9.
    fn now() -> Members {
        let nodes = [(1, "a:1"), (2, "b:1"), (3, "c:1"), (9, "o:1")];
        Members {
            nodes: nodes
                .map(|(id, a)| (id, member(&format!("n{id}"), a)))
                .into(),
            voters: [1, 2, 3].into(),
        }
    }

    fn plan(joining: &[&str], leaving: &[u64]) -> Result<Plan, ReconfigError> {
        let change = Reconfiguration {
            joining: joining.iter().map(|text| text.to_string()).collect(),
            leaving: leaving.to_vec(),
            ..Reconfiguration::default()
        };
        Plan::reconfigured(&now(), &change)
    }

    #[test]
    fn joiners_get_their_role_and_a_name() {
        let plan = plan(&["server.4=d:1:1;5", "server.100=e:1:2:observer;h:6"], &[]).unwrap();
        assert_eq!(plan.voters, [1, 2, 3, 4].into());
        assert_eq!(plan.set[&4], member("server.4", "d:1"));
        assert_eq!(plan.set[&100].election, Some(2));
        assert_eq!(plan.clients[&4], "0.0.0.0:5");
        assert_eq!(plan.clients[&100], "h:6");
        assert!(plan.removed.is_empty());
    }

    #[test]
    fn known_members_keep_their_name_and_change_role_and_address() {
        let plan = plan(&["server.9=o:1:1;5", "server.1=z:1:1:observer;5"], &[]).unwrap();
        assert_eq!(plan.voters, [2, 3, 9].into());
        assert_eq!(plan.set, [(1, member("n1", "z:1"))].into());
    }

    #[test]
    fn leavers_are_removed_and_unknown_ones_ignored() {
        let plan = plan(&[], &[3, 9, 77]).unwrap();
        assert_eq!(plan.removed, [3, 9].into());
        assert_eq!(plan.voters, [1, 2].into());
        assert!(plan.set.is_empty());
    }

    #[test]
    fn a_list_of_all_members_removes_the_others() {
        let all = [
            "server.1=a:1:1;5",
            "server.2=b:1:1;5",
            "server.7=q:1:1:observer;5",
        ];
        let change = Reconfiguration {
            new_members: Some(all.map(str::to_owned).into()),
            leaving: vec![1],
            ..Reconfiguration::default()
        };
        let plan = Plan::reconfigured(&now(), &change).unwrap();
        assert_eq!(plan.voters, [1, 2].into());
        assert_eq!(plan.removed, [3, 9].into());
        assert_eq!(plan.set, [(7, member("server.7", "q:1"))].into());
    }

    #[test]
    fn a_member_that_gets_its_vote_takes_the_place_of_another() {
        let plan = |wanted: Alteration, old: Option<u64>| Plan::new(&now(), &wanted, |_| old);
        let promoted = plan(Alteration::Promote(9), Some(3)).unwrap();
        assert_eq!(promoted.voters, [1, 2, 9].into());
        assert_eq!(promoted.removed, [3].into());
        let promoted = plan(Alteration::Promote(9), Some(77)).unwrap();
        assert_eq!(promoted.voters, [1, 2, 3, 9].into());
        assert!(promoted.removed.is_empty());
        let demoted = plan(Alteration::Demote(3), None).unwrap();
        assert_eq!(demoted.voters, [1, 2].into());
        assert!(demoted.removed.is_empty());
        let unknown = plan(Alteration::Remove(77), None);
        assert_eq!(unknown, Err(ReconfigError::Unknown(77)));
    }

    #[test]
    fn what_makes_no_ensemble_is_refused() {
        for (joining, leaving) in [
            (&["some thing"][..], &[][..]),
            (&[], &[1, 2, 3]),
            (&[], &[1, 2]),
            (&["server.4=a:1:1;5"], &[]),
            (&["server.4=d:1:1;5", "server.4=e:1:1;5"], &[]),
            (&["server.4=d:1:1;5", "server.5=d:1:1;5"], &[]),
        ] {
            let refused = plan(joining, leaving);
            assert!(
                matches!(refused, Err(ReconfigError::BadArguments(_))),
                "{joining:?} {leaving:?}: {refused:?}"
            );
        }
        let many: Vec<String> = (10..20)
            .map(|id| format!("server.{id}=h{id}:1:1;5"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(plan(&many, &[]).is_err(), "too many voters");
    }
}
