//! Who the members of the ensemble are, as `/zookeeper/config` tells clients.
//!
//! ```text
//! server.1=10.0.0.1:2888:0:participant;192.0.2.1:2181      id = host : quorum port : election port : role ; client
//! server.2=[2001:db8::2]:2888:0:observer                      a member that clients do not reach
//! version=5f                                                  zxid of the last change of the lines above
//! ```
//! Beside what clients see, every number that was ever used is kept: see `numbers`.
//!
//! Members have one port for each other; that for elections is 0 unless `reconfig` named one, because ZooKeeper's
//! Java client refuses to read a line in which the two are equal. Membership comes from the Raft log, each
//! member's address for clients from itself, by [`Command::Introduce`](super::Command::Introduce). Curator
//! replaces the list of servers it was given by the one it reads here: better no address than one that clients
//! cannot reach. An ensemble whose members have no addresses, having one member only, publishes nothing, as
//! ZooKeeper does standalone.
//!
//! Source: `QuorumServer.toString` and `QuorumMaj.toString` of ZooKeeper 3.9; the version is ours: ZooKeeper
//! takes the zxid of the reconfiguration, which this is too.

use super::numbers::{Applicant, NumberRecord, Numbers};
use super::{Actor, ErrorCode, Event, Tree, Zxid, digest, path};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest address of a member for clients, bytes: a host name has at most 253 (RFC 1035), a port 5 digits; the
/// rest is for brackets and colon. All of them are kept on every member and sent to whoever reads the config.
const MAX_ADDRESS: usize = 262;

/// Instead of a port for elections: there is none.
const NO_PORT: u16 = 0;

/// A member of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `host:port` of the port for other members; empty if there is none.
    pub address: String,
    /// Its port for elections where `reconfig` told another: shown to clients, not used.
    pub election: Option<u16>,
    /// Whether it votes: a participant, or else an observer.
    pub voter: bool,
}

/// The members there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    /// By their ids.
    pub(super) members: BTreeMap<u64, Member>,
    /// Where clients reach those that have introduced themselves.
    pub(super) clients: BTreeMap<u64, Option<String>>,
    /// Every number that was ever used.
    pub(super) numbers: Numbers,
}

impl Tree {
    /// Takes over who the members are, from the entry of the Raft log that changed it, which counts as a
    /// transaction. Forgets what members that left had told. Gives an event if clients read something else in
    /// `/zookeeper/config` now.
    ///
    /// # Panics
    /// Unless `zxid` is greater than that of every transaction applied before. The entry that founds an ensemble
    /// is the log's first, of index 0: to a tree of which nothing else is known yet it may have zxid 0.
    pub fn set_membership(&mut self, zxid: Zxid, members: &BTreeMap<u64, Member>) -> Vec<Event> {
        let founds = zxid == Zxid(0) && self.membership.members.is_empty();
        if !(founds && self.last_zxid == zxid) {
            self.advance(zxid);
        }
        let before = self.membership.text();
        self.membership.members.clone_from(members);
        self.membership.note_members();
        let clients = &mut self.membership.clients;
        clients.retain(|id, _| members.contains_key(id));
        self.publish(&before)
    }

    /// Where clients reach each member, as far as members have told: `None` if they cannot.
    pub fn clients(&self) -> &BTreeMap<u64, Option<String>> {
        &self.membership.clients
    }

    /// Every number that was ever given or used, with what became of it.
    pub fn numbers(&self) -> &BTreeMap<u64, NumberRecord> {
        &self.membership.numbers
    }

    /// The members there are.
    pub fn members(&self) -> &BTreeMap<u64, Member> {
        &self.membership.members
    }

    /// The newest commands that every member knows.
    pub fn level(&self) -> u16 {
        self.membership.level()
    }

    /// Gives an applicant a number.
    pub(super) fn admit_node(&mut self, applicant: &Applicant<'_>) -> Result<u64, ErrorCode> {
        let number = self.membership.admit(applicant)?;
        self.membership_digest = self.membership.digest();
        Ok(number)
    }

    /// The version that `/zookeeper/config` has: the zxid of its last change. `None` while it is empty.
    pub fn config_version(&self) -> Option<Zxid> {
        let config = self.get(path::CONFIG)?;
        let data = config.data()?;
        (!data.is_empty()).then(|| config.stat().mzxid)
    }

    /// Notes where clients reach a member. It may be one that is about to join.
    pub(super) fn introduce(
        &mut self,
        member: u64,
        client: &Option<String>,
    ) -> Result<Vec<Event>, ErrorCode> {
        let sound = |client: &String| client.len() <= MAX_ADDRESS && split(client).is_some();
        if !client.as_ref().is_none_or(sound) {
            return Err(ErrorCode::BadArguments);
        }
        let before = self.membership.text();
        self.membership.clients.insert(member, client.clone());
        Ok(self.publish(&before))
    }

    /// Replaces all there is to know of members, and says so in the config unless that stays empty.
    pub(super) fn replace_members(&mut self, membership: Membership) {
        let config = self.get(path::CONFIG);
        let is_empty = config.is_none_or(|znode| znode.data().is_none_or(|data| data.is_empty()));
        self.membership = membership;
        self.membership.note_members();
        // No config says this, so whatever the members are it is written.
        self.publish(if is_empty { "" } else { "\0" });
    }

    /// Writes the config, unless it would say the same as `before`. No ACL and no quota is asked.
    fn publish(&mut self, before: &str) -> Vec<Event> {
        self.membership_digest = self.membership.digest();
        let text = self.membership.text();
        if text == before {
            return Vec::new();
        }
        let data = match text.is_empty() {
            true => Bytes::new(),
            false => Bytes::from(format!("{text}\nversion={:x}", self.last_zxid.0)),
        };
        let id = self.store.resolve(path::CONFIG);
        let id = id.expect("the config is protected from deletion");
        let mut execution = self.execution(&Actor::Ensemble);
        execution.write(&Arc::from(path::CONFIG), id, &Some(data));
        execution.events
    }
}

impl Membership {
    /// The lines of the config but the last, without a newline behind them.
    fn text(&self) -> String {
        let lines: Option<Vec<String>> = self
            .members
            .iter()
            .map(|(id, member)| self.line(*id, member))
            .collect();
        lines.unwrap_or_default().join("\n")
    }

    fn line(&self, id: u64, member: &Member) -> Option<String> {
        let (host, port) = split(&member.address)?;
        let role = match member.voter {
            true => "participant",
            false => "observer",
        };
        let client = match self.clients.get(&id) {
            Some(Some(client)) => {
                let (host, port) = split(client)?;
                format!(";{host}:{port}")
            }
            Some(None) | None => String::new(),
        };
        let election = member.election.unwrap_or(NO_PORT);
        Some(format!(
            "server.{id}={host}:{port}:{election}:{role}{client}"
        ))
    }

    /// Its share of the digest.
    pub(super) fn digest(&self) -> u64 {
        let members = self.members.iter().map(|(id, m)| digest::member(*id, m));
        let clients = self.clients.iter();
        let clients = clients.map(|(id, c)| digest::client(*id, c.as_deref()));
        let sum = members.chain(clients).fold(0, u64::wrapping_add);
        sum.wrapping_add(self.numbers_digest())
    }
}

/// Whether `text` is a host and a port, as clients and members can be told.
pub fn is_address(text: &str) -> bool {
    text.len() <= MAX_ADDRESS && split(text).is_some()
}

/// Host, in brackets if it has colons, and port; `None` if the text is something else, or would not stay one
/// field of one line.
fn split(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let is_sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let bare = bare.unwrap_or(host);
    if bare.is_empty() || !bare.chars().all(is_sound) {
        return None;
    }
    let host = match bare.contains(':') {
        true => format!("[{bare}]"),
        false => bare.to_owned(),
    };
    Some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(members: &[(u64, &str, bool)], clients: &[(u64, Option<&str>)]) -> String {
        let member = |&(id, address, voter): &(u64, &str, bool)| {
            let address = address.to_owned();
            let election = (voter && id == 2).then_some(3888);
            let member = Member {
                address,
                election,
                voter,
            };
            (id, member)
        };
        let client = |&(id, client): &(u64, Option<&str>)| (id, client.map(str::to_owned));
        Membership {
            members: members.iter().map(member).collect(),
            clients: clients.iter().map(client).collect(),
            ..Membership::default()
        }
        .text()
    }

    #[test]
    fn lines_are_in_order_of_ids() {
        let members = [
            (10, "c:3", false),
            (2, "[2001:db8::2]:2888", true),
            (1, "10.0.0.1:2888", true),
        ];
        let clients = [
            (1, Some("zk.example:2181")),
            (2, Some("::1:2181")),
            (10, None),
            (11, Some("gone:1")),
        ];
        let expected = "server.1=10.0.0.1:2888:0:participant;zk.example:2181\n\
                        server.2=[2001:db8::2]:2888:3888:participant;[::1]:2181\n\
                        server.10=c:3:0:observer";
        assert_eq!(text(&members, &clients), expected);
    }

    #[test]
    fn members_without_addresses_give_no_text() {
        assert_eq!(text(&[], &[(1, Some("a:1"))]), "");
        assert_eq!(text(&[(1, "", true)], &[(1, Some("a:1"))]), "");
        assert_eq!(text(&[(1, "a:1", true), (2, "", true)], &[]), "");
    }

    #[test]
    fn addresses_are_host_and_port() {
        for (address, host, port) in [
            ("a:1", "a", 1),
            ("a-b.c_d:65535", "a-b.c_d", 65535),
            ("10.0.0.1:2181", "10.0.0.1", 2181),
            ("[::1]:2181", "[::1]", 2181),
            ("fe80::1%eth0:2181", "[fe80::1%eth0]", 2181),
        ] {
            assert_eq!(split(address), Some((host.to_owned(), port)), "{address}");
        }
        for address in [
            "",
            ":1",
            "a",
            "a:",
            "a:65536",
            "a:-1",
            "a b:1",
            "a\nserver.9=b:1",
            "a;b:1",
            "[]:1",
            "[::1:1",
        ] {
            assert_eq!(split(address), None, "{address:?}");
        }
    }
}
