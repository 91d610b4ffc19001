//! What no text can do, however long or broken.

use super::*;
use proptest::prelude::*;

#[test]
fn errors_are_listed_up_to_a_limit() {
    let text: String = (0..1000).map(|n| format!("x{n} = 1\n")).collect();
    let errors = ServiceSettings::parse(&text, "f").unwrap_err();
    assert_eq!(errors.iter().count(), limits::REPORTED_ERRORS);
    assert_eq!(errors.count(), 1000);
}

#[test]
fn oversized_text_is_refused_unread() {
    let text = " ".repeat(limits::TEXT_BYTES + 1);
    assert_eq!(refused(&text), ["settings have at most 1048576 bytes"]);
}

#[test]
fn a_file_that_is_not_text_is_refused_at_the_first_bad_byte() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[node]\n# \xff\n").unwrap();
    let errors = Config::load(file.path()).unwrap_err();
    assert_eq!(errors.iter().next().unwrap().position(), Some((2, 3)));
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        if let Err(errors) = Config::parse(&text, "f") {
            let _ = errors.to_string();
        }
    }

    /// Made of what the reader looks for, so that it gets further than the first character.
    #[test]
    fn arbitrary_toml_never_panics(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "[node]", "[ensemble]", "[zookeeper]", "[[listener]]", "[[listener.rules]]", "[service.web]", "[service.\"ü\"]",
            "name", "listen", "members", "bind", "rules", "session_timeout", "endpoints", "weights", "strategy", "hash_key",
            "host", "service", "min", "max", "tick_time", " = ", "\n", "{", "}", "[", "]", ",", "\"", "'", "é", "\u{1}",
            "0", "-9", "1e400", "\"1s\"", "\"h:1\"", "\"127.0.0.1:1\"", "\"header:\"", "\"*.\"", "\"/\"", ".", "#",
        ]), 0..60),
    ) {
        let text = pieces.concat();
        let verdicts = [Config::parse(&text, "f").err(), ServiceSettings::parse(&text, "f").err()];
        for errors in verdicts.iter().flatten() {
            prop_assert!(errors.count() > 0);
            prop_assert!(!errors.to_string().is_empty());
        }
    }
}
