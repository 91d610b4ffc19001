//! The texts of the words, line by line as ZooKeeper writes them. Values come ready-made; nothing is looked up here.

use crate::ensemble::Storage;
use crate::tree::SessionId;
use crate::zk::monitor::{Measure, NO_MEASURE, Numbers, Sessions, Settings, Tracked, VERSION};
use crate::zk::tally::ConnectionTold;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// `srvr`
pub(super) fn summary(numbers: &Numbers) -> String {
    written(|out| {
        version(out, numbers)?;
        state(out, numbers)
    })
}

/// `stat`
pub(super) fn clients(numbers: &Numbers, connections: &[ConnectionTold]) -> String {
    written(|out| {
        version(out, numbers)?;
        writeln!(out, "Clients:")?;
        for connection in connections {
            brief(out, connection)?;
            out.push_str(")\n");
        }
        out.push('\n');
        state(out, numbers)
    })
}

fn version(out: &mut String, numbers: &Numbers) -> fmt::Result {
    writeln!(out, "Zookeeper version: {VERSION}")?;
    if numbers.is_read_only {
        writeln!(out, "READ-ONLY mode; serving only read-only clients")?;
    }
    Ok(())
}

fn state(out: &mut String, numbers: &Numbers) -> fmt::Result {
    let t = &numbers.tallied;
    let (min, max) = (t.latency_min_ms, t.latency_max_ms);
    let mean = Measure::from(t.latency_avg_ms);
    writeln!(out, "Latency min/avg/max: {min}/{mean}/{max}")?;
    writeln!(out, "Received: {}", t.received)?;
    writeln!(out, "Sent: {}", t.sent)?;
    writeln!(out, "Connections: {}", t.connections)?;
    writeln!(out, "Outstanding: {}", t.outstanding)?;
    writeln!(out, "Zxid: {}", numbers.zxid)?;
    writeln!(out, "Mode: {}", numbers.mode())?;
    writeln!(out, "Node count: {}", numbers.counts.znodes)?;
    if numbers.is_leader() {
        let [last, min, max] = match numbers.proposal_bytes {
            Some(sizes) => sizes.map(Measure::from),
            None => [NO_MEASURE; 3].map(Measure::Whole),
        };
        writeln!(out, "Proposal sizes last/min/max: {last}/{min}/{max}")?;
    }
    Ok(())
}

/// `mntr`
pub(super) fn measures(measures: &[(&str, Measure)]) -> String {
    let line = |(name, value): &(&str, Measure)| format!("zk_{name}\t{value}\n");
    measures.iter().map(line).collect()
}

/// `cons`
pub(super) fn connections(connections: &[ConnectionTold]) -> String {
    written(|out| {
        for connection in connections {
            brief(out, connection)?;
            session(out, connection)?;
            out.push_str(")\n");
        }
        out.push('\n');
        Ok(())
    })
}

/// What `stat` and `cons` both say of a connection.
fn brief(out: &mut String, connection: &ConnectionTold) -> fmt::Result {
    let (address, ops) = (connection.address(), connection.interest_ops());
    let (queued, received) = (connection.outstanding, connection.received);
    let sent = connection.sent;
    write!(
        out,
        " /{address}[{ops:x}](queued={queued},recved={received},sent={sent}"
    )
}

fn session(out: &mut String, connection: &ConnectionTold) -> fmt::Result {
    let Some((session, timeout_ms)) = connection.session else {
        return Ok(());
    };
    let last = connection.last();
    let established = connection.established_ms;
    write!(out, ",sid={session},lop={}", last.operation())?;
    write!(out, ",est={established},to={timeout_ms}")?;
    // Clients count from zero up; what is below was not counted by one.
    if last.xid >= 0 {
        write!(out, ",lcxid=0x{:x}", last.xid)?;
    }
    write!(out, ",lzxid=0x{:x},lresp={}", last.zxid, last.at_ms)?;
    let (min, mean) = (last.latency_min_ms, last.latency_avg_ms);
    let (now, max) = (last.latency_ms, last.latency_max_ms);
    write!(out, ",llat={now},minlat={min},avglat={mean},maxlat={max}")
}

/// `conf`
pub(super) fn settings(settings: &Settings, storage: &Storage) -> String {
    written(|out| {
        writeln!(out, "clientPort={}", settings.client_port)?;
        writeln!(out, "secureClientPort={}", settings.secure_client_port)?;
        writeln!(out, "dataDir={}", settings.data_dir)?;
        writeln!(out, "dataDirSize={}", storage.snapshot_bytes)?;
        writeln!(out, "dataLogDir={}", settings.data_log_dir)?;
        writeln!(out, "dataLogSize={}", storage.log_bytes)?;
        writeln!(out, "tickTime={}", settings.tick_time)?;
        writeln!(out, "maxClientCnxns={}", settings.max_client_cnxns)?;
        writeln!(out, "minSessionTimeout={}", settings.min_session_timeout)?;
        writeln!(out, "maxSessionTimeout={}", settings.max_session_timeout)?;
        writeln!(out, "serverId={}", settings.server_id)?;
        let Some(quorum) = &settings.quorum else {
            return Ok(());
        };
        let port = quorum.port;
        writeln!(out, "electionPort={port}\nquorumPort={port}")?;
        writeln!(out, "peerType={}", u8::from(quorum.is_observer))?;
        if let Some(membership) = &quorum.membership {
            write!(out, "membership: \n{membership}")?;
        }
        Ok(())
    })
}

/// `envi`
pub(super) fn environment(environment: &[(&str, String)]) -> String {
    let lines = environment.iter();
    let lines = lines.map(|(name, value)| format!("{name}={value}\n"));
    "Environment:\n".to_owned() + &lines.collect::<String>()
}

/// `dirs`
pub(super) fn storage(storage: &Storage) -> String {
    let (data, log) = (storage.snapshot_bytes, storage.log_bytes);
    format!("datadir_size: {data}\nlogdir_size: {log}\n")
}

/// `dump`
pub(super) fn sessions(sessions: &Sessions) -> String {
    written(|out| {
        writeln!(out, "SessionTracker dump:")?;
        match &sessions.tracked {
            Tracked::Ends(ends) => {
                let count: usize = ends.values().map(Vec::len).sum();
                writeln!(out, "Session Sets ({})/({count}):", ends.len())?;
                for (at, sessions) in ends {
                    writeln!(out, "{} expire at {}:", sessions.len(), date(*at))?;
                    listed(out, sessions)?;
                }
            }
            Tracked::Timeouts(timeouts) => {
                writeln!(out, "Global Sessions({}):", timeouts.len())?;
                for (session, timeout_ms) in timeouts {
                    writeln!(out, "{session}\t{timeout_ms}ms")?;
                }
            }
        }
        let ephemerals = &sessions.ephemerals;
        let count = ephemerals.len();
        writeln!(out, "ephemeral nodes dump:")?;
        writeln!(out, "Sessions with Ephemerals ({count}):")?;
        for (session, paths) in ephemerals {
            writeln!(out, "{session}:")?;
            listed(out, paths)?;
        }
        Ok(())
    })
}

/// A second of Unix time for people, in UTC.
fn date(unix_seconds: i64) -> impl fmt::Display {
    let since = Duration::from_secs(unix_seconds.max(0) as u64);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since)
}

/// `wchs`
pub(super) fn watch_summary((connections, paths, watches): (usize, usize, usize)) -> String {
    format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
}

/// `wchc`
pub(super) fn watches_by_session(watches: &BTreeMap<SessionId, BTreeSet<Arc<str>>>) -> String {
    written(|out| {
        for (session, paths) in watches {
            writeln!(out, "{session}")?;
            listed(out, paths)?;
        }
        out.push('\n');
        Ok(())
    })
}

/// `wchp`
pub(super) fn watches_by_path(watches: &BTreeMap<Arc<str>, BTreeSet<SessionId>>) -> String {
    written(|out| {
        for (path, sessions) in watches {
            writeln!(out, "{path}")?;
            listed(out, sessions)?;
        }
        out.push('\n');
        Ok(())
    })
}

fn listed(out: &mut String, items: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    for item in items {
        writeln!(out, "\t{item}")?;
    }
    Ok(())
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    let result = write(&mut out);
    debug_assert!(result.is_ok(), "writing to a string does not fail");
    out
}
