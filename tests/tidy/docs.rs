//! Every file begins with its module documentation.

use super::source::{self, Source};
use super::{assert_clean, expect};

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
