//! What SmartStack's Nerve writes, for Synapse to make a server line of HAProxy of.
//!
//! | key | value |
//! |---|---|
//! | `host`, `port` | where it is |
//! | `weight` | HAProxy's: 0 to 256; at 0 HAProxy sends it nothing new, so it drains |
//! | `haproxy_server_options` | with the word `backup` among them, tier 1 |
//! | `name`, `labels`, others | for other readers |
//!
//! Source: Nerve's README, "Registration"; HAProxy's configuration manual, "weight".

use super::fields::Fields;
use super::{PayloadError, Registration, Status};

/// Whether an object is in this form: our own says `address`, and the others have their host elsewhere.
pub(super) fn recognises(fields: &Fields<'_>) -> bool {
    fields.has("host") && !fields.has("address")
}

pub(super) fn parse(fields: &Fields<'_>) -> Result<Registration, PayloadError> {
    let address = fields.address("host", "port", fields.port("port")?)?;
    let is_silenced = fields.value("weight").and_then(|weight| weight.as_u64()) == Some(0);
    let (weight, status) = match is_silenced {
        true => (1, Status::Draining),
        false => (fields.weight("weight")?, Status::Up),
    };
    let is_backup = fields
        .text("haproxy_server_options")?
        .is_some_and(|options| options.split_whitespace().any(|word| word == "backup"));
    Ok(Registration {
        address,
        weight,
        tier: is_backup.into(),
        status,
    })
}

#[cfg(test)]
mod tests {
    use crate::registry::payload::{PayloadError, Registration, Status, parse};

    /// As Nerve writes it.
    const EXAMPLE: &str = r#"{"host":"10.0.0.5","port":3000,"name":"i-1","weight":10,
        "haproxy_server_options":"backup","labels":{"az":"a"}}"#;

    fn changed(from: &str, to: &str) -> Result<Registration, PayloadError> {
        assert!(EXAMPLE.contains(from), "{from} is in the example");
        parse("i-1_0000000012", EXAMPLE.replace(from, to).as_bytes())
    }

    #[test]
    fn the_example_is_read() {
        let expected = Registration {
            address: "10.0.0.5:3000".into(),
            weight: 10,
            tier: 1,
            status: Status::Up,
        };
        assert_eq!(parse("i-1_0000000012", EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn host_and_port_are_enough() {
        let read = parse("i1", br#"{"host":"::1","port":80}"#).unwrap();
        assert_eq!((read.address.as_str(), read.weight), ("[::1]:80", 1));
    }

    #[test]
    fn no_weight_drains_as_in_haproxy() {
        let read = changed(r#""weight":10"#, r#""weight":0"#).unwrap();
        assert_eq!((read.weight, read.status), (1, Status::Draining));
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        for (from, to, expected) in [
            (
                r#""host":"10.0.0.5""#,
                r#""host":5"#,
                r#"found "host": 5; expected a text"#,
            ),
            (
                r#""port":3000,"#,
                "",
                r#"found no "port"; expected a number from 1 to 65535"#,
            ),
            (
                r#""weight":10"#,
                r#""weight":-1"#,
                r#"found "weight": -1; expected a number from 1 to 65535"#,
            ),
        ] {
            assert_eq!(changed(from, to).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn only_the_word_backup_makes_a_standby() {
        for (options, tier) in [("backup", 1), ("check backup inter 2s", 1), ("check", 0)] {
            let data = format!(r#"{{"host":"h","port":80,"haproxy_server_options":"{options}"}}"#);
            assert_eq!(
                parse("i1", data.as_bytes()).unwrap().tier,
                tier,
                "{options}"
            );
        }
    }
}
