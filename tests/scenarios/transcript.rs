//! Reading a transcript, comparing its replies, rewriting them.

use std::fs;
use std::path::Path;

/// Runs the transcript `tests/scenarios/<name>.txt` through `reply`, which answers a command with lines.
///
/// # Panics
/// When a reply differs from what is written, unless `UPDATE` is set, which rewrites the file.
pub(super) fn run(name: &str, mut reply: impl FnMut(&str) -> Vec<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scenarios/{name}.txt"));
    let written = fs::read_to_string(&file).expect("the transcript is there");
    let mut found = String::new();
    for line in written.lines().filter(|line| !line.starts_with("  ")) {
        found.push_str(line);
        found.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for answer in reply(line) {
            found.push_str(&format!("  {answer}\n"));
        }
    }
    if found == written {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, found).expect("the transcript is writable");
        return;
    }
    let differs = found
        .lines()
        .zip(written.lines())
        .position(|(found, written)| found != written)
        .unwrap_or(found.lines().count().min(written.lines().count()));
    panic!(
        "{}, line {}: written {:?}, found {:?}",
        file.display(),
        differs + 1,
        written.lines().nth(differs).unwrap_or("the end"),
        found.lines().nth(differs).unwrap_or("the end"),
    );
}
