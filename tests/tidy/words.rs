//! One word per thing: names this code does not use, and notes without an issue.

use super::source::{self, Source, is_word};
use super::{assert_clean, expect};

/// Words that mean two things here, and what to say instead.
const WORDS: &[(&str, &str)] = &[("cluster", "ensemble"), ("backend", "endpoint or upstream")];

/// Identifiers that others chose, with who did.
const GIVEN: &[(&str, &str)] = &[
    (
        "backends",
        "a flag of `zoogate dev`, in the word of its users",
    ),
    ("cluster_name", "a field of openraft's `Config`"),
    (
        "cluster",
        "the verb `zoogate cluster`, in the word of its users",
    ),
    ("Cluster", "the same"),
    ("ClusterArgs", "the same"),
    ("ClusterVerb", "the same"),
];

/// Endings of type names that say nothing about the type.
const ENDINGS: &[&str] = &["Manager", "Handler", "Context", "Helper", "Utils", "Info"];

/// Notes that belong into the issue tracker, where somebody sees them.
const NOTES: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.code.lines().zip(source.comments.lines());
        let mut in_trait_impl = false;
        for (at, (code, comment)) in lines.enumerate() {
            in_trait_impl = still_in_trait_impl(in_trait_impl, code);
            let complaints = identifiers(code)
                .chain(bad_type(code))
                .chain(getter(code).filter(|_| !in_trait_impl))
                .chain(note(comment));
            found.extend(complaints.map(|c| format!("{}:{}: {c}", source.path, at + 1)));
        }
    }
    found
}

/// Whether the methods that follow `line` belong to a trait, whose author named them.
fn still_in_trait_impl(so_far: bool, line: &str) -> bool {
    let is_header = line.starts_with("impl");
    if is_header || line.trim_start().starts_with("for ") {
        return line.contains("for ");
    }
    so_far && (line.is_empty() || line.starts_with([' ', '}', '{']))
}

fn identifiers(code: &str) -> impl Iterator<Item = String> + '_ {
    let words = words(code).filter(|word| GIVEN.iter().all(|(given, _)| given != word));
    words.flat_map(|word| {
        let lower = word.to_lowercase();
        let banned = WORDS
            .iter()
            .filter(move |(banned, _)| lower.contains(banned));
        banned.map(move |(_, instead)| format!("`{word}`: say {instead}"))
    })
}

/// What is wrong with the name of the type that a line defines.
fn bad_type(code: &str) -> Option<String> {
    let name = defined(code, &["struct", "enum", "trait", "type", "union"])?;
    let ending = ENDINGS.iter().find(|ending| name.ends_with(*ending))?;
    Some(format!("type `{name}`: {ending} says nothing"))
}

fn getter(code: &str) -> Option<String> {
    let name = defined(code, &["fn"])?;
    let is_getter = name.starts_with("get_");
    is_getter.then(|| format!("fn `{name}`: leave out `get_`"))
}

/// The word after the first of `keywords`.
fn defined<'a>(code: &'a str, keywords: &[&str]) -> Option<&'a str> {
    let mut words = words(code).skip_while(|word| !keywords.contains(word));
    words.nth(1)
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

fn note(comment: &str) -> Option<String> {
    let mut words = comment.split(|c| !is_word(c));
    let note = words.find(|word| NOTES.contains(word))?;
    let has_issue = comment
        .split('#')
        .skip(1)
        .any(|after| after.starts_with(|c: char| c.is_ascii_digit()));
    (!has_issue).then(|| format!("{note} without an issue"))
}

#[test]
fn the_words_of_the_house_are_used() {
    assert_clean(violations(&source::all()));
}

#[test]
fn banned_words_are_found_in_code_only() {
    let check = |text, expected: &[&str]| expect(violations, "src/a.rs", text, expected);
    check("let cluster_size = 1;", &["`cluster_size`: say ensemble"]);
    check("use x::Backend;", &["src/a.rs:1: `Backend`"]);
    check("// a backend\nlet a = \"cluster\";", &[]);
    check("struct WatchManager;", &["`WatchManager`: Manager"]);
    check("pub(crate) enum Utils {}", &["`Utils`"]);
    check("use std::task::Context;", &[]);
    check("pub async fn get_name() {}", &["fn `get_name`"]);
    check("fn budget_of() {}\nmap.get_mut(1);", &[]);
    check("let config = Config { cluster_name: name };", &[]);
}

#[test]
fn method_that_a_trait_names_is_not_ours() {
    let cases: &[(&str, &[&str])] = &[
        ("impl<T> A for B<T> {\n\n    fn get_a() {}\n}\n", &[]),
        ("impl A\n    for B\n{\n    fn get_a() {}\n}\n", &[]),
        (
            "impl B {\n    fn get_a() {}\n}\n",
            &["src/a.rs:2: fn `get_a`"],
        ),
        (
            "impl A for B {}\n\nfn get_a() {}\n",
            &["src/a.rs:3: fn `get_a`"],
        ),
    ];
    for (text, expected) in cases {
        expect(violations, "src/a.rs", text, expected);
    }
}

#[test]
fn note_without_an_issue_is_found() {
    let check = |text, expected: &[&str]| expect(violations, "src/a.rs", text, expected);
    check("// TODO: later", &["TODO without an issue"]);
    check("// TODO #12: later", &[]);
    check("/* FIXME */", &["FIXME"]);
    check("let todo = \"TODO\";", &[]);
}
