//! The settings of the port by ZooKeeper's names, and what they have on disk. Secrets are not among them.

use super::membership;
use crate::ensemble::Storage;
use crate::zk::port::Port;
use serde::Serialize;

/// ZooKeeper's number for "no bound".
const UNLIMITED: u32 = 0;

/// A port that is not there.
const NO_PORT: i32 = -1;

/// As the `configuration` command has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::zk) struct Settings {
    /// Where clients connect.
    pub(in crate::zk) client_port: u16,
    /// Where clients connect with TLS; -1 for nowhere.
    pub(in crate::zk) secure_client_port: i32,
    /// Where snapshots are kept.
    pub(in crate::zk) data_dir: String,
    /// Where the log is kept: the same directory.
    pub(in crate::zk) data_log_dir: String,
    /// Milliseconds.
    pub(in crate::zk) tick_time: u64,
    /// Connections of one address; there is no such bound.
    pub(in crate::zk) max_client_cnxns: u32,
    /// Milliseconds.
    pub(in crate::zk) min_session_timeout: u64,
    /// Milliseconds.
    pub(in crate::zk) max_session_timeout: u64,
    /// The member's number.
    pub(in crate::zk) server_id: u64,
    /// What concerns other members; `None` in an ensemble of one.
    #[serde(skip)]
    pub(in crate::zk) quorum: Option<Quorum>,
}

/// What concerns other members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zk) struct Quorum {
    /// One port serves everything between members.
    pub(in crate::zk) port: u16,
    /// Whether the member has no vote.
    pub(in crate::zk) is_observer: bool,
    /// The text of `/zookeeper/config`.
    pub(in crate::zk) membership: Option<String>,
}

impl Port {
    /// The settings in force.
    pub(in crate::zk) fn settings(&self) -> Settings {
        let data_dir = self.facts.data_dir.display().to_string();
        let zookeeper = &self.settings;
        let secure = zookeeper.tls.as_ref().map(|tls| tls.listen.port());
        Settings {
            client_port: self.facts.client.port(),
            secure_client_port: secure.map_or(NO_PORT, i32::from),
            data_log_dir: data_dir.clone(),
            data_dir,
            tick_time: zookeeper.tick_time.as_millis() as u64,
            max_client_cnxns: UNLIMITED,
            min_session_timeout: zookeeper.session_timeout_min.as_millis() as u64,
            max_session_timeout: zookeeper.session_timeout_max.as_millis() as u64,
            server_id: self.ensemble.member(),
            quorum: self.facts.peers.map(|peers| Quorum {
                port: peers.port(),
                is_observer: self.facts.is_observer,
                membership: self.ensemble.read(membership::text),
            }),
        }
    }

    /// What is on the disk: nothing, if it cannot be read, which has been logged. Blocks.
    pub(in crate::zk) fn storage(&self) -> Storage {
        self.ensemble.storage().unwrap_or_else(|error| {
            tracing::warn!(%error, "the data directory cannot be read");
            Storage::default()
        })
    }
}
