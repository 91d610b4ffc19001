//! The exact text and place of every error.

use super::*;

#[test]
fn an_unknown_key_is_shown_with_its_line() {
    let text = "[node]\nname = \"n1\"\n\n[service.web]\nstratgy = \"random\"\n";
    let errors = Config::parse(text, "zoogate.toml").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "zoogate.toml:5:1: unknown key \"stratgy\" in [service.web]; did you mean \"strategy\"?\n  \
         5 | stratgy = \"random\"\n    | ^^^^^^^"
    );
}

#[test]
fn settings_in_the_tree_are_called_by_their_path() {
    let errors =
        ServiceSettings::parse("\n  idle = \"5m\"", "/zoogate/config/services/web").unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!(error.position(), Some((2, 3)));
    assert!(
        error
            .headline()
            .starts_with("/zoogate/config/services/web:2:3: unknown key \"idle\"; known: ")
    );
}

#[test]
fn all_errors_are_reported_in_the_order_of_the_text() {
    let text = r#"
[service.web]
strategy = "p3c"
connect_timeout = 5
[node]
nme = "n1"
[[listener]]
name = "web"
bind = ":80"
[[listener]]
bind = "127.0.0.1:1"
protocol = "udp"
service = "a/b"
"#;
    assert_eq!(
        refused(text),
        [
            r#"3:12: unknown strategy "p3c"; did you mean "p2c"?"#,
            r#"4:19: connect_timeout = 5 has no unit; write "5s" or "5ms""#,
            r#"6:1: unknown key "nme" in [node]; did you mean "name"?"#,
            r#"7:1: key "protocol" is missing in [[listener]]"#,
            r#"9:8: ":80" has no IP address; write "0.0.0.0:80", or "[::]:80" with IPv6, for all"#,
            r#"10:1: key "name" is missing in [[listener]]"#,
            r#"12:12: unknown protocol "udp"; known: "http", "tcp" and "tls""#,
            r#"13:11: service name "a/b" is '.', '..' or has a '/' or a control character"#,
        ]
    );
}

/// Texts with one error each, and the error.
pub(super) fn check_each(refuse: fn(&str) -> Vec<String>, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(refuse(text), [*expected], "{text}");
    }
}

#[test]
fn syntax_errors_have_a_place() {
    check_each(
        refused,
        &[
            ("[node\n", "1:6: not TOML: unclosed table, expected `]`"),
            ("a = 1\na = 2\n", "2:1: this key is set already"),
            ("[node]\n[node]\n", "2:2: this key is set already"),
            (
                "[node]\nname = n1 # me\n",
                "2:8: a string needs quotes: write \"n1\"",
            ),
            (
                "node.data_dir = /var",
                "1:17: a string needs quotes: write \"/var\"",
            ),
            (
                "zookeeper.tick_time = 2s",
                "1:23: a string needs quotes: write \"2s\"",
            ),
            (
                "zookeeper.listen =  127.0.0.1:80",
                "1:21: a string needs quotes: write \"127.0.0.1:80\"",
            ),
            ("a = tru", "1:5: a string needs quotes: write \"tru\""),
            (
                "a = { b = n1 }",
                "1:11: a string needs quotes: write \"n1\"",
            ),
            (
                "a = [127.0.0.1:80, 'x']",
                "1:6: a string needs quotes: write \"127.0.0.1:80\"",
            ),
            ("a = ./data", "1:5: a string needs quotes: write \"./data\""),
            ("a = 0.5s", "1:5: a string needs quotes: write \"0.5s\""),
            (
                "a = my data",
                "1:5: a value is missing, or a string without quotes",
            ),
            (
                "a =\nb = 1",
                "1:4: a value is missing, or a string without quotes",
            ),
            (
                "a = 1__0",
                "1:6: not TOML: `_` may only go between digits, expected nothing",
            ),
        ],
    );
}

#[test]
fn wrong_types_and_sections_are_named() {
    check_each(
        refused,
        &[
            (
                "nodes = 1",
                r#"1:1: unknown key "nodes"; did you mean "node"?"#,
            ),
            ("node = 1", "1:8: node must be a table, not an integer"),
            (
                "node.name = true",
                "1:13: name must be a string, not a boolean",
            ),
            (
                "node.workers = 1.5",
                "1:16: workers must be a whole number, not a float",
            ),
            (
                "service.web = []",
                "1:15: web must be a table, not an array",
            ),
            (
                "service = 'a'",
                "1:11: service must be a table, not a string",
            ),
            (
                "service.'a b'.x.y = 1",
                "1:15: unknown key \"x\" in [service.\"a b\"]; known: \"strategy\", \"hash_key\", \"load_factor\", \"slow_start\", \"panic_threshold\", \"on_empty\", \"backup\", \"connect_timeout\", \"response_timeout\", \"idle_timeout\", \"drain_timeout\", \"send_proxy\", \"keepalive\", \"user_timeout\", \"max_connections\", \"queue\", \"queue_timeout\", \"max_lifetime\", \"check\", \"outlier\", \"endpoints\", \"weights\" and \"drain\"",
            ),
            (
                "[service.'..']",
                "1:10: service name \"..\" is '.', '..' or has a '/' or a control character",
            ),
            (
                "[listener]\nname = 'a'",
                "1:1: listeners are a list: write [[listener]], with a name in it",
            ),
            (
                "listener = 1",
                "1:12: listener must be an array, not an integer",
            ),
            (
                "zookeeper.session_timeout = '4s'",
                "1:29: session_timeout must be a table, not a string",
            ),
            (
                "zookeeper.session_timeout.mn = '4s'",
                r#"1:27: unknown key "mn" in session_timeout of [zookeeper]; did you mean "min"?"#,
            ),
        ],
    );
}

#[test]
fn names_and_numbers_have_ranges() {
    check_each(
        refused,
        &[
            (
                "node.name = ''",
                "1:13: a name has 1 to 64 characters, this one has 0",
            ),
            (
                "node.name = 'a b'",
                r#"1:13: name "a b" may have letters, digits, '-', '_' and '.' only"#,
            ),
            (
                "node.data_dir = ''",
                r#"1:17: "" is not a directory's path"#,
            ),
            (
                "node.workers = 0",
                "1:16: workers must be 1 to 256; 0 is not",
            ),
            (
                "node.workers = -1",
                "1:16: workers must be 1 to 256; -1 is not",
            ),
            (
                "node.workers = 99999999999999999999999999999999999999999",
                "1:16: workers must be 1 to 256; this number is not",
            ),
            (
                "zookeeper.tick_time = '2 parsecs'",
                "1:23: tick_time: \"2 parsecs\" is not a duration; write whole numbers with units, such as \"1s\", \"500ms\" or \"1m 30s\"",
            ),
            (
                "zookeeper.tick_time = '1ms'",
                "1:23: tick_time must be 50ms to 1m; 1ms is not",
            ),
            (
                "admin.listen = 'localhost:9180'",
                r#"1:16: "localhost:9180" is not an IP address and port, such as "127.0.0.1:8080" or "[::1]:8080""#,
            ),
        ],
    );
}

#[test]
fn session_bounds_must_leave_a_choice() {
    check_each(
        refused,
        &[
            (
                "zookeeper.session_timeout = { min = '9s', max = '8s' }",
                "1:37: the shortest session timeout, 9s, exceeds the longest, 8s",
            ),
            (
                "zookeeper.session_timeout.min = '1m'",
                "1:33: the shortest session timeout, 1m, exceeds the longest, 40s (20 ticks of 2s)",
            ),
            (
                "zookeeper.session_timeout.max = '1s'",
                "1:33: the shortest session timeout, 4s (2 ticks of 2s), exceeds the longest, 1s",
            ),
            (
                "zookeeper.session_timeout = { min = 'x', max = '1s' }",
                "1:37: min: \"x\" is not a duration; write whole numbers with units, such as \"1s\", \"500ms\" or \"1m 30s\"",
            ),
        ],
    );
}

#[test]
fn an_ensemble_has_this_node_and_distinct_addresses() {
    let ensemble =
        |rest: &str| format!("node.name = 'n1'\nensemble.listen = '127.0.0.1:1'\n{rest}");
    for (rest, expected) in [
        (
            "ensemble.members = {}",
            "3:20: an ensemble has at least one member",
        ),
        (
            "ensemble.members = { n2 = 'h:1' }",
            "3:20: this node, \"n1\", is not among the members; add it, or set observer = true",
        ),
        (
            "ensemble.members = { n1 = 'h:1' }\nensemble.observer = true",
            "3:20: this node, \"n1\", is an observer, so it cannot be among the voting members",
        ),
        (
            "ensemble.members = { n1 = 'h:1', n2 = 'h:1' }",
            "3:39: h:1 is the address of member \"n1\" already",
        ),
        (
            "ensemble.members = { n1 = 'h' }",
            "3:27: \"h\" has no port; write \"host:port\", such as \"10.0.0.5:8080\"",
        ),
        (
            "ensemble.members = { n1 = 'h:0' }",
            "3:27: \"h:0\" has no port from 1 to 65535; write \"host:port\", such as \"10.0.0.5:8080\"",
        ),
        (
            "ensemble.members = { n1 = '::1:80' }",
            "3:27: \"::1:80\" has no valid host; write \"host:port\", such as \"10.0.0.5:8080\"",
        ),
        (
            "ensemble.members = { 'n 1' = 'h:1' }",
            "3:22: name \"n 1\" may have letters, digits, '-', '_' and '.' only",
        ),
        (
            "ensemble.members = { a='a:1', b='b:1', c='c:1', d='d:1', e='e:1', f='f:1', g='g:1', n1='h:1' }",
            "3:20: members has 8 entries, more than 7",
        ),
        (
            "",
            "2:19: [ensemble] needs members, to found an ensemble, or join, to enter one",
        ),
        (
            "ensemble.members = { n1 = 'h:1' }\nensemble.join = ['h:2']",
            "4:17: members founds an ensemble, join enters one that is there: give one of them",
        ),
        ("ensemble.join = []", "3:17: join names at least one member"),
        (
            "ensemble.join = ['h']",
            "3:18: \"h\" has no port; write \"host:port\", such as \"10.0.0.5:8080\"",
        ),
        (
            "ensemble.heartbeat = '1ms'\nensemble.members = { n1 = 'h:1' }",
            "3:22: heartbeat must be 10ms to 10s; 1ms is not",
        ),
    ] {
        assert_eq!(refused(&ensemble(rest)), [expected], "{rest}");
    }
    assert_eq!(
        refused("[ensemble]"),
        ["1:1: key \"listen\" is missing in [ensemble]"]
    );
}

#[test]
fn a_listener_leads_somewhere_by_rules_that_can_match() {
    let listener = |rest: &str| {
        format!("[[listener]]\nname = 'w'\nbind = '127.0.0.1:80'\nprotocol = 'http'\n{rest}")
    };
    for (rest, expected) in [
        (
            "",
            "2:8: listener \"w\" leads nowhere: it needs service or rules",
        ),
        (
            "rules = []",
            "5:9: rules is empty, so nothing would be served",
        ),
        (
            "service = 'a'\nrules = [{ service = 'a' }]",
            "5:11: service and rules exclude each other: add a last rule without host and path instead",
        ),
        (
            "rules = [{ host = 'a' }]",
            "5:10: key \"service\" is missing in a rule",
        ),
        (
            "rules = [{ hots = 'a', service = 'a' }]",
            "5:12: unknown key \"hots\" in a rule; did you mean \"host\"?",
        ),
        (
            "rules = [{ host = 'a:80', service = 'a' }]",
            "5:19: host \"a:80\" has a port; rules match the host without it",
        ),
        (
            "rules = [{ host = 'a.*', service = 'a' }]",
            "5:19: \"a.*\" is not a host; write a name, an IP address, or \"*.example\" for all its subdomains",
        ),
        (
            "rules = [{ host = '*', service = 'a' }]",
            "5:19: \"*\" is not a host; write a name, an IP address, or \"*.example\" for all its subdomains",
        ),
        (
            "rules = [{ path = 'api', service = 'a' }]",
            "5:19: path \"api\" does not start with '/'",
        ),
        (
            "rules = [{ path = '/?q', service = 'a' }]",
            "5:19: path \"/?q\" has '?', which no path of a request has; write it percent-encoded",
        ),
        (
            "service = ''",
            "5:11: a service name has 1 to 255 bytes, this one has 0",
        ),
        (
            "service = 'a'\nmax_connections = 0",
            "6:19: max_connections must be 1 to 1000000; 0 is not",
        ),
    ] {
        assert_eq!(refused(&listener(rest)), [expected], "{rest}");
    }
    let tcp = listener("rules = [{ path = '/', service = 'a' }]").replace("http", "tcp");
    assert_eq!(
        refused(&tcp),
        ["5:10: host and path are known with protocol \"http\" only"]
    );
    let later = listener("service = 'a'").replace("http", "https");
    assert_eq!(
        refused(&later),
        ["4:12: https is protocol \"http\" with [listener.tls]"]
    );
}

#[test]
fn names_and_addresses_are_given_once() {
    let listener = |name: &str, port: u16| {
        format!(
            "[[listener]]\nname = '{name}'\nbind = '127.0.0.1:{port}'\nprotocol = 'tcp'\nservice = 's'\n"
        )
    };
    for (text, expected) in [
        (
            listener("a", 1) + &listener("a", 2),
            "7:8: another listener is named \"a\" already",
        ),
        (
            listener("a", 1) + &listener("b", 1),
            "8:8: 127.0.0.1:1 is the address of listener \"a\" already",
        ),
        (
            listener("a", 2181),
            "3:8: 127.0.0.1:2181 is the address of [zookeeper], by default, already",
        ),
        (
            "zookeeper.listen = '127.0.0.1:9180'".into(),
            "1:20: 127.0.0.1:9180 is the address of [admin], by default, already",
        ),
        (
            "zookeeper.listen = '127.0.0.1:1'\nadmin.listen = '127.0.0.1:1'".into(),
            "2:16: 127.0.0.1:1 is the address of [zookeeper] already",
        ),
    ] {
        assert_eq!(refused(&text), [expected], "{text}");
    }
}
