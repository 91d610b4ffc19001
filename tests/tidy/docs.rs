//! Every file begins with its module documentation, and every reason is explained to operators.

use super::source::{self, Source};
use super::{assert_clean, expect};
use std::fs;

fn violations(sources: &[Source]) -> Vec<String> {
    let bare = sources.iter().filter(|s| !s.text.starts_with("//! "));
    bare.map(|s| format!("{}: begins without `//! `", s.path))
        .collect()
}

#[test]
fn every_file_says_what_it_owns() {
    assert_clean(violations(&source::all()));
}

#[test]
fn missing_module_documentation_is_found() {
    expect(violations, "src/a.rs", "//! What a is.\n", &[]);
    expect(violations, "src/a.rs", "use b;\n//! Late.\n", &["src/a.rs"]);
    expect(violations, "src/a.rs", "", &["src/a.rs"]);
}

/// The reasons in `outcomes`, the source of `proxy::Outcome`, that `page` does not explain.
fn unexplained(outcomes: &str, page: &str) -> Vec<String> {
    let (_, body) = outcomes.split_once("fn reason").expect("a function");
    let body = body.split("\n    }\n").next().unwrap_or_default();
    let reasons = body.split('"').skip(1).step_by(2);
    let missing = reasons.filter(|reason| !page.contains(&format!("`{reason}`")));
    missing
        .map(|reason| format!("docs/traffic.md does not say what `{reason}` means"))
        .collect()
}

#[test]
fn every_reason_is_explained() {
    let read = |file| fs::read_to_string(file).expect("readable");
    let (outcomes, page) = (read("src/proxy/outcome.rs"), read("docs/traffic.md"));
    let (_, table) = page.split_once("## How exchanges end").expect("the table");
    assert_clean(unexplained(&outcomes, table));
}

#[test]
fn reason_that_is_not_explained_is_found() {
    let outcomes =
        "fn reason(self) {\n A => \"done\",\n B => \"lost\",\n    }\n fn x() { \"else\" }";
    let found = unexplained(outcomes, "| `done` | all went well |");
    assert_eq!(found, ["docs/traffic.md does not say what `lost` means"]);
}
