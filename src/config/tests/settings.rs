//! The exact text and place of every error in the settings of a service.

use super::errors::check_each;
use super::*;

/// What a text of settings says, and how it is refused.
const WRONG_SETTINGS: &[(&str, &str)] = &[
    (
        "strategy = 'round_robin'",
        r#"1:12: unknown strategy "round_robin"; did you mean "round-robin"?"#,
    ),
    (
        "strategy = 'first'",
        r#"1:12: unknown strategy "first"; known: "round-robin", "weighted", "random", "least-connections", "p2c", "consistent-hash" and "maglev""#,
    ),
    (
        "load_factor = 1",
        "1:15: load_factor must be 0, or 1.01 to 10 with at most two decimals",
    ),
    (
        "load_factor = 1.255",
        "1:15: load_factor must be 0, or 1.01 to 10 with at most two decimals",
    ),
    (
        "load_factor = nan",
        "1:15: load_factor must be 0, or 1.01 to 10 with at most two decimals",
    ),
    (
        "load_factor = -1.25",
        "1:15: load_factor must be 0, or 1.01 to 10 with at most two decimals",
    ),
    (
        "load_factor = '1.25'",
        "1:15: load_factor must be a number, not a string",
    ),
    (
        "slow_start = '2h'",
        "1:14: slow_start must be 0s to 1h; 2h is not",
    ),
    (
        "panic_threshold = 101",
        "1:19: panic_threshold must be 0 to 100; 101 is not",
    ),
    (
        "on_empty = 'keep'",
        r#"1:12: unknown on_empty "keep"; known: "reject", "keep-last" and "backup""#,
    ),
    (
        "on_empty = 'backup'",
        r#"1:1: on_empty = "backup" needs backup = "SERVICE" beside it"#,
    ),
    (
        "backup = 'a/b'",
        "1:10: service name \"a/b\" is '.', '..' or has a '/' or a control character",
    ),
    (
        "endpoints = [{ address = 'a:1', tier = 256 }]",
        "1:40: tier must be 0 to 255; 256 is not",
    ),
    (
        "hash_key = 'random'",
        r#"1:12: unknown hash_key "random"; known: "client-address", "path", "header:NAME", "cookie:NAME", "query:NAME", "sni" and "proxy-tlv:0xNN""#,
    ),
    (
        "hash_key = 'client-addr'",
        r#"1:12: unknown hash_key "client-addr"; did you mean "client-address"?"#,
    ),
    (
        "hash_key = 'header'",
        r#"1:12: hash_key "header" needs a name; write "header:NAME""#,
    ),
    (
        "hash_key = 'cookie:'",
        r#"1:12: hash_key "cookie:" names no possible cookie; write "cookie:NAME""#,
    ),
    (
        "hash_key = 'query:a=b'",
        r#"1:12: hash_key "query:a=b" names no possible query; write "query:NAME""#,
    ),
    (
        "connect_timeout = '0s'",
        "1:19: connect_timeout must be 1ms to 5m; 0s is not",
    ),
    (
        "connect_timeout = 0.5",
        "1:19: connect_timeout must be a duration such as \"1s\", not a float",
    ),
    (
        "endpoints = ['a:1', 'b']",
        "1:21: \"b\" has no port; write \"host:port\", such as \"10.0.0.5:8080\"",
    ),
    (
        "endpoints = ['a:1', 'a:1']",
        "1:21: endpoint a:1 is listed already",
    ),
    (
        "endpoints = ['a:1', { address = 'a:1' }]",
        "1:21: endpoint a:1 is listed already",
    ),
    (
        "endpoints = [{ weight = 1 }]",
        "1:14: key \"address\" is missing in an endpoint",
    ),
    (
        "weights = { a = 0 }",
        "1:17: a must be 1 to 65535; 0 is not",
    ),
    (
        "weights = { 'a/b' = 1 }",
        "1:13: instance \"a/b\" has a '/' or a control character; give its name, not its path",
    ),
    (
        "drain = ['']",
        "1:10: an instance's name has 1 to 255 bytes, this one has 0",
    ),
    ("drain = 'a'", "1:9: drain must be an array, not a string"),
];

#[test]
fn service_settings_are_checked_value_by_value() {
    check_each(refused_settings, WRONG_SETTINGS);
}
