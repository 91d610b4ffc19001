//! Four-letter words and commands about clients that are there, over real sockets.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Port, connect_request};
use crate::support::{eventually, soon};
use serde_json::{Map, Value, json};
use zoogate::config::FourLetterWords;
use zoogate::zk::wire::OpCode;
use zoogate::zk::{Command, CommandFailure};

/// `create` of an ephemeral znode.
const EPHEMERAL: i32 = 1;

async fn open(members: &Members, name: &str) -> Port {
    let allow = |settings: &mut zoogate::config::ZookeeperConfig| {
        settings.four_letter_words = FourLetterWords::all();
    };
    Port::open_with(members, name, allow).await
}

async fn ask(port: &Port, word: &str) -> String {
    let mut client = Client::connect(port.addr).await;
    client.raw(word.as_bytes()).await;
    client.text().await
}

async fn command(port: &Port, name: &str) -> Map<String, Value> {
    let command = Command::find(name).expect("a command");
    let answer = port.monitor.command(command).await;
    answer.expect("an answer")
}

/// A client with a session, an ephemeral znode and two watches.
async fn busy(port: &Port) -> Client {
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    assert_eq!(client.create("/a/e", EPHEMERAL).await.error(), 0);
    for op in [OpCode::GetData, OpCode::GetChildren] {
        assert_eq!(client.get(op, "/a", true).await.error(), 0);
    }
    client
}

/// The line of the one connection with a session, of `cons`, once it contains `part`: what is sent is counted a
/// moment after the client has it.
async fn session_line(port: &Port, part: &str) -> String {
    let look = async {
        loop {
            let cons = ask(port, "cons").await;
            let line = cons.lines().find(|line| line.contains(",sid="));
            match line.filter(|line| line.contains(part)) {
                Some(line) => return line.to_owned(),
                None => tokio::task::yield_now().await,
            }
        }
    };
    soon(look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cons_follows_what_a_client_does_and_crst_forgets_it() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let mut client = busy(&port).await;
    let session = client.session;
    // The handshake and four requests.
    let line = session_line(&port, "[1](queued=0,recved=5,sent=5,").await;
    let known = format!("sid={session},lop=GETC,est=");
    assert!(line.contains(&known), "{line}");
    assert!(line.contains(",to=10000,lcxid=0x4,lzxid=0x"), "{line}");
    assert_eq!(ask(&port, "crst").await, "Connection stats reset.\n");
    let line = session_line(&port, "(queued=0,recved=0,sent=0,").await;
    assert!(line.contains(",lop=NA,"), "{line}");
    assert!(!line.contains("lcxid"), "{line}");
    client.get(OpCode::Exists, "/a", false).await;
    let line = session_line(&port, "(queued=0,recved=1,sent=1,").await;
    assert!(line.contains(",lop=EXIS,"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srst_begins_the_servers_numbers_anew_but_no_connections() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let _client = busy(&port).await;
    let requests = port.metrics.coordination.zk_requests.get();
    assert_eq!(requests, 4);
    let srvr = ask(&port, "srvr").await;
    assert!(srvr.contains("\nReceived: 6\n"), "{srvr}");
    assert_eq!(ask(&port, "srst").await, "Server stats reset.\n");
    let srvr = ask(&port, "srvr").await;
    assert!(srvr.contains("\nReceived: 1\n"), "{srvr}");
    session_line(&port, "(queued=0,recved=5,sent=5,").await;
    assert_eq!(port.metrics.coordination.zk_requests.get(), requests);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_lists_the_connection_that_asks_as_well() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let _client = Client::open(port.addr).await;
    // What is sent is counted a moment after the client has it, and those who asked before leave in a moment.
    let look = async {
        loop {
            let stat = ask(&port, "stat").await;
            let clients = stat.lines().filter(|line| line.starts_with(" /127.0.0.1:"));
            let ends: Vec<_> = clients.filter_map(|line| line.split_once('[')).collect();
            let ends: Vec<_> = ends.into_iter().map(|(_, end)| end).collect();
            let expected = [
                "1](queued=0,recved=1,sent=1)",
                "0](queued=0,recved=1,sent=0)",
            ];
            if ends == expected && stat.contains("\nConnections: 2\n") {
                break;
            }
        }
    };
    soon(look).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_ephemerals_and_watches_are_listed_under_their_names() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let client = busy(&port).await;
    let session = client.session;
    let dump = ask(&port, "dump").await;
    let begin = "SessionTracker dump:\nSession Sets (1)/(1):\n1 expire at ";
    assert!(dump.starts_with(begin), "{dump}");
    let end = format!(
        ":\n\t{session}\nephemeral nodes dump:\nSessions with Ephemerals (1):\n{session}:\n\t/a/e\n"
    );
    assert!(dump.ends_with(&end), "{dump}");
    let wchs = "1 connections watching 1 paths\nTotal watches:2\n";
    assert_eq!(ask(&port, "wchs").await, wchs);
    assert_eq!(ask(&port, "wchc").await, format!("{session}\n\t/a\n\n"));
    assert_eq!(ask(&port, "wchp").await, format!("/a\n\t{session}\n\n"));

    let id = session.0;
    let watches = command(&port, "watches").await;
    let by_session = Map::from_iter([(id.to_string(), json!(["/a"]))]);
    assert_eq!(watches["session_id_to_watched_paths"], json!(by_session));
    let watches = command(&port, "wchp").await;
    assert_eq!(watches["path_to_session_ids"], json!({ "/a": [id] }));
    let dump = command(&port, "dump").await;
    let ephemerals = Map::from_iter([(id.to_string(), json!(["/a/e"]))]);
    assert_eq!(dump["session_id_to_ephemeral_paths"], json!(ephemerals));
    let ends = dump["expiry_time_to_session_ids"].as_object();
    let ends: Vec<_> = ends.expect("by time").values().collect();
    assert_eq!(ends, [&json!([id])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_and_commands_tell_the_same_numbers() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let _client = busy(&port).await;
    let mntr = ask(&port, "mntr").await;
    let monitor = command(&port, "monitor").await;
    for name in [
        "znode_count",
        "watch_count",
        "ephemerals_count",
        "global_sessions",
    ] {
        let line = format!("zk_{name}\t{}\n", monitor[name]);
        assert!(mntr.contains(&line), "{line:?} not in {mntr}");
    }
    let text = |name: &str| format!("zk_{name}\t");
    let names = mntr.lines().count();
    assert_eq!(monitor.len(), names);
    assert!(monitor.keys().all(|name| mntr.contains(&text(name))));
    let dirs = command(&port, "dirs").await;
    let expected = format!(
        "datadir_size: {}\nlogdir_size: {}\n",
        dirs["datadir_size"], dirs["logdir_size"]
    );
    assert_eq!(ask(&port, "dirs").await, expected);
    assert!(dirs["logdir_size"].as_u64() > Some(0));
    let conf = ask(&port, "conf").await;
    let port_line = format!("clientPort={}\n", port.addr.port());
    assert!(conf.starts_with(&port_line), "{conf}");
    let settings = command(&port, "conf").await;
    assert_eq!(settings["client_port"], json!(port.addr.port()));
    let hash = command(&port, "hash").await;
    let digest = members.member("n1").read(|tree| tree.digest());
    assert_eq!(hash["digests"][0]["digest"], json!(format!("{digest:x}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_allowed_words_are_answered_and_a_half_closed_asker_is() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    for word in ["conf", "wchp", "crst", "isro", "gtmk", "hash"] {
        let refusal = format!("{word} is not executed because it is not in the whitelist.\n");
        assert_eq!(ask(&port, word).await, refusal);
    }
    let mut client = Client::connect(port.addr).await;
    client.raw(b"ruok").await;
    client.end().await;
    assert_eq!(client.text().await, "imok");
    let everything = open(&members, "n1").await;
    assert_eq!(ask(&everything, "isro").await, "rw");
    let envi = ask(&everything, "envi\n").await;
    let begin = "Environment:\nzookeeper.version=3.9.3-zoogate-";
    assert!(envi.starts_with(begin), "{envi}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_tells_of_those_that_follow_it() {
    let mut members = Members::start(3).await;
    members.observe("o1").await;
    let leader = open(&members, &members.leader().await).await;
    let follower = open(&members, &members.follower().await).await;
    let observer = open(&members, "o1").await;
    let _client = busy(&follower).await;
    let numbers = leader.monitor.clone();
    let monitor = Command::find("monitor").expect("a command");
    let all_follow = async {
        loop {
            let told = numbers.command(monitor).await.expect("an answer");
            let synced = [&told["synced_followers"], &told["synced_observers"]];
            if synced == [&json!(2), &json!(1)] && told["learners"] == json!(3) {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    soon(all_follow).await;
    let srvr = ask(&leader, "srvr").await;
    let (_, sizes) = srvr
        .split_once("\nMode: leader\nNode count: 7\nProposal sizes last/min/max: ")
        .expect("the leader's lines");
    let sizes = sizes.trim_end().split('/');
    let sizes: Vec<u64> = sizes.map(|size| size.parse().expect("bytes")).collect();
    assert!(0 < sizes[1] && sizes[1] <= sizes[0] && sizes[0] <= sizes[2]);
    for (port, mode) in [(&follower, "follower"), (&observer, "observer")] {
        let srvr = ask(port, "srvr").await;
        let end = format!("\nMode: {mode}\nNode count: 7\n");
        assert!(srvr.ends_with(&end), "{srvr}");
        let dump = ask(port, "dump").await;
        assert!(dump.contains("\nGlobal Sessions(1):\n0x"), "{dump}");
        assert!(dump.contains("\t10000ms\n"), "{dump}");
    }
    let state = command(&observer, "zabstate").await;
    assert_eq!(
        (&state["voting"], &state["is_leader"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quorum_little_is_told() {
    let mut members = Members::start(3).await;
    let port = open(&members, "n1").await;
    let reader = Port::open_with(&members, "n1", |settings| {
        settings.four_letter_words = FourLetterWords::all();
        settings.read_only = true;
    })
    .await;
    members.stop("n2").await;
    members.stop("n3").await;
    let serving = members.member("n1").serving();
    eventually("no quorum", || !*serving.borrow()).await;
    let closed = "This ZooKeeper instance is not currently serving requests";
    for word in FourLetterWords::ALL {
        let answer = ask(&port, word).await;
        match word {
            "ruok" => assert_eq!(answer, "imok"),
            "isro" => assert_eq!(answer, "null"),
            "envi" => assert!(answer.starts_with("Environment:\n")),
            _ => assert_eq!(answer, format!("{closed}\n"), "{word}"),
        }
    }
    let stats = Command::find("stats").expect("a command");
    let refused = port.monitor.command(stats).await;
    assert_eq!(refused, Err(CommandFailure::NotNow(closed.into())));
    assert!(command(&port, "ruok").await.is_empty());

    assert_eq!(ask(&reader, "isro").await, "ro");
    let mut request = connect_request();
    request.read_only = Some(true);
    let mut client = Client::connect(reader.addr).await;
    client
        .shake(&request)
        .await
        .expect("a session to read with");
    let stat = ask(&reader, "stat").await;
    let (_, behind) = stat.split_once('\n').expect("lines");
    let begin = "READ-ONLY mode; serving only read-only clients\nClients:\n /127.0.0.1:";
    assert!(behind.starts_with(begin), "{stat}");
    assert!(stat.contains("\nMode: read-only\n"), "{stat}");
    let is_read_only = command(&reader, "is_read_only").await;
    assert_eq!(is_read_only["read_only"], json!(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_asked_for_at_once_are_all_given() {
    let members = Members::start(1).await;
    let port = open(&members, "n1").await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::open(port.addr).await);
    }
    let mut askers = Vec::new();
    for _ in 0..40 {
        let mut asker = Client::connect(port.addr).await;
        asker.raw(b"cons").await;
        askers.push(asker);
    }
    for mut asker in askers {
        let cons = asker.text().await;
        let sessions = cons.lines().filter(|line| line.contains(",sid=0x"));
        assert_eq!(sessions.count(), 50, "{cons}");
    }
}
