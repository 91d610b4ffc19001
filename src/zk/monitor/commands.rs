//! The commands of ZooKeeper's AdminServer, answered with its field names.
//!
//! What ZooKeeper tells and we do not measure is left out. Commands that would change what only a Java server has
//! are known but refused with the reason.
//!
//! Source: `org.apache.zookeeper.server.admin.Commands` of ZooKeeper 3.9; the fields are those of running servers.

use super::membership::{self, Member};
use super::{
    Measure, Monitor, NO_MEASURE, NOT_SERVING, Numbers, Sessions, TooMany, Tracked, VERSION,
    environment, in_turn,
};
use crate::ensemble::{Role, Storage};
use crate::zk::port::Port;
use crate::zk::tally::ConnectionTold;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A command and its other names, among them the four-letter word of the same meaning where there is one.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// As the list has it and as the answer says.
    pub name: &'static str,
    aliases: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Told without a leader, too.
    Always(fn(&Port) -> Map<String, Value>),
    /// Told while clients are served.
    Serving(fn(&Port) -> Result<Map<String, Value>, TooMany>),
    /// Refused, with the reason.
    Unserved(&'static str),
}

/// Why a command has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandFailure {
    /// It is never served, for this reason.
    #[error("{0}")]
    Unserved(&'static str),
    /// It cannot be served now, for this reason.
    #[error("{0}")]
    NotNow(String),
}

/// Every command, in order of the names.
const COMMANDS: &[Command] = &[
    serving("configuration", &["conf", "config"], |port| {
        Ok(fields(&port.settings()))
    }),
    serving("connection_stat_reset", &["crst"], |port| {
        port.tally.reset_connections();
        Ok(Map::new())
    }),
    serving("connections", &["cons"], |port| {
        Ok(connections(port, false))
    }),
    serving("dirs", &[], |port| Ok(directories(&port.storage()))),
    serving("dump", &[], |port| Ok(sessions(&Sessions::of(port)?))),
    always("environment", &["env", "envi"], |_| strings(environment())),
    serving("hash", &[], |port| Ok(digest(port))),
    serving("initial_configuration", &["icfg"], |_| {
        // Members read their list from their settings, never from a node that was there before.
        Ok(object(json!({ "initial_configuration": null })))
    }),
    serving("is_read_only", &["isro"], |port| {
        Ok(object(json!({ "read_only": port.is_read_only() })))
    }),
    serving("last_snapshot", &["lsnp"], |port| {
        Ok(snapshot(&port.storage()))
    }),
    serving("leader", &["lead"], |port| Ok(leader(port))),
    serving("monitor", &["mntr"], |port| Ok(measures(&port.numbers()))),
    serving("observers", &["obsr"], |port| Ok(observers(port))),
    Command {
        name: "restore",
        aliases: &["rest"],
        kind: Kind::Unserved(
            "a member takes its tree from its own disk or from the leader, never from a client",
        ),
    },
    always("ruok", &[], |_| Map::new()),
    serving("server_stats", &["srvr"], |port| Ok(server(port))),
    Command {
        name: "shed_connections",
        aliases: &["shed"],
        kind: Kind::Unserved(
            "connections are not shed; stop the node and its clients go elsewhere",
        ),
    },
    Command {
        name: "snapshot",
        aliases: &["snap"],
        kind: Kind::Unserved("snapshots are taken by themselves and are not handed out"),
    },
    serving("stat_reset", &["srst"], |port| {
        port.reset_numbers();
        Ok(Map::new())
    }),
    serving("stats", &["stat"], |port| {
        let mut all = server(port);
        all.extend(connections(port, true));
        Ok(all)
    }),
    always("system_properties", &["sysp"], |_| system()),
    serving("voting_view", &[], |port| Ok(voting_view(port))),
    serving("watch_summary", &["wchs"], |port| {
        let (connections, paths, watches) = port.watches.summary();
        Ok(object(json!({
            "num_connections": connections,
            "num_paths": paths,
            "num_total_watches": watches,
        })))
    }),
    serving("watches", &["wchc"], |port| {
        let sessions = port.watched_by_session()?.into_iter();
        let named = sessions.map(|(session, paths)| (session.0.to_string(), json!(paths)));
        let named: Map<String, Value> = named.collect();
        Ok(object(json!({ "session_id_to_watched_paths": named })))
    }),
    serving("watches_by_path", &["wchp"], |port| {
        let paths = port.watched_by_path()?.into_iter();
        let named = paths.map(|(path, sessions)| (path.to_string(), json!(sessions)));
        let named: Map<String, Value> = named.collect();
        Ok(object(json!({ "path_to_session_ids": named })))
    }),
    serving("zabstate", &[], |port| Ok(consensus(port))),
];

const fn serving(
    name: &'static str,
    aliases: &'static [&'static str],
    answer: fn(&Port) -> Result<Map<String, Value>, TooMany>,
) -> Command {
    let kind = Kind::Serving(answer);
    Command {
        name,
        aliases,
        kind,
    }
}

const fn always(
    name: &'static str,
    aliases: &'static [&'static str],
    answer: fn(&Port) -> Map<String, Value>,
) -> Command {
    let kind = Kind::Always(answer);
    Command {
        name,
        aliases,
        kind,
    }
}

impl Command {
    /// All of them.
    pub const ALL: &'static [Command] = COMMANDS;

    /// The command that has this name.
    pub fn find(name: &str) -> Option<Command> {
        let is = |command: &&Command| command.name == name || command.aliases.contains(&name);
        COMMANDS.iter().find(is).copied()
    }
}

impl Monitor {
    /// What a command answers, by field.
    ///
    /// # Errors
    /// [`CommandFailure`]
    pub async fn command(&self, command: Command) -> Result<Map<String, Value>, CommandFailure> {
        let Monitor(port) = self;
        match command.kind {
            Kind::Unserved(why) => Err(CommandFailure::Unserved(why)),
            Kind::Always(answer) => Ok(answer(port)),
            Kind::Serving(_) if !port.tells() => {
                Err(CommandFailure::NotNow(NOT_SERVING.to_owned()))
            }
            Kind::Serving(answer) => {
                let answered = in_turn(port, answer).await;
                answered.map_err(|why| CommandFailure::NotNow(why.to_string()))
            }
        }
    }
}

impl Port {
    /// Begins the server's numbers anew.
    pub(in crate::zk) fn reset_numbers(&self) {
        self.tally.reset();
        self.ensemble.reset_proposal_sizes();
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn fields(page: &impl Serialize) -> Map<String, Value> {
    object(serde_json::to_value(page).unwrap_or_default())
}

fn strings(list: Vec<(&'static str, String)>) -> Map<String, Value> {
    let named = list.into_iter();
    named
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect()
}

fn measures(numbers: &Numbers) -> Map<String, Value> {
    let named = numbers.measures().into_iter();
    named
        .map(|(name, measure)| (name.to_owned(), json!(measure)))
        .collect()
}

fn connections(port: &Port, is_brief: bool) -> Map<String, Value> {
    let told = port.tally.connections();
    let (secure, plain): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.is_secure);
    let pages = |told: Vec<&ConnectionTold>| -> Vec<_> {
        told.into_iter().map(|told| told.page(is_brief)).collect()
    };
    let (secure, plain) = (pages(secure), pages(plain));
    object(json!({ "connections": plain, "secure_connections": secure }))
}

fn directories(storage: &Storage) -> Map<String, Value> {
    object(json!({
        "datadir_size": storage.snapshot_bytes,
        "logdir_size": storage.log_bytes,
    }))
}

fn snapshot(storage: &Storage) -> Map<String, Value> {
    let saved = storage.last_snapshot;
    let zxid = saved.map_or(0, |saved| saved.zxid.0);
    let timestamp = saved.map_or(0, |saved| saved.unix_seconds);
    object(json!({ "zxid": format!("{zxid:x}"), "timestamp": timestamp }))
}

/// Times are seconds of Unix time where ZooKeeper has milliseconds of a clock that nobody else can read.
fn sessions(sessions: &Sessions) -> Map<String, Value> {
    let ends: Map<String, Value> = match &sessions.tracked {
        Tracked::Ends(ends) => {
            let named = ends.iter();
            named
                .map(|(at, ids)| (at.to_string(), json!(ids)))
                .collect()
        }
        Tracked::Timeouts(_) => Map::new(),
    };
    let ephemerals = sessions.ephemerals.iter();
    let ephemerals = ephemerals.map(|(session, paths)| (session.0.to_string(), json!(paths)));
    object(json!({
        "expiry_time_to_session_ids": ends,
        "session_id_to_ephemeral_paths": ephemerals.collect::<Map<_, _>>(),
    }))
}

/// One digest: that of the tree as it is now. Equal zxids have equal digests on all members.
fn digest(port: &Port) -> Map<String, Value> {
    let (zxid, digest) = port.ensemble.read(|tree| (tree.last_zxid(), tree.digest()));
    let digest = format!("{digest:x}");
    object(json!({ "digests": [{ "zxid": zxid.to_string(), "digest": digest }] }))
}

fn system() -> Map<String, Value> {
    let is_of_the_system = |(name, _): &(&str, String)| !name.starts_with("zookeeper.");
    let mut properties = strings(environment().into_iter().filter(is_of_the_system).collect());
    for (name, value) in [
        ("file.separator", "/"),
        ("line.separator", "\n"),
        ("path.separator", ":"),
    ] {
        properties.insert(name.to_owned(), value.into());
    }
    properties
}

fn server(port: &Port) -> Map<String, Value> {
    let (numbers, storage) = (port.numbers(), port.storage());
    let tallied = &numbers.tallied;
    let responses = sizes(tallied.reply_bytes);
    let mut page = object(json!({
        "version": VERSION,
        "read_only": port.is_read_only(),
        "server_stats": {
            "packets_sent": tallied.sent,
            "packets_received": tallied.received,
            "client_response_stats": responses,
            "provider_null": false,
            "server_state": numbers.mode(),
            "data_dir_size": storage.snapshot_bytes,
            "log_dir_size": storage.log_bytes,
            "last_processed_zxid": numbers.zxid.0,
            "outstanding_requests": tallied.outstanding,
            "avg_latency": Measure::from(tallied.latency_avg_ms),
            "max_latency": tallied.latency_max_ms,
            "min_latency": tallied.latency_min_ms,
            "num_alive_client_connections": tallied.connections,
            "uptime": tallied.uptime.as_millis() as u64,
        },
        "client_response": responses,
        "node_count": numbers.counts.znodes,
    }));
    if numbers.is_leader() {
        page.insert("proposal_stats".to_owned(), sizes(numbers.proposal_bytes));
    }
    page
}

fn sizes(bytes: Option<[u64; 3]>) -> Value {
    let [last, min, max] = match bytes {
        Some(bytes) => bytes.map(Measure::from),
        None => [NO_MEASURE; 3].map(Measure::Whole),
    };
    json!({ "last_buffer_size": last, "min_buffer_size": min, "max_buffer_size": max })
}

fn members(port: &Port) -> Vec<Member> {
    let text = port.ensemble.read(membership::text);
    membership::members(&text.unwrap_or_default())
}

fn leader(port: &Port) -> Map<String, Value> {
    let status = port.ensemble.status();
    let mut members = members(port).into_iter();
    let leads = members.find(|member| Some(member.id) == status.leader);
    object(json!({
        "is_leader": status.role == Role::Leader,
        "leader_id": status.leader,
        "leader_ip": leads.map(|member| member.host),
    }))
}

/// The members without a vote; only the leader knows which of them keep up.
fn observers(port: &Port) -> Map<String, Value> {
    let observers = members(port).into_iter();
    let observers = observers.filter(|member| member.role == "observer");
    let pages = observers.map(
        |member| json!({ "sid": member.id, "remote_socket_address": member.quorum_address() }),
    );
    object(json!({
        "synced_observers": port.ensemble.following().synced_observers,
        "observers": pages.collect::<Vec<_>>(),
    }))
}

fn voting_view(port: &Port) -> Map<String, Value> {
    let voters = members(port).into_iter();
    let voters = voters.filter(|member| member.role != "observer");
    let pages = voters.map(|member| {
        let page = json!({
            "server_addresses": [member.quorum_address()],
            "election_addresses": [member.election_address()],
            "client_address": member.client,
            "learner_type": member.role,
        });
        (member.id.to_string(), page)
    });
    object(json!({ "current_config": pages.collect::<Map<_, _>>() }))
}

/// The epoch is Raft's term, the counter its log index, which is the zxid.
fn consensus(port: &Port) -> Map<String, Value> {
    let status = port.ensemble.status();
    let zxid = port.ensemble.read(|tree| tree.last_zxid());
    let me = members(port).into_iter().find(|m| m.id == status.member);
    let address = |port: fn(&Member) -> u16| match &me {
        Some(member) => {
            let (host, port) = (&member.host, port(member));
            let one = format!("{host}:{port}");
            json!({
                "empty": false, "all_addresses": [one], "one": one,
                "all_ports": [port], "all_host_strings": [host],
            })
        }
        None => json!({ "empty": true }),
    };
    let client = me.as_ref().map(|member| &member.client);
    object(json!({
        "myid": status.member,
        "is_leader": status.role == Role::Leader,
        "quorum_address": address(|member| member.quorum_port),
        "election_address": address(|member| member.election_port),
        "client_address": client.filter(|client| !client.is_empty()),
        "voting": status.role != Role::Observer,
        "last_zxid": zxid.to_string(),
        "zab_epoch": status.term,
        "zab_counter": zxid.0,
        "zabstate": if status.leader.is_some() { "broadcast" } else { "election" },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_in_order_and_each_name_means_one() {
        let names: Vec<_> = Command::ALL.iter().map(|command| command.name).collect();
        assert!(names.is_sorted());
        for command in Command::ALL {
            for name in command.aliases.iter().chain([&command.name]) {
                assert_eq!(Command::find(name).map(|c| c.name), Some(command.name));
            }
        }
        assert!(Command::find("nosuch").is_none() && Command::find("").is_none());
    }

    #[test]
    fn sizes_without_an_example_are_minus_one() {
        assert_eq!(sizes(None)["min_buffer_size"], json!(-1));
        assert_eq!(sizes(Some([1, 2, 3]))["max_buffer_size"], json!(3));
    }

    #[test]
    fn sessions_go_by_their_decimal_number() {
        use crate::tree::SessionId;
        use std::collections::BTreeMap;
        let told = Sessions {
            tracked: Tracked::Ends(BTreeMap::from([(7, vec![SessionId(255)])])),
            ephemerals: BTreeMap::from([(SessionId(255), vec!["/a".to_owned()])]),
        };
        let page = Value::Object(sessions(&told));
        assert_eq!(page["expiry_time_to_session_ids"], json!({ "7": [255] }));
        assert_eq!(
            page["session_id_to_ephemeral_paths"],
            json!({ "255": ["/a"] })
        );
    }
}
