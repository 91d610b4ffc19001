//! What may change while a node runs, and what is worth a warning.

use super::*;

#[test]
fn rules_and_services_change_live() {
    let changed = VALID
        .replace("service = \"api\"", "service = \"api2\"")
        .replace("service = \"db\"", "rules = [{ service = \"db2\" }]")
        .replace("[service.web]", "[service.other]");
    let (old, new) = (parsed(VALID), parsed(&changed));
    assert_ne!(old, new);
    assert_eq!(old.reload_conflicts(&new), [""; 0]);
}

#[test]
fn listeners_change_live_but_for_a_buffer_that_the_kernel_keeps() {
    let old = parsed(VALID);
    let mut new = old.clone();
    let mut moved = new.listeners.remove(0);
    let db = &mut new.listeners[0];
    db.protocol = Protocol::Http;
    db.max_connections = 7;
    db.max_connections_per_source = Some(3);
    db.accept_rate = Some(9);
    db.handshake_timeout = Duration::from_secs(1);
    db.accept_proxy = None;
    moved.bind = "127.0.0.1:8081".parse().unwrap();
    new.listeners.push(moved);
    assert_eq!(old.reload_conflicts(&new), [""; 0]);
    assert_eq!(new.reload_conflicts(&old), [""; 0]);

    let (mut old, mut new) = (old.clone(), old);
    old.listeners[0].socket.receive_buffer = 65_536;
    new.listeners[0].socket.receive_buffer = 0;
    let name = &old.listeners[0].name;
    assert_eq!(
        old.reload_conflicts(&new),
        [format!(
            "receive_buffer of listener {name:?} cannot be left to the kernel again while running: it is 65536"
        )]
    );
    assert_eq!(new.reload_conflicts(&old), [""; 0]);
}

/// What is replaced in the valid file, by what, and the conflict it makes.
const RESTARTS: &[(&str, &str, &str)] = &[
    (
        "name = \"n1\"",
        "name = \"n2\"",
        "node.name cannot change while running: it is \"n1\", the file says \"n2\"",
    ),
    (
        "zone = \"a\"\n",
        "",
        "node.zone cannot change while running: it is \"a\", the file says \"none\"",
    ),
    (
        "data_dir = \"data\"",
        "data_dir = \"/d\"",
        "node.data_dir cannot change while running: it is \"data\", the file says \"/d\"",
    ),
    (
        "workers = 2",
        "workers = 3",
        "node.workers cannot change while running: it is 2, the file says 3",
    ),
    (
        "\"tcplog\"",
        "\"off\"",
        "node.access_log cannot change while running: it is Some(Tcplog), the file says None",
    ),
    (
        "listen = \"127.0.0.1:2888\"",
        "listen = \"127.0.0.1:2889\"",
        "ensemble.listen cannot change while running: it is 127.0.0.1:2888, the file says 127.0.0.1:2889",
    ),
    (
        "heartbeat = \"100ms\"",
        "heartbeat = \"1s\"",
        "ensemble.heartbeat cannot change while running: it is 100ms, the file says 1s",
    ),
    (
        "127.0.0.1:2181",
        "127.0.0.1:2182",
        "zookeeper.listen cannot change while running: it is 127.0.0.1:2181, the file says 127.0.0.1:2182",
    ),
    (
        "tick_time = \"1s\"",
        "tick_time = \"3s\"",
        "zookeeper.tick_time cannot change while running: it is 1s, the file says 3s",
    ),
    (
        "min = \"4s\"",
        "min = \"5s\"",
        "zookeeper.session_timeout.min cannot change while running: it is 4s, the file says 5s",
    ),
    (
        "max = \"40s\"",
        "max = \"50s\"",
        "zookeeper.session_timeout.max cannot change while running: it is 40s, the file says 50s",
    ),
    (
        "127.0.0.1:9180",
        "127.0.0.1:9181",
        "admin.listen cannot change while running: it is 127.0.0.1:9180, the file says 127.0.0.1:9181",
    ),
];

#[test]
fn what_needs_a_restart_is_named_with_both_values() {
    for (from, to, expected) in RESTARTS {
        let changed = VALID.replacen(from, to, 1);
        let conflicts = parsed(VALID).reload_conflicts(&parsed(&changed));
        assert_eq!(conflicts, [*expected], "{from} -> {to}");
    }
}

#[test]
fn observing_and_membership_need_a_restart() {
    let old = parsed(VALID);
    let mut new = old.clone();
    let ensemble = new.ensemble.as_mut().unwrap();
    ensemble.observer = true;
    ensemble.members.remove("n1");
    let conflicts = old.reload_conflicts(&new);
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert!(conflicts[0].starts_with("ensemble.members cannot change"));
    assert!(conflicts[1].starts_with("ensemble.observer cannot change"));
}

#[test]
fn sections_neither_come_nor_go() {
    let with = parsed(VALID);
    let mut without = with.clone();
    without.ensemble = None;
    assert_eq!(
        with.reload_conflicts(&without),
        ["[ensemble] cannot be removed while running"]
    );
    assert_eq!(
        without.reload_conflicts(&with),
        ["[ensemble] cannot be added while running: this node is an ensemble of one"]
    );
}

#[test]
fn what_is_risky_is_warned_about() {
    let beyond = |section, address, who| {
        format!(
            "[{section}] listens on {address}, beyond this machine, without TLS (insecure = true): whoever reaches it {who}"
        )
    };
    let text = r#"
        node.name = "n1"
        zookeeper = { listen = "0.0.0.0:2181", insecure = true }
        admin = { listen = "[::]:9180", insecure = true }
        [ensemble]
        listen = "10.0.0.1:2888"
        insecure = true
        members = { n1 = "10.0.0.1:2888", n2 = "10.0.0.2:2888" }
        [[listener]]
        name = "web"
        bind = "0.0.0.0:80"
        protocol = "http"
        rules = [{ service = "all" }, { host = "a.example", service = "a" }]
    "#;
    assert_eq!(
        parsed(text).warnings(),
        [
            beyond("ensemble", "10.0.0.1:2888", "is taken for a member"),
            beyond(
                "zookeeper",
                "0.0.0.0:2181",
                "may register endpoints and change settings"
            ),
            beyond("admin", "[::]:9180", "may act as an operator"),
            "[ensemble] has 2 voting members, which survive no more failures than 1 would".into(),
            "listener \"web\": rule 1 matches everything, so the rules after it are never used"
                .into(),
        ]
    );
    assert_eq!(parsed("admin.listen = '[::1]:1'").warnings(), [""; 0]);
}
