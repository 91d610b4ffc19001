//! What version 2 says beyond addresses: a list of types, lengths and values.
//!
//! Types that mean nothing here are kept as they are, for `hash_key` and for the endpoint: cloud load balancers and
//! users have their own (0xE0 to 0xEF).
//!
//! Source: doc/proxy-protocol.txt, sections 2.2.1 to 2.2.8.

/// The most bytes of TLVs, with the addresses before them, that are read of one header.
pub const MAX_TLVS: usize = 8 * 1024;

/// The most bytes of TLVs that are written: those that came in and were kept, and some hundred of our own.
pub(super) const MAX_WRITTEN: usize = MAX_TLVS + 2 * 1024;

/// The type of a TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlvKind(pub u8);

impl TlvKind {
    /// The protocol agreed upon by ALPN.
    pub const ALPN: TlvKind = TlvKind(0x01);
    /// The host name that the client asked for: SNI.
    pub const AUTHORITY: TlvKind = TlvKind(0x02);
    /// A checksum of the header.
    pub const CRC32C: TlvKind = TlvKind(0x03);
    /// Padding.
    pub const NOOP: TlvKind = TlvKind(0x04);
    /// Names the connection.
    pub const UNIQUE_ID: TlvKind = TlvKind(0x05);
    /// What is known of the client's TLS.
    pub const SSL: TlvKind = TlvKind(0x20);
    const SSL_VERSION: TlvKind = TlvKind(0x21);
    const SSL_CN: TlvKind = TlvKind(0x22);
    const SSL_CIPHER: TlvKind = TlvKind(0x23);
}

/// The TLVs of a header, each of which lies within it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs {
    bytes: Box<[u8]>,
}

impl Tlvs {
    /// Takes `bytes` for a list; `None` if it does not end where they do.
    pub(super) fn read(bytes: &[u8]) -> Option<Tlvs> {
        let mut rest = bytes;
        while !rest.is_empty() {
            (_, _, rest) = split(rest)?;
        }
        Some(Tlvs {
            bytes: bytes.into(),
        })
    }

    /// Each, in its order.
    pub fn iter(&self) -> impl Iterator<Item = (TlvKind, &[u8])> {
        let mut rest = &*self.bytes;
        std::iter::from_fn(move || {
            let (kind, value, after) = split(rest)?;
            rest = after;
            Some((kind, value))
        })
    }

    /// The value of the first of that type.
    pub fn find(&self, kind: TlvKind) -> Option<&[u8]> {
        self.find_with_rest(kind).map(|(value, _)| value)
    }

    /// The value of the first of that type, and the bytes behind it.
    pub(super) fn find_with_rest(&self, kind: TlvKind) -> Option<(&[u8], usize)> {
        let mut rest = &*self.bytes;
        while let Some((found, value, after)) = split(rest) {
            if found == kind {
                return Some((value, after.len()));
            }
            rest = after;
        }
        None
    }
}

/// The first TLV of `bytes`, and what follows it.
fn split(bytes: &[u8]) -> Option<(TlvKind, &[u8], &[u8])> {
    let ([kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (value, rest) = rest.split_at_checked(length)?;
    Some((TlvKind(*kind), value, rest))
}

/// Whether a client has shown a certificate, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificateSeen {
    /// It has not.
    Never,
    /// On an earlier connection, which this one resumes.
    Earlier,
    /// On this connection.
    Now,
}

/// What an endpoint is told of the TLS that was ended here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SslTlv<'a> {
    /// The version, as "TLSv1.3".
    pub version: &'a str,
    /// The cipher suite's name.
    pub cipher: &'a str,
    /// The client's certificate, which was found valid.
    pub certificate: ClientCertificateSeen,
    /// The common name in it.
    pub common_name: Option<&'a str>,
}

/// TLVs to be written.
#[derive(Clone, Debug, Default)]
pub struct TlvWriter {
    bytes: Vec<u8>,
}

impl TlvWriter {
    /// Adds one. One for which there is no room is left out, since the endpoint could not read the header then.
    pub fn push(&mut self, kind: TlvKind, value: &[u8]) {
        if let Ok(length) = u16::try_from(value.len())
            && self.bytes.len() + 3 + value.len() <= MAX_WRITTEN
        {
            self.bytes.push(kind.0);
            self.bytes.extend(length.to_be_bytes());
            self.bytes.extend(value);
        }
    }

    /// Adds what is known of the client's TLS.
    ///
    /// ```text
    /// 1  client: 1 over TLS | 2 certificate on this connection | 4 certificate in this session
    /// 4  verify: 0 if the certificate was found valid, which it was if there is one
    /// n  TLVs of its own
    /// ```
    pub fn push_ssl(&mut self, ssl: &SslTlv<'_>) {
        let (client, verify) = match ssl.certificate {
            ClientCertificateSeen::Never => (0b001, 1u32),
            ClientCertificateSeen::Earlier => (0b101, 0),
            ClientCertificateSeen::Now => (0b111, 0),
        };
        let mut inner = TlvWriter::default();
        inner.push(TlvKind::SSL_VERSION, ssl.version.as_bytes());
        if let Some(name) = ssl.common_name {
            inner.push(TlvKind::SSL_CN, name.as_bytes());
        }
        inner.push(TlvKind::SSL_CIPHER, ssl.cipher.as_bytes());
        let mut value = vec![client];
        value.extend(verify.to_be_bytes());
        value.extend(&inner.bytes);
        self.push(TlvKind::SSL, &value);
    }

    /// All of them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
