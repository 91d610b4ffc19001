//! Errors put in on purpose, and the checker that must find each.

use crate::batch;
use zoogate::simulation::Mutant;

/// Seeds after which an error that was not found counts as not findable.
const PATIENCE: u64 = 60;

/// Each error, and who may be the first to find it.
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

/// Puts each in, and runs seeds until it is found; true if all were, each by the right checker.
pub fn all() -> bool {
    let mut is_good = true;
    for (name, _, finders) in MUTANTS {
        let found = (1..=PATIENCE).find_map(|seed| {
            let report = batch::process(seed, None, Some(name));
            (!report.is_good).then_some((seed, report.violation))
        });
        match found {
            None => {
                println!("{name}: not found by {PATIENCE} seeds");
                is_good = false;
            }
            Some((seed, violation)) => {
                let finder = violation.split(':').next().unwrap_or_default();
                let is_right = finders.contains(&finder);
                let verdict = if is_right {
                    "found"
                } else {
                    "found by the wrong checker"
                };
                println!("{name}: {verdict} with seed {seed}: {violation}");
                is_good &= is_right;
            }
        }
    }
    is_good
}
