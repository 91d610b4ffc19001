//! A member of a ServerSet: what Finagle's servers and Aurora's executors register.
//!
//! `serviceEndpoint` says where it is. `status` has more words than the others: `ALIVE` serves, `STARTING` does not
//! yet, `STOPPING` finishes what it has, `DEAD` and `STOPPED` are over. `WARNING` is one that works and complains;
//! Finagle's clients use none but the living, so it gets nothing new here either, and nothing of it is cut off.
//! `additionalEndpoints` and `shard` are for other readers.
//!
//! Source: Finagle `com.twitter.finagle.serverset2.Entry`; twitter commons `endpoint.thrift`, `Status`.

use super::fields::{Fields, refused};
use super::{PayloadError, Registration, Status};

const STATUS: &str = "ALIVE, STARTING, STOPPING, STOPPED, WARNING or DEAD";

/// Whether an object is in this form.
pub(super) fn recognises(fields: &Fields<'_>) -> bool {
    fields.has("serviceEndpoint")
}

pub(super) fn parse(fields: &Fields<'_>) -> Result<Registration, PayloadError> {
    let endpoint = fields
        .object("serviceEndpoint")
        .ok_or(PayloadError::Missing {
            key: "serviceEndpoint",
            expected: "an object with \"host\" and \"port\"",
        })?;
    Ok(Registration {
        address: endpoint.address("host", "port", endpoint.port("port")?)?,
        weight: 1,
        tier: 0,
        status: status(fields)?,
    })
}

fn status(fields: &Fields<'_>) -> Result<Status, PayloadError> {
    let Some(value) = fields.value("status") else {
        return Ok(Status::Up);
    };
    match value.as_str().map(str::to_ascii_uppercase).as_deref() {
        Some("ALIVE") => Ok(Status::Up),
        Some("STOPPING" | "WARNING") => Ok(Status::Draining),
        Some("STARTING") => Ok(Status::Starting),
        Some("STOPPED" | "DEAD") => Ok(Status::Stopped),
        _ => Err(refused("status", value, STATUS)),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::payload::{PayloadError, Registration, Status, parse};

    /// As Finagle's tests have it.
    const EXAMPLE: &str = r#"{"status":"ALIVE","additionalEndpoints":{"http":{"host":"10.0.0.2","port":80}},
        "serviceEndpoint":{"host":"10.0.0.3","port":81},"shard":0}"#;

    fn changed(from: &str, to: &str) -> Result<Registration, PayloadError> {
        assert!(EXAMPLE.contains(from), "{from} is in the example");
        parse("member_0000000007", EXAMPLE.replace(from, to).as_bytes())
    }

    #[test]
    fn the_example_is_read() {
        let expected = Registration {
            address: "10.0.0.3:81".into(),
            weight: 1,
            tier: 0,
            status: Status::Up,
        };
        assert_eq!(parse("member_0000000007", EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn each_status_has_its_meaning() {
        for (word, status) in [
            (r#""ALIVE""#, Status::Up),
            (r#""alive""#, Status::Up),
            ("null", Status::Up),
            (r#""STARTING""#, Status::Starting),
            (r#""STOPPING""#, Status::Draining),
            (r#""WARNING""#, Status::Draining),
            (r#""STOPPED""#, Status::Stopped),
            (r#""DEAD""#, Status::Stopped),
        ] {
            let read = changed(r#""ALIVE""#, word);
            assert_eq!(read.unwrap().status, status, "{word}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused_by_name() {
        for (from, to, expected) in [
            (
                r#""ALIVE""#,
                r#""UP""#,
                r#"found "status": "UP"; expected ALIVE, STARTING, STOPPING, STOPPED, WARNING or DEAD"#,
            ),
            (
                r#"{"host":"10.0.0.3","port":81}"#,
                "[]",
                r#"found no "serviceEndpoint"; expected an object with "host" and "port""#,
            ),
            (
                r#","port":81"#,
                "",
                r#"found no "port"; expected a number from 1 to 65535"#,
            ),
            (
                r#""10.0.0.3""#,
                "null",
                r#"found no "host"; expected a host name or an IP address"#,
            ),
        ] {
            assert_eq!(changed(from, to).unwrap_err().to_string(), expected);
        }
    }
}
