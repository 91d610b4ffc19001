//! The servers a client may talk to, as a connect string names them.

use rand::seq::SliceRandom;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A list of servers: `host[:port][,host[:port]...]`, as ZooKeeper's clients have it, with port 2181
/// unless given and IPv6 addresses in brackets. The chroot suffix (`/path`) is refused: every path of
/// Zoogate is written in full, so that what is logged can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Every server as `host:port`, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Every server once, in random order, so that the clients of an ensemble spread over it.
    pub(super) fn shuffled(&self) -> Vec<String> {
        let mut hosts = self.0.clone();
        hosts.shuffle(&mut rand::rng());
        hosts
    }
}

impl FromStr for Hosts {
    type Err = HostsError;

    fn from_str(text: &str) -> Result<Hosts, HostsError> {
        if text.contains('/') {
            return Err(HostsError::Chroot(text.into()));
        }
        let hosts = text
            .split(',')
            .map(|entry| host_and_port(entry.trim()))
            .collect::<Result<Vec<String>, HostsError>>()?;
        if hosts.len() > MAX_HOSTS {
            return Err(HostsError::TooMany(hosts.len()));
        }
        Ok(Hosts(hosts))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Why a text is no list of servers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostsError {
    /// An entry, or the whole text, is empty.
    #[error("a server's name is missing")]
    Empty,
    /// What follows the last `:` is no port.
    #[error("{0:?} has no port between 1 and 65535 after its ':' (IPv6 addresses go in brackets)")]
    Port(String),
    /// Brackets around something else than an IPv6 address.
    #[error("{0:?} has no IPv6 address in its brackets")]
    Ipv6(String),
    /// A host name with spaces or the like.
    #[error("{0:?} is no host name")]
    Name(String),
    /// A path after the servers.
    #[error("{0:?}: a chroot suffix is not supported, write paths in full")]
    Chroot(String),
    /// More servers than any ensemble has.
    #[error("{0} servers; at most {MAX_HOSTS} are tried")]
    TooMany(usize),
}

/// The port of ZooKeeper's client protocol.
const DEFAULT_PORT: u16 = 2181;

/// Servers in one list. Ensembles have 3 to 9 members and perhaps dozens of observers; a round of
/// attempts over more would take longer than a session lasts.
const MAX_HOSTS: usize = 64;

fn host_and_port(entry: &str) -> Result<String, HostsError> {
    if entry.is_empty() {
        return Err(HostsError::Empty);
    }
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, after) = rest
            .split_once(']')
            .ok_or_else(|| HostsError::Ipv6(entry.into()))?;
        let address: Ipv6Addr = address
            .parse()
            .map_err(|_| HostsError::Ipv6(entry.into()))?;
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port, entry)?,
            None if after.is_empty() => DEFAULT_PORT,
            None => return Err(HostsError::Port(entry.into())),
        };
        return Ok(format!("[{address}]:{port}"));
    }
    let (host, port) = match entry.split_once(':') {
        Some((host, port)) => (host, parse_port(port, entry)?),
        None => (entry, DEFAULT_PORT),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() {
        Err(HostsError::Empty)
    } else if host.chars().all(is_name) {
        Ok(format!("{host}:{port}"))
    } else {
        Err(HostsError::Name(host.into()))
    }
}

fn parse_port(text: &str, entry: &str) -> Result<u16, HostsError> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(HostsError::Port(entry.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_completed_with_the_default_port() {
        for (text, expected) in [
            ("zk1", "zk1:2181"),
            ("127.0.0.1:2182", "127.0.0.1:2182"),
            ("a, b:1 ,c", "a:2181,b:1,c:2181"),
            ("[::1]", "[::1]:2181"),
            ("[0:0:0:0:0:0:0:1]:99", "[::1]:99"),
        ] {
            let hosts: Hosts = text.parse().unwrap();
            assert_eq!(hosts.to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_reason() {
        let check = |text: &str, expected: HostsError| {
            assert_eq!(text.parse::<Hosts>(), Err(expected));
        };
        check("", HostsError::Empty);
        check("a,,b", HostsError::Empty);
        check(":2181", HostsError::Empty);
        check("a:", HostsError::Port("a:".into()));
        check("a:0", HostsError::Port("a:0".into()));
        check("a:65536", HostsError::Port("a:65536".into()));
        check("::1", HostsError::Port("::1".into()));
        check("fe80::1", HostsError::Port("fe80::1".into()));
        check("[::1", HostsError::Ipv6("[::1".into()));
        check("[x]:1", HostsError::Ipv6("[x]:1".into()));
        check("[::1]1", HostsError::Port("[::1]1".into()));
        check("a b", HostsError::Name("a b".into()));
        check("a/chroot", HostsError::Chroot("a/chroot".into()));
        check(&vec!["a"; 65].join(","), HostsError::TooMany(65));
    }

    #[test]
    fn shuffling_keeps_every_host() {
        let hosts: Hosts = "a,b,c,d".parse().unwrap();
        let mut shuffled = hosts.shuffled();
        shuffled.sort();
        assert_eq!(shuffled, hosts.iter().collect::<Vec<_>>());
    }
}
