//! Many runs, two processes at a time, and what they came to together.

use crate::faults::Mode;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Processes at once: as many as the machines have cores on which this runs with every change.
const WORKERS: usize = 2;

/// Seeds that once failed, each with the name of what it found. They run before the others. What a seed does changes
/// with the faults there are, so those of them that were errors of members have unit tests as well: of
/// `client::session`, `ensemble::state`, `ensemble::standing` and `ensemble::reconfig`.
const REGRESSIONS: &[(&str, u64, usize)] = &[
    ("the client spins at the moment its session is over", 2, 3),
    ("a write waits for ever if a snapshot jumps over it", 79, 5),
    ("the same, on a member that came back", 190, 5),
    (
        "a member that ends after the last fault is started again",
        977,
        3,
    ),
    ("a late vote makes a second, powerless leader", 1078, 3),
    (
        "an answer to an old question dismisses a sound member",
        1501,
        5,
    ),
];

/// Seeds that are run twice: the second run must do exactly what the first did.
const REPEATED: [u64; 3] = [1, 22, 333];

/// What else must have happened in a whole batch, besides every kind of fault: without it, a batch shows nothing.
const EXPECTED: [&str; 14] = [
    "elections",
    "failed syncs",
    "members ended by a fault",
    "members stopped in order",
    "purges",
    "sessions moved",
    "sessions of the library",
    "sessions over",
    "snapshots installed",
    "snapshots saved",
    "torn writes",
    "unsynced writes at a power cut",
    "watch events",
    "watches moved",
];

/// What the command line asks for.
#[derive(Debug)]
pub enum Wanted {
    Seeds {
        first: u64,
        count: u64,
        members: Option<usize>,
    },
    Seed {
        seed: u64,
        members: Option<usize>,
        mutant: Option<String>,
        log: Option<String>,
    },
    Mutants,
    Repeat,
    Regressions,
}

impl Wanted {
    /// Reads the arguments; `None` if they mean nothing.
    pub fn read(arguments: impl Iterator<Item = String>) -> Option<Wanted> {
        let (mut seed, mut first, mut count) = (None, 1, 100);
        let (mut members, mut mutant, mut log) = (None, None, None);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--mutants" => return Some(Wanted::Mutants),
                "--repeat" => return Some(Wanted::Repeat),
                "--regressions" => return Some(Wanted::Regressions),
                "--seed" => seed = Some(arguments.next()?.parse().ok()?),
                "--first" => first = arguments.next()?.parse().ok()?,
                "--members" => {
                    members = Some(arguments.next()?.parse().ok()?).filter(|n| [3, 5].contains(n));
                    members?;
                }
                "--mutant" => mutant = Some(arguments.next()?),
                "--log" => log = Some(arguments.next()?),
                number => count = number.parse().ok()?,
            }
        }
        Some(match seed {
            Some(seed) => Wanted::Seed {
                seed,
                members,
                mutant,
                log,
            },
            None => Wanted::Seeds {
                first,
                count,
                members,
            },
        })
    }
}

/// What a process told of its run.
pub struct Report {
    pub is_good: bool,
    pub counts: BTreeMap<String, u64>,
    pub trace: String,
    /// Who found something, and what.
    pub violation: String,
}

/// Runs one seed in a process of its own.
pub fn process(seed: u64, members: Option<usize>, mutant: Option<&str>) -> Report {
    let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
    command.args(["--seed", &seed.to_string()]);
    if let Some(members) = members {
        command.args(["--members", &members.to_string()]);
    }
    if let Some(mutant) = mutant {
        command.args(["--mutant", mutant]);
    }
    command.stdin(Stdio::null());
    let output = command.output().expect("this program can be started again");
    let mut report = Report {
        is_good: output.status.success(),
        counts: BTreeMap::new(),
        trace: String::new(),
        violation: String::new(),
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.split_once(' ') {
            Some(("count", rest)) => {
                if let Some((count, what)) = rest.split_once(' ') {
                    report
                        .counts
                        .insert(what.into(), count.parse().unwrap_or(0));
                }
            }
            Some(("trace", hash)) => report.trace = hash.into(),
            Some(("violation", what)) => report.violation = what.into(),
            _ => {}
        }
    }
    if !report.is_good && report.violation.is_empty() {
        let error = String::from_utf8_lossy(&output.stderr);
        report.violation = format!("process: {}: {error}", output.status);
    }
    report
}

/// Runs seeds from `first` on; true if nothing was found and everything has happened that should.
pub fn seeds(first: u64, count: u64, members: Option<usize>) -> bool {
    let next = AtomicU64::new(first);
    let totals = Mutex::new(BTreeMap::<String, u64>::new());
    let failures = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    let report = process(seed, members, None);
                    if !report.is_good {
                        failures.fetch_add(1, Ordering::Relaxed);
                        failed(seed, members, &report);
                    }
                    let mut totals = totals.lock().expect("nobody panics while holding it");
                    for (what, count) in report.counts {
                        *totals.entry(what).or_default() += count;
                    }
                }
            });
        }
    });
    let totals = totals.into_inner().expect("nobody panics while holding it");
    for (what, count) in &totals {
        println!("{count:>12}  {what}");
    }
    let failures = failures.into_inner();
    println!("{count} seeds, {failures} failed");
    let missing = missing(&totals);
    // A few seeds cannot hit everything.
    if count >= 500 && !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
        return false;
    }
    failures == 0
}

fn missing(totals: &BTreeMap<String, u64>) -> Vec<&'static str> {
    let faults = Mode::ALL.iter().map(|mode| mode.name());
    let expected = faults.chain(EXPECTED);
    expected
        .filter(|what| totals.get(*what).is_none_or(|count| *count == 0))
        .collect()
}

fn failed(seed: u64, members: Option<usize>, report: &Report) {
    let members = members.map_or(String::new(), |members| format!(" --members {members}"));
    println!("seed {seed} failed: {}", report.violation);
    println!("  again: tests/simulation/run --seed {seed}{members}");
}

/// Runs a few seeds twice.
pub fn repeat() -> bool {
    REPEATED.iter().all(|seed| {
        let traces = [(); 2].map(|()| process(*seed, None, None).trace);
        let is_same = traces[0] == traces[1] && !traces[0].is_empty();
        println!("seed {seed}: {} and {}", traces[0], traces[1]);
        is_same
    })
}

/// Runs the seeds that once failed.
pub fn regressions() -> bool {
    REGRESSIONS.iter().all(|(name, seed, members)| {
        let report = process(*seed, Some(*members), None);
        println!(
            "{name}: seed {seed}: {}",
            if report.is_good { "good" } else { "failed" }
        );
        if !report.is_good {
            failed(*seed, Some(*members), &report);
        }
        report.is_good
    })
}
