//! Our own form: a JSON object of `address` and `port`, and, if wanted, more.
//!
//! | key | value |
//! |---|---|
//! | `address` | host name, IPv4 or IPv6 address |
//! | `port` | 1 to 65,535 |
//! | `weight` | 1 to 65,535; default 1 |
//! | `status` | `up` (default) or `draining`: finishes what it has, gets nothing new |
//! | `tier` | 0 to 255; default 0. Higher ones stand by for lower ones |
//! | `zone`, `proto`, `tags` | kept in the tree for other readers; routing does not use them |
//!
//! Unknown keys are tolerated: instances are newer or older than the node that reads them.

use super::fields::{Fields, refused};
use super::{PayloadError, Registration, Status};
use serde_json::Value;

pub(super) fn parse(fields: &Fields<'_>) -> Result<Registration, PayloadError> {
    Ok(Registration {
        address: fields.address("address", "port", fields.port("port")?)?,
        weight: fields.weight("weight")?,
        tier: fields.tier("tier")?,
        status: status(fields.value("status"))?,
    })
}

fn status(status: Option<&Value>) -> Result<Status, PayloadError> {
    let Some(status) = status else {
        return Ok(Status::Up);
    };
    match status.as_str() {
        Some(up) if up.eq_ignore_ascii_case("up") => Ok(Status::Up),
        Some(draining) if draining.eq_ignore_ascii_case("draining") => Ok(Status::Draining),
        _ => Err(refused("status", status, r#""up" or "draining""#)),
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::payload::{Registration, Status, parse};

    /// As the manual shows it.
    const EXAMPLE: &str = r#"{"address":"10.0.0.5","port":8080,"weight":100,"zone":"a","tier":0,
        "status":"up","proto":"h2c","tags":{"version":"7"}}"#;

    fn reason(data: &str) -> String {
        parse("i1", data.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_example_is_read() {
        let expected = Registration {
            address: "10.0.0.5:8080".into(),
            weight: 100,
            tier: 0,
            status: Status::Up,
        };
        assert_eq!(parse("i1", EXAMPLE.as_bytes()), Ok(expected));
    }

    #[test]
    fn address_and_port_are_enough() {
        for (data, address) in [
            (r#"{"address":"web-1","port":80}"#, "web-1:80"),
            (r#"{"port":80,"address":"::1"}"#, "[::1]:80"),
            (r#"{"port":80,"address":"[::1]","weight":null}"#, "[::1]:80"),
            (r#"{"port":80,"address":"h","future":[1,{}]}"#, "h:80"),
        ] {
            let expected = Registration {
                address: address.into(),
                weight: 1,
                tier: 0,
                status: Status::Up,
            };
            assert_eq!(parse("i1", data.as_bytes()), Ok(expected), "{data}");
        }
    }

    #[test]
    fn a_tier_is_read_as_a_number_or_as_text() {
        for (tier, expected) in [("3", 3), ("\"255\"", 255), ("null", 0)] {
            let data = EXAMPLE.replace("\"tier\":0", &format!("\"tier\":{tier}"));
            assert_eq!(parse("i1", data.as_bytes()).unwrap().tier, expected);
        }
        let reason = reason(&EXAMPLE.replace("\"tier\":0", "\"tier\":256"));
        assert_eq!(
            reason,
            r#"found "tier": 256; expected a number from 0 to 255"#
        );
    }

    #[test]
    fn status_draining_drains() {
        let data = EXAMPLE.replace("\"up\"", "\"draining\"");
        let read = parse("i1", data.as_bytes()).unwrap();
        assert_eq!(read.status, Status::Draining);
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (data, expected) in [
            (
                r#"{"address":"h"}"#,
                r#"found no "port"; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":"80"}"#,
                r#"found "port": "80"; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":0}"#,
                r#"found "port": 0; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":65536}"#,
                r#"found "port": 65536; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":-1}"#,
                r#"found "port": -1; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":80.5}"#,
                r#"found "port": 80.5; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":5,"port":80}"#,
                r#"found "address": 5; expected a text"#,
            ),
            (
                r#"{"address":"","port":80}"#,
                r#"found the host ""; expected a name, an IPv4 address or an IPv6 address in brackets"#,
            ),
            (
                r#"{"address":"h","port":80,"weight":0}"#,
                r#"found "weight": 0; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":80,"weight":65536}"#,
                r#"found "weight": 65536; expected a number from 1 to 65535"#,
            ),
            (
                r#"{"address":"h","port":80,"status":"down"}"#,
                r#"found "status": "down"; expected "up" or "draining""#,
            ),
        ] {
            assert_eq!(reason(data), expected);
        }
    }
}
