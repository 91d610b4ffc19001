//! Simulated ensembles: `simulation [SEEDS]` runs as many seeds, `simulation --seed N` one, and says what happened.
//!
//! Each seed runs in a process of its own, so that nothing is left over from one to the next; two work at a time.
//!
//! | file | owns |
//! |---|---|
//! | `plan`, `chance` | what a seed decides |
//! | `sim`, `member` | the hosts, the real members on them, and the time |
//! | `faults` | what goes wrong |
//! | `client`, `library`, `workload` | who asks for what |
//! | `truth`, `history`, `check` | what happened and whether it may |
//! | `run` | one run from beginning to end |
//! | `batch`, `mutants` | many runs; runs with errors put in on purpose |
//! | `entropy` | the operating system's random numbers |
mod batch;
mod chance;
mod check;
mod client;
mod entropy;
mod faults;
mod history;
mod library;
mod member;
mod mutants;
mod plan;
mod run;
mod sim;
mod truth;
mod workload;

use batch::Wanted;
use plan::Plan;
use std::process::ExitCode;
use std::thread;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::prelude::*;
use zoogate::simulation as world;

const USAGE: &str = "usage: simulation [SEEDS] [--first N] [--members 3|5]
       simulation --seed N [--members 3|5] [--mutant NAME] [--log FILTER]
       simulation --mutants | --repeat | --regressions";

fn main() -> ExitCode {
    let Some(wanted) = Wanted::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let is_good = match &wanted {
        Wanted::Seed {
            seed,
            members,
            mutant,
            log,
        } => one(*seed, *members, mutant.as_deref(), log.as_deref()),
        Wanted::Seeds {
            first,
            count,
            members,
        } => batch::seeds(*first, *count, *members),
        Wanted::Mutants => mutants::all(),
        Wanted::Repeat => batch::repeat(),
        Wanted::Regressions => batch::regressions(),
    };
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs one seed and reports it by lines that [`batch`] reads.
///
/// On a thread of its own, because the hash tables that the log is made with draw from the random numbers of their
/// thread: what a seed does must not depend on whether somebody reads along.
fn one(seed: u64, members: Option<usize>, mutant: Option<&str>, log: Option<&str>) -> bool {
    if let Some(filter) = log {
        let Ok(targets) = filter.parse::<Targets>() else {
            eprintln!("no filter: {filter}");
            return false;
        };
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_timer(SimulatedTime)
            .with_ansi(false);
        tracing_subscriber::registry()
            .with(lines.with_filter(targets))
            .init();
    }
    let mutant = mutant.map(ToOwned::to_owned);
    let run = thread::spawn(move || {
        entropy::seed(seed);
        on_this_thread(seed, members, mutant.as_deref())
    });
    run.join().unwrap_or(false)
}

/// The time of a line of the log: the world's, and whose line it is.
struct SimulatedTime;

impl FormatTime for SimulatedTime {
    fn format_time(&self, line: &mut Writer<'_>) -> std::fmt::Result {
        match world::now_and_current() {
            Some((now, host)) => write!(line, "{:>9.3} h{}", now.as_secs_f64(), host.0 + 1),
            None => Ok(()),
        }
    }
}

fn on_this_thread(seed: u64, members: Option<usize>, mutant: Option<&str>) -> bool {
    match mutant.map(mutants::named) {
        Some(None) => return false,
        Some(mutant) => world::set_mutant(mutant),
        None => {}
    }
    let plan = Plan::new(seed, members);
    println!("plan {plan:?}");
    let outcome = run::run(plan);
    for (what, count) in world::counts() {
        println!("count {count} {what}");
    }
    println!("trace {:016x}", outcome.trace);
    match outcome.violation {
        None => true,
        Some(violation) => {
            println!("violation {}: {}", violation.checker, violation.what);
            false
        }
    }
}
