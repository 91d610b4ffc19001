//! The search for an order.
//!
//! ```text
//! state, done --candidates--> answered ones first, then those without an answer --apply--> next state, done + one
//!       ^                                                                                      | seen before?
//!       '-------------------------------- back, the next candidate <---------------------------'
//! ```
//! An operation is a candidate if no other that is not done was answered before it was asked for. Everything is done when
//! all answered ones are; the others may never have happened.
//!
//! What can happen and never changes anything happens at once. Of operations without an answer that do the same to one
//! key, with values that nobody has ever read, only the first is tried: it may happen whenever a later one may.

use crate::history::Kind;
use crate::model::{State, apply};
use crate::partition::{Group, Local, LocalStep};
use std::collections::HashSet;
use std::time::Instant;

/// Visited states between two looks at the clock.
const STATES_PER_LOOK: u64 = 1024;

/// Most states that are remembered for one group: about a gigabyte of them. More are not tried.
const MOST_STATES: usize = 8_000_000;

/// Whether an order exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One was found.
    Linearizable,
    /// There is none: the longest that was found ends where none of these lines can follow.
    Impossible {
        /// The keys.
        keys: Vec<String>,
        /// How many operations it orders.
        longest: usize,
        /// The lines of the history that cannot follow.
        stuck: Vec<usize>,
    },
    /// The time or the memory was over before the search was.
    Unknown,
}

impl Verdict {
    /// The worse of two.
    #[must_use]
    pub fn or_worse(self, other: Verdict) -> Verdict {
        let badness = |verdict: &Verdict| match verdict {
            Verdict::Linearizable => 0,
            Verdict::Unknown => 1,
            Verdict::Impossible { .. } => 2,
        };
        if badness(&other) > badness(&self) {
            other
        } else {
            self
        }
    }
}

/// What has happened, as bits over a group's operations.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done {
    bits: Box<[u64]>,
}

impl Done {
    fn none(operations: usize) -> Done {
        Done {
            bits: vec![0; operations.div_ceil(64)].into(),
        }
    }

    fn has(&self, number: usize) -> bool {
        self.bits[number / 64] >> (number % 64) & 1 == 1
    }

    fn flip(&mut self, number: usize) {
        self.bits[number / 64] ^= 1 << (number % 64);
    }
}

/// One level of the search: where it stands and what is still to be tried from there.
struct Level {
    state: State,
    candidates: Vec<usize>,
    tried: usize,
}

impl Level {
    /// Something answered that may happen here and never changes anything need not be tried later as well: what comes
    /// after it would see the same.
    fn new(group: &Group, done: &Done, state: State) -> Level {
        let mut candidates = candidates(group, done);
        let changes_nothing = |&&candidate: &&usize| {
            let operation = &group.operations[candidate];
            let reads = |step: &LocalStep| matches!(step.kind, Kind::Get | Kind::Check);
            let never = operation.refused.is_some() || operation.steps.iter().all(reads);
            never && operation.complete.is_some() && apply(&state, operation).is_some()
        };
        if let Some(&first) = candidates.iter().find(changes_nothing) {
            candidates = vec![first];
        }
        Level {
            state,
            candidates,
            tried: 0,
        }
    }
}

/// Searches until there is an order, none is left to try, or it is too late; and how many states it visited.
#[must_use]
pub fn search(group: &Group, deadline: Instant) -> (Verdict, u64) {
    let operations = &group.operations;
    let answered = operations.iter().filter(|it| it.complete.is_some()).count();
    let mut done = Done::none(operations.len());
    let mut remaining = answered;
    let mut known = HashSet::new();
    let mut visited = 0;
    let mut longest = (0, Vec::new());
    let state: State = vec![None; group.keys.len()].into();
    let mut levels = vec![Level::new(group, &done, state)];
    while remaining > 0 {
        if visited % STATES_PER_LOOK == 0 && Instant::now() >= deadline || known.len() > MOST_STATES
        {
            return (Verdict::Unknown, visited);
        }
        visited += 1;
        let depth = levels.len();
        let level = levels
            .last_mut()
            .expect("the search ends where the last level is popped");
        let Some(&candidate) = level.candidates.get(level.tried) else {
            if depth > longest.0 {
                longest = (depth, level.candidates.clone());
            }
            levels.pop();
            let Some(below) = levels.last() else {
                return (impossible(group, longest), visited);
            };
            // The candidate that led here was counted as tried when it was taken.
            let back = below.candidates[below.tried - 1];
            done.flip(back);
            remaining += usize::from(operations[back].complete.is_some());
            continue;
        };
        level.tried += 1;
        let Some(after) = apply(&level.state, &operations[candidate]) else {
            continue;
        };
        done.flip(candidate);
        if !known.insert((done.clone(), after.clone())) {
            done.flip(candidate);
            continue;
        }
        remaining -= usize::from(operations[candidate].complete.is_some());
        levels.push(Level::new(group, &done, after));
    }
    (Verdict::Linearizable, visited)
}

fn impossible(group: &Group, (longest, stuck): (usize, Vec<usize>)) -> Verdict {
    Verdict::Impossible {
        keys: group.keys.clone(),
        longest: longest - 1,
        stuck: stuck.iter().map(|&it| group.operations[it].line).collect(),
    }
}

/// What may happen next: answered operations in the order in which they were asked for, then the others.
fn candidates(group: &Group, done: &Done) -> Vec<usize> {
    let mut first_answer = u64::MAX;
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut alike = HashSet::new();
    for (number, operation) in group.operations.iter().enumerate() {
        if operation.invoke > first_answer {
            break;
        }
        if done.has(number) {
            continue;
        }
        match operation.complete {
            Some(complete) => {
                first_answer = first_answer.min(complete);
                found.push(number);
            }
            None if unseen(group, operation).is_some_and(|kind| !alike.insert(kind)) => {}
            None => open.push(number),
        }
    }
    found.append(&mut open);
    found.retain(|&number| group.operations[number].invoke <= first_answer);
    found
}

/// What an operation of one step does, if nobody has read the value that it writes.
fn unseen(group: &Group, operation: &Local) -> Option<(Kind, usize, Option<i32>)> {
    match operation.steps[..] {
        [step] if step.kind == Kind::Delete || !group.seen[step.value as usize] => {
            Some((step.kind, step.key, step.expected))
        }
        _ => None,
    }
}
