//! A connection to an endpoint within one deadline.

use crate::net::is_out_of_descriptors;
use std::io;
use std::net::SocketAddr;
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
    /// This node has no descriptor, port or memory left for another connection.
    #[error("no resources left to connect to {address}")]
    Exhausted {
        /// The endpoint's address.
        address: String,
        /// Which resource.
        #[source]
        source: io::Error,
    },
}

/// Connects to `address` (`host:port`; a bracketed IPv6 address, an IPv4 address or a name) within `within`,
/// which covers resolving the name and every address it has. Small writes leave at once (`TCP_NODELAY`).
///
/// # Errors
/// [`DialError`]; of several addresses, the last one's.
///
/// # Cancel safety
/// Dropping the future closes the attempt.
pub async fn dial(address: &str, within: Duration) -> Result<TcpStream, DialError> {
    match timeout(within, connect(address)).await {
        Ok(result) => result,
        Err(_) => Err(DialError::TimedOut {
            address: address.into(),
            timeout: within,
        }),
    }
}

async fn connect(address: &str) -> Result<TcpStream, DialError> {
    if let Ok(addr) = address.parse::<SocketAddr>() {
        return connect_to(addr).await.map_err(|e| classify(address, e));
    }
    let unresolved = |source| DialError::Unresolved {
        address: address.into(),
        source,
    };
    let resolved = lookup_host(address)
        .await
        .map_err(|e| unresolved(Some(e)))?;
    let mut failure = unresolved(None);
    for addr in resolved.take(MAX_ADDRESSES) {
        match connect_to(addr).await {
            Ok(stream) => return Ok(stream),
            Err(e) => failure = classify(address, e),
        }
    }
    Err(failure)
}

async fn connect_to(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn classify(address: &str, source: io::Error) -> DialError {
    let address = address.into();
    match source.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused { address },
        // EADDRNOTAVAIL: every local port towards this address is taken.
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory => {
            DialError::Exhausted { address, source }
        }
        _ if is_out_of_descriptors(&source) => DialError::Exhausted { address, source },
        _ => DialError::Unreachable { address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const SECOND: Duration = Duration::from_secs(1);

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
}
