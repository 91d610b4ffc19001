//! Files of at most 500 lines, functions of at most 70.
//!
//! The sources are formatted by rustfmt, so a function ends at the first `}` that stands as far left as its
//! `fn` line: indentation is all this needs to know of the language.

use super::source::{self, Source};
use super::{assert_clean, expect};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

fn violations(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .flat_map(|s| long_file(s).into_iter().chain(long_functions(s)))
        .collect()
}

fn long_file(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > FILE_LINES).then(|| {
        format!(
            "{}: {lines} lines, limit {FILE_LINES}: look for the second idea",
            source.path
        )
    })
}

fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.code.lines().map(str::trim_end).collect();
    let starts = (0..lines.len()).filter_map(|at| Some((at, function_name(lines[at])?)));
    starts
        .map(|(at, name)| (at, name, function_lines(&lines[at..])))
        .filter(|(_, _, length)| *length > FUNCTION_LINES)
        .map(|(at, name, length)| {
            format!(
                "{}:{}: fn {name} has {length} lines, limit {FUNCTION_LINES}",
                source.path,
                at + 1
            )
        })
        .collect()
}

/// The name of the function that `line` begins.
fn function_name(line: &str) -> Option<&str> {
    const BEFORE: &[&str] = &["pub", "const", "async", "unsafe", "extern", "default"];
    let mut words = line.split_whitespace();
    let is_modifier = |word: &str| {
        let word = word.split('(').next().unwrap_or(word);
        BEFORE.contains(&word) || word.starts_with('"') || word.ends_with(')')
    };
    let keyword = words.find(|word| !is_modifier(word))?;
    let name = words.next().filter(|_| keyword == "fn")?;
    name.split(|c| !source::is_word(c)).next()
}

/// How many lines the function takes that begins with the first of `lines`.
fn function_lines(lines: &[&str]) -> usize {
    let indent = indent_of(lines[0]);
    let mut has_body = false;
    for (at, line) in lines.iter().enumerate() {
        let at_margin = !line.is_empty() && indent_of(line) == indent;
        if !at_margin {
            continue;
        }
        let closed_here = line.ends_with('}') && (has_body || line.contains('{'));
        if closed_here || (!has_body && line.ends_with(';')) {
            return at + 1;
        }
        has_body |= line.ends_with('{');
    }
    lines.len()
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[test]
fn every_file_and_function_fits() {
    assert_clean(violations(&source::all()));
}

#[test]
fn long_file_is_found() {
    expect(violations, "src/a.rs", &"//\n".repeat(500), &[]);
    expect(violations, "src/a.rs", &"//\n".repeat(501), &["501 lines"]);
}

#[test]
fn long_function_is_found_wherever_it_stands() {
    let body = |lines: usize, indent: &str| format!("{indent}x();\n").repeat(lines);
    let plain = |lines| format!("fn a() {{\n{}}}\nfn b() {{}}\n", body(lines, "    "));
    expect(violations, "src/a.rs", &plain(68), &[]);
    expect(
        violations,
        "src/a.rs",
        &plain(69),
        &["src/a.rs:1: fn a has 71"],
    );

    let method = format!(
        "impl A {{\n    pub(crate) async fn a<T>(\n        t: T,\n    ) -> B\n    where\n        T: C,\n    {{\n{}    }}\n}}\n",
        body(70, "        ")
    );
    expect(
        violations,
        "src/a.rs",
        &method,
        &["src/a.rs:2: fn a has 77"],
    );

    let declared = format!("trait A {{\n    fn a();\n}}\n{}", body(80, ""));
    expect(violations, "src/a.rs", &declared, &[]);
}
