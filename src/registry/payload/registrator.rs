//! What Registrator writes for a container, below its ZooKeeper backend's base path.
//!
//! `IP` and `PublicPort` say where the container is reached from outside. The rest (`Name`, `PrivatePort`,
//! `ContainerID`, `Tags`, `Attrs`) is for other readers. It has no words for draining: a container that stops is
//! deregistered.
//!
//! Source: Registrator `zookeeper/zookeeper.go`, `ZnodeBody`.

use super::fields::Fields;
use super::{PayloadError, Registration, Status};

/// Whether an object is in this form: no other one writes keys with capitals, and none of ours is taken for it.
pub(super) fn recognises(fields: &Fields<'_>) -> bool {
    (fields.has("IP") || fields.has("PublicPort")) && !fields.has("address")
}

pub(super) fn parse(fields: &Fields<'_>) -> Result<Registration, PayloadError> {
    Ok(Registration {
        address: fields.address("IP", "PublicPort", fields.port("PublicPort")?)?,
        weight: 1,
        tier: 0,
        status: Status::Up,
    })
}

#[cfg(test)]
mod tests {
    use crate::registry::payload::{Registration, Status, parse};

    /// As Registrator writes it.
    const EXAMPLE: &str = r#"{"Name":"web","IP":"10.0.0.5","PublicPort":32768,"PrivatePort":80,
        "ContainerID":"f0c1","Tags":["a"],"Attrs":{"zone":"a"}}"#;

    #[test]
    fn the_example_is_read() {
        let expected = Registration {
            address: "10.0.0.5:32768".into(),
            weight: 1,
            tier: 0,
            status: Status::Up,
        };
        assert_eq!(parse("10.0.0.5:32768", EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        for (from, to, expected) in [
            (
                r#""IP":"10.0.0.5","#,
                "",
                r#"found no "IP"; expected a host name or an IP address"#,
            ),
            (
                "32768",
                "0",
                r#"found "PublicPort": 0; expected a number from 1 to 65535"#,
            ),
            (
                r#""PublicPort":32768,"#,
                "",
                r#"found no "PublicPort"; expected a number from 1 to 65535"#,
            ),
            (
                r#""10.0.0.5""#,
                r#""""#,
                r#"found the host ""; expected a name, an IPv4 address or an IPv6 address in brackets"#,
            ),
        ] {
            assert!(EXAMPLE.contains(from), "{from} is in the example");
            let reason = parse("i1", EXAMPLE.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(reason.to_string(), expected);
        }
    }
}
