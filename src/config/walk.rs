//! The walk over a parsed TOML document: tables of keys, each with the function that reads its value.
//!
//! ```text
//! text -> toml spans -> Section of Keys -> Value readers -> draft        (faults) -> Report -> ConfigErrors
//! ```
//! A section is a list of [`Key`]s; the walk finds unknown, missing and misspelt keys for all sections alike, and a
//! reader only says what its own key means. Readers return `None` once they have reported; a section with a fault
//! yields no draft, so that checks across keys never speak of a value that was not understood.
//!
//! Serde's derive would be shorter, but it stops at the first error.

use super::report::Report;
use super::words;
use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key of a section and what reads it into the draft `D`.
pub(super) struct Key<D: 'static> {
    /// As written in the file.
    pub(super) name: &'static str,
    is_required: bool,
    read: fn(&mut D, Value<'_>),
}

impl<D> Key<D> {
    /// A key that may be absent.
    pub(super) const fn optional(name: &'static str, read: fn(&mut D, Value<'_>)) -> Key<D> {
        Key {
            name,
            is_required: false,
            read,
        }
    }

    /// A key without which the section means nothing.
    pub(super) const fn required(name: &'static str, read: fn(&mut D, Value<'_>)) -> Key<D> {
        Key {
            name,
            is_required: true,
            read,
        }
    }
}

/// Reads `table`, called `label` in messages (empty for a whole text), by `keys`.
pub(super) fn keys<D: Default>(
    table: &DeTable<'_>,
    span: Range<usize>,
    label: &str,
    keys: &[Key<D>],
    report: &mut Report,
) -> D {
    let place = match label {
        "" => String::new(),
        label => format!(" in {label}"),
    };
    let mut draft = D::default();
    for (name, item) in table {
        match keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
            Some(key) => {
                let name = key.name;
                let value = Value { name, item, report };
                (key.read)(&mut draft, value);
            }
            None => report.fault_with(name.span(), || {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                let hint = words::hint(name.get_ref(), &names);
                let name_text = words::shortened(name.get_ref());
                format!("unknown key {name_text:?}{place}; {hint}")
            }),
        }
    }
    for key in keys.iter().filter(|key| key.is_required) {
        if !table.contains_key(key.name) {
            report.fault(
                span.clone(),
                format!("key {:?} is missing{place}", key.name),
            );
        }
    }
    draft
}

/// A value of the document, the key it belongs to, and where to report.
pub(super) struct Value<'v> {
    /// The key, for messages.
    name: &'v str,
    item: &'v Spanned<DeValue<'v>>,
    report: &'v mut Report,
}

impl<'v> Value<'v> {
    /// The bytes it is written in.
    pub(super) fn span(&self) -> Range<usize> {
        self.item.span()
    }

    /// Reports `message` at this value.
    pub(super) fn fail<T>(self, message: impl Into<String>) -> Option<T> {
        self.report.fault(self.item.span(), message);
        None
    }

    fn mistyped<T>(self, expected: &str) -> Option<T> {
        let found = self.item.get_ref().type_str();
        let name = self.name;
        self.fail(format!(
            "{name} must be {expected}, not {}",
            with_article(found)
        ))
    }

    /// What `read` makes of it, with its span.
    pub(super) fn spanned<T>(
        self,
        read: impl FnOnce(Value<'v>) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let span = self.span();
        read(self).map(|value| Spanned::new(span, value))
    }

    /// A string that `parse` accepts; its error says what is wrong with the text.
    pub(super) fn parsed<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let Some(text) = self.item.get_ref().as_str() else {
            return self.mistyped("a string");
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => self.fail(message),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(self) -> Option<bool> {
        match self.item.get_ref().as_bool() {
            Some(value) => Some(value),
            None => self.mistyped("true or false"),
        }
    }

    /// A whole number in `range`.
    pub(super) fn integer(self, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(written) = self.item.get_ref().as_integer() else {
            return self.mistyped("a whole number");
        };
        match i128::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) => match u64::try_from(number) {
                Ok(number) if range.contains(&number) => Some(number),
                _ => self.out_of_range(number, &range),
            },
            Err(_) => self.out_of_range("this number", &range),
        }
    }

    /// A number with at most two decimals, in hundredths: 0, or in `range`.
    pub(super) fn hundredths_or_zero(self, range: RangeInclusive<u16>) -> Option<u16> {
        let value = self.item.get_ref();
        let number = match (value.as_integer(), value.as_float()) {
            (Some(written), _) => i64::from_str_radix(written.as_str(), written.radix())
                .map_or(f64::NAN, |number| number as f64),
            (None, Some(written)) => written.as_str().parse().unwrap_or(f64::NAN),
            (None, None) => return self.mistyped("a number"),
        };
        let hundredths = (number * 100.0).round();
        let is_whole = (number * 100.0 - hundredths).abs() < 1e-6;
        let [min, max] = [range.start(), range.end()].map(|bound| f64::from(*bound));
        if is_whole && (hundredths == 0.0 || (min..=max).contains(&hundredths)) {
            return Some(hundredths as u16);
        }
        let (name, min, max) = (self.name, min / 100.0, max / 100.0);
        self.fail(format!(
            "{name} must be 0, or {min} to {max} with at most two decimals"
        ))
    }

    fn out_of_range<T>(
        self,
        found: impl std::fmt::Display,
        range: &RangeInclusive<u64>,
    ) -> Option<T> {
        let (name, min, max) = (self.name, range.start(), range.end());
        self.fail(format!("{name} must be {min} to {max}; {found} is not"))
    }

    /// A duration such as `"1s"`, in `range`.
    pub(super) fn duration(self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let name = self.name;
        if let Some(number) = self.item.get_ref().as_integer() {
            let number = number.as_str().to_owned();
            return self.fail(format!(
                "{name} = {number} has no unit; write \"{number}s\" or \"{number}ms\""
            ));
        }
        let Some(text) = self.item.get_ref().as_str() else {
            return self.mistyped("a duration such as \"1s\"");
        };
        match humantime::parse_duration(text) {
            Ok(value) if range.contains(&value) => Some(value),
            Ok(value) => {
                let value = humantime::format_duration(value);
                let min = humantime::format_duration(*range.start());
                let max = humantime::format_duration(*range.end());
                self.fail(format!("{name} must be {min} to {max}; {value} is not"))
            }
            Err(_) => {
                let text = words::shortened(text);
                self.fail(format!(
                    "{name}: {text:?} is not a duration; write whole numbers with units, such as \"1s\", \"500ms\" or \"1m 30s\""
                ))
            }
        }
    }

    /// An array of at most `max` elements. `None` if any element is wrong.
    pub(super) fn elements<T>(
        self,
        max: usize,
        mut read: impl FnMut(Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(array) = self.item.get_ref().as_array() else {
            return self.mistyped("an array");
        };
        if array.len() > max {
            return self.too_many(array.len(), max);
        }
        let before = self.report.count();
        let elements = array
            .iter()
            .filter_map(|item| {
                read(Value {
                    name: self.name,
                    item,
                    report: self.report,
                })
            })
            .collect();
        (self.report.count() == before).then_some(elements)
    }

    /// A table of at most `max` names that the user chose. `None` if any entry is wrong.
    pub(super) fn entries<T>(
        self,
        max: usize,
        mut read: impl FnMut(&Spanned<Cow<'_, str>>, Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(table) = self.item.get_ref().as_table() else {
            return self.mistyped("a table");
        };
        if table.len() > max {
            return self.too_many(table.len(), max);
        }
        let before = self.report.count();
        let mut entries = Vec::with_capacity(table.len());
        for (key, item) in table {
            let value = Value {
                name: key.get_ref(),
                item,
                report: self.report,
            };
            entries.extend(read(key, value));
        }
        (self.report.count() == before).then_some(entries)
    }

    fn too_many<T>(self, found: usize, max: usize) -> Option<T> {
        let name = self.name;
        self.fail(format!("{name} has {found} entries, more than {max}"))
    }

    /// A table with known keys, called `label` in messages, checked as a whole by `finish` if each key is right.
    pub(super) fn section<D: Default, T>(
        self,
        label: &str,
        keys: &[Key<D>],
        finish: impl FnOnce(D, &mut Report) -> Option<T>,
    ) -> Option<T> {
        let Some(table) = self.item.get_ref().as_table() else {
            return self.mistyped("a table");
        };
        let before = self.report.count();
        let draft = self::keys(table, self.item.span(), label, keys, self.report);
        if self.report.count() > before {
            return None;
        }
        finish(draft, self.report)
    }

    /// Whether it is written as a table.
    pub(super) fn is_table(&self) -> bool {
        self.item.get_ref().is_table()
    }

    /// Reports `message` at `span` rather than at the value.
    pub(super) fn fail_at<T>(self, span: Range<usize>, message: impl Into<String>) -> Option<T> {
        self.report.fault(span, message);
        None
    }
}

fn with_article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {type_name}")
}
