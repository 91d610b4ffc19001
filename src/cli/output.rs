//! Where a verb writes: data to stdout, messages to stderr.
//!
//! Data is flushed by line, because `zoogate zk watch /a | while read ..` must see an event when it happens
//! and not when a buffer is full.

use super::CliError;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// The two streams of a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    data_is_terminal: bool,
}

impl Output {
    /// The process's stdout and stderr.
    pub(super) fn new() -> Output {
        Output {
            data_is_terminal: io::stdout().is_terminal(),
        }
    }

    /// Writes lines of data, with one flush.
    pub(super) fn lines<L: Display>(
        self,
        lines: impl IntoIterator<Item = L>,
    ) -> Result<(), CliError> {
        let mut stdout = io::BufWriter::new(io::stdout().lock());
        for line in lines {
            writeln!(stdout, "{line}").map_err(CliError::Stdout)?;
        }
        stdout.flush().map_err(CliError::Stdout)
    }

    /// Writes the data of a znode exactly as it is. On a terminal a last newline is added when there is
    /// none, so that the prompt does not stick to the data; a file or pipe gets the bytes and no more.
    pub(super) fn raw(self, data: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(data).map_err(CliError::Stdout)?;
        if self.data_is_terminal && !data.is_empty() && !data.ends_with(b"\n") {
            stdout.write_all(b"\n").map_err(CliError::Stdout)?;
        }
        stdout.flush().map_err(CliError::Stdout)
    }

    /// Tells the user something that is not data.
    pub(super) fn message(self, message: impl Display) {
        // Nobody is left to tell when stderr is closed; the work goes on.
        let _ = writeln!(io::stderr().lock(), "zoogate: {message}");
    }

    /// Writes lines beside the data: what somebody may want to see but no pipe should carry.
    pub(super) fn aside<L: Display>(self, lines: impl IntoIterator<Item = L>) {
        let mut stderr = io::stderr().lock();
        for line in lines {
            let _ = writeln!(stderr, "{line}"); // as above
        }
    }

    /// Prints an error and the chain of its causes on one line.
    pub(super) fn error(self, error: &dyn Error) {
        self.message(chain(error));
    }
}

/// An error and its causes, outermost first.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
