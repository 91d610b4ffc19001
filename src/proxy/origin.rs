//! What is known of a client before its first byte: where it comes from, and what it or the proxy in front said.

use crate::config::SendProxy;
use crate::net::proxy_protocol::{self, Addresses, TlvKind, TlvWriter, Tlvs};
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
}

impl Origin {
    /// A client of whom nothing is known but the other end of the connection.
    pub fn of(client: SocketAddr) -> Origin {
        Origin {
            client,
            destination: None,
            tlvs: Tlvs::default(),
            sni: None,
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
        for (kind, value) in self.tlvs.iter() {
            let is_ours = kind == TlvKind::AUTHORITY && self.sni.is_some();
            // These say something of the header they are in.
            let is_over = kind == TlvKind::CRC32C || kind == TlvKind::NOOP;
            if !is_ours && !is_over {
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
