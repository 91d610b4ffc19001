//! The leader admits a node: a number from the log, then a place without a vote.

use super::change::{Change, Step};
use super::plan::Members;
use super::{Altered, ReconfigError};
use crate::ensemble::admission::{AdmissionRefusal, Application};
use crate::ensemble::handle::Ensemble;
use crate::ensemble::papers::Number;
use crate::ensemble::types::Member;
use crate::tree::{Command, LEVEL, MAX_NAME, NumberRecord, Reply, Stage, is_address};
use std::collections::{BTreeMap, BTreeSet};

/// Gives the node that asks a number and a place among the members, if this member leads.
///
/// # Errors
/// [`AdmissionRefusal`]. To ask again does no harm.
pub(in crate::ensemble) async fn grant(
    ensemble: &Ensemble,
    application: &Application,
) -> Result<Number, AdmissionRefusal> {
    let inner = ensemble.inner();
    let Ok(_turn) = inner.reconfiguring.try_lock() else {
        return Err(AdmissionRefusal::Busy);
    };
    let change = Change { ensemble };
    change.leads().await.map_err(refusal)?;
    change.finish_the_one_before().await.map_err(refusal)?;
    Ok(Number {
        ensemble: inner.me.ensemble,
        member: admitted(&change, application).await?,
    })
}

async fn admitted(change: &Change<'_>, application: &Application) -> Result<u64, AdmissionRefusal> {
    check(application)?;
    let ensemble = change.ensemble;
    let now = change.members();
    let me = now.nodes.get(&ensemble.member());
    if me.is_some_and(|me| me.address.is_empty()) {
        return Err(refusal(ReconfigError::Standalone));
    }
    let succession = succession(ensemble, &now, application)?;
    let replaced = succession.replaced;
    let command = Command::Admit {
        name: application.name.clone(),
        nonce: application.nonce,
        observer: application.observer,
        replaces: replaced,
        level: application.level,
    };
    let common = ensemble.read(|tree| tree.level());
    if application.level < common {
        return Err(AdmissionRefusal::Level(application.level, common));
    }
    if common < command.level() {
        return Err(AdmissionRefusal::Early(common));
    }
    let applied = change.propose(command).await.map_err(refusal)?;
    let Reply::Admitted(number) = applied else {
        return Err(AdmissionRefusal::NoLeader);
    };
    place(change, &now, number, succession, application).await?;
    tracing::info!(
        name = %application.name, number, ?replaced, observer = application.observer,
        "admitted a node"
    );
    Ok(number)
}

/// Keeps a number, and a place without a vote, for a node that is still to come.
///
/// # Errors
/// [`ReconfigError`].
pub(super) async fn invite(
    change: &Change<'_>,
    name: &str,
    address: &str,
    observer: bool,
) -> Result<Altered, ReconfigError> {
    let application = Application {
        name: name.into(),
        address: address.into(),
        nonce: 0,
        observer,
        replaces: None,
        level: LEVEL,
        proof: None,
    };
    let number = admitted(change, &application).await;
    let number = number.map_err(|refusal| match refusal {
        AdmissionRefusal::Busy => ReconfigError::InProgress,
        AdmissionRefusal::NoLeader => ReconfigError::NoLeader,
        other => ReconfigError::BadArguments(other.to_string()),
    })?;
    Ok(Altered {
        zxid: change.ensemble.read(|tree| tree.last_zxid()),
        member: Some(number),
    })
}

/// What can be told of a request without looking at anything.
fn check(application: &Application) -> Result<(), AdmissionRefusal> {
    let bad = |why: String| Err(AdmissionRefusal::BadArguments(why));
    let name = &application.name;
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return bad(format!("{name:?} is not a name"));
    }
    match is_address(&application.address) {
        true => Ok(()),
        false => bad(format!("{:?} is not host:port", application.address)),
    }
}

/// Whose place a node takes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Succession {
    /// The member that leaves when the node gets its vote, or at once if neither is to have one.
    replaced: Option<u64>,
    /// Members without a vote that were to take the same place, and now never will: the node was each of them in turn,
    /// and has lost its disk again. They leave at once.
    between: BTreeSet<u64>,
}

impl Succession {
    /// Of the member that the node names, or else of its name. `own` is the number that the node has already.
    fn new(
        now: &Members,
        numbers: &BTreeMap<u64, NumberRecord>,
        application: &Application,
        own: Option<u64>,
    ) -> Result<Succession, AdmissionRefusal> {
        let others = || now.nodes.iter().filter(|(id, _)| Some(**id) != own);
        let before = |id: u64| {
            let id = numbers.get(&id)?.replaces.filter(|before| *before < id)?;
            let name = &now.nodes.get(&id)?.name;
            (*name == application.name).then_some(id)
        };
        let first = |id: u64| {
            let line = std::iter::successors(Some(id), |id| before(*id));
            line.last().unwrap_or(id)
        };
        let of_the_name = || others().find(|(_, member)| member.name == application.name);
        let asked = application.replaces;
        let known = |id: &u64| now.nodes.contains_key(id);
        let named = match asked.filter(known) {
            Some(id) => Some(id),
            None if asked.is_some() => own.and_then(before),
            None => of_the_name().map(|(id, _)| *id),
        };
        if let Some((id, member)) = named.and_then(|id| now.nodes.get_key_value(&id))
            && member.name != application.name
        {
            let why = format!("member {id} is called {:?}", member.name);
            return Err(AdmissionRefusal::BadArguments(why));
        }
        let replaced = named.map(first);
        let waits = |id: &u64| !now.voters.contains(id) && Some(*id) != replaced;
        let between = others().map(|(id, _)| *id).filter(waits);
        let between = between.filter(|id| replaced.is_some() && Some(first(*id)) == replaced);
        let succession = Succession {
            replaced,
            between: between.collect(),
        };
        let mut others = others().filter(|(id, _)| !succession.ends(**id));
        match others.find(|(_, member)| member.address == application.address) {
            Some((id, _)) => Err(AdmissionRefusal::BadArguments(format!(
                "member {id} has the address {}",
                application.address
            ))),
            None => Ok(succession),
        }
    }

    /// Whether this member leaves for the node, sooner or later.
    fn ends(&self, id: u64) -> bool {
        self.replaced == Some(id) || self.between.contains(&id)
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        self.replaced
            .into_iter()
            .chain(self.between.iter().copied())
    }
}

/// Whose place the node takes. Nobody of them may be there any more.
fn succession(
    ensemble: &Ensemble,
    now: &Members,
    application: &Application,
) -> Result<Succession, AdmissionRefusal> {
    let succession = ensemble.read(|tree| {
        let is_own = |record: &NumberRecord| {
            let waits = record.nonce == 0 && record.boots == 0;
            record.name == application.name
                && record.stage != Stage::Removed
                && (record.nonce == application.nonce || waits)
        };
        let numbers = tree.numbers();
        let own = numbers.iter().find(|(_, record)| is_own(record));
        Succession::new(now, numbers, application, own.map(|(id, _)| *id))
    })?;
    let alive = succession.all().find(|id| ensemble.is_in_reach(*id));
    alive.map_or(Ok(succession), |id| Err(AdmissionRefusal::Alive(id)))
}

/// Makes the node a member without a vote. One that shall never vote takes its place at once.
async fn place(
    change: &Change<'_>,
    now: &Members,
    number: u64,
    succession: Succession,
    application: &Application,
) -> Result<(), AdmissionRefusal> {
    let member = Member {
        name: application.name.clone(),
        address: application.address.clone(),
        election: None,
    };
    let mut leave = succession.between;
    let replaced = succession.replaced.into_iter();
    leave.extend(replaced.filter(|id| application.observer && !now.voters.contains(id)));
    if now
        .nodes
        .get(&number)
        .is_some_and(|known| known.is_like(&member))
        && leave.is_empty()
    {
        return Ok(());
    }
    let mut steps = vec![Step::SetNodes(BTreeMap::from([(number, member)]))];
    if !leave.is_empty() {
        steps.push(Step::RemoveNodes(leave));
    }
    let placed = change.step(Step::Batch(steps), true).await;
    placed.map(|_| ()).map_err(refusal)
}

fn refusal(error: ReconfigError) -> AdmissionRefusal {
    match error {
        ReconfigError::InProgress => AdmissionRefusal::Busy,
        ReconfigError::NoLeader | ReconfigError::OutcomeUnknown => AdmissionRefusal::NoLeader,
        other => AdmissionRefusal::BadArguments(other.to_string()),
    }
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

    fn application(replaces: Option<u64>) -> Application {
        Application {
            name: "n3".into(),
            address: "c:1".into(),
            nonce: 9,
            observer: false,
            replaces,
            level: LEVEL,
            proof: None,
        }
    }

    /// Voters 1 to 3; 4 was to take the place of 3.
    fn now() -> (Members, BTreeMap<u64, NumberRecord>) {
        let nodes = [
            (1, member("n1", "a:1")),
            (2, member("n2", "b:1")),
            (3, member("n3", "c:1")),
            (4, member("n3", "c:1")),
        ];
        let replaces = |replaces| NumberRecord {
            replaces,
            ..NumberRecord::default()
        };
        let numbers = [
            (3, replaces(None)),
            (4, replaces(Some(3))),
            (5, replaces(Some(3))),
        ];
        let members = Members {
            nodes: nodes.into(),
            voters: [1, 2, 3].into(),
        };
        (members, numbers.into())
    }

    fn expect(
        now: &Members,
        numbers: &BTreeMap<u64, NumberRecord>,
        own: Option<u64>,
        named: &[Option<u64>],
    ) {
        for named in named {
            let succession = Succession::new(now, numbers, &application(*named), own).unwrap();
            assert_eq!(succession.replaced, Some(3), "{named:?}");
            assert_eq!(
                succession.between,
                now.nodes.keys().copied().filter(|id| *id == 4).collect(),
                "{named:?}"
            );
        }
    }

    #[test]
    fn who_lost_its_disk_again_takes_the_place_it_was_to_take() {
        let (mut now, numbers) = now();
        let named = [None, Some(3), Some(4)];
        expect(&now, &numbers, None, &named);
        // Asks again, since it got no answer: when it has the number, and when it has the place as well.
        expect(&now, &numbers, Some(5), &named);
        now.nodes.remove(&4);
        now.nodes.insert(5, member("n3", "c:1"));
        expect(&now, &numbers, Some(5), &named);
    }

    #[test]
    fn nobody_takes_the_place_or_the_address_of_another() {
        let (mut now, mut numbers) = now();
        let refused = |now: &Members, numbers: &BTreeMap<u64, NumberRecord>, named| {
            let succession = Succession::new(now, numbers, &application(named), None);
            matches!(succession, Err(AdmissionRefusal::BadArguments(_)))
        };
        assert!(refused(&now, &numbers, Some(1)));
        numbers.insert(4, NumberRecord::default());
        assert!(refused(&now, &numbers, Some(3)), "4 is somebody else");
        numbers.insert(
            4,
            NumberRecord {
                replaces: Some(3),
                ..NumberRecord::default()
            },
        );
        now.voters.insert(4);
        assert!(refused(&now, &numbers, Some(3)), "4 votes");
    }
}
