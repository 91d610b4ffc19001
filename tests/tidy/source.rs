//! Rust sources, and a lexer just good enough to tell code from comments and literals.

use std::fs;
use std::path::Path;

/// One source file.
pub(crate) struct Source {
    /// Relative to the package, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// The same text with everything in comments and literals blanked; lines and columns stay.
    pub(crate) code: String,
    /// The same text with everything but comments blanked.
    pub(crate) comments: String,
}

impl Source {
    /// Splits `text` into code and comments.
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let kinds = classify(text);
        let only = |kept: Kind| -> String {
            let chars = text.chars().zip(&kinds);
            chars
                .map(|(c, &kind)| if kind == kept || c == '\n' { c } else { ' ' })
                .collect()
        };
        Source {
            path: path.into(),
            text: text.into(),
            code: only(Kind::Code),
            comments: only(Kind::Comment),
        }
    }

    /// The room a file of the library belongs to; `None` for the crate root, the binary and tests.
    pub(crate) fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        match first.strip_suffix(".rs") {
            None => Some(first),
            Some("lib" | "main") => None,
            Some(room) => Some(room),
        }
    }

    /// The code up to the block of tests at its end; nothing of a file of tests.
    pub(crate) fn code_without_tests(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return "";
        }
        let block = self.code.find("#[cfg(test)]\nmod tests {");
        &self.code[..block.unwrap_or(self.code.len())]
    }
}

/// Every Rust source of the package, in order of paths.
pub(crate) fn all() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["benches", "fuzz", "src", "tests"] {
        collect(Path::new(folder), &mut found);
    }
    assert!(found.len() > 10, "the tests run in the package's folder");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return; // not every folder exists
    };
    let mut paths: Vec<_> = entries.map(|e| e.expect("readable").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let path = path.to_string_lossy().replace('\\', "/");
            found.push(Source::new(&path, &text));
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// The kind of each character. Quotes of literals count as code, so that `""` stays visible.
fn classify(text: &str) -> Vec<Kind> {
    let chars: Vec<char> = text.chars().collect();
    let mut kinds = vec![Kind::Code; chars.len()];
    let mut at = 0;
    while at < chars.len() {
        let (length, kind) = token(&chars[at..], at > 0 && is_word(chars[at - 1]));
        let inner = match kind {
            Kind::Literal => at + 1..at + length - 1,
            _ => at..at + length,
        };
        kinds[inner].fill(kind);
        at += length;
    }
    kinds
}

/// The length and kind of what starts here; `in_word` when a letter or digit stands before it.
fn token(rest: &[char], in_word: bool) -> (usize, Kind) {
    match rest {
        ['/', '/', ..] => (count(rest, |c| c != '\n'), Kind::Comment),
        ['/', '*', ..] => (block_comment(rest), Kind::Comment),
        ['"', ..] => (quoted(rest, '"'), Kind::Literal),
        ['r', '"' | '#', ..] if !in_word => raw_string(rest),
        ['\'', '\\', ..] => (quoted(rest, '\''), Kind::Literal),
        ['\'', _, '\'', ..] => (3, Kind::Literal),
        _ => (1, Kind::Code),
    }
}

/// A string or character, quotes included.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `r"..."` with any number of `#`; `r#name` is code.
fn raw_string(rest: &[char]) -> (usize, Kind) {
    let hashes = count(&rest[1..], |c| c == '#');
    if rest.get(1 + hashes) != Some(&'"') {
        return (1 + hashes, Kind::Code);
    }
    let mut at = hashes + 2;
    while at < rest.len() {
        let closing = rest[at] == '"' && count(&rest[at + 1..], |c| c == '#') >= hashes;
        if closing {
            return (at + 1 + hashes, Kind::Literal);
        }
        at += 1;
    }
    (rest.len(), Kind::Literal)
}

/// `/* ... */`, which nests.
fn block_comment(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn count(rest: &[char], wanted: impl Fn(char) -> bool) -> usize {
    rest.iter().take_while(|&&c| wanted(c)).count()
}

/// Whether `c` can be part of an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn lexer_tells_code_from_comments_and_literals() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"a\\\"b\") // c", "f(\"    \")     "),
        ("r#\"a\"b\"#; r#type", "r      #; r#type"),
        ("'a' '\\'' 'b: &'c d", "' ' '  ' 'b: &'c d"),
        ("\"//\" x", "\"  \" x"),
        ("var\"a\"", "var\" \""),
    ];
    for (text, code) in cases {
        assert_eq!(Source::new("x.rs", text).code, code, "{text}");
    }
    assert_eq!(
        Source::new("x.rs", "a // b\n\"// c\"").comments,
        "  // b\n      "
    );
}
