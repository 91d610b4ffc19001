//! Groups of keys that can be judged apart: two keys are in one group if a transaction touches both.

use crate::history::{Answer, Kind, Operation, Refusal, Step};
use std::collections::HashMap;

/// An operation with its keys and values as small numbers of its group.
#[derive(Clone, Debug)]
pub struct Local {
    /// When it was asked for.
    pub invoke: u64,
    /// When it was answered; `None` if nobody can tell.
    pub complete: Option<u64>,
    /// The step that was refused, and why; `None` if all happened.
    pub refused: Option<(usize, Refusal)>,
    /// Its steps.
    pub steps: Vec<LocalStep>,
    /// The line in the history.
    pub line: usize,
}

/// One step, by numbers.
#[derive(Clone, Copy, Debug)]
pub struct LocalStep {
    /// What it wants.
    pub kind: Kind,
    /// The key's number.
    pub key: usize,
    /// The value's number.
    pub value: u32,
    /// The version wanted.
    pub expected: Option<i32>,
    /// The version told.
    pub version: Option<i32>,
}

/// Keys and what was done to them.
#[derive(Debug, Default)]
pub struct Group {
    /// Their names, by number.
    pub keys: Vec<String>,
    /// In the order in which they were asked for.
    pub operations: Vec<Local>,
    /// By number of the value: whether somebody has read it.
    pub seen: Vec<bool>,
}

/// The groups of a history, in no particular order.
#[must_use]
pub fn groups(operations: &[Operation]) -> Vec<Group> {
    let mut keys: HashMap<&str, usize> = HashMap::new();
    let mut parents: Vec<usize> = Vec::new();
    for operation in operations {
        let mut first = None;
        for step in &operation.steps {
            let key = *keys.entry(&step.key).or_insert_with(|| {
                parents.push(parents.len());
                parents.len() - 1
            });
            let root = root(&mut parents, key);
            let first = *first.get_or_insert(root);
            parents[root] = first;
        }
    }
    let mut builders: HashMap<usize, Builder<'_>> = HashMap::new();
    for operation in operations {
        let root = root(&mut parents, keys[operation.steps[0].key.as_str()]);
        builders.entry(root).or_default().take(operation);
    }
    builders.into_values().map(Builder::finish).collect()
}

fn root(parents: &mut [usize], mut key: usize) -> usize {
    while parents[key] != key {
        parents[key] = parents[parents[key]];
        key = parents[key];
    }
    key
}

#[derive(Default)]
struct Builder<'a> {
    group: Group,
    keys: HashMap<&'a str, usize>,
    values: HashMap<&'a str, u32>,
}

impl<'a> Builder<'a> {
    fn take(&mut self, operation: &'a Operation) {
        let reads = |step: &Step| matches!(step.kind, Kind::Get | Kind::Check);
        let only_reads = operation.steps.iter().all(reads);
        if operation.answer == Answer::Unknown && only_reads {
            return;
        }
        let read_something = operation.answer == Answer::Ok;
        let mut steps = Vec::with_capacity(operation.steps.len());
        for step in &operation.steps {
            let next = self.keys.len();
            let key = *self.keys.entry(&step.key).or_insert(next);
            if key == self.group.keys.len() {
                self.group.keys.push(step.key.clone());
            }
            let value = self.value(step.value.as_deref().unwrap_or_default());
            if step.kind == Kind::Get && read_something {
                self.group.seen[value as usize] = true;
            }
            steps.push(LocalStep {
                kind: step.kind,
                key,
                value,
                expected: step.expected.filter(|&expected| expected != -1),
                version: step.version,
            });
        }
        self.group.operations.push(Local {
            invoke: operation.invoke,
            complete: (operation.answer != Answer::Unknown).then_some(operation.complete),
            refused: match operation.answer {
                Answer::Refused { step, why } => Some((step, why)),
                Answer::Ok | Answer::Unknown => None,
            },
            steps,
            line: operation.line,
        });
    }

    fn value(&mut self, text: &'a str) -> u32 {
        let next = self.values.len() as u32;
        let number = *self.values.entry(text).or_insert(next);
        if number as usize == self.group.seen.len() {
            self.group.seen.push(false);
        }
        number
    }

    fn finish(mut self) -> Group {
        // Values that nobody has read are one: nobody can tell them apart.
        let unseen = self.group.seen.len() as u32;
        self.group.seen.push(false);
        let steps = self.group.operations.iter_mut();
        for step in steps.flat_map(|operation| &mut operation.steps) {
            if !self.group.seen[step.value as usize] {
                step.value = unseen;
            }
        }
        self.group
            .operations
            .sort_by_key(|operation| (operation.invoke, operation.complete));
        self.group
    }
}
