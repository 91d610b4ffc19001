//! The numbers of the port, its member and its tree, at one moment.

use super::VERSION;
use crate::ensemble::{Following, Role, Status};
use crate::tree::{Counts, Zxid};
use crate::zk::port::Port;
use crate::zk::tally::Tallied;
use serde::Serialize;
use std::fmt;

/// What ZooKeeper gives for a size of which there is no example yet.
pub(in crate::zk) const NO_MEASURE: i64 = -1;

/// Everything that is told in numbers.
#[derive(Clone, Debug)]
pub(in crate::zk) struct Numbers {
    /// Whether only clients are served that want to read.
    pub(in crate::zk) is_read_only: bool,
    /// The member.
    pub(in crate::zk) status: Status,
    /// Who follows it.
    pub(in crate::zk) following: Following,
    /// Last, smallest and largest transaction in its log, bytes.
    pub(in crate::zk) proposal_bytes: Option<[u64; 3]>,
    /// The port.
    pub(in crate::zk) tallied: Tallied,
    /// The tree.
    pub(in crate::zk) counts: Counts,
    /// The last transaction applied.
    pub(in crate::zk) zxid: Zxid,
    /// Watches set here.
    pub(in crate::zk) watches: usize,
}

/// A value of `mntr`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(in crate::zk) enum Measure {
    /// A word or a name.
    Text(String),
    /// A count or a size.
    Whole(i64),
    /// A mean, to four decimals.
    Mean(f64),
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Text(text) => f.write_str(text),
            Measure::Whole(number) => number.fmt(f),
            // With one decimal at least, as Java writes it.
            Measure::Mean(mean) => write!(f, "{mean:?}"),
        }
    }
}

impl From<&str> for Measure {
    fn from(text: &str) -> Measure {
        Measure::Text(text.to_owned())
    }
}

impl From<u64> for Measure {
    fn from(number: u64) -> Measure {
        Measure::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Measure {
    fn from(number: usize) -> Measure {
        Measure::from(number as u64)
    }
}

impl From<f64> for Measure {
    fn from(mean: f64) -> Measure {
        Measure::Mean((mean * 10_000.0).round() / 10_000.0)
    }
}

impl Port {
    /// The numbers now. Each is exact; together they may be a moment apart.
    pub(in crate::zk) fn numbers(&self) -> Numbers {
        let (counts, zxid) = self.ensemble.read(|tree| (tree.counts(), tree.last_zxid()));
        Numbers {
            is_read_only: self.is_read_only(),
            status: self.ensemble.status(),
            following: self.ensemble.following(),
            proposal_bytes: self.ensemble.proposal_sizes(),
            tallied: self.tally.read(),
            counts,
            zxid,
            watches: self.watches.count(),
        }
    }
}

impl Numbers {
    /// As `Mode:` has it. An ensemble of one is a standalone server to ZooKeeper's tools.
    pub(in crate::zk) fn mode(&self) -> &'static str {
        match self.status.role {
            _ if self.is_read_only => "read-only",
            Role::Observer => "observer",
            _ if self.is_standalone() => "standalone",
            Role::Leader => "leader",
            Role::Follower | Role::Candidate => "follower",
        }
    }

    /// Whether there is nobody to agree with.
    pub(in crate::zk) fn is_standalone(&self) -> bool {
        self.status.voters <= 1 && self.status.role != Role::Observer
    }

    /// Whether it leads others.
    pub(in crate::zk) fn is_leader(&self) -> bool {
        self.status.role == Role::Leader && !self.is_standalone()
    }

    /// What it does in the ensemble; `None` without others, or while it serves on its own.
    fn peer_state(&self) -> Option<&'static str> {
        if self.is_standalone() || self.is_read_only {
            return None;
        }
        Some(match (self.status.leader, self.status.role) {
            (None, _) | (_, Role::Candidate) => "looking - election",
            (_, Role::Leader) => "leading - broadcast",
            (_, Role::Follower) => "following - broadcast",
            (_, Role::Observer) => "observing - broadcast",
        })
    }

    /// Every number by its ZooKeeper name, without the `zk_` of `mntr`. What ZooKeeper counts and we do not is
    /// left out rather than made up.
    pub(in crate::zk) fn measures(&self) -> Vec<(&'static str, Measure)> {
        let (tallied, counts) = (&self.tallied, &self.counts);
        let mut list = vec![
            ("version", VERSION.into()),
            ("server_state", self.mode().into()),
        ];
        list.extend(self.peer_state().map(|state| ("peer_state", state.into())));
        list.extend([
            ("ephemerals_count", counts.ephemerals.into()),
            ("num_alive_connections", tallied.connections.into()),
            ("avg_latency", tallied.latency_avg_ms.into()),
            ("outstanding_requests", tallied.outstanding.into()),
            ("znode_count", counts.znodes.into()),
            ("global_sessions", counts.sessions.into()),
            ("packets_sent", tallied.sent.into()),
            ("packets_received", tallied.received.into()),
            ("watch_count", self.watches.into()),
            ("min_latency", tallied.latency_min_ms.into()),
            ("approximate_data_size", counts.data_bytes.into()),
            // Every session is known to the whole ensemble.
            ("local_sessions", 0_u64.into()),
            ("uptime", (tallied.uptime.as_millis() as u64).into()),
            ("max_latency", tallied.latency_max_ms.into()),
        ]);
        let names = [
            "last_client_response_size",
            "min_client_response_size",
            "max_client_response_size",
        ];
        list.extend(names.into_iter().zip(sizes(tallied.reply_bytes)));
        let (open, limit) = descriptors();
        list.push(("open_file_descriptor_count", Measure::Whole(open)));
        list.push(("max_file_descriptor_count", Measure::Whole(limit)));
        if !self.is_standalone() {
            list.push(("quorum_size", self.status.voters.into()));
        }
        if self.is_leader() {
            list.extend([
                ("synced_followers", self.following.synced_followers.into()),
                ("synced_observers", self.following.synced_observers.into()),
                ("learners", self.following.in_reach.into()),
            ]);
            let names = [
                "last_proposal_size",
                "min_proposal_size",
                "max_proposal_size",
            ];
            list.extend(names.into_iter().zip(sizes(self.proposal_bytes)));
        }
        list
    }
}

fn sizes(bytes: Option<[u64; 3]>) -> [Measure; 3] {
    match bytes {
        Some(bytes) => bytes.map(Measure::from),
        None => [NO_MEASURE; 3].map(Measure::Whole),
    }
}

/// File descriptors open and allowed; -1 where the system does not tell. Read from procfs, which is memory.
fn descriptors() -> (i64, i64) {
    let open = std::fs::read_dir("/proc/self/fd").map_or(-1, |entries| entries.count() as i64);
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    (open, soft.and_then(|soft| soft.parse().ok()).unwrap_or(-1))
}

#[cfg(test)]
impl Numbers {
    /// Numbers to write about.
    pub(in crate::zk) fn example(role: Role, voters: usize) -> Numbers {
        Numbers {
            is_read_only: false,
            status: Status {
                member: 1,
                role,
                leader: Some(1),
                term: 2,
                last_log: 16,
                purged: 0,
                committed: 16,
                applied: 16,
                synced_followers: 2,
                voters,
                serving: true,
                faults: Vec::new(),
            },
            following: Following {
                in_reach: 3,
                synced_followers: 2,
                synced_observers: 1,
            },
            proposal_bytes: Some([90, 50, 200]),
            tallied: Tallied {
                connections: 3,
                received: 10,
                sent: 8,
                outstanding: 1,
                latency_min_ms: 0,
                latency_avg_ms: 1.25,
                latency_max_ms: 7,
                reply_bytes: None,
                uptime: std::time::Duration::from_secs(2),
            },
            counts: Counts {
                znodes: 5,
                ephemerals: 1,
                data_bytes: 44,
                sessions: 2,
            },
            zxid: Zxid(16),
            watches: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(numbers: &Numbers, name: &str) -> Option<String> {
        let measures = numbers.measures();
        let measure = measures.iter().find(|(key, _)| *key == name);
        measure.map(|(_, measure)| measure.to_string())
    }

    #[test]
    fn an_ensemble_of_one_is_standalone() {
        for (role, voters, mode) in [
            (Role::Leader, 1, "standalone"),
            (Role::Leader, 3, "leader"),
            (Role::Follower, 3, "follower"),
            (Role::Candidate, 3, "follower"),
            (Role::Observer, 3, "observer"),
            (Role::Observer, 1, "observer"),
        ] {
            let numbers = Numbers::example(role, voters);
            assert_eq!(numbers.mode(), mode);
        }
    }

    #[test]
    fn a_member_that_serves_readers_only_says_so_and_no_more() {
        let mut numbers = Numbers::example(Role::Candidate, 3);
        numbers.is_read_only = true;
        assert_eq!(numbers.mode(), "read-only");
        assert_eq!(told(&numbers, "server_state").as_deref(), Some("read-only"));
        assert_eq!(told(&numbers, "peer_state"), None);
    }

    #[test]
    fn the_leader_tells_of_its_followers_and_others_do_not() {
        let leader = Numbers::example(Role::Leader, 3);
        for (name, value) in [
            ("synced_followers", "2"),
            ("synced_observers", "1"),
            ("learners", "3"),
            ("last_proposal_size", "90"),
            ("min_proposal_size", "50"),
            ("max_proposal_size", "200"),
            ("peer_state", "leading - broadcast"),
            ("quorum_size", "3"),
        ] {
            assert_eq!(told(&leader, name).as_deref(), Some(value), "{name}");
        }
        let follower = Numbers::example(Role::Follower, 3);
        assert_eq!(told(&follower, "synced_followers"), None);
        assert_eq!(told(&follower, "max_proposal_size"), None);
        let alone = Numbers::example(Role::Leader, 1);
        assert_eq!(told(&alone, "peer_state"), None);
        assert_eq!(told(&alone, "learners"), None);
    }

    #[test]
    fn a_member_that_knows_no_leader_is_looking() {
        let mut numbers = Numbers::example(Role::Follower, 3);
        numbers.status.leader = None;
        let state = told(&numbers, "peer_state");
        assert_eq!(state.as_deref(), Some("looking - election"));
    }

    #[test]
    fn means_have_one_to_four_decimals() {
        for (mean, text) in [(0.0, "0.0"), (4.5, "4.5"), (5.0 / 3.0, "1.6667")] {
            assert_eq!(Measure::from(mean).to_string(), text);
        }
    }

    #[test]
    fn sizes_without_an_example_are_minus_one() {
        let numbers = Numbers::example(Role::Leader, 3);
        let size = told(&numbers, "max_client_response_size");
        assert_eq!(size.as_deref(), Some("-1"));
    }

    #[test]
    fn the_version_starts_with_dotted_numbers() {
        let numbers = VERSION.split('-').next().expect("one part at least");
        let numbers: Vec<u32> = numbers
            .split('.')
            .map(|n| n.parse().expect("a number"))
            .collect();
        assert!(numbers >= vec![3, 5, 0]);
    }
}
