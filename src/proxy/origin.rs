//! What is known of a client before its first byte: where it comes from, and what it or the proxy in front said.

use crate::config::SendProxy;
use crate::net::Secured;
use crate::net::proxy_protocol::{self, Addresses, SslTlv, TlvKind, TlvWriter, Tlvs};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// What is known of a client before its first byte.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Where it comes from: what the PROXY header says, if there is one with an address, else its socket.
    pub client: SocketAddr,
    /// Where it connected to, once somebody wants to know: see [`Origin::locate`].
    pub destination: Option<SocketAddr>,
    /// What else the PROXY header said.
    pub tlvs: Tlvs,
    /// The host name that it asks for in its ClientHello, lower case.
    pub sni: Option<Box<str>>,
    /// What was agreed upon where its TLS is ended here.
    pub secured: Option<Box<Secured>>,
}

impl Origin {
    /// A client of whom nothing is known but the other end of the connection.
    pub fn of(client: SocketAddr) -> Origin {
        Origin {
            client,
            destination: None,
            tlvs: Tlvs::default(),
            sni: None,
            secured: None,
        }
    }

    /// Finds out where it connected to, which costs a system call if no PROXY header has said so.
    pub fn locate(&mut self, stream: &TcpStream) {
        if self.destination.is_none() {
            self.destination = stream.local_addr().ok().map(canonical);
        }
    }

    /// What an endpoint is to be told before the client's first byte; nothing with [`SendProxy::Off`].
    pub fn announcement(&self, version: SendProxy) -> Vec<u8> {
        // Only a socket that is gone already has no address.
        let addresses = self.destination.map(|destination| Addresses {
            source: self.client,
            destination,
        });
        match (version, addresses) {
            (SendProxy::Off, _) => Vec::new(),
            (SendProxy::V1, Some(addresses)) => proxy_protocol::v1(&addresses),
            (SendProxy::V2, Some(addresses)) => {
                proxy_protocol::v2(&addresses, &self.tlvs_onwards())
            }
            (SendProxy::V1, None) => proxy_protocol::v1_unknown(),
            (SendProxy::V2, None) => proxy_protocol::v2_local(),
        }
    }

    /// What is known of the client, and what came with it and still holds on the next connection.
    fn tlvs_onwards(&self) -> TlvWriter {
        let mut onwards = TlvWriter::default();
        if let Some(name) = &self.sni {
            onwards.push(TlvKind::AUTHORITY, name.as_bytes());
        }
        if let Some(secured) = &self.secured {
            if let Some(alpn) = &secured.alpn {
                onwards.push(TlvKind::ALPN, alpn);
            }
            onwards.push_ssl(&SslTlv {
                version: secured.version,
                cipher: &secured.cipher,
                certificate: secured.certificate,
                common_name: secured.common_name.as_deref(),
            });
        }
        for (kind, value) in self.tlvs.iter() {
            let is_over = match kind {
                // What we have seen ourselves counts.
                TlvKind::AUTHORITY => self.sni.is_some() || self.secured.is_some(),
                TlvKind::ALPN | TlvKind::SSL => self.secured.is_some(),
                // These say something of the header they are in.
                TlvKind::CRC32C | TlvKind::NOOP => true,
                _ => false,
            };
            if !is_over {
                onwards.push(kind, value);
            }
        }
        onwards
    }
}

/// An IPv4 address that a socket of both families has written as one of IPv6, as what it is.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
