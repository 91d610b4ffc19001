//! Parsers of single values: what a flag accepts, and what it says when it does not.

use crate::config::limits::{NAME_BYTES, TRUST_DOMAIN_BYTES};
use std::net::IpAddr;
use std::time::Duration;

/// A duration with its unit, like `500ms`, `10s` or `1m 30s`; zero is allowed.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 500ms, 10s or 2m"))
}

/// A session timeout: one second to one hour. ZooKeeper servers clamp it further (by default to 4 s ..
/// 40 s); below one second the pings alone would be a load, above an hour stale entries would outlive
/// every use.
pub(super) fn session_timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("a session timeout is 1s to 1h".into())
    }
}

/// A limit of time that must leave time to do anything at all.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than zero".into()),
        limit if limit > MAX_DEADLINE => Err("at most one day".into()),
        limit => Ok(limit),
    }
}

/// The name of a node or client in a certificate, which also names the files: as `[node] name`, and not the authority's.
pub(super) fn certified_name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > NAME_BYTES || !text.chars().all(is_allowed) {
        return Err(format!(
            "a name has 1 to {NAME_BYTES} letters, digits, '-', '_' and '.'"
        ));
    }
    match text {
        "ca" => Err("the files of this name are the authority's".into()),
        text if text.chars().all(|c| c == '.') => Err("a name is more than dots".into()),
        text => Ok(text.into()),
    }
}

/// The common name of an authority: anything printable, as long as X.520 has it.
pub(super) fn common_name(text: &str) -> Result<String, String> {
    match (1..=64).contains(&text.len()) && !text.chars().any(char::is_control) {
        true => Ok(text.into()),
        false => Err("a common name has 1 to 64 printable characters".into()),
    }
}

/// A DNS name or an IP address.
pub(super) fn certified_host(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len()) && label.chars().all(is_allowed)
    };
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    match is_name || text.parse::<IpAddr>().is_ok() {
        true => Ok(text.into()),
        false => Err("not a DNS name, and no IP address (without port or brackets)".into()),
    }
}

/// A trust domain, as `[ensemble.tls]` has it.
pub(super) fn trust_domain(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    match (1..=TRUST_DOMAIN_BYTES).contains(&text.len()) && text.chars().all(is_allowed) {
        true => Ok(text.into()),
        false => Err("a trust domain has lower-case letters, digits, '-', '_' and '.'".into()),
    }
}

/// A znode's path, as far as it can be told without a server: absolute, and no empty, `.` or `..` segment.
pub(super) fn path(text: &str) -> Result<String, String> {
    let Some(segments) = text.strip_prefix('/') else {
        return Err("a path starts with '/'".into());
    };
    if text == "/" {
        return Ok(text.into());
    }
    for segment in segments.split('/') {
        match segment {
            "" => return Err("a path has no empty segment and no '/' at its end".into()),
            "." | ".." => return Err("a path has no '.' or '..' segment".into()),
            _ => {}
        }
    }
    Ok(text.into())
}

/// The path of a new znode: like [`path`], but a sequential one may end with '/', because the server
/// appends its number.
pub(super) fn new_path(text: &str) -> Result<String, String> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    if !prefix.is_empty() {
        path(prefix)?;
    }
    if text.is_empty() {
        return Err("a path starts with '/'".into());
    }
    Ok(text.into())
}

/// The name of an instance or service: one segment of a path, as the registry accepts it.
pub(super) fn segment(text: &str) -> Result<String, String> {
    match text {
        "" | "." | ".." => Err("a name is not empty, '.' or '..'".into()),
        _ if text.contains('/') => Err("a name has no '/'".into()),
        _ if text.len() > 255 => Err("a name has at most 255 bytes".into()),
        _ if text.chars().any(char::is_control) => Err("a name has no control characters".into()),
        _ => Ok(text.into()),
    }
}

/// `host:port`.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("write it as HOST:PORT")?;
    let port: u16 = port.parse().map_err(|_| "the port is 1 to 65535")?;
    match host.is_empty() || port == 0 || host.contains(char::is_whitespace) {
        true => Err("write it as HOST:PORT".into()),
        false => Ok(text.into()),
    }
}

/// `name=host:port`.
pub(super) fn member(text: &str) -> Result<(String, String), String> {
    let (name, address) = text.split_once('=').ok_or("write it as NAME=HOST:PORT")?;
    Ok((segment(name)?, host_port(address)?))
}

/// A number of 64 bits in hexadecimal.
pub(super) fn token(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| "a token is up to 16 hexadecimal digits".into())
}

/// Longer waits are not waits of a command line.
const MAX_DEADLINE: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_accepts_only_what_a_server_could_hold() {
        for good in ["/", "/a", "/a/b c", "/services/[::1]:80"] {
            assert_eq!(path(good).as_deref(), Ok(good));
        }
        for bad in ["", "a", "/a/", "//", "/a//b", "/a/./b", "/.."] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn new_path_may_end_with_a_slash() {
        for good in ["/a", "/a/", "/"] {
            assert_eq!(new_path(good).as_deref(), Ok(good));
        }
        for bad in ["", "a", "/a//"] {
            assert!(new_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn segment_is_one_name() {
        assert_eq!(segment("10.0.0.5:80").as_deref(), Ok("10.0.0.5:80"));
        for bad in ["", ".", "..", "a/b", "a\n", &"x".repeat(256)] {
            assert!(segment(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn members_have_names_and_addresses() {
        assert_eq!(member("a=h:1"), Ok(("a".into(), "h:1".into())));
        assert_eq!(member("a=[::1]:1"), Ok(("a".into(), "[::1]:1".into())));
        for bad in ["a", "a=", "=h:1", "a=h", "a=h:0", "a=h:70000", "a=:1"] {
            assert!(member(bad).is_err(), "{bad:?}");
        }
        assert_eq!(token("ff"), Ok(255));
        assert!(token("x").is_err());
    }

    #[test]
    fn durations_need_units_and_sense() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("10").is_err());
        assert!(deadline("0s").is_err());
        assert!(deadline("2d").is_err());
        assert!(session_timeout("999ms").is_err());
        assert!(session_timeout("61m").is_err());
        assert_eq!(session_timeout("4s"), Ok(Duration::from_secs(4)));
    }
}
