//! Hosts and ports as registrations write them.
//!
//! Source: RFC 1123 section 2.1 (names may begin with digits), RFC 3986 section 3.2.2 (IPv6 in brackets). The
//! underscore is allowed as container runtimes name hosts with it. A name whose last label is a number must be
//! an IPv4 address (WHATWG URL, "ends in a number checker"), so that `10.0.0.300` is no name.

use super::PayloadError;
use super::error::quoted;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest host name, in bytes, without the root's dot (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

/// Longest label of a name, in bytes (same source).
const MAX_LABEL: usize = 63;

/// Reads `host:port`.
///
/// # Errors
/// [`PayloadError::NoPort`], [`PayloadError::Host`] or [`PayloadError::Port`].
pub(super) fn parse(text: &str) -> Result<String, PayloadError> {
    let (host, port) = text
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
        .ok_or_else(|| PayloadError::NoPort(quoted(text)))?;
    // Without its brackets an IPv6 address runs into the port, and nobody can tell where.
    if host.contains(':') && !host.starts_with('[') {
        return Err(PayloadError::Host(quoted(host)));
    }
    join(host, parse_port(port)?)
}

/// `host:port` of a host, which may be an IPv6 address with or without brackets, and a port.
///
/// # Errors
/// [`PayloadError::Host`].
pub(super) fn join(host: &str, port: u16) -> Result<String, PayloadError> {
    let refused = || PayloadError::Host(quoted(host));
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    match inside.unwrap_or(host).parse::<Ipv6Addr>() {
        // Nobody can be reached at the unspecified address; on Linux it would be this node.
        Ok(address) if address.is_unspecified() => Err(refused()),
        Ok(address) => Ok(format!("[{address}]:{port}")),
        Err(_) if inside.is_none() && is_name_or_v4(host) => Ok(format!("{host}:{port}")),
        Err(_) => Err(refused()),
    }
}

fn parse_port(text: &str) -> Result<u16, PayloadError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(PayloadError::Port(quoted(text))),
    }
}

fn is_name_or_v4(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| !address.is_unspecified());
    }
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        let long_label = "a".repeat(64);
        let long_name = ["abcdefg"; 32].join(".");
        for (text, expected) in [
            ("10.0.0.5:8080", Some("10.0.0.5:8080")),
            ("web-1.internal:80", Some("web-1.internal:80")),
            ("web-1.internal.:80", Some("web-1.internal.:80")),
            ("my_container:80", Some("my_container:80")),
            ("1st.example:80", Some("1st.example:80")),
            ("localhost:1", Some("localhost:1")),
            ("[::1]:65535", Some("[::1]:65535")),
            ("[2001:DB8:0:0::1]:80", Some("[2001:db8::1]:80")),
            ("::1:80", None),
            ("[::1]", None),
            ("[::1:80", None),
            ("[10.0.0.5]:80", None),
            ("[::]:80", None),
            ("0.0.0.0:80", None),
            ("10.0.0.300:80", None),
            ("10.0.0.5.:80", None),
            ("10.0.0.5", None),
            ("10.0.0.5:", None),
            ("10.0.0.5:0", None),
            ("10.0.0.5:65536", None),
            ("10.0.0.5:+80", None),
            ("10.0.0.5:80x", None),
            (":80", None),
            ("-web:80", None),
            ("we b:80", None),
            ("a..b:80", None),
            ("http://h:80", None),
            (&format!("{long_label}.example:80"), None),
            (&format!("{long_name}:80"), None),
        ] {
            assert_eq!(parse(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_host_apart_from_its_port_needs_no_brackets() {
        assert_eq!(join("fe80::1", 80).unwrap(), "[fe80::1]:80");
        assert_eq!(join("[fe80::1]", 80).unwrap(), "[fe80::1]:80");
        assert_eq!(join("web", 80).unwrap(), "web:80");
        assert!(join("web:80", 80).is_err());
    }
}
