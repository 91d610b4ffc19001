//! The ensemble as `/zookeeper/config` has it: what the tree tells clients is what is told here.
//!
//! ```text
//! server.1=10.0.0.1:2888:2888:participant;10.0.0.1:2181
//! version=100000000
//! ```

use crate::tree::Tree;

/// Where the tree keeps it.
const CONFIG: &str = "/zookeeper/config";

/// The text of the znode; `None` in an ensemble of one, where it is empty.
pub(super) fn text(tree: &Tree) -> Option<String> {
    let data = tree.get(CONFIG)?.data().cloned()?;
    let text = String::from_utf8_lossy(&data).into_owned();
    (!text.is_empty()).then_some(text)
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its number.
    pub(super) id: u64,
    /// Its host.
    pub(super) host: String,
    /// Its port for other members.
    pub(super) quorum_port: u16,
    /// Its port for elections.
    pub(super) election_port: u16,
    /// `participant` or `observer`.
    pub(super) role: String,
    /// Where clients connect; empty if nobody said.
    pub(super) client: String,
}

/// The members in a text; lines that are none are passed over.
pub(super) fn members(text: &str) -> Vec<Member> {
    text.lines().filter_map(member).collect()
}

fn member(line: &str) -> Option<Member> {
    let (id, server) = line.strip_prefix("server.")?.split_once('=')?;
    let (server, client) = server.split_once(';').unwrap_or((server, ""));
    let (server, role) = server.rsplit_once(':')?;
    let (server, election_port) = server.rsplit_once(':')?;
    let (host, quorum_port) = server.rsplit_once(':')?;
    Some(Member {
        id: id.parse().ok()?,
        host: host.to_owned(),
        quorum_port: quorum_port.parse().ok()?,
        election_port: election_port.parse().ok()?,
        role: role.to_owned(),
        client: client.to_owned(),
    })
}

impl Member {
    /// Where other members connect.
    pub(super) fn quorum_address(&self) -> String {
        format!("{}:{}", self.host, self.quorum_port)
    }

    /// Where it is asked for its vote.
    pub(super) fn election_address(&self) -> String {
        format!("{}:{}", self.host, self.election_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_zookeeper_writes_them() {
        let text = "server.1=10.0.0.1:2888:3888:participant;10.0.0.1:2181\n\
                    server.2=[fe80::1]:2888:3888:observer\nversion=100000000";
        let members = members(text);
        assert_eq!(members.len(), 2);
        assert_eq!(members[0].quorum_address(), "10.0.0.1:2888");
        assert_eq!(members[0].election_address(), "10.0.0.1:3888");
        assert_eq!(members[0].client, "10.0.0.1:2181");
        assert_eq!((members[1].id, members[1].host.as_str()), (2, "[fe80::1]"));
        assert_eq!(
            (members[1].role.as_str(), members[1].client.as_str()),
            ("observer", "")
        );
    }

    #[test]
    fn what_is_no_member_is_passed_over() {
        for line in [
            "",
            "version=1",
            "server.1",
            "server.x=a:1:2:participant",
            "server.1=a:1",
        ] {
            assert!(members(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_tree_without_an_ensemble_has_no_text() {
        assert_eq!(text(&Tree::new()), None);
    }
}
