//! Errors put in on purpose: a checker that finds none of them is worth nothing.

use std::cell::Cell;

/// An error that a member can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The log answers before its data are durable.
    AckBeforeSync,
    /// A restarted member has forgotten its vote.
    ForgetVote,
    /// A restarted leader leads on, as if it had never ended.
    LeadOn,
    /// A member applies an entry with other contents than the others.
    AlterEntry,
    /// A member leaves out an entry.
    SkipEntry,
    /// What an acknowledged write wrote is not there, on any member.
    LoseWrite,
    /// A session's end leaves one of its ephemerals.
    KeepEphemeral,
    /// A watch event is not sent.
    DropEvent,
    /// A watch event is sent twice.
    RepeatEvent,
    /// Two replies change places.
    SwapReplies,
    /// A reply tells of an older zxid than the one before.
    OldZxid,
    /// `sync` does not wait.
    IdleSync,
    /// The log is purged beyond the last snapshot.
    PurgeTooFar,
}

thread_local! {
    static MUTANT: Cell<Option<Mutant>> = const { Cell::new(None) };
    static TIMES: Cell<u64> = const { Cell::new(0) };
}

/// Puts an error in.
pub fn set_mutant(mutant: Option<Mutant>) {
    MUTANT.set(mutant);
}

/// Whether this error was put in.
pub fn is_mutant(mutant: Mutant) -> bool {
    MUTANT.get() == Some(mutant)
}

/// Whether this error was put in and its turn has come, which is once in so many calls.
pub fn one_in(times: u64, mutant: Mutant) -> bool {
    is_mutant(mutant) && {
        TIMES.set(TIMES.get() + 1);
        TIMES.get().is_multiple_of(times)
    }
}
