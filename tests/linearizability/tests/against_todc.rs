//! The checker and one that we did not write, on the same small histories: right ones, spoilt ones, and ones of which
//! some answers are missing. What a step does is written down here once more, so that a slip in the model shows too.

use linearizability::history::{Kind, Refusal, Step};
use linearizability::{Answer, Operation, Verdict, check};
use std::time::Duration;
use todc_utils::specifications::Specification;
use todc_utils::{Action, History, WGLChecker};

const LIMIT: Duration = Duration::from_secs(20);

/// A small generator, so that a failure is a number that can be tried again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

type Tree = std::collections::BTreeMap<String, (String, i32)>;

/// Does the steps; what they answer, or which was refused.
fn execute(tree: &mut Tree, steps: &mut [Step]) -> Result<(), (usize, Refusal)> {
    let mut scratch = tree.clone();
    for (number, step) in steps.iter_mut().enumerate() {
        let expected = step.expected.filter(|&it| it >= 0);
        let there = scratch.get(&step.key).cloned();
        match (step.kind, there) {
            (Kind::Create, Some(_)) => return Err((number, Refusal::NodeExists)),
            (Kind::Create, None) => {
                let value = step.value.clone().unwrap();
                scratch.insert(step.key.clone(), (value, 0));
                step.version = Some(0);
            }
            (_, None) => return Err((number, Refusal::NoNode)),
            (_, Some((_, version))) if expected.is_some_and(|it| it != version) => {
                return Err((number, Refusal::BadVersion));
            }
            (Kind::Set, Some((_, version))) => {
                let value = step.value.clone().unwrap();
                scratch.insert(step.key.clone(), (value, version + 1));
                step.version = Some(version + 1);
            }
            (Kind::Get, Some((value, version))) => {
                step.value = Some(value);
                step.version = Some(version);
            }
            (Kind::Delete, Some(_)) => {
                scratch.remove(&step.key);
            }
            (Kind::Check, Some((_, version))) => step.version = Some(version),
        }
    }
    *tree = scratch;
    Ok(())
}

/// The other checker's view: an operation may happen if doing it gives the answer that was told.
struct Znodes;

impl Specification for Znodes {
    type State = Tree;
    type Operation = Operation;

    fn init() -> Tree {
        Tree::new()
    }

    fn apply(operation: &Operation, state: &Tree) -> (bool, Tree) {
        let mut after = state.clone();
        let mut steps = operation.steps.clone();
        let outcome = execute(&mut after, &mut steps);
        let right = match (operation.answer, outcome) {
            (Answer::Unknown, _) => true,
            (Answer::Ok, Ok(())) => operation.steps.iter().zip(&steps).all(as_told),
            (Answer::Refused { step, why }, Err(told)) => (step, why) == told,
            _ => false,
        };
        (right, after)
    }
}

/// Whether what was told of a step is what it answers; a version that was not told is any.
fn as_told((told, found): (&Step, &Step)) -> bool {
    let version = told.version.is_none() || told.version == found.version;
    told.kind == Kind::Delete || version && told.value == found.value
}

/// `clients` that each do `count` operations, one after the other, each at one instant in between. One in `open` has no answer.
#[derive(Clone, Copy)]
struct Shape {
    clients: u64,
    count: u64,
    keys: u64,
    open: u64,
    values: u64,
}

/// As large as the other checker can judge thousands of. Few values, so that reads are ambiguous.
fn small(keys: u64) -> Shape {
    Shape {
        clients: 4,
        count: 4,
        keys,
        open: 8,
        values: 4,
    }
}

/// What a real run leaves of one key.
const LARGE: Shape = Shape {
    clients: 10,
    count: 200,
    keys: 1,
    open: 40,
    values: 1_000_000,
};

fn simulate(random: &mut Random, shape: Shape) -> Vec<Operation> {
    let Shape {
        clients,
        count,
        open,
        ..
    } = shape;
    let mut plan = Vec::new();
    for client in 0..clients {
        let mut now = random.below(20);
        for _ in 0..count {
            let invoke = now;
            let instant = invoke + random.below(30);
            now = instant + random.below(30);
            // A time of its own for each event: whether events of one time overlap is a matter of taste.
            let unique = |time: u64| time * clients * 2 + client * 2;
            plan.push((instant, unique(invoke), unique(now) + 1));
            now += 1 + random.below(5);
        }
    }
    plan.sort_unstable();
    let mut tree = Tree::new();
    let mut serial = 0;
    plan.into_iter()
        .map(|(_, invoke, complete)| {
            serial += 1;
            let mut steps = steps(random, shape, serial);
            // Some of those without an answer never happened.
            let unanswered = random.below(open) == 0;
            let answer = if unanswered && random.below(2) == 0 {
                Answer::Unknown
            } else {
                match execute(&mut tree, &mut steps) {
                    _ if unanswered => Answer::Unknown,
                    Ok(()) => Answer::Ok,
                    Err((step, why)) => Answer::Refused { step, why },
                }
            };
            let complete = if unanswered { u64::MAX } else { complete };
            Operation {
                invoke,
                complete,
                answer,
                steps,
                line: serial as usize,
            }
        })
        .collect()
}

fn steps(random: &mut Random, shape: Shape, serial: u64) -> Vec<Step> {
    let count = if random.below(5) == 0 { 2 } else { 1 };
    (0..count)
        .map(|_| {
            // Most are writes and reads of what exists.
            let kind = match random.below(12) {
                0..5 => Kind::Set,
                5..8 => Kind::Get,
                8..10 => Kind::Create,
                10 => Kind::Delete,
                _ => Kind::Check,
            };
            let kind = if serial < 3 { Kind::Create } else { kind };
            Step {
                kind,
                key: format!("/k{}", random.below(shape.keys)),
                value: matches!(kind, Kind::Set | Kind::Create)
                    .then(|| format!("v{}", random.below(shape.values))),
                expected: (random.below(3) == 0).then(|| random.below(4) as i32),
                version: None,
            }
        })
        .collect()
}

/// Makes one answer another one.
fn spoil(random: &mut Random, history: &mut [Operation]) {
    let number = random.below(history.len() as u64) as usize;
    let operation = &mut history[number];
    let step = &mut operation.steps[0];
    match (operation.answer, random.below(3)) {
        (Answer::Ok, 0) if step.kind == Kind::Get => step.value = Some("v9".into()),
        (Answer::Ok, 1) if step.version.is_some() => step.version = step.version.map(|it| it + 1),
        (Answer::Ok, _) if step.kind != Kind::Get => {
            operation.answer = Answer::Refused {
                step: 0,
                why: Refusal::BadVersion,
            };
        }
        (Answer::Refused { .. }, _) => operation.answer = Answer::Ok,
        _ => step.version = Some(7),
    }
}

/// As if the answers of every other `set` did not tell the version.
fn hide_versions(random: &mut Random, history: &mut [Operation]) {
    for operation in history {
        for step in &mut operation.steps {
            if step.kind == Kind::Set && random.below(2) == 0 {
                step.version = None;
            }
        }
    }
}

fn judge_there(history: &[Operation]) -> bool {
    let mut events = Vec::new();
    for (process, operation) in history.iter().enumerate() {
        events.push((operation.invoke, 0, process));
        events.push((operation.complete, 1, process));
    }
    events.sort_unstable();
    let actions = events
        .into_iter()
        .map(|(_, end, process)| {
            let operation = history[process].clone();
            let action = match end {
                0 => Action::Call(operation),
                _ => Action::Response(operation),
            };
            (process, action)
        })
        .collect();
    WGLChecker::<Znodes>::is_linearizable(History::from_actions(actions))
}

/// Ours says what theirs says; returns whether the history is linearizable.
fn same_verdict(history: &[Operation], seed: u64) -> bool {
    let ours = check(history, LIMIT).verdict;
    let theirs = judge_there(history);
    assert_ne!(ours, Verdict::Unknown, "seed {seed}");
    let agree = (ours == Verdict::Linearizable) == theirs;
    assert!(
        agree,
        "seed {seed}: ours {ours:?}, theirs {theirs}: {history:#?}"
    );
    theirs
}

#[test]
fn both_find_simulated_histories_linearizable() {
    for seed in 1..=1500 {
        let mut random = Random(seed);
        let history = simulate(&mut random, small(1 + seed % 3));
        assert!(
            same_verdict(&history, seed),
            "seed {seed} was made linearizable"
        );
    }
}

#[test]
fn both_agree_on_spoilt_histories_and_refuse_many() {
    let mut refused = 0;
    for seed in 1..=3000 {
        let mut random = Random(seed);
        let mut history = simulate(&mut random, small(1 + seed % 3));
        if seed % 2 == 0 {
            hide_versions(&mut random, &mut history);
        }
        for _ in 0..=random.below(2) {
            spoil(&mut random, &mut history);
        }
        refused += u32::from(!same_verdict(&history, seed));
    }
    println!("{refused} of 3000 spoilt histories refused by both");
    assert!(refused > 1500, "only {refused} of 3000 were refused");
}

#[test]
fn large_histories_with_unknown_outcomes_are_judged_in_time() {
    for seed in 1..=10 {
        let mut random = Random(seed);
        let history = simulate(&mut random, LARGE);
        let report = check(&history, LIMIT);
        assert_eq!(report.verdict, Verdict::Linearizable, "{report:?}");
        assert!(report.unknown > 10, "{report:?}");
    }
}

#[test]
fn a_stale_read_in_a_large_history_is_found() {
    for seed in 1..=10 {
        let mut random = Random(seed);
        let mut history = simulate(&mut random, Shape { open: 500, ..LARGE });
        let reads: Vec<usize> = (0..history.len())
            .filter(|&it| history[it].answer == Answer::Ok)
            .filter(|&it| history[it].steps[0].kind == Kind::Get)
            .collect();
        let chosen = reads[random.below(reads.len() as u64) as usize];
        let version = &mut history[chosen].steps[0].version;
        *version = version.map(|it| it + 50);
        let verdict = check(&history, LIMIT).verdict;
        assert!(matches!(verdict, Verdict::Impossible { .. }), "{verdict:?}");
    }
}

#[test]
fn an_order_that_is_not_found_in_time_is_unknown() {
    let mut random = Random(9);
    let history = simulate(&mut random, LARGE);
    assert_eq!(check(&history, Duration::ZERO).verdict, Verdict::Unknown);
}
