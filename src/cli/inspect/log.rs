//! The lines of a log.

use super::line::{Line, Printer};
use super::time;
use crate::cli::{CliError, Exit};
use crate::ensemble::offline::{Ending, Entry, Fact, Finding, inspect_log};
use crate::ensemble::types::Proposal;
use crate::tree::{Actor, Command, CreateMode, Lifetime, Op};
use serde_json::Value;
use std::io;
use std::path::Path;

/// Most operations of a multi that are named; the number of all is told.
const NAMED: usize = 16;

/// Prints the log in `dir`, or one segment of it, and tells how many damages there are.
pub(super) fn inspect<W: io::Write>(
    dir: &Path,
    only: Option<&Path>,
    printer: &mut Printer<W>,
) -> Result<u64, CliError> {
    let mut counts = Counts::default();
    let mut failed = None;
    let inspected = inspect_log(dir, only, &mut |finding| {
        let printed = print(finding, printer, &mut counts);
        printed.inspect_err(|error| failed = Some(error.kind()))
    });
    let damages = inspected.map_err(|error| match failed {
        Some(_) => CliError::Stdout(error),
        None => CliError::failed(Exit::Failed, error),
    })?;
    let line = Line::new("log")
        .with("path", dir.display().to_string())
        .with("segments", counts.segments)
        .with("records", counts.records)
        .with("entries", counts.entries)
        .with_some("first", counts.first)
        .with_some("last", counts.last);
    printer.always(&line).map_err(CliError::Stdout)?;
    Ok(damages)
}

#[derive(Debug, Default)]
struct Counts {
    segments: u64,
    records: u64,
    entries: u64,
    first: Option<u64>,
    last: Option<u64>,
}

fn print<W: io::Write>(
    finding: Finding,
    printer: &mut Printer<W>,
    counts: &mut Counts,
) -> io::Result<()> {
    match finding {
        Finding::Segment { path, bytes } => {
            counts.segments += 1;
            let line = Line::new("segment")
                .with("path", path.display().to_string())
                .with("bytes", bytes);
            printer.line(&line)
        }
        Finding::Record {
            offset,
            bytes,
            fact,
        } => {
            counts.records += 1;
            let index = match &*fact {
                Fact::Entry { at: (index, _), .. } => Some(*index),
                _ => None,
            };
            if let Some(index) = index {
                counts.entries += 1;
                counts.first.get_or_insert(index);
                counts.last = Some(index);
            }
            match printer.wants(index) {
                true => printer.line(&record(offset, bytes, *fact)),
                false => Ok(()),
            }
        }
        Finding::End {
            path,
            offset,
            ending,
        } => {
            let line = Line::new("end")
                .with("path", path.display().to_string())
                .with("offset", offset)
                .with("followed_by", followed_by(ending));
            printer.line(&line)
        }
        Finding::Damage {
            path,
            offset,
            reason,
        } => printer.always(&Line::damage(&path, offset, &reason)),
    }
}

fn followed_by(ending: Ending) -> &'static str {
    match ending {
        Ending::Continued => "the next segment",
        Ending::Open { is_torn: false } => "nothing: the log ends here, or is written to here",
        Ending::Open { is_torn: true } => {
            "a write that was not finished, or is being written: it does not count"
        }
        Ending::Unbegun => "nothing: prepared for later",
    }
}

fn record(offset: u64, bytes: u64, fact: Fact) -> Line {
    let line = |what| Line::new(what).with("offset", offset).with("bytes", bytes);
    match fact {
        Fact::Checkpoint {
            identity,
            vote,
            committed,
            purged,
            last,
        } => line("checkpoint")
            .with("ensemble", format!("{:016x}", identity.ensemble))
            .with("member", identity.member)
            .with("name", identity.name)
            .with_some("vote", vote)
            .with_some("committed", committed.map(at))
            .with_some("purged", purged.map(at))
            .with_some("last", last.map(at)),
        Fact::Entry {
            at: (index, term),
            entry,
        } => {
            let line = line("entry").with("index", index).with("term", term);
            match entry {
                Entry::Blank => line.with("op", "blank"),
                Entry::Membership(members) => {
                    line.with("op", "membership").with("members", members)
                }
                Entry::Proposal(proposal) => transaction(line, &proposal),
            }
        }
        Fact::Vote(vote) => line("vote").with("vote", vote),
        Fact::Committed(id) => line("committed").with_some("upto", id.map(at)),
        Fact::Truncate(id) => line("truncate").with_some("after", id.map(at)),
        Fact::Purge(id) => line("purge").with("upto", at(id)),
        Fact::Mark => line("mark"),
    }
}

fn at((index, term): (u64, u64)) -> String {
    format!("{index}@{term}")
}

fn transaction(line: Line, proposal: &Proposal) -> Line {
    let transaction = &proposal.transaction;
    let line = line.with("time", time(transaction.time_ms));
    let line = line.with("origin", proposal.origin.member);
    let line = match &transaction.actor {
        Actor::Session { id, .. } => line.with("session", id.to_string()),
        Actor::Ensemble => line,
    };
    match &transaction.command {
        Command::OpenSession {
            member, timeout_ms, ..
        } => line
            .with("op", "openSession")
            .with("member", *member)
            .with("timeout_ms", *timeout_ms),
        Command::AttachSession {
            session, member, ..
        } => line
            .with("op", "attachSession")
            .with("attached", session.to_string())
            .with("member", *member),
        Command::CloseSession { session, .. } => line
            .with("op", "closeSession")
            .with("closed", session.to_string()),
        Command::Reap { path } => line.with("op", "reap").with("path", &**path),
        Command::Introduce { member, client } => line
            .with("op", "introduce")
            .with("member", *member)
            .with_some("client", client.clone()),
        Command::Admit {
            name,
            observer,
            replaces,
            ..
        } => line
            .with("op", "admit")
            .with("name", name.clone())
            .with("observer", *observer)
            .with_some("replaces", *replaces),
        Command::Announce {
            member,
            boots,
            level,
            ..
        } => line
            .with("op", "announce")
            .with("member", *member)
            .with("starts", *boots)
            .with("level", *level),
        Command::One(op) => {
            let (name, path, size) = operation(op);
            line.with("op", name)
                .with("path", path)
                .with_some("size", size)
        }
        Command::Multi(ops) => {
            let named = ops.iter().take(NAMED).map(|op| {
                let (name, path, _) = operation(op);
                Value::from(format!("{name} {path}"))
            });
            line.with("op", "multi")
                .with("operations", ops.len())
                .with("paths", named.collect::<Vec<Value>>())
        }
    }
}

/// Name, path, and bytes of data.
fn operation(op: &Op) -> (&'static str, String, Option<usize>) {
    let size = |data: &Option<bytes::Bytes>| Some(data.as_ref().map_or(0, bytes::Bytes::len));
    match op {
        Op::Create {
            path, data, mode, ..
        } => (create(*mode), path.to_string(), size(data)),
        Op::Delete { path, .. } => ("delete", path.to_string(), None),
        Op::SetData { path, data, .. } => ("setData", path.to_string(), size(data)),
        Op::SetAcl { path, .. } => ("setAcl", path.to_string(), None),
        Op::Check { path, .. } => ("check", path.to_string(), None),
        Op::Refuse(_) => ("refuse", String::new(), None),
    }
}

fn create(mode: CreateMode) -> &'static str {
    match (mode.lifetime, mode.sequential) {
        (Lifetime::Persistent, false) => "create",
        (Lifetime::Persistent, true) => "createSequential",
        (Lifetime::Ephemeral, false) => "createEphemeral",
        (Lifetime::Ephemeral, true) => "createEphemeralSequential",
        (Lifetime::Container, _) => "createContainer",
        (Lifetime::Ttl(_), false) => "createTtl",
        (Lifetime::Ttl(_), true) => "createTtlSequential",
    }
}
