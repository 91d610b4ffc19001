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
    let replaced = replaced(ensemble, &now, application)?;
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
    place(change, &now, number, replaced, application).await?;
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

/// The member whose place the node takes: the one it names, or the one of its name. It must not be there any more.
fn replaced(
    ensemble: &Ensemble,
    now: &Members,
    application: &Application,
) -> Result<Option<u64>, AdmissionRefusal> {
    let own = ensemble.read(|tree| {
        let mut numbers = tree.numbers().iter();
        let is_own = |record: &NumberRecord| {
            let waits = record.nonce == 0 && record.boots == 0;
            record.name == application.name
                && record.stage != Stage::Removed
                && (record.nonce == application.nonce || waits)
        };
        numbers
            .find(|(_, record)| is_own(record))
            .map(|(id, _)| *id)
    });
    let others = || now.nodes.iter().filter(|(id, _)| Some(**id) != own);
    let named = others().find(|(_, member)| member.name == application.name);
    let replaced = match application.replaces {
        Some(id) => now.nodes.get(&id).map(|member| (id, member)),
        None => named.map(|(id, member)| (*id, member)),
    };
    if let Some((id, member)) = replaced {
        if member.name != application.name {
            let why = format!("member {id} is called {:?}", member.name);
            return Err(AdmissionRefusal::BadArguments(why));
        }
        if ensemble.is_in_reach(id) {
            return Err(AdmissionRefusal::Alive(id));
        }
    }
    let replaced = replaced.map(|(id, _)| id);
    let mut others = others().filter(|(id, _)| Some(**id) != replaced);
    match others.find(|(_, member)| member.address == application.address) {
        Some((id, _)) => Err(AdmissionRefusal::BadArguments(format!(
            "member {id} has the address {}",
            application.address
        ))),
        None => Ok(replaced),
    }
}

/// Makes the node a member without a vote. One that shall never vote takes its place at once.
async fn place(
    change: &Change<'_>,
    now: &Members,
    number: u64,
    replaced: Option<u64>,
    application: &Application,
) -> Result<(), AdmissionRefusal> {
    let member = Member {
        name: application.name.clone(),
        address: application.address.clone(),
        election: None,
    };
    let leaves = replaced.filter(|id| application.observer && !now.voters.contains(id));
    if now
        .nodes
        .get(&number)
        .is_some_and(|known| known.is_like(&member))
        && leaves.is_none()
    {
        return Ok(());
    }
    let mut steps = vec![Step::SetNodes(BTreeMap::from([(number, member)]))];
    if let Some(id) = leaves {
        steps.push(Step::RemoveNodes(BTreeSet::from([id])));
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
