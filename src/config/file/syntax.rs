//! From text to TOML with spans. A text with syntax errors is not read further: what it says is not known.

use super::text;
use crate::config::report::Report;
use crate::config::{ConfigErrors, words};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, Error};

/// The document in `text`.
///
/// # Errors
/// [`ConfigErrors`] with every syntax error, or that it is too long.
pub(super) fn parse<'t>(text: &'t str, source: &str) -> Result<Spanned<DeTable<'t>>, ConfigErrors> {
    text::check_length(text.len(), source)?;
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut report = Report::default();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        match bare_word(text, span.start).filter(|_| is_about_a_value(&error)) {
            Some(word) => {
                let shown = words::shortened(&text[word.clone()]);
                report.fault(word, format!("a string needs quotes: write {shown:?}"));
            }
            None => report.fault(span, described(&error)),
        }
    }
    report.verdict(text, source)?;
    Ok(document)
}

fn described(error: &Error) -> String {
    match error.message() {
        "duplicate key" => "this key is set already".to_owned(),
        message if message.starts_with("string values must be quoted") => {
            "a value is missing, or a string without quotes".to_owned()
        }
        message => format!("not TOML: {message}"),
    }
}

/// Whether the parser says that a word without quotes is a broken number, boolean or date, which would send the
/// reader the wrong way.
fn is_about_a_value(error: &Error) -> bool {
    const STUMBLES: [&str; 6] = [
        "string values must be quoted",
        "invalid boolean",
        "invalid date",
        "invalid float",
        "invalid fraction",
        "invalid mantissa",
    ];
    STUMBLES
        .iter()
        .any(|start| error.message().starts_with(start))
}

/// The word without quotes around `index`, if it is all that stands where a value should.
fn bare_word(text: &str, index: usize) -> Option<Range<usize>> {
    let is_word_char = |c: char| c.is_alphanumeric() || "-_.:/".contains(c);
    let before = text.get(..index)?.trim_end_matches(is_word_char);
    let (start, rest) = (before.len(), &text[before.len()..]);
    let end = start + rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
    let word = &text[start..end];
    let follower = text[end..].trim_start_matches([' ', '\t']).chars().next();
    let is_all = matches!(follower, None | Some('\n' | '\r' | '#' | ',' | ']' | '}'));
    let is_number = !word.contains(|c: char| c.is_alphabetic() || ".:/".contains(c));
    (is_all && !is_number).then_some(start..end)
}
