//! Every word's text, to the byte.

use super::*;
use crate::ensemble::{Role, Storage};
use crate::tree::SessionId;
use crate::zk::monitor::{Numbers, Quorum, Settings, Tracked, VERSION};
use crate::zk::tally::{ConnectionTold, LastTold};
use std::collections::{BTreeMap, BTreeSet};

fn connection(session: Option<i64>, last: Option<LastTold>) -> ConnectionTold {
    ConnectionTold {
        peer: ([127, 0, 0, 1], 59518).into(),
        established_ms: 1_795_219_936_145,
        is_secure: false,
        session: session.map(|id| (SessionId(id), 10_000)),
        outstanding: 1,
        received: 6,
        sent: 5,
        last,
    }
}

fn last(xid: i32) -> LastTold {
    LastTold {
        op: 3,
        xid,
        zxid: 0x1_0000_0003,
        at_ms: 11_709,
        latency_ms: 1,
        latency_min_ms: 0,
        latency_avg_ms: 4,
        latency_max_ms: 14,
    }
}

fn settings() -> Settings {
    Settings {
        client_port: 2181,
        secure_client_port: -1,
        data_dir: "/data".into(),
        data_log_dir: "/data".into(),
        tick_time: 2000,
        max_client_cnxns: 0,
        min_session_timeout: 4000,
        max_session_timeout: 40_000,
        server_id: 2,
        quorum: None,
    }
}

const STORAGE: Storage = Storage {
    snapshot_bytes: 10,
    log_bytes: 67_108_864,
    last_snapshot: None,
};

#[test]
fn words_are_told_from_lengths_and_from_one_another() {
    for (text, word) in KNOWN {
        let bytes = text.as_bytes().try_into().expect("four letters");
        assert_eq!(Word::from_bytes(bytes), Some(word));
        assert_eq!(word.as_str(), text);
    }
    for bytes in [*b"zzzz", *b"RUOK", [0, 0, 0, 45]] {
        assert_eq!(Word::from_bytes(bytes), None);
    }
}

#[test]
fn every_word_that_can_be_allowed_is_one_that_is_answered() {
    let never = KNOWN.map(|(_, word)| matches!(word, Word::Never(_)));
    for ((text, _), never) in KNOWN.into_iter().zip(never) {
        let can_be_allowed = crate::config::FourLetterWords::ALL.contains(&text);
        assert_ne!(can_be_allowed, never, "{text}");
    }
}

#[test]
fn srvr_has_the_lines_that_tools_look_for() {
    let expected = format!(
        "Zookeeper version: {VERSION}\nLatency min/avg/max: 0/1.25/7\nReceived: 10\nSent: 8\n\
         Connections: 3\nOutstanding: 1\nZxid: 0x10\nMode: leader\nNode count: 5\n\
         Proposal sizes last/min/max: 90/50/200\n"
    );
    assert_eq!(text::summary(&Numbers::example(Role::Leader, 3)), expected);
    for (role, voters) in [(Role::Follower, 3), (Role::Leader, 1)] {
        let text = text::summary(&Numbers::example(role, voters));
        assert!(text.ends_with("\nNode count: 5\n"), "{text}");
    }
}

#[test]
fn a_server_for_readers_says_so_behind_its_version() {
    let mut numbers = Numbers::example(Role::Follower, 3);
    numbers.is_read_only = true;
    let text = text::summary(&numbers);
    let begin = format!(
        "Zookeeper version: {VERSION}\nREAD-ONLY mode; serving only read-only clients\nLatency"
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains("\nMode: read-only\n"), "{text}");
}

#[test]
fn stat_lists_clients_behind_the_version() {
    let connections = [connection(Some(1), Some(last(1))), connection(None, None)];
    let text = text::clients(&Numbers::example(Role::Follower, 3), &connections);
    let begin = format!(
        "Zookeeper version: {VERSION}\nClients:\n \
         /127.0.0.1:59518[1](queued=1,recved=6,sent=5)\n \
         /127.0.0.1:59518[0](queued=1,recved=6,sent=5)\n\nLatency min/avg/max: 0/1.25/7\n"
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(
        text.ends_with("\nMode: follower\nNode count: 5\n"),
        "{text}"
    );
}

#[test]
fn cons_describes_each_connection() {
    let connections = [
        connection(Some(0x0100_00b2_a8e2_0000), Some(last(5))),
        connection(Some(-1), None),
        connection(None, None),
        connection(Some(1), Some(last(-8))),
    ];
    let text = text::connections(&connections);
    let lines: Vec<&str> = text.split('\n').collect();
    let begin = " /127.0.0.1:59518[1](queued=1,recved=6,sent=5";
    assert_eq!(
        lines[0],
        format!(
            "{begin},sid=0x10000b2a8e20000,lop=EXIS,est=1795219936145,to=10000,lcxid=0x5,\
             lzxid=0x100000003,lresp=11709,llat=1,minlat=0,avglat=4,maxlat=14)"
        )
    );
    assert_eq!(
        lines[1],
        format!(
            "{begin},sid=0xffffffffffffffff,lop=NA,est=1795219936145,to=10000,\
             lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)"
        )
    );
    assert_eq!(lines[2], " /127.0.0.1:59518[0](queued=1,recved=6,sent=5)");
    assert!(lines[3].contains(",to=10000,lzxid="), "{}", lines[3]);
    assert_eq!(lines[4..], ["", ""]);
}

#[test]
fn an_ipv4_client_is_shown_as_such_on_an_ipv6_socket() {
    let mut mapped = connection(None, None);
    mapped.peer = "[::ffff:10.0.0.1]:7".parse().expect("an address");
    assert_eq!(mapped.address(), "10.0.0.1:7");
    mapped.peer = "[fe80::1]:7".parse().expect("an address");
    assert_eq!(mapped.address(), "[fe80::1]:7");
}

#[test]
fn mntr_is_keys_and_values_with_a_tab_between() {
    let report = text::measures(&Numbers::example(Role::Leader, 3).measures());
    for line in report.lines() {
        let (key, value) = line.split_once('\t').expect("a tab");
        assert!(key.starts_with("zk_") && !value.is_empty(), "{line}");
    }
    for line in [
        "zk_znode_count\t5",
        "zk_synced_followers\t2",
        "zk_avg_latency\t1.25",
        "zk_uptime\t2000",
    ] {
        assert!(report.lines().any(|l| l == line), "{line} not in {report}");
    }
}

#[test]
fn conf_is_keys_and_values_and_behind_them_the_ensemble() {
    let expected = "clientPort=2181\nsecureClientPort=-1\ndataDir=/data\ndataDirSize=10\n\
                    dataLogDir=/data\ndataLogSize=67108864\ntickTime=2000\nmaxClientCnxns=0\n\
                    minSessionTimeout=4000\nmaxSessionTimeout=40000\nserverId=2\n";
    assert_eq!(text::settings(&settings(), &STORAGE), expected);
    let member = "server.2=10.0.0.2:2888:2888:participant\nversion=1";
    let quorum = Some(Quorum {
        port: 2888,
        is_observer: true,
        membership: Some(member.into()),
    });
    let ensemble = Settings {
        quorum,
        ..settings()
    };
    assert_eq!(
        text::settings(&ensemble, &STORAGE),
        format!("{expected}electionPort=2888\nquorumPort=2888\npeerType=1\nmembership: \n{member}")
    );
}

#[test]
fn envi_and_dirs_have_one_value_a_line() {
    let listed = [("zookeeper.version", "3.9.3".to_owned())];
    let text = text::environment(&listed);
    assert_eq!(text, "Environment:\nzookeeper.version=3.9.3\n");
    let text = text::storage(&STORAGE);
    assert_eq!(text, "datadir_size: 10\nlogdir_size: 67108864\n");
}

#[test]
fn dump_tells_when_sessions_end_where_that_is_known() {
    let ephemerals = BTreeMap::from([(SessionId(16), vec!["/a".to_owned(), "/b".to_owned()])]);
    let ends = BTreeMap::from([
        (1_795_219_946, vec![SessionId(16), SessionId(17)]),
        (1_795_219_950, vec![SessionId(-1)]),
    ]);
    let leader = Sessions {
        tracked: Tracked::Ends(ends),
        ephemerals: ephemerals.clone(),
    };
    let behind = "ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x10:\n\t/a\n\t/b\n";
    assert_eq!(
        text::sessions(&leader),
        format!(
            "SessionTracker dump:\nSession Sets (2)/(3):\n2 expire at 2026-11-21T00:12:26Z:\n\
             \t0x10\n\t0x11\n1 expire at 2026-11-21T00:12:30Z:\n\t0xffffffffffffffff\n{behind}"
        )
    );
    let timeouts = BTreeMap::from([(SessionId(16), 4000), (SessionId(17), 10_000)]);
    let follower = Sessions {
        tracked: Tracked::Timeouts(timeouts),
        ephemerals,
    };
    assert_eq!(
        text::sessions(&follower),
        format!("SessionTracker dump:\nGlobal Sessions(2):\n0x10\t4000ms\n0x11\t10000ms\n{behind}")
    );
}

#[test]
fn watches_are_counted_and_listed_both_ways() {
    assert_eq!(
        text::watch_summary((1, 2, 3)),
        "1 connections watching 2 paths\nTotal watches:3\n"
    );
    let paths = BTreeSet::from(["/a".into(), "/b".into()]);
    let by_session = BTreeMap::from([(SessionId(16), paths)]);
    assert_eq!(
        text::watches_by_session(&by_session),
        "0x10\n\t/a\n\t/b\n\n"
    );
    let sessions = BTreeSet::from([SessionId(16), SessionId(17)]);
    let by_path = BTreeMap::from([("/a".into(), sessions)]);
    assert_eq!(text::watches_by_path(&by_path), "/a\n\t0x10\n\t0x11\n\n");
    assert_eq!(text::watches_by_path(&BTreeMap::new()), "\n");
}
