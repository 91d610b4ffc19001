//! The words of error messages: what was probably meant, and which values there are.

/// Names longer than this are never compared with known ones: the comparison costs the product of both lengths.
const COMPARED_BYTES: usize = 64;

/// Characters of the user's text repeated in a message; the quoted line shows the rest.
const SHOWN_CHARS: usize = 48;

/// The known name that `name` most likely means: at most a third of it differs.
pub fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > COMPARED_BYTES {
        return None;
    }
    let name = name.to_lowercase();
    let tolerated = (name.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(&name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean "x"?` if something known is close, else the list of what is known.
pub(super) fn hint(name: &str, known: &[&str]) -> String {
    match closest(name, known) {
        Some(candidate) => format!("did you mean {candidate:?}?"),
        None => format!("known: {}", listed(known)),
    }
}

/// `"a", "b" and "c"`.
pub(super) fn listed(names: &[&str]) -> String {
    let mut quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.pop() {
        None => String::new(),
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} and {last}", quoted.join(", ")),
    }
}

/// The text, cut to what fits a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The value called `name`.
///
/// # Errors
/// What [`unknown`] says of it.
pub(super) fn choice<T: Copy>(
    what: &str,
    name: &str,
    known: &[(&str, T)],
    later: &[&str],
) -> Result<T, String> {
    match known.iter().find(|(candidate, _)| *candidate == name) {
        Some((_, value)) => Ok(*value),
        None => {
            let names: Vec<&str> = known.iter().map(|(candidate, _)| *candidate).collect();
            Err(unknown(what, name, &names, later))
        }
    }
}

/// What to say of a `name` that is not among the `known` names of a `what`. `later` are names that have a meaning,
/// but not in this version.
pub(super) fn unknown(what: &str, name: &str, known: &[&str], later: &[&str]) -> String {
    if later.contains(&name) {
        let known = listed(known);
        return format!("{what} {name:?} is not available in this version; known: {known}");
    }
    let hint = hint(name, known);
    let name = shortened(name);
    format!("unknown {what} {name:?}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_gets_a_suggestion_and_a_stranger_gets_the_list() {
        let known = ["strategy", "hash_key"];
        for (name, expected) in [
            ("stratgy", "did you mean \"strategy\"?"),
            ("hash-key", "did you mean \"hash_key\"?"),
            ("Strategy", "did you mean \"strategy\"?"),
            ("timeout", "known: \"strategy\" and \"hash_key\""),
            ("", "known: \"strategy\" and \"hash_key\""),
        ] {
            assert_eq!(hint(name, &known), expected, "{name:?}");
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(shortened("short"), "short");
        let long = "ü".repeat(49);
        assert_eq!(shortened(&long), format!("{}…", "ü".repeat(48)));
    }
}
