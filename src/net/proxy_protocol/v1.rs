//! Version 1: one line of text.
//!
//! Every field is separated by exactly one space, ports have no sign and no leading zero, addresses are of the family
//! that is named. After `UNKNOWN` anything may stand up to the end of the line, and is ignored.
//!
//! Source: doc/proxy-protocol.txt, section 2.1.

use super::{Addresses, Malformed, Parsed, ProxyHeader, Tlvs};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest line with its end, in bytes: two IPv6 addresses written in full, as the specification counts.
pub(super) const MAX_LINE: usize = 107;

const BEGIN: &[u8] = b"PROXY ";

/// What is said where no addresses are known.
pub(super) const UNKNOWN_LINE: &[u8] = b"PROXY UNKNOWN\r\n";

/// Reads a header of version 1.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let begun = bytes.len().min(BEGIN.len());
    if bytes[..begun] != BEGIN[..begun] {
        return Err(Malformed::Signature);
    }
    let within = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return match within.len() {
            MAX_LINE => Err(Malformed::LineTooLong),
            _ => Ok(Parsed::Partial),
        };
    };
    let line = within[..end]
        .strip_suffix(b"\r")
        .and_then(|line| line.strip_prefix(BEGIN))
        .ok_or(Malformed::Line)?;
    Ok(Parsed::Whole {
        header: ProxyHeader {
            addresses: addresses(line).ok_or(Malformed::Line)?,
            tlvs: Tlvs::default(),
        },
        length: end + 1,
    })
}

/// The addresses in what follows `PROXY `; the outer `None` says that the line is wrong.
fn addresses(line: &[u8]) -> Option<Option<Addresses>> {
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let mut fields = std::str::from_utf8(line).ok()?.split(' ');
    let parse: fn(&str) -> Option<IpAddr> = match fields.next()? {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let (source, destination) = (parse(fields.next()?)?, parse(fields.next()?)?);
    let (from, to) = (port(fields.next()?)?, port(fields.next()?)?);
    match fields.next() {
        Some(_) => None,
        None => Some(Some(Addresses {
            source: SocketAddr::new(source, from),
            destination: SocketAddr::new(destination, to),
        })),
    }
}

fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || !text.starts_with(['0', '+']);
    is_plain.then(|| text.parse().ok())?
}

/// The line for `addresses`.
pub(super) fn written(addresses: &Addresses) -> Vec<u8> {
    let Addresses {
        source,
        destination,
    } = addresses;
    let family = match (source.ip(), destination.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
        (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
        _ => return UNKNOWN_LINE.to_vec(),
    };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}
