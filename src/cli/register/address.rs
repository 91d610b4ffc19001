//! Where an endpoint can be reached.

use crate::client::Hosts;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use tokio::net::UdpSocket;

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Address {
    /// Host name, IPv4 address, or IPv6 address without brackets.
    pub(super) host: String,
    /// 1 to 65535.
    pub(super) port: u16,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Address, &'static str> {
        let (host, port) = text
            .rsplit_once(':')
            .ok_or("an address is HOST:PORT, the port is missing")?;
        let port = match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err("the port is a number from 1 to 65535"),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(v6) if v6.parse::<Ipv6Addr>().is_ok() => v6,
            Some(_) => return Err("the brackets hold no IPv6 address"),
            None if host.contains(':') => return Err("an IPv6 address goes in brackets"),
            None if host.is_empty() => return Err("the host is missing"),
            None if host.chars().all(is_name) => host,
            None => return Err("the host is no host name"),
        };
        if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
            return Err("an unspecified address (0.0.0.0, [::]) cannot be connected to");
        }
        Ok(Address {
            host: host.into(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// This machine's address on the way to the servers: what they, and so the load balancers beside them, see
/// of it. Asks the system for the route; sends nothing. `None` when no host has a route.
pub(super) async fn local_host(servers: &Hosts) -> Option<IpAddr> {
    for server in servers.iter() {
        let Ok(found) = tokio::net::lookup_host(server).await else {
            continue;
        };
        for remote in found {
            if let Some(local) = route_to(remote).await {
                return Some(local);
            }
        }
    }
    None
}

async fn route_to(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(remote).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_show_alike() {
        for text in ["10.0.0.5:8080", "web-1.internal:80", "[::1]:7000"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("[::1]:7000".parse::<Address>().unwrap().host, "::1");
    }

    #[test]
    fn what_nobody_could_connect_to_is_refused() {
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:65536",
            ":80",
            "::1:80",
            "[x]:80",
            "a b:80",
            "0.0.0.0:80",
            "[::]:80",
            "a/b:80",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn the_way_to_loopback_starts_at_loopback() {
        let servers: Hosts = "127.0.0.1:2181".parse().unwrap();
        assert_eq!(local_host(&servers).await, Some(Ipv4Addr::LOCALHOST.into()));
    }
}
