//! How far a migration is.

use crate::cli::output::Output;
use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two reports: to a terminal, where each replaces the one before, and to a file.
const TERMINAL: Duration = Duration::from_millis(250);
const LINES: Duration = Duration::from_secs(5);

/// What was done so far.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    is_terminal: bool,
    /// Znodes there are to look at, if the source counts them.
    pub(super) expected: Cell<Option<u64>>,
    /// Znodes looked at.
    pub(super) seen: Cell<u64>,
    pub(super) created: Cell<u64>,
    pub(super) equal: Cell<u64>,
    pub(super) overwritten: Cell<u64>,
    pub(super) deleted: Cell<u64>,
    pub(super) ephemerals: Cell<u64>,
    pub(super) conflicts: Cell<u64>,
    /// Bytes of data read.
    pub(super) bytes: Cell<u64>,
}

/// Counts one more.
pub(super) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress {
            begun: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
            expected: Cell::new(None),
            seen: Cell::default(),
            created: Cell::default(),
            equal: Cell::default(),
            overwritten: Cell::default(),
            deleted: Cell::default(),
            ephemerals: Cell::default(),
            conflicts: Cell::default(),
            bytes: Cell::default(),
        }
    }

    /// Looks at one more znode, with that many bytes.
    pub(super) fn see(&self, bytes: usize) {
        count(&self.seen);
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    /// Reports from time to time, for ever.
    pub(super) async fn report(&self, output: Output) {
        loop {
            let pause = if self.is_terminal { TERMINAL } else { LINES };
            tokio::time::sleep(pause).await;
            let line = self.line();
            match self.is_terminal {
                true => {
                    let mut stderr = io::stderr().lock();
                    // Whoever closed stderr does not want to know.
                    let _ = write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush());
                }
                false => output.message(line),
            }
        }
    }

    /// Ends the line that is being replaced.
    pub(super) fn rest(&self) {
        if self.is_terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    fn line(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let (seen, bytes) = (self.seen.get(), self.bytes.get());
        let rate = seen as f64 / seconds;
        let left = self.expected.get().map(|all| all.saturating_sub(seen));
        let eta = match left {
            Some(left) if rate > 0.0 => format!(", {:.0} s left", left as f64 / rate),
            _ => String::new(),
        };
        let mebibytes = bytes as f64 / f64::from(1 << 20);
        format!("{seen} znodes, {rate:.0}/s, {mebibytes:.1} MiB{eta}")
    }

    /// What was done, as the last lines.
    pub(super) fn summary(&self, is_dry: bool) -> Vec<String> {
        let created = if is_dry { "to create" } else { "created" };
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let seen = self.seen.get();
        let lines = [
            ("znodes", seen),
            (created, self.created.get()),
            ("equal", self.equal.get()),
            ("overwritten", self.overwritten.get()),
            ("deleted", self.deleted.get()),
            ("conflicts", self.conflicts.get()),
            ("ephemerals", self.ephemerals.get()),
            ("bytes", self.bytes.get()),
        ];
        let mut lines: Vec<String> = lines
            .iter()
            .map(|(what, count)| format!("{what:<12} {count}"))
            .collect();
        let rate = seen as f64 / seconds;
        lines.push(format!(
            "{:<12} {seconds:.1} s, {rate:.0} znodes/s",
            "duration"
        ));
        lines
    }
}
