//! The rules of the house, as ordinary tests that read the sources.
//!
//! Each rule is a pure function from sources to violations, so it is itself tested against a sample that
//! breaks it: a rule that cannot fail keeps nothing.
mod dashboards;
mod docs;
mod examples;
mod floors;
mod sizes;
mod source;
mod words;

use source::Source;

/// Fails with every violation, one per line.
fn assert_clean(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Checks that `rule` finds in `text` exactly the violations that contain the `expected` fragments, in
/// order; no fragments: none.
fn expect(rule: impl Fn(&[Source]) -> Vec<String>, path: &str, text: &str, expected: &[&str]) {
    let found = rule(&[Source::new(path, text)]);
    let matches =
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.contains(e));
    assert!(
        matches,
        "{path}:\n{text}\nexpected {expected:?}\nfound {found:?}"
    );
}
