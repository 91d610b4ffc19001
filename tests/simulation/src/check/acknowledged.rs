//! No acknowledged write is lost, none is done twice, and nothing is there that nobody wrote.
//!
//! Every value that is written is written once in a run, so a change tells which request made it.

use crate::truth::{Change, Truth};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use zoogate::tree::Tree;

/// What a request would do, if it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Create(Arc<str>, Bytes),
    Set(Arc<str>, Bytes),
    Delete(Arc<str>),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done at this zxid.
    Done(u64),
    /// It was not done.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// All requests to change something.
#[derive(Default)]
pub struct Acknowledged {
    requests: Vec<(Vec<Effect>, Outcome)>,
}

impl Acknowledged {
    /// A request is sent; returns its number.
    pub fn asked(&mut self, effects: Vec<Effect>) -> usize {
        self.requests.push((effects, Outcome::Unknown));
        self.requests.len() - 1
    }

    /// Its answer has come.
    pub fn answered(&mut self, request: usize, outcome: Outcome) {
        self.requests[request].1 = outcome;
    }

    /// How many were done, refused, unknown.
    pub fn counts(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for (_, outcome) in &self.requests {
            counts[match outcome {
                Outcome::Done(_) => 0,
                Outcome::Refused => 1,
                Outcome::Unknown => 2,
            }] += 1;
        }
        counts
    }

    /// Compares all of it with what happened, at the end of a run.
    pub fn check(&self, truth: &Truth) -> Result<(), String> {
        let mut writers: BTreeMap<&Bytes, usize> = BTreeMap::new();
        for (number, (effects, outcome)) in self.requests.iter().enumerate() {
            for effect in effects {
                if let Effect::Create(_, value) | Effect::Set(_, value) = effect {
                    writers.insert(value, number);
                }
                if let Outcome::Done(zxid) = outcome {
                    there(truth, *zxid, effect)?;
                }
            }
        }
        let mut made: BTreeMap<&Bytes, u64> = BTreeMap::new();
        for (zxid, changes) in &truth.by_zxid {
            for change in changes {
                let (Change::Created(path, value, _) | Change::Data(path, value)) = change else {
                    continue;
                };
                if path.starts_with("/zookeeper") {
                    continue;
                }
                let Some(writer) = writers.get(value) else {
                    return Err(format!(
                        "at {zxid} {path} became {value:?}, which nobody wrote"
                    ));
                };
                match &self.requests[*writer].1 {
                    Outcome::Refused => {
                        return Err(format!(
                            "at {zxid} {path} became {value:?}; that was refused"
                        ));
                    }
                    Outcome::Done(at) if at != zxid => {
                        return Err(format!(
                            "{value:?} was written at {zxid}, answered with {at}"
                        ));
                    }
                    _ => {}
                }
                if *made.entry(value).or_insert(*zxid) != *zxid {
                    return Err(format!("{value:?} was written twice, at {zxid} again"));
                }
            }
        }
        Ok(())
    }

    /// Compares a member's tree with what happened.
    pub fn tree(&self, truth: &Truth, tree: &Tree) -> Result<(), String> {
        let now = tree.last_zxid().0;
        // Those that are there from the beginning were never created.
        let made = truth
            .paths()
            .filter(|path| &***path != "/" && !path.starts_with("/zookeeper"));
        for path in made {
            let expected = truth.data(path, now);
            let found = tree
                .get(path)
                .map(|z| z.data().cloned().unwrap_or_default());
            if found.as_ref() != expected {
                return Err(format!(
                    "{path} holds {found:?} instead of {expected:?} at {now}"
                ));
            }
        }
        Ok(())
    }
}

fn there(truth: &Truth, zxid: u64, effect: &Effect) -> Result<(), String> {
    let changes = truth
        .by_zxid
        .get(&zxid)
        .map_or(&[][..], |changes| &changes[..]);
    let is_there = changes.iter().any(|change| match (effect, change) {
        (Effect::Create(path, value), Change::Created(made, data, _)) => {
            made.starts_with(&**path) && data == value
        }
        (Effect::Set(path, value), Change::Data(changed, data)) => changed == path && data == value,
        (Effect::Delete(path), Change::Deleted(gone)) => gone == path,
        _ => false,
    });
    match is_there {
        true => Ok(()),
        false => Err(format!(
            "{effect:?} was acknowledged with {zxid}, where was {changes:?}"
        )),
    }
}
