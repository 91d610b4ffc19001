//! What valid texts mean, and what stands where they say nothing.

use super::*;
use std::path::Path;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn probes(idle: u64, interval: u64, probes: u32) -> Keepalive {
    Keepalive::Probes {
        idle: seconds(idle),
        interval: seconds(interval),
        probes,
    }
}

#[test]
fn an_empty_file_is_all_defaults() {
    let config = parsed("");
    assert_eq!(config.node.name, file::host_name().unwrap());
    assert_eq!(config.node.zone, None);
    assert_eq!(config.node.data_dir, Path::new("/var/lib/zoogate"));
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(config.node.workers, cores.min(256));
    assert!(config.node.source_addresses.is_empty());
    assert_eq!(config.node.reserved_descriptors, None);
    assert_eq!(config.ensemble, None);
    assert_eq!(
        config.zookeeper,
        ZookeeperConfig {
            listen: "127.0.0.1:2181".parse().unwrap(),
            tick_time: seconds(2),
            session_timeout_min: seconds(4),
            session_timeout_max: seconds(40),
            advertise: None,
            four_letter_words: FourLetterWords::only(["srvr", "ruok", "mntr"]),
            super_digest: None,
            read_only: false,
            reconfig: false,
            reap_interval: seconds(60),
            fresh_acl: FreshAcl::Open,
            tls: None,
            insecure: false,
        }
    );
    assert_eq!(config.admin.listen, "127.0.0.1:9180".parse().unwrap());
    assert!(config.listeners.is_empty());
    assert!(config.services.is_empty());
    assert!(config.warnings().is_empty());
}

#[test]
fn optional_keys_of_an_ensemble_and_a_listener_have_defaults() {
    let config = parsed(
        "node.name = 'n1'
         ensemble = { listen = '127.0.0.1:1', members = { n1 = '127.0.0.1:1' } }
         [[listener]]
         name = 'l'
         bind = '127.0.0.1:0'
         protocol = 'tcp'
         service = 's'",
    );
    let ensemble = config.ensemble.unwrap();
    assert!(!ensemble.observer);
    assert_eq!(ensemble.heartbeat, Duration::from_millis(50));
    let listener = &config.listeners[0];
    assert_eq!(listener.max_connections, 8192);
    assert_eq!(listener.accept_proxy, None);
    assert_eq!(listener.handshake_timeout, seconds(10));
    assert_eq!(listener.socket, ListenerSocket::default());
}

#[test]
fn a_policy_without_settings_is_the_documented_one() {
    let policy = ServicePolicy::default();
    assert_eq!(policy.strategy, Strategy::RoundRobin);
    assert_eq!(policy.hash_key, HashKey::ClientAddress);
    assert_eq!(policy.load_factor, 0);
    assert_eq!(policy.slow_start, Duration::ZERO);
    assert_eq!(policy.panic_threshold, 50);
    assert_eq!(policy.on_empty, OnEmpty::KeepLast);
    assert_eq!(policy.backup, None);
    assert_eq!(policy.connect_timeout, seconds(1));
    assert_eq!(policy.response_timeout, seconds(60));
    assert_eq!(policy.idle_timeout, seconds(300));
    assert_eq!(policy.drain_timeout, seconds(30));
    assert_eq!(policy.send_proxy, SendProxy::Off);
    assert_eq!(policy.keepalive, probes(60, 10, 6));
    assert_eq!(policy.user_timeout, Duration::ZERO);
    assert!(policy.endpoints.is_empty() && policy.weights.is_empty() && policy.drain.is_empty());
}

#[test]
fn session_bounds_follow_the_tick_unless_set() {
    for (section, min, max) in [
        ("tick_time = '1s'", 2, 20),
        ("tick_time = '1s'\nsession_timeout = { max = '5s' }", 2, 5),
        ("session_timeout = { min = '40s' }", 40, 40),
        ("session_timeout = {}", 4, 40),
    ] {
        let zookeeper = parsed(&format!("[zookeeper]\n{section}")).zookeeper;
        let bounds = (zookeeper.session_timeout_min, zookeeper.session_timeout_max);
        assert_eq!(bounds, (seconds(min), seconds(max)), "{section}");
    }
}

#[test]
fn every_key_reaches_its_field() {
    let config = parsed(VALID);
    assert_eq!(
        config.node,
        NodeConfig {
            name: "n1".into(),
            zone: Some("a".into()),
            data_dir: "data".into(),
            workers: 2,
            source_addresses: vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            access_log: Some(AccessFormat::Tcplog),
            reserved_descriptors: Some(100),
        }
    );
    let ensemble = config.ensemble.unwrap();
    assert_eq!(ensemble.members["n3"], "n3.example:2888");
    assert_eq!(ensemble.heartbeat, Duration::from_millis(100));
    let [web, db] = &config.listeners[..] else {
        panic!("{:?}", config.listeners)
    };
    assert_eq!(web.protocol, Protocol::Http);
    assert_eq!(web.rules[0].host.as_deref(), Some("shop.example"));
    assert_eq!(web.rules[0].path.as_deref(), Some("/api/"));
    assert_eq!(web.rules[1].service.as_str(), "web");
    assert_eq!(db.protocol, Protocol::Tcp);
    assert_eq!(db.max_connections, 10);
    let networks = ["10.0.0.0/8", "fd00::1/128"].map(|network| network.parse().unwrap());
    assert_eq!(db.accept_proxy.as_deref(), Some(&networks[..]));
    assert_eq!(db.handshake_timeout, seconds(3));
    let socket = ListenerSocket {
        backlog: 100,
        keepalive: probes(30, 10, 3),
        user_timeout: Duration::from_millis(1500),
        receive_buffer: 65_536,
        send_buffer: 131_072,
    };
    assert_eq!(db.socket, socket);
    assert_eq!(web.socket.keepalive, Keepalive::Off);
    let all_to_db = RuleConfig {
        sni: None,
        host: None,
        path: None,
        service: ServiceName::new("db").unwrap(),
    };
    assert_eq!(db.rules, [all_to_db]);
    assert_eq!(config.services["web"].strategy, Some(Strategy::Weighted));
}

#[test]
fn settings_in_the_tree_have_the_keys_of_a_service_section() {
    let keys = r#"
        strategy = "consistent-hash"
        hash_key = "header:X-User"
        load_factor = 1.25
        slow_start = "20s"
        panic_threshold = 0
        on_empty = "backup"
        backup = "spare"
        connect_timeout = "250ms"
        response_timeout = "1m 30s"
        idle_timeout = "1h"
        drain_timeout = "0s"
        send_proxy = "v2"
        keepalive = { interval = "5s" }
        user_timeout = "1m"
        max_connections = 20
        queue = 0
        queue_timeout = "1s"
        max_lifetime = "1day"
        check = { type = "tcp" }
        outlier = {}
        endpoints = ["10.0.0.5:80", { address = "[::1]:80", weight = 7, tier = 2 }]
        weights = { "10.0.0.5:80" = 3, web-1 = 65_535 }
        drain = ["web-2"]
    "#;
    let from_tree = ServiceSettings::parse(keys, "/zoogate/config/services/web").unwrap();
    let endpoint = |address: &str, weight, tier| StaticEndpoint {
        address: address.into(),
        weight,
        tier,
    };
    assert_eq!(
        from_tree,
        ServiceSettings {
            strategy: Some(Strategy::ConsistentHash),
            hash_key: Some(HashKey::Header("x-user".into())),
            load_factor: Some(125),
            slow_start: Some(seconds(20)),
            panic_threshold: Some(0),
            on_empty: Some(OnEmpty::Backup),
            backup: Some(ServiceName::new("spare").unwrap()),
            connect_timeout: Some(Duration::from_millis(250)),
            response_timeout: Some(seconds(90)),
            idle_timeout: Some(seconds(3600)),
            drain_timeout: Some(Duration::ZERO),
            send_proxy: Some(SendProxy::V2),
            keepalive: Some(probes(60, 5, 6)),
            user_timeout: Some(seconds(60)),
            max_connections: Some(Some(20)),
            queue: Some(0),
            queue_timeout: Some(seconds(1)),
            max_lifetime: Some(Some(seconds(86_400))),
            check: Some(Some(Check::new(Probe::Tcp))),
            outlier: Some(Outlier::default()),
            endpoints: Some(vec![
                endpoint("10.0.0.5:80", 1, 0),
                endpoint("[::1]:80", 7, 2)
            ]),
            weights: Some([("10.0.0.5:80".into(), 3), ("web-1".into(), 65_535)].into()),
            drain: Some(["web-2".into()].into()),
        }
    );
    let from_file = parsed(&format!("[service.web]{keys}"));
    assert_eq!(from_file.services["web"], from_tree);
}

#[test]
fn empty_settings_set_nothing() {
    for text in ["", "\n", "# nothing yet\n"] {
        let settings = ServiceSettings::parse(text, "f");
        assert_eq!(settings, Ok(ServiceSettings::default()), "{text:?}");
    }
}

#[test]
fn each_hash_key_is_understood() {
    for (text, expected) in [
        ("client-address", HashKey::ClientAddress),
        ("path", HashKey::Path),
        ("sni", HashKey::Sni),
        ("header:X-User", HashKey::Header("x-user".into())),
        ("cookie:Session", HashKey::Cookie("Session".into())),
        ("query:user_id", HashKey::Query("user_id".into())),
        ("proxy-tlv:0xEA", HashKey::ProxyTlv(0xea)),
    ] {
        let settings = ServiceSettings::parse(&format!("hash_key = {text:?}"), "f").unwrap();
        assert_eq!(settings.hash_key, Some(expected));
    }
}

#[test]
fn each_strategy_is_understood() {
    for strategy in Strategy::ALL {
        let text = format!("strategy = {:?}", strategy.as_str());
        let settings = ServiceSettings::parse(&text, "f").unwrap();
        assert_eq!(settings.strategy, Some(strategy));
    }
}

#[test]
fn a_load_factor_is_a_number_of_two_decimals_or_off() {
    for (text, expected) in [
        ("0", 0),
        ("0.0", 0),
        ("1.01", 101),
        ("1.1", 110),
        ("1.29", 129),
        ("2", 200),
        ("10.0", 1000),
    ] {
        let settings = ServiceSettings::parse(&format!("load_factor = {text}"), "f");
        assert_eq!(settings.unwrap().load_factor, Some(expected), "{text}");
    }
}

#[test]
fn later_layers_win_key_by_key() {
    let settings = |text: &str| ServiceSettings::parse(text, "f").unwrap();
    let file = settings(
        "strategy = 'random'\nconnect_timeout = '2s'\ndrain = ['a']\nload_factor = 2
         on_empty = 'backup'\nbackup = 'a'",
    );
    let tree = settings("strategy = 'weighted'\ndrain = []\nload_factor = 0\nbackup = 'b'");
    let policy = ServicePolicy::default().overlaid(&file).overlaid(&tree);
    assert_eq!(policy.strategy, Strategy::Weighted, "tree over file");
    assert_eq!(policy.connect_timeout, seconds(2), "file over built-in");
    assert_eq!(policy.idle_timeout, seconds(300), "built-in");
    assert!(policy.drain.is_empty(), "an empty list is a value");
    assert_eq!(policy.load_factor, 0, "off is a value");
    assert_eq!(policy.on_empty, OnEmpty::Backup);
    assert_eq!(policy.backup, Some(ServiceName::new("b").unwrap()));
}

#[test]
fn a_limit_is_lifted_by_a_later_layer() {
    let settings = |text: &str| ServiceSettings::parse(text, "f").unwrap();
    let file = settings("max_connections = 7\nmax_lifetime = '1h'");
    let tree = settings("max_connections = 0\nmax_lifetime = '0s'");
    let by_file = ServicePolicy::default().overlaid(&file);
    assert_eq!(by_file.max_connections, Some(7));
    assert_eq!(by_file.max_lifetime, Some(seconds(3600)));
    let policy = by_file.overlaid(&tree);
    assert_eq!((policy.max_connections, policy.max_lifetime), (None, None));
    assert_eq!((policy.queue, policy.queue_timeout), (1024, seconds(5)));
}

#[test]
fn an_observer_is_not_among_the_members() {
    let config = parsed(
        "node.name = 'o1'
         [ensemble]
         listen = '127.0.0.1:2888'
         members = { n1 = '10.0.0.1:2888' }
         observer = true",
    );
    assert!(config.ensemble.unwrap().observer);
}

#[test]
fn port_zero_may_repeat() {
    let listener = |name| {
        format!("[[listener]]\nname='{name}'\nbind='127.0.0.1:0'\nprotocol='tcp'\nservice='s'\n")
    };
    let text = format!(
        "zookeeper.listen = '127.0.0.1:0'\nadmin.listen = '127.0.0.1:0'\n{}{}",
        listener("a"),
        listener("b")
    );
    assert_eq!(parsed(&text).listeners.len(), 2);
}
