//! One thing found, as a line of text or a JSON object.

use crate::cli::args::InspectArgs;
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// What was found, and its facts in order.
#[derive(Debug)]
pub(super) struct Line {
    what: &'static str,
    facts: Vec<(&'static str, Value)>,
}

impl Line {
    pub(super) fn new(what: &'static str) -> Line {
        Line {
            what,
            facts: Vec::new(),
        }
    }

    /// Adds a fact.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Line {
        self.facts.push((name, value.into()));
        self
    }

    /// Adds a fact that there may be.
    pub(super) fn with_some<V: Into<Value>>(self, name: &'static str, value: Option<V>) -> Line {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn damage(path: &Path, offset: u64, reason: &str) -> Line {
        Line::new("damage")
            .with("path", path.display().to_string())
            .with("offset", offset)
            .with("reason", reason)
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("what".into(), self.what.into());
        let facts = self.facts.iter();
        object.extend(facts.map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Object(object)
    }
}

/// `what name=value ..`; texts with spaces or quotes in them are quoted.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        for (name, value) in &self.facts {
            match value {
                Value::String(text) if is_plain(text) => write!(f, " {name}={text}")?,
                value => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    !text.is_empty() && !text.contains(is_odd)
}

/// Where lines go, and which.
pub(super) struct Printer<W: Write> {
    out: BufWriter<W>,
    json: bool,
    quiet: bool,
    /// First and last index of entries, if only some are wanted.
    range: Option<(u64, u64)>,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, args: &InspectArgs) -> Printer<W> {
        let is_bounded = args.from.is_some() || args.to.is_some();
        Printer {
            out: BufWriter::new(out),
            json: args.json,
            quiet: args.verify,
            range: is_bounded.then(|| (args.from.unwrap_or(0), args.to.unwrap_or(u64::MAX))),
        }
    }

    /// A line of detail.
    pub(super) fn line(&mut self, line: &Line) -> io::Result<()> {
        match self.quiet {
            true => Ok(()),
            false => self.always(line),
        }
    }

    /// Whether a record with this index, or without one, is wanted.
    pub(super) fn wants(&self, index: Option<u64>) -> bool {
        match (self.range, index) {
            _ if self.quiet => false,
            (None, _) => true,
            (Some((from, to)), Some(index)) => (from..=to).contains(&index),
            (Some(_), None) => false,
        }
    }

    /// A line that is printed whatever is wanted.
    pub(super) fn always(&mut self, line: &Line) -> io::Result<()> {
        match self.json {
            true => writeln!(self.out, "{}", line.json()),
            false => writeln!(self.out, "{line}"),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_quote_what_would_be_ambiguous() {
        let line = Line::new("entry")
            .with("index", 7)
            .with("path", "/a b")
            .with("op", "create")
            .with_some("none", None::<u64>);
        assert_eq!(line.to_string(), r#"entry index=7 path="/a b" op=create"#);
        let json = line.json().to_string();
        assert_eq!(
            serde_json::from_str::<Value>(&json).unwrap(),
            serde_json::json!({"what": "entry", "index": 7, "path": "/a b", "op": "create"})
        );
    }
}
