//! The printer of error chains.
//!
//! An error's `Display` prints its own level only; whoever gives up on an error (a log line, the exit of
//! the program) prints the chain: `cannot open the log: /var/lib/zoogate/log: permission denied`.

use std::error::Error;
use std::fmt::{self, Display};

/// Prints `error` and its sources, outermost first, joined by `: `.
///
/// Some errors of other crates print their source themselves; a level whose text the level above it ends
/// with is left out, so that nothing is said twice.
pub fn chain(error: &dyn Error) -> impl Display + '_ {
    Chain(error)
}

struct Chain<'a>(&'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut above = self.0.to_string();
        f.write_str(&above)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !above.ends_with(&text) {
                write!(f, ": {text}")?;
                above = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Level(&'static str, Option<Box<Level>>);

    impl Display for Level {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Level {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|level| level as _)
        }
    }

    fn stack(levels: &[&'static str]) -> Level {
        let (first, rest) = levels.split_first().expect("at least one level");
        Level(first, (!rest.is_empty()).then(|| Box::new(stack(rest))))
    }

    #[test]
    fn chain_prints_each_level_once() {
        let cases: &[(&[&'static str], &str)] = &[
            (&["a"], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a", "a", "b"], "a: b"),
            (&["a: b: c", "b: c", "c"], "a: b: c"),
            (&["a: b", "b", "c"], "a: b: c"),
            (&["a", "", "b"], "a: b"),
        ];
        for (levels, expected) in cases {
            assert_eq!(chain(&stack(levels)).to_string(), *expected, "{levels:?}");
        }
    }
}
