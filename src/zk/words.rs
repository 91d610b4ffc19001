//! Four-letter words: what operators and monitoring ask a ZooKeeper server over its client port.
//!
//! A word is the first four bytes of a connection; the answer is plain text, then the server closes.
//!
//! Source: ZooKeeper 3.9 Administrator's Guide, "The Four Letter Words".

use super::port::Port;
use super::tally::Tallied;
use crate::ensemble::{Role, Status};
use crate::tree::{Counts, Zxid};
use std::fmt::{self, Write};

/// The version told to clients: dotted numbers first, because clients decide by them what to expect.
const VERSION: &str = concat!("3.9.3-zoogate-", env!("CARGO_PKG_VERSION"));

/// What is answered while no leader is within reach.
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// All words of ZooKeeper 3.9.
const KNOWN: [&str; 18] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst",
    "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
];

/// A word of ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Are you running?
    Ruok,
    /// A summary for people.
    Srvr,
    /// Numbers for monitoring.
    Mntr,
    /// Known, but not answered.
    Other(&'static str),
}

impl Word {
    /// The word these bytes spell, if it is one.
    pub(super) fn from_bytes(bytes: [u8; 4]) -> Option<Word> {
        let word = KNOWN.into_iter().find(|word| word.as_bytes() == bytes)?;
        Some(match word {
            "ruok" => Word::Ruok,
            "srvr" => Word::Srvr,
            "mntr" => Word::Mntr,
            other => Word::Other(other),
        })
    }
}

/// The answer to a word.
pub(super) fn answer(word: Word, port: &Port) -> String {
    match word {
        Word::Ruok => "imok".to_owned(),
        Word::Other(word) => {
            format!("{word} is not executed because it is not in the whitelist.\n")
        }
        Word::Srvr | Word::Mntr if !port.is_serving() => NOT_SERVING.to_owned(),
        Word::Srvr => text(|out| look(port).summary(out)),
        Word::Mntr => text(|out| look(port).numbers(out)),
    }
}

/// Everything the words tell, at one moment.
struct Look {
    status: Status,
    tallied: Tallied,
    counts: Counts,
    zxid: Zxid,
    watches: usize,
}

fn look(port: &Port) -> Look {
    let (counts, zxid) = port.ensemble.read(|tree| (tree.counts(), tree.last_zxid()));
    Look {
        status: port.ensemble.status(),
        tallied: port.tally.read(),
        counts,
        zxid,
        watches: port.watches.count(),
    }
}

impl Look {
    /// As `Mode:` has it. An ensemble of one is a standalone server to ZooKeeper's tools.
    fn mode(&self) -> &'static str {
        match self.status.role {
            Role::Observer => "observer",
            _ if self.status.voters <= 1 => "standalone",
            Role::Leader => "leader",
            Role::Follower | Role::Candidate => "follower",
        }
    }

    fn summary(&self, out: &mut String) -> fmt::Result {
        let t = &self.tallied;
        writeln!(out, "Zookeeper version: {VERSION}")?;
        writeln!(
            out,
            "Latency min/avg/max: {}/{:.4}/{}",
            t.latency_min_ms, t.latency_avg_ms, t.latency_max_ms
        )?;
        writeln!(out, "Received: {}", t.received)?;
        writeln!(out, "Sent: {}", t.sent)?;
        writeln!(out, "Connections: {}", t.connections)?;
        writeln!(out, "Outstanding: {}", t.outstanding)?;
        writeln!(out, "Zxid: {}", self.zxid)?;
        writeln!(out, "Mode: {}", self.mode())?;
        writeln!(out, "Node count: {}", self.counts.znodes)
    }

    fn numbers(&self, out: &mut String) -> fmt::Result {
        let t = &self.tallied;
        let mut line = |key: &str, value: &dyn fmt::Display| writeln!(out, "zk_{key}\t{value}");
        line("version", &VERSION)?;
        line("server_state", &self.mode())?;
        line("min_latency", &t.latency_min_ms)?;
        line("avg_latency", &format_args!("{:.4}", t.latency_avg_ms))?;
        line("max_latency", &t.latency_max_ms)?;
        line("packets_received", &t.received)?;
        line("packets_sent", &t.sent)?;
        line("num_alive_connections", &t.connections)?;
        line("outstanding_requests", &t.outstanding)?;
        line("znode_count", &self.counts.znodes)?;
        line("watch_count", &self.watches)?;
        line("ephemerals_count", &self.counts.ephemerals)?;
        line("approximate_data_size", &self.counts.data_bytes)?;
        line("global_sessions", &self.counts.sessions)?;
        line("uptime", &t.uptime.as_millis())?;
        if self.status.role == Role::Leader {
            line("synced_followers", &self.status.synced_followers)?;
        }
        let (open, limit) = descriptors();
        line("open_file_descriptor_count", &open)?;
        line("max_file_descriptor_count", &limit)
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

fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    let written = write(&mut out);
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn example(role: Role, voters: usize) -> Look {
        Look {
            status: Status {
                member: 1,
                role,
                leader: Some(1),
                term: 2,
                last_log: 16,
                committed: 16,
                applied: 16,
                synced_followers: 2,
                voters,
                serving: true,
            },
            tallied: Tallied {
                connections: 3,
                received: 10,
                sent: 8,
                outstanding: 1,
                latency_min_ms: 0,
                latency_avg_ms: 1.25,
                latency_max_ms: 7,
                uptime: Duration::from_secs(2),
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

    #[test]
    fn words_are_told_from_lengths_and_from_one_another() {
        assert_eq!(Word::from_bytes(*b"ruok"), Some(Word::Ruok));
        assert_eq!(Word::from_bytes(*b"cons"), Some(Word::Other("cons")));
        for bytes in [*b"zzzz", *b"RUOK", [0, 0, 0, 45]] {
            assert_eq!(Word::from_bytes(bytes), None);
        }
    }

    #[test]
    fn srvr_has_the_lines_that_tools_look_for() {
        let expected = format!(
            "Zookeeper version: {VERSION}\nLatency min/avg/max: 0/1.2500/7\nReceived: 10\nSent: 8\n\
             Connections: 3\nOutstanding: 1\nZxid: 0x10\nMode: leader\nNode count: 5\n"
        );
        assert_eq!(text(|out| example(Role::Leader, 3).summary(out)), expected);
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

    #[test]
    fn mntr_is_keys_and_values_with_a_tab_between() {
        let report = text(|out| example(Role::Leader, 3).numbers(out));
        for line in report.lines() {
            let (key, value) = line.split_once('\t').expect("a tab");
            assert!(key.starts_with("zk_") && !value.is_empty(), "{line}");
        }
        assert!(report.contains("zk_znode_count\t5\n"));
        assert!(report.contains("zk_synced_followers\t2\n"));
        let follower = text(|out| example(Role::Follower, 3).numbers(out));
        assert!(!follower.contains("synced_followers"));
    }

    #[test]
    fn an_ensemble_of_one_is_standalone() {
        for (role, voters, mode) in [
            (Role::Leader, 1, "standalone"),
            (Role::Leader, 3, "leader"),
            (Role::Follower, 3, "follower"),
            (Role::Candidate, 3, "follower"),
            (Role::Observer, 3, "observer"),
        ] {
            assert_eq!(example(role, voters).mode(), mode);
        }
    }
}
