//! One line of text, `host:port` or `host:port weight=N`; or nothing, and the znode's name is the `host:port`.

use super::error::quoted;
use super::{PayloadError, Registration, Status, address};

/// Reads a text that is not empty.
pub(super) fn parse(text: &str) -> Result<Registration, PayloadError> {
    let mut words = text.split_whitespace();
    let mut registration = Registration {
        address: address::parse(words.next().unwrap_or_default())?,
        weight: 1,
        status: Status::Up,
    };
    for word in words {
        let weight = word.strip_prefix("weight=").and_then(|n| n.parse().ok());
        registration.weight = weight
            .filter(|&weight| weight > 0)
            .ok_or_else(|| PayloadError::Word(quoted(word)))?;
    }
    Ok(registration)
}

/// Reads the name of a znode that has no data.
pub(super) fn parse_name(instance: &str) -> Result<Registration, PayloadError> {
    let address = address::parse(instance).map_err(|error| match error {
        PayloadError::NoPort(name) => PayloadError::Empty(name),
        other => other,
    })?;
    Ok(Registration {
        address,
        weight: 1,
        status: Status::Up,
    })
}

#[cfg(test)]
mod tests {
    use crate::registry::payload::{Registration, Status, parse};

    /// As one would type it.
    const EXAMPLE: &str = "10.0.0.5:8080 weight=3\n";

    #[test]
    fn the_example_is_read() {
        let expected = Registration {
            address: "10.0.0.5:8080".into(),
            weight: 3,
            status: Status::Up,
        };
        assert_eq!(parse("i1", EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn the_weight_is_one_unless_given() {
        assert_eq!(parse("i1", b"[::1]:80").unwrap().weight, 1);
        assert_eq!(parse("[::1]:80", b"").unwrap().weight, 1);
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            "weight=0",
            "weight=65536",
            "weight=",
            "weight=x",
            "weight",
            "backup",
        ] {
            let reason = parse("i1", format!("h:80 {word}").as_bytes())
                .unwrap_err()
                .to_string();
            let expected = format!(
                "found {word:?} after the address; expected weight=N, 1 to 65535, or nothing"
            );
            assert_eq!(reason, expected);
        }
    }

    #[test]
    fn a_name_stands_for_an_empty_payload_only_if_it_is_an_address() {
        assert!(parse("web-1", b"").is_err());
        assert!(parse("web-1:99999", b"").is_err());
        assert_eq!(parse("web-1:80", b"").unwrap().address, "web-1:80");
    }
}
