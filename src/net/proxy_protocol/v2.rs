//! Version 2: a binary header that says how long it is.
//!
//! ```text
//!  0  12  0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a
//! 12   1  version 2 in the high half; command in the low one: 0 LOCAL, 1 PROXY
//! 13   1  family in the high half: 0 none, 1 IPv4, 2 IPv6, 3 Unix; transport in the low one: 0 none, 1 stream
//! 14   2  length of what follows
//! 16   n  addresses, 12 bytes (IPv4), 36 (IPv6) or 216 (Unix); then TLVs
//! ```
//! With `LOCAL` all that follows is ignored, the family included, and so it is without a family. Datagrams (transport 2)
//! do not come on streams, and halves that do not belong together do not exist: both are refused.
//!
//! Source: doc/proxy-protocol.txt, section 2.2; 2.2.3 for the checksum.

use super::tlv::{self, TlvKind, TlvWriter, Tlvs};
use super::{Addresses, Malformed, Parsed, ProxyHeader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes before the addresses.
const FIXED: usize = 16;

/// The longest header that is read, in bytes. Real ones have some hundred; those with a client's certificate a few
/// thousand. It is held until the connection is made, so raising it lets each client in its greeting hold more.
pub(super) const MAX_LENGTH: usize = FIXED + super::MAX_TLVS;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
const UNIX_ADDRESSES: usize = 2 * 108;

/// Reads a header of version 2.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let begun = bytes.len().min(SIGNATURE.len());
    if bytes[..begun] != SIGNATURE[..begun] {
        return Err(Malformed::Signature);
    }
    let command = bytes.get(12).copied();
    match command {
        None | Some(LOCAL | PROXY) => {}
        Some(other) if other >> 4 != 2 => return Err(Malformed::Version),
        Some(_) => return Err(Malformed::Command),
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Ok(Parsed::Partial);
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + length > MAX_LENGTH {
        return Err(Malformed::TooLong);
    }
    let addresses = match (command, fixed[13]) {
        (Some(LOCAL), _) | (_, UNSPECIFIED) => None,
        (_, TCP4) => Some(12),
        (_, TCP6) => Some(36),
        (_, UNIX_STREAM) => Some(UNIX_ADDRESSES),
        _ => return Err(Malformed::Family),
    };
    if addresses.is_some_and(|addresses| length < addresses) {
        return Err(Malformed::Length);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(Parsed::Partial);
    };
    let header = match addresses {
        None => ProxyHeader::default(),
        Some(addresses) => {
            let (addresses, tlvs) = body.split_at(addresses);
            let tlvs = Tlvs::read(tlvs).ok_or(Malformed::Tlv)?;
            verify(&bytes[..FIXED + length], &tlvs)?;
            ProxyHeader {
                addresses: addresses_of(addresses),
                tlvs,
            }
        }
    };
    let length = FIXED + length;
    Ok(Parsed::Whole { header, length })
}

/// The addresses in 12 or 36 bytes; none in any other number.
fn addresses_of(bytes: &[u8]) -> Option<Addresses> {
    if let Ok(bytes) = <&[u8; 12]>::try_from(bytes) {
        let ip = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        return Some(ends(ip(0).into(), ip(4).into(), &bytes[8..]));
    }
    let bytes = <&[u8; 36]>::try_from(bytes).ok()?;
    let ip = |at: usize| <[u8; 16]>::try_from(&bytes[at..at + 16]).map(Ipv6Addr::from);
    Some(ends(ip(0).ok()?.into(), ip(16).ok()?.into(), &bytes[32..]))
}

/// Two addresses, and their ports in four bytes.
fn ends(source: IpAddr, destination: IpAddr, ports: &[u8]) -> Addresses {
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Addresses {
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
    }
}

/// A checksum that is there must be right; it is computed with zeros in its own place.
fn verify(header: &[u8], tlvs: &Tlvs) -> Result<(), Malformed> {
    let Some((value, after)) = tlvs.find_with_rest(TlvKind::CRC32C) else {
        return Ok(());
    };
    let claimed = <[u8; 4]>::try_from(value).map_err(|_| Malformed::Checksum)?;
    // The list ends where the header does.
    let at = header.len() - after - claimed.len();
    let sum = crc32c::crc32c(&header[..at]);
    let sum = crc32c::crc32c_append(sum, &[0; 4]);
    let sum = crc32c::crc32c_append(sum, &header[at + 4..]);
    match sum == u32::from_be_bytes(claimed) {
        true => Ok(()),
        false => Err(Malformed::Checksum),
    }
}

/// The header for `addresses`. Two families become one, as IPv4 addresses have a place among those of IPv6.
pub(super) fn written(addresses: &Addresses, tlvs: &TlvWriter) -> Vec<u8> {
    let (from, to) = (addresses.source, addresses.destination);
    let mut body = Vec::with_capacity(36 + tlvs.bytes().len());
    let family = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            body.extend(from.octets());
            body.extend(to.octets());
            TCP4
        }
        (from, to) => {
            for ip in [from, to] {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                body.extend(ip.octets());
            }
            TCP6
        }
    };
    body.extend(from.port().to_be_bytes());
    body.extend(to.port().to_be_bytes());
    body.extend(tlvs.bytes());
    header(PROXY, family, &body)
}

/// The header without addresses.
pub(super) fn local() -> Vec<u8> {
    header(LOCAL, UNSPECIFIED, &[])
}

fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    const { assert!(36 + tlv::MAX_WRITTEN <= u16::MAX as usize) };
    let length = u16::try_from(body.len()).expect("the writer bounds TLVs");
    let mut header = Vec::with_capacity(FIXED + body.len());
    header.extend(SIGNATURE);
    header.extend([command, family]);
    header.extend(length.to_be_bytes());
    header.extend(body);
    header
}
