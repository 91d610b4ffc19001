//! What is wrong with a settings text: all of it, each error at its place, with the line it is on.
//!
//! ```text
//! zoogate.toml:14:1: unknown key "stratgy" in [service.web]; did you mean "strategy"?
//!   14 | stratgy = "random"
//!      | ^^^^^^^
//! ```
//! Lines and columns count from 1, columns in characters, as editors do. The quoted line may come from a znode
//! that anybody wrote, so control characters in it are replaced before a terminal sees them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Longest piece of a line that is quoted, in characters: what a terminal shows without wrapping much.
const QUOTE_CHARS: usize = 120;

/// Characters kept before the error's column when a long line is cut.
const QUOTE_LEAD: usize = 60;

/// Everything that is wrong with one settings text, in the order of the text. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    omitted: usize,
}

impl ConfigErrors {
    /// The one error `source` as a whole has, such as that it cannot be read.
    pub(super) fn whole(source: &str, message: String) -> ConfigErrors {
        ConfigErrors {
            errors: vec![ConfigError {
                origin: source.into(),
                place: None,
                message,
            }],
            omitted: 0,
        }
    }

    /// `errors`, of which there is at least one, and the count of those left out.
    pub(super) fn new(errors: Vec<ConfigError>, omitted: usize) -> ConfigErrors {
        debug_assert!(!errors.is_empty());
        ConfigErrors { errors, omitted }
    }

    /// The errors, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.errors.iter()
    }

    /// How many errors were found, with those that are counted but not listed.
    pub fn count(&self) -> usize {
        self.errors.len() + self.omitted
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong with a settings text. Its `Display` has several lines: the message and the quoted line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    origin: Arc<str>,
    place: Option<Place>,
    message: String,
}

impl ConfigError {
    /// `message` about the bytes `span` of `text`, which came from `origin`.
    pub(super) fn at(
        origin: &Arc<str>,
        text: &str,
        span: Range<usize>,
        message: String,
    ) -> ConfigError {
        ConfigError {
            origin: Arc::clone(origin),
            place: Some(Place::of(text, span)),
            message,
        }
    }

    /// Line and column from 1, if the error has a place in the text.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }

    /// `source:line:column: message` on one line, for logs.
    pub fn headline(&self) -> String {
        match self.position() {
            Some((line, column)) => format!("{}:{line}:{column}: {}", self.origin, self.message),
            None => format!("{}: {}", self.origin, self.message),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        let Some(place) = &self.place else {
            return Ok(());
        };
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "\n  {number} | {}", place.quote)?;
        write!(f, "\n  {gutter} | {}", place.caret)
    }
}

/// Where in the text, and what is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    /// The line, or the piece of it around the column.
    quote: String,
    /// Blanks as wide as what precedes the span in `quote`, then carets under it.
    caret: String,
}

impl Place {
    fn of(text: &str, span: Range<usize>) -> Place {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let line = text[..line_start].matches('\n').count() + 1;
        let before = text[line_start..start].chars().count();
        let under = text[start..end.min(line_end)].chars().count();

        let cut = before.saturating_sub(QUOTE_LEAD);
        let whole = text[line_start..line_end].trim_end_matches('\r');
        let quote: String = whole
            .chars()
            .skip(cut)
            .take(QUOTE_CHARS)
            .map(printable)
            .collect();
        // A tab before the caret stays a tab, so that both lines are equally wide wherever tabs stop.
        let mut caret: String = quote
            .chars()
            .take(before - cut)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let room = quote.chars().count().saturating_sub(before - cut);
        caret.push_str(&"^".repeat(under.min(room).max(1)));
        Place {
            line,
            column: before + 1,
            quote,
            caret,
        }
    }
}

/// The last character boundary at or before `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

fn printable(c: char) -> char {
    if c.is_control() && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        ConfigError::at(&"f".into(), text, span, "m".to_owned()).to_string()
    }

    #[test]
    fn the_line_is_quoted_with_carets_under_the_span() {
        assert_eq!(
            shown("a = 1\nbc = 23\n", 11..13),
            "f:2:6: m\n  2 | bc = 23\n    |      ^^"
        );
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(
            shown("\"ü\" = é", 7..9),
            "f:1:7: m\n  1 | \"ü\" = é\n    |       ^"
        );
    }

    #[test]
    fn tabs_keep_the_caret_in_place_and_other_controls_are_hidden() {
        assert_eq!(
            shown("\tx\u{1b}y", 3..4),
            "f:1:4: m\n  1 | \tx\u{fffd}y\n    | \t  ^"
        );
    }

    #[test]
    fn the_end_of_the_text_has_a_place() {
        assert_eq!(shown("", 0..0), "f:1:1: m\n  1 | \n    | ^");
        assert_eq!(shown("a\n", 2..2), "f:2:1: m\n  2 | \n    | ^");
    }

    #[test]
    fn long_lines_are_cut_around_the_span() {
        let text = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let quote = format!("{}X{}", "a".repeat(60), "b".repeat(59));
        assert_eq!(
            shown(&text, 1000..1001),
            format!("f:1:1001: m\n  1 | {quote}\n    | {}^", " ".repeat(60))
        );
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let error = ConfigError::at(&"f".into(), "a", 0..1, "m".to_owned());
        let errors = ConfigErrors::new(vec![error], 3);
        assert_eq!(errors.count(), 4);
        assert!(errors.to_string().ends_with("\nand 3 more"));
    }
}
