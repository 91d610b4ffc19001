//! Where the readers of a settings text write down what is wrong, until all of it is known.

use super::error::{ConfigError, ConfigErrors};
use super::limits;
use std::ops::Range;

/// Faults by byte span, at most [`limits::REPORTED_ERRORS`] of them; the rest are counted.
#[derive(Default)]
pub(super) struct Report {
    faults: Vec<(Range<usize>, String)>,
    omitted: usize,
}

impl Report {
    /// Writes down that the bytes `span` are wrong.
    pub(super) fn fault(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.fault_with(span, || message.into());
    }

    /// As [`Report::fault`], for a message that takes some work: a text may have more faults than are reported.
    pub(super) fn fault_with(&mut self, span: Range<usize>, message: impl FnOnce() -> String) {
        if self.faults.len() < limits::REPORTED_ERRORS {
            self.faults.push((span, message()));
        } else {
            self.omitted += 1;
        }
    }

    /// How many faults there are; equal before and after a step says that the step found none.
    pub(super) fn count(&self) -> usize {
        self.faults.len() + self.omitted
    }

    /// The faults in the order of `text`, or nothing if there are none.
    ///
    /// # Errors
    /// [`ConfigErrors`] if any fault was written down.
    pub(super) fn verdict(mut self, text: &str, source: &str) -> Result<(), ConfigErrors> {
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.sort_by_key(|(span, _)| (span.start, span.end));
        // The parser may stumble over one word several times.
        self.faults.dedup();
        let origin = source.into();
        let errors = self
            .faults
            .into_iter()
            .map(|(span, message)| ConfigError::at(&origin, text, span, message))
            .collect();
        Err(ConfigErrors::new(errors, self.omitted))
    }
}
