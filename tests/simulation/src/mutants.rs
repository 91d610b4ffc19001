//! Errors put in on purpose, and the checker that must find each.

use crate::batch;
use zoogate::simulation::Mutant;

/// Seeds after which an error that its checker has not found counts as not findable.
const PATIENCE: u64 = 60;

/// Each error, and the checkers that it is there for.
const MUTANTS: [(&str, Mutant, &[&str]); 13] = [
    ("lose-write", Mutant::LoseWrite, &["acknowledged"]),
    (
        "ack-before-sync",
        Mutant::AckBeforeSync,
        &["acknowledged", "committed", "leader", "digest"],
    ),
    ("forget-vote", Mutant::ForgetVote, &["leader"]),
    ("lead-on", Mutant::LeadOn, &["leader"]),
    ("alter-entry", Mutant::AlterEntry, &["committed", "digest"]),
    ("skip-entry", Mutant::SkipEntry, &["digest"]),
    ("keep-ephemeral", Mutant::KeepEphemeral, &["ephemeral"]),
    ("drop-event", Mutant::DropEvent, &["watch"]),
    ("repeat-event", Mutant::RepeatEvent, &["watch"]),
    ("swap-replies", Mutant::SwapReplies, &["session"]),
    ("old-zxid", Mutant::OldZxid, &["session"]),
    ("idle-sync", Mutant::IdleSync, &["sync"]),
    ("purge-too-far", Mutant::PurgeTooFar, &["pointers"]),
];

/// The error of this name.
pub fn named(name: &str) -> Option<Mutant> {
    let found = MUTANTS.iter().find(|(of, ..)| *of == name);
    found.map(|(_, mutant, _)| *mutant)
}

/// Puts each in, and runs seeds until one of its checkers finds it; true if all were found. What else may notice an
/// error first, such as an assertion of Raft's or a member that refuses to start, proves nothing of the checker.
pub fn all() -> bool {
    let mut is_good = true;
    for (name, _, finders) in MUTANTS {
        let mut others = 0;
        let found = (1..=PATIENCE).find_map(|seed| {
            let report = batch::process(seed, None, Some(name));
            let finder = report.violation.split(':').next().unwrap_or_default();
            let is_found = !report.is_good && finders.contains(&finder);
            others += u64::from(!report.is_good && !is_found);
            is_found.then_some((seed, report.violation))
        });
        match found {
            None => {
                println!(
                    "{name}: not found by its checker in {PATIENCE} seeds, by others in {others}"
                );
                is_good = false;
            }
            Some((seed, violation)) => println!("{name}: found with seed {seed}: {violation}"),
        }
    }
    is_good
}
