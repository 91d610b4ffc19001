//! What a ZooKeeper tree does, one transaction at a time, for the few keys of a group.
//!
//! A znode is absent, or has a value and a version. `create` makes version 0, `set` counts up by one; a value that
//! is equal to the former counts as well.

use crate::history::{Kind, Refusal};
use crate::partition::{Local, LocalStep};

/// One znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Znode {
    /// Number of its value.
    pub value: u32,
    /// Its version.
    pub version: i32,
}

/// The znodes of a group, by number of the key.
pub type State = Box<[Option<Znode>]>;

/// The state after `operation` if it can have happened in `state` with the answer it got. One without an answer
/// can have happened if it succeeds; that it happened and was refused changes nothing and need not be tried.
#[must_use]
pub fn apply(state: &State, operation: &Local) -> Option<State> {
    let mut after = state.clone();
    for (number, step) in operation.steps.iter().enumerate() {
        let outcome = apply_step(&mut after, step);
        match (outcome, operation.refused) {
            (Err(why), Some((failed, told))) if number == failed => {
                return (why == told).then(|| state.clone());
            }
            (Ok(()), Some((failed, _))) if number == failed => return None,
            (Err(_), _) => return None,
            (Ok(()), _) => {}
        }
        // What was told of an operation that was refused as a whole says nothing.
        if operation.refused.is_none() && operation.complete.is_some() && !as_told(&after, step) {
            return None;
        }
    }
    Some(after)
}

fn apply_step(state: &mut State, step: &LocalStep) -> Result<(), Refusal> {
    let znode = &mut state[step.key];
    if step.kind == Kind::Create {
        return match znode {
            Some(_) => Err(Refusal::NodeExists),
            None => {
                *znode = Some(Znode {
                    value: step.value,
                    version: 0,
                });
                Ok(())
            }
        };
    }
    let Some(there) = znode else {
        return Err(Refusal::NoNode);
    };
    if step
        .expected
        .is_some_and(|expected| expected != there.version)
    {
        return Err(Refusal::BadVersion);
    }
    match step.kind {
        Kind::Set => {
            *there = Znode {
                value: step.value,
                version: there.version.wrapping_add(1),
            };
        }
        Kind::Delete => *znode = None,
        Kind::Get | Kind::Check | Kind::Create => {}
    }
    Ok(())
}

fn as_told(after: &State, step: &LocalStep) -> bool {
    let Some(there) = after[step.key] else {
        return true;
    };
    let right_version = step.version.is_none_or(|told| told == there.version);
    right_version && (step.kind != Kind::Get || there.value == step.value)
}
