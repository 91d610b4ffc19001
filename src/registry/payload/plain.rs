//! One line of text, `host:port`, and maybe `weight=N` and `tier=N`; or nothing, and the znode's name is the `host:port`.

use super::error::quoted;
use super::{PayloadError, Registration, Status, address};

/// Reads a text that is not empty.
pub(super) fn parse(text: &str) -> Result<Registration, PayloadError> {
    let mut words = text.split_whitespace();
    let mut registration = Registration {
        address: address::parse(words.next().unwrap_or_default())?,
        weight: 1,
        tier: 0,
        status: Status::Up,
    };
    for word in words {
        let refused = || PayloadError::Word(quoted(word));
        match word.split_once('=') {
            Some(("weight", weight)) => {
                let weight = weight.parse().ok().filter(|&weight| weight > 0);
                registration.weight = weight.ok_or_else(refused)?;
            }
            Some(("tier", tier)) => {
                registration.tier = tier.parse().map_err(|_| refused())?;
            }
            _ => return Err(refused()),
        }
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
        tier: 0,
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
            tier: 0,
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
    fn a_tier_may_follow_in_any_order() {
        for text in ["h:80 tier=2 weight=3", "h:80 weight=3 tier=2"] {
            let read = parse("i1", text.as_bytes()).unwrap();
            assert_eq!((read.weight, read.tier), (3, 2));
        }
        assert_eq!(parse("i1", b"h:80").unwrap().tier, 0);
    }

    #[test]
    fn other_words_are_refused() {
        for word in [
            "weight=0",
            "weight=65536",
            "weight=",
            "weight=x",
            "weight",
            "tier=256",
            "tier=",
            "backup",
        ] {
            let reason = parse("i1", format!("h:80 {word}").as_bytes())
                .unwrap_err()
                .to_string();
            let expected = format!(
                "found {word:?} after the address; expected weight=N, 1 to 65535, tier=N, 0 to 255, or nothing"
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
