//! The bytes of the PROXY protocol, versions 1 and 2: what a proxy in front of us says about its client, and what we
//! say to endpoints about ours. Pure: bytes in, bytes out.
//!
//! ```text
//! v1   "PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n"                                    at most 107 bytes
//! v2   12 signature | version, command | family, transport | length (2) | addresses | TLVs    at most 16 + 8,192
//! ```
//! A header decides who a client is, so nothing in it is guessed: one byte that the specification does not allow, and
//! the whole header is refused. That is why the bytes are read here: of the crates that read them, `proxy-header` 0.1
//! takes any byte for the space after `PROXY`, `+80` for a port and lines of any length, `proxyproto` 0.2 takes blanks
//! before and tabs within a line, and `ppp` 2.3 and `proxy-protocol` 0.5 have not moved since `thiserror` 1 and `snafu`
//! 0.6; none verifies the checksum.
//!
//! Source: HAProxy, doc/proxy-protocol.txt: sections 2.1 (version 1), 2.2 (version 2), 2.2.1 to 2.2.8 (TLVs).

mod tlv;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

pub use tlv::{ClientCertificateSeen, MAX_TLVS, SslTlv, TlvKind, TlvWriter, Tlvs};

use std::net::SocketAddr;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Who connected.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
}

/// What a header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The ends of the proxied connection; `None` where the connection itself is meant, or where they have no IP
    /// addresses: `LOCAL`, `UNKNOWN`, unspecified and Unix sockets.
    pub addresses: Option<Addresses>,
    /// What else is said; nothing in version 1 and with `LOCAL`.
    pub tlvs: Tlvs,
}

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, and nothing else.
    Partial,
    /// A header, and perhaps more behind it.
    Whole {
        /// What it says.
        header: ProxyHeader,
        /// Its bytes; what follows belongs to the stream.
        length: usize,
    },
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They begin like neither version.
    #[error("there is no PROXY header")]
    Signature,
    /// Version 1: no end of the line within the longest that there is.
    #[error("the line is longer than {} bytes", v1::MAX_LINE)]
    LineTooLong,
    /// Version 1: the line is not as it must be.
    #[error(
        "the line is not \"PROXY TCP4|TCP6 source destination port port\" or \"PROXY UNKNOWN\""
    )]
    Line,
    /// Version 2: another version behind its signature.
    #[error("the version is not 2")]
    Version,
    /// Version 2: neither LOCAL nor PROXY.
    #[error("the command is neither LOCAL nor PROXY")]
    Command,
    /// Version 2: a family or transport that does not exist, or that no stream has.
    #[error("the address family or transport is none that a stream has")]
    Family,
    /// Version 2: longer than is read.
    #[error("the header is longer than {} bytes", v2::MAX_LENGTH)]
    TooLong,
    /// Version 2: no room for the addresses of its family.
    #[error("the length leaves no room for the addresses")]
    Length,
    /// Version 2: a TLV reaches past the end of the header.
    #[error("a TLV reaches past the end of the header")]
    Tlv,
    /// Version 2: its own checksum says that it is damaged.
    #[error("the checksum is wrong")]
    Checksum,
}

/// Reads the header that `bytes` begin with.
///
/// # Errors
/// [`Malformed`], as soon as no further byte could make a header of them.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    match bytes.first() {
        None => Ok(Parsed::Partial),
        Some(b'P') => v1::parse(bytes),
        Some(_) => v2::parse(bytes),
    }
}

/// The line of version 1 for `addresses`; says that they are unknown if they are of two families.
pub fn v1(addresses: &Addresses) -> Vec<u8> {
    v1::written(addresses)
}

/// The header of version 2 for `addresses`, with `tlvs`.
pub fn v2(addresses: &Addresses, tlvs: &TlvWriter) -> Vec<u8> {
    v2::written(addresses, tlvs)
}

/// The header of a connection that this node makes on its own account, as a probe does: `LOCAL`.
pub fn v2_local() -> Vec<u8> {
    v2::local()
}

/// The same in version 1: `UNKNOWN`.
pub fn v1_unknown() -> Vec<u8> {
    v1::UNKNOWN_LINE.to_vec()
}
