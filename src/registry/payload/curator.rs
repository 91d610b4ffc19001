//! Curator's `ServiceInstance` as JSON: what Spring Cloud Zookeeper and Dubbo 3 register.
//!
//! `address` and `port` say where it is; without a `port` its `sslPort` does. It drains when `enabled` is false
//! or when the metadata's `instance_status`, Spring's word for it, is anything but `UP`. The metadata may give a
//! `weight` and a `tier`. Everything else, and whatever the payload is if it has no metadata, is tolerated.
//!
//! Source: Curator `JsonInstanceSerializer`; Spring Cloud Zookeeper `ZookeeperInstance`.

use super::fields::{Fields, refused};
use super::{PayloadError, Registration, Status};

/// Keys that our own form does not have and Curator's serialiser always writes at least one of.
const MARKS: [&str; 5] = [
    "serviceType",
    "registrationTimeUTC",
    "uriSpec",
    "sslPort",
    "payload",
];

/// Whether an object is in this form.
pub(super) fn recognises(fields: &Fields<'_>) -> bool {
    MARKS.iter().any(|mark| fields.has(mark))
}

pub(super) fn parse(fields: &Fields<'_>) -> Result<Registration, PayloadError> {
    let port = match fields.port("port")? {
        Some(port) => Some(port),
        None => fields.port("sslPort")?,
    };
    let metadata = fields
        .object("payload")
        .and_then(|payload| payload.object("metadata"));
    let (weight, tier, up) = match &metadata {
        None => (1, 0, true),
        Some(metadata) => {
            let status = metadata.text("instance_status")?.unwrap_or_default();
            let up = status.is_empty() || status.eq_ignore_ascii_case("up");
            (metadata.weight("weight")?, metadata.tier("tier")?, up)
        }
    };
    Ok(Registration {
        address: fields.address("address", "port", port)?,
        weight,
        tier,
        status: match up && is_enabled(fields)? {
            true => Status::Up,
            false => Status::Draining,
        },
    })
}

fn is_enabled(fields: &Fields<'_>) -> Result<bool, PayloadError> {
    match fields.value("enabled") {
        None => Ok(true),
        Some(value) => value
            .as_bool()
            .ok_or_else(|| refused("enabled", value, "true or false")),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::payload::{PayloadError, Registration, Status, parse};

    /// As Spring Cloud Zookeeper writes it.
    const EXAMPLE: &str = r#"{"name":"shop","id":"06c0af4c-03c4-4cc1-a702-050303b41b8b",
        "address":"10.0.0.5","port":8040,"sslPort":null,
        "payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
            "id":"shop-1","name":"shop","metadata":{"instance_status":"UP"}},
        "registrationTimeUTC":1553592092875,"serviceType":"DYNAMIC",
        "uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},
            {"value":"address","variable":true},{"value":":","variable":false},
            {"value":"port","variable":true}]}}"#;

    fn changed(from: &str, to: &str) -> Result<Registration, PayloadError> {
        assert!(EXAMPLE.contains(from), "{from} is in the example");
        parse("i1", EXAMPLE.replace(from, to).as_bytes())
    }

    #[test]
    fn the_example_is_read() {
        let expected = Registration {
            address: "10.0.0.5:8040".into(),
            weight: 1,
            tier: 0,
            status: Status::Up,
        };
        assert_eq!(parse("i1", EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_secure_port_stands_in_for_a_missing_one() {
        let read = changed(r#""port":8040,"sslPort":null"#, r#""sslPort":8443"#);
        assert_eq!(read.unwrap().address, "10.0.0.5:8443");
        let read = changed(r#""sslPort":null"#, r#""sslPort":8443"#);
        assert_eq!(read.unwrap().address, "10.0.0.5:8040");
    }

    #[test]
    fn an_instance_that_is_not_up_drains() {
        use Status::{Draining, Up};
        for (from, to, status) in [
            (r#""UP""#, r#""OUT_OF_SERVICE""#, Draining),
            (r#""UP""#, r#""up""#, Up),
            (r#""UP""#, r#""""#, Up),
            (r#""UP""#, "null", Up),
            (r#""name":"shop","id""#, r#""enabled":false,"id""#, Draining),
            (r#""name":"shop","id""#, r#""enabled":true,"id""#, Up),
        ] {
            assert_eq!(changed(from, to).unwrap().status, status, "{to}");
        }
    }

    #[test]
    fn metadata_may_give_a_weight() {
        for weight in ["7", r#""7""#] {
            let metadata = format!(r#""instance_status":"UP","weight":{weight}"#);
            let read = changed(r#""instance_status":"UP""#, &metadata);
            assert_eq!(read.unwrap().weight, 7);
        }
    }

    #[test]
    fn metadata_may_give_a_tier() {
        let metadata = r#""instance_status":"UP","tier":"2""#;
        let read = changed(r#""instance_status":"UP""#, metadata);
        assert_eq!(read.unwrap().tier, 2);
    }

    #[test]
    fn a_payload_may_be_anything() {
        for payload in ["null", r#""text""#, "[1]", "7", r#"{"metadata":null}"#] {
            let data = format!(r#"{{"address":"h","port":80,"payload":{payload}}}"#);
            assert_eq!(parse("i1", data.as_bytes()).unwrap().address, "h:80");
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        for (from, to, expected) in [
            (
                "\"10.0.0.5\"",
                "null",
                r#"found no "address"; expected a host name or an IP address"#,
            ),
            (
                "8040",
                "null",
                r#"found no "port"; expected a number from 1 to 65535"#,
            ),
            (
                r#""name":"shop","id""#,
                r#""enabled":"no","id""#,
                r#"found "enabled": "no"; expected true or false"#,
            ),
            (
                r#""instance_status":"UP""#,
                r#""weight":"heavy""#,
                r#"found "weight": "heavy"; expected a number from 1 to 65535"#,
            ),
        ] {
            assert_eq!(changed(from, to).unwrap_err().to_string(), expected);
        }
    }
}
