//! From the results of probes to a verdict. Pure.
//!
//! ```text
//!             first passes                  `fall` in a row fail
//!  unknown ------------------> healthy ---------------------------> unhealthy
//!     \                              <---------------------------   ^
//!      \                              `rise` in a row pass         /
//!       '---- first fails ----------------------------------------'
//! ```
//! An endpoint is taken at its word when it registers, so it gets traffic before its first probe; and since nothing
//! else speaks for it yet, the first result decides alone.

use crate::config::Check;

/// Counts the results of one endpoint's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    verdict: Option<bool>,
    /// Results in a row that speak against the verdict.
    against: u32,
}

impl Tally {
    /// Nothing is known yet, or that the endpoint is unhealthy.
    pub(super) fn new(is_unhealthy: bool) -> Tally {
        Tally {
            verdict: is_unhealthy.then_some(false),
            against: 0,
        }
    }

    /// Takes note of a result. Returns whether the endpoint is healthy if that is news.
    pub(super) fn note(&mut self, passed: bool, check: &Check) -> Option<bool> {
        let needed = match self.verdict {
            None => 1,
            Some(verdict) if verdict == passed => {
                self.against = 0;
                return None;
            }
            Some(true) => check.fall,
            Some(false) => check.rise,
        };
        self.against += 1;
        if self.against < needed {
            return None;
        }
        *self = Tally {
            verdict: Some(passed),
            against: 0,
        };
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Probe;

    /// The verdicts that a row of results gives: `+` passed, `-` failed; in the answer `.` is no news.
    fn check(is_unhealthy: bool, results: &str, expected: &str) {
        let check = Check::new(Probe::Tcp);
        assert_eq!((check.rise, check.fall), (2, 3));
        let mut tally = Tally::new(is_unhealthy);
        let verdicts = results.chars().map(|result| {
            let news = tally.note(result == '+', &check);
            news.map_or('.', |healthy| if healthy { '+' } else { '-' })
        });
        assert_eq!(verdicts.collect::<String>(), expected, "{results}");
    }

    #[test]
    fn the_first_result_decides_alone() {
        check(false, "+", "+");
        check(false, "-", "-");
    }

    #[test]
    fn later_a_row_of_results_decides() {
        check(false, "+--+", "+...");
        check(false, "+---", "+..-");
        check(false, "+--+---", "+.....-");
        check(false, "-+-+", "-...");
        check(false, "-++", "-.+");
        check(false, "+---++---", "+..-.+..-");
    }

    #[test]
    fn what_is_known_to_be_unhealthy_must_rise() {
        check(true, "+-++", "...+");
        check(true, "-----", ".....");
    }
}
