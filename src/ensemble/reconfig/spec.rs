//! A server as ZooKeeper writes it.
//!
//! ```text
//!   server.4=10.0.0.4:2888:3888:participant;10.0.0.4:2181
//!          id host    peer election role     client: [host:]port
//! ```
//! Strict: each part is there and means something, or the whole is refused. Source:
//! `QuorumPeer.QuorumServer` of ZooKeeper 3.9; several addresses separated by `|` are not taken.

use super::ReconfigError;

/// What the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerSpec {
    /// Its number.
    pub(super) id: u64,
    /// `host:port` for other members.
    pub(super) address: String,
    /// The port for elections, if there is another; 0 and the same say that there is none.
    pub(super) election: Option<u16>,
    /// Whether it votes.
    pub(super) voter: bool,
    /// `host:port` for clients.
    pub(super) client: String,
}

impl ServerSpec {
    /// Reads it.
    ///
    /// # Errors
    /// [`ReconfigError::BadArguments`] if it is anything else.
    pub(super) fn read(text: &str) -> Result<ServerSpec, ReconfigError> {
        ServerSpec::parse(text).ok_or_else(|| {
            let shape = "server.N=host:port:port[:role];[host:]port";
            ReconfigError::BadArguments(format!("{text:?} is not {shape}"))
        })
    }

    fn parse(text: &str) -> Option<ServerSpec> {
        let (name, spec) = text.trim().split_once('=')?;
        let id = number(name.trim().strip_prefix("server.")?)?;
        let (server, client) = spec.trim().split_once(';')?;
        let (host, rest) = split_host(server)?;
        let mut parts = rest.split(':');
        let port = port_of(parts.next()?)?;
        let election = match parts.next()? {
            "0" => None,
            other => Some(port_of(other)?),
        };
        let voter = match parts.next().map(str::to_ascii_lowercase).as_deref() {
            None | Some("participant") => true,
            Some("observer") => false,
            Some(_) => return None,
        };
        let client = match client.contains(':') {
            true => {
                let (host, rest) = split_host(client)?;
                format!("{host}:{}", port_of(rest)?)
            }
            false => format!("0.0.0.0:{}", port_of(client)?),
        };
        parts.next().is_none().then(|| ServerSpec {
            id,
            address: format!("{host}:{port}"),
            election: election.filter(|election| *election != port),
            voter,
            client,
        })
    }
}

/// The host, in brackets if it is an IPv6 address, and what follows the colon behind it.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let end = inner.find(']')?;
            let (host, rest) = text.split_at(end + 2);
            let is_sound = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
            let bare = &inner[..end];
            if bare.is_empty() || !bare.chars().all(is_sound) {
                return None;
            }
            (host, rest.strip_prefix(':')?)
        }
        None => {
            let (host, rest) = text.split_once(':')?;
            let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if host.is_empty() || !host.chars().all(is_sound) {
                return None;
            }
            (host, rest)
        }
    };
    (host.len() <= MAX_HOST).then_some((host, rest))
}

/// Longest host, bytes: a name has at most 253 (RFC 1035).
const MAX_HOST: usize = 253;

fn port_of(text: &str) -> Option<u16> {
    let port = text.parse().ok().filter(|port| *port != 0)?;
    text.bytes().all(|b| b.is_ascii_digit()).then_some(port)
}

fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_zookeeper_writes_them() {
        let spec = |address: &str, election, voter, client: &str| ServerSpec {
            id: 4,
            address: address.into(),
            election,
            voter,
            client: client.into(),
        };
        for (text, expected) in [
            (
                "server.4=h:2888:3888:participant;c:2181",
                spec("h:2888", Some(3888), true, "c:2181"),
            ),
            (
                "server.4=h:2888:2888;2181",
                spec("h:2888", None, true, "0.0.0.0:2181"),
            ),
            (
                " server.4=0.0.0.0:1:2:observer;0.0.0.0:3 ",
                spec("0.0.0.0:1", Some(2), false, "0.0.0.0:3"),
            ),
            (
                "server.4=[2001:db8::4]:1:1:OBSERVER;[::1]:3",
                spec("[2001:db8::4]:1", None, false, "[::1]:3"),
            ),
        ] {
            assert_eq!(ServerSpec::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "some thing",
            "server.4",
            "server.=h:1:2;3",
            "server.x=h:1:2;3",
            "server.+4=h:1:2;3",
            "server.-1=h:1:2;3",
            "4=h:1:2;3",
            "server.4=h:1:2",
            "server.4=h:1;3",
            "server.4=h:1:2;",
            "server.4=h:1:2:voter;3",
            "server.4=h:1:2:observer:x;3",
            "server.4=:1:2;3",
            "server.4=h:0:2;3",
            "server.4=h:1:65536;3",
            "server.4=h:+1:2;3",
            "server.4=h h:1:2;3",
            "server.4=h\nserver.5=h:1:2;3",
            "server.4=a:1:2|b:1:2;3",
            "server.4=[::1:1:2;3",
            "server.4=[]:1:2;3",
            "server.4=h:1:2;c:3:4",
        ] {
            assert_eq!(ServerSpec::parse(text), None, "{text:?}");
        }
        let long = format!("server.4={}:1:2;3", "h".repeat(254));
        assert_eq!(ServerSpec::parse(&long), None);
    }
}
