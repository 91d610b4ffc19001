//! A connection to an endpoint within one deadline.

use super::source::Sources;
use crate::net::{SocketOptions, is_out_of_descriptors};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Addresses of one host name that are tried in turn; a name with more is used in part. Raising it only matters
/// when that many addresses of one name are dead at once, all within one connect timeout.
const MAX_ADDRESSES: usize = 8;

/// Why there is no connection to an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host name has no address, or the address is not `host:port`.
    #[error("{address} does not resolve to an address")]
    Unresolved {
        /// What was to be resolved.
        address: String,
        /// The resolver's answer; absent when it gave an empty list.
        #[source]
        source: Option<io::Error>,
    },
    /// Nobody listens there.
    #[error("{address} refuses connections")]
    Refused {
        /// The endpoint's address.
        address: String,
    },
    /// No route, no such network, or the attempt was cut short.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// The endpoint's address.
        address: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("{address} does not answer within {timeout:?}")]
    TimedOut {
        /// The endpoint's address.
        address: String,
        /// The time it was given.
        timeout: Duration,
    },
    /// Every local port towards this address is taken, from each source address there is.
    #[error("no source port is left towards {address}")]
    PortsExhausted {
        /// The endpoint's address.
        address: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// No connection can come from a source address that is set: this machine has lost it.
    #[error("no connection to {address} can come from {source_address}")]
    SourceLost {
        /// The endpoint's address.
        address: String,
        /// The source address, the last one if there are several.
        source_address: IpAddr,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// This node has no descriptor or memory left for another connection.
    #[error("no resources left to connect to {address}")]
    Exhausted {
        /// The endpoint's address.
        address: String,
        /// Which resource.
        #[source]
        source: io::Error,
    },
}

/// Makes connections to endpoints. One per worker: it counts which source address is next.
#[derive(Debug, Default)]
pub struct Dialer {
    sources: Sources,
}

impl Dialer {
    /// A dialler whose connections come from `sources` in turn, as far as an endpoint's family of addresses has any;
    /// otherwise the kernel decides.
    pub fn new(sources: &[IpAddr]) -> Dialer {
        let sources = Sources::new(sources);
        Dialer { sources }
    }

    /// Connects to `address` (`host:port`; a bracketed IPv6 address, an IPv4 address or a name) within `within`,
    /// which covers resolving the name and every address it has. Small writes leave at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// [`DialError`]; of several addresses, the last one's.
    ///
    /// # Cancel safety
    /// Dropping the future closes the attempt.
    pub async fn dial(
        &self,
        address: &str,
        within: Duration,
        options: &SocketOptions,
    ) -> Result<TcpStream, DialError> {
        match timeout(within, self.connect(address, options)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::TimedOut {
                address: address.into(),
                timeout: within,
            }),
        }
    }

    async fn connect(
        &self,
        address: &str,
        options: &SocketOptions,
    ) -> Result<TcpStream, DialError> {
        if let Ok(addr) = address.parse::<SocketAddr>() {
            let connected = self.sources.connect(addr, options).await;
            return connected.map_err(|failure| failure.towards(address));
        }
        let unresolved = |source| DialError::Unresolved {
            address: address.into(),
            source,
        };
        // Boxed: names are rare, and the resolver's state would be carried along by every connection.
        let resolved = Box::pin(lookup_host(address))
            .await
            .map_err(|e| unresolved(Some(e)))?;
        let mut failure = unresolved(None);
        for addr in resolved.take(MAX_ADDRESSES) {
            match self.sources.connect(addr, options).await {
                Ok(stream) => return Ok(stream),
                Err(e) => failure = e.towards(address),
            }
        }
        Err(failure)
    }
}

/// Why a connection could not be made, before anybody says to where.
pub(super) enum Failure {
    /// The kernel refused to connect.
    Connect(io::Error),
    /// This machine does not have the source address.
    Source(IpAddr, io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Connect(error)
    }
}

impl Failure {
    fn towards(self, address: &str) -> DialError {
        let address = address.into();
        let source = match self {
            Failure::Connect(source) => source,
            Failure::Source(source_address, source) => {
                return DialError::SourceLost {
                    address,
                    source_address,
                    source,
                };
            }
        };
        match source.kind() {
            io::ErrorKind::ConnectionRefused => DialError::Refused { address },
            io::ErrorKind::AddrNotAvailable => DialError::PortsExhausted { address, source },
            io::ErrorKind::OutOfMemory => DialError::Exhausted { address, source },
            _ if is_out_of_descriptors(&source) => DialError::Exhausted { address, source },
            _ => DialError::Unreachable { address, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Probes;
    use socket2::SockRef;
    use tokio::net::TcpListener;

    const SECOND: Duration = Duration::from_secs(1);

    async fn dial(address: &str, within: Duration) -> Result<TcpStream, DialError> {
        let options = SocketOptions::default();
        Dialer::default().dial(address, within, &options).await
    }

    #[tokio::test]
    async fn dial_reaches_addresses_and_names() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let stream = dial(&format!("{host}:{port}"), SECOND).await.unwrap();
            assert!(stream.nodelay().unwrap());
        }
    }

    #[tokio::test]
    async fn dial_says_what_is_wrong() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = listener.local_addr().unwrap().to_string();
        drop(listener);
        let refused = dial(&closed, SECOND).await.unwrap_err();
        assert!(matches!(refused, DialError::Refused { .. }), "{refused}");
        let unresolved = dial("no-port", SECOND).await.unwrap_err();
        assert!(
            matches!(unresolved, DialError::Unresolved { .. }),
            "{unresolved}"
        );
        let late = dial(&closed, Duration::ZERO).await;
        assert!(late.is_err());
    }

    #[tokio::test]
    async fn options_are_set_on_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let options = SocketOptions {
            keepalive: Some(Probes {
                idle: SECOND * 30,
                interval: SECOND * 2,
                count: 4,
            }),
            ..SocketOptions::default()
        };
        let stream = Dialer::default().dial(&addr, SECOND, &options).await;
        let stream = stream.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), SECOND * 30);
    }

    /// 192.0.2.0/24 is for documentation: no machine has an address of it.
    #[tokio::test]
    async fn sources_take_turns_and_a_lost_one_is_passed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let sources = ["127.0.0.2", "192.0.2.1", "127.0.0.3"];
        let dialer = Dialer::new(&sources.map(|source| source.parse().unwrap()));
        let mut seen = Vec::new();
        for _ in 0..6 {
            let options = SocketOptions::default();
            let stream = dialer.dial(&addr, SECOND, &options).await.unwrap();
            seen.push(stream.local_addr().unwrap().ip().to_string());
        }
        let (two, three) = ("127.0.0.2", "127.0.0.3");
        assert_eq!(seen, [two, three, three, two, three, three]);
    }

    #[tokio::test]
    async fn a_source_that_this_machine_lacks_is_named() {
        let lost = "192.0.2.1".parse().unwrap();
        let dialer = Dialer::new(&[lost]);
        let options = SocketOptions::default();
        let failed = dialer.dial("127.0.0.1:9", SECOND, &options).await;
        let error = failed.unwrap_err();
        assert!(
            matches!(error, DialError::SourceLost { source_address, .. } if source_address == lost),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_other_family_goes_without_a_source() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let dialer = Dialer::new(&["2001:db8::1".parse().unwrap()]);
        let options = SocketOptions::default();
        assert!(dialer.dial(&addr, SECOND, &options).await.is_ok());
    }

    #[test]
    fn a_port_that_cannot_be_had_is_no_descriptor_that_cannot() {
        let towards = |code| Failure::from(io::Error::from_raw_os_error(code)).towards("e:1");
        let (eaddrnotavail, emfile) = (99, 24);
        assert!(matches!(
            towards(eaddrnotavail),
            DialError::PortsExhausted { .. }
        ));
        assert!(matches!(towards(emfile), DialError::Exhausted { .. }));
    }
}
