//! The keys of `[zookeeper]` beyond addresses and times: what they mean, and what is wrong with them.

use super::*;
use std::path::Path;

/// All keys, none at its default.
const ALL: &str = r#"
[zookeeper]
advertise = "zk1.example:2181"
four_letter_words = ["srvr", "wchp"]
super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
read_only = true
reconfig = true
reap_interval = "5s"
fresh_acl = "closed"
[zookeeper.tls]
listen = "127.0.0.1:2282"
certificate = "tls/node.pem"
key = "/etc/ssl/node.key"
client_ca = "tls/ca.pem"
client_certificate = "required"
"#;

#[test]
fn every_key_reaches_its_field() {
    let zookeeper = parsed(ALL).zookeeper;
    assert_eq!(
        zookeeper,
        ZookeeperConfig {
            advertise: Some("zk1.example:2181".into()),
            four_letter_words: FourLetterWords::only(["srvr", "wchp"]),
            super_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into()),
            read_only: true,
            reconfig: true,
            reap_interval: Duration::from_secs(5),
            fresh_acl: FreshAcl::Closed,
            tls: Some(ZookeeperTls {
                listen: "127.0.0.1:2282".parse().unwrap(),
                certificate: "tls/node.pem".into(),
                key: "/etc/ssl/node.key".into(),
                client_ca: Some("tls/ca.pem".into()),
                client_certificate: ClientCertificate::Required,
            }),
            ..ZookeeperConfig::at(DEFAULT_ZOOKEEPER_LISTEN)
        }
    );
}

#[test]
fn tls_asks_for_no_certificate_unless_told_by_whom_to_judge_it() {
    let tls = |more: &str| {
        let text = format!("zookeeper.tls = {{ certificate = 'c', key = 'k'{more} }}");
        parsed(&text).zookeeper.tls.unwrap()
    };
    let plain = tls("");
    assert_eq!(plain.listen, "127.0.0.1:2281".parse().unwrap());
    assert_eq!(plain.client_ca, None);
    for (more, expected) in [
        ("", ClientCertificate::Optional),
        (", client_ca = 'a'", ClientCertificate::Optional),
        (
            ", client_ca = 'a', client_certificate = 'optional'",
            ClientCertificate::Optional,
        ),
        (
            ", client_ca = 'a', client_certificate = 'required'",
            ClientCertificate::Required,
        ),
    ] {
        assert_eq!(tls(more).client_certificate, expected, "{more}");
    }
}

#[test]
fn a_star_allows_every_word_and_an_empty_list_none() {
    let words = |list: &str| {
        let text = format!("zookeeper.four_letter_words = {list}");
        parsed(&text).zookeeper.four_letter_words
    };
    assert_eq!(words("['*']"), FourLetterWords::all());
    assert_eq!(words("['ruok', '*']"), FourLetterWords::all());
    assert_eq!(words("[]"), FourLetterWords::only([]));
}

#[test]
fn files_are_looked_for_beside_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zoogate.toml");
    std::fs::write(&path, ALL).unwrap();
    let tls = Config::load(&path).unwrap().zookeeper.tls.unwrap();
    assert_eq!(tls.certificate, dir.path().join("tls/node.pem"));
    assert_eq!(tls.key, Path::new("/etc/ssl/node.key"));
    assert_eq!(tls.client_ca, Some(dir.path().join("tls/ca.pem")));
}

/// What is written in `[zookeeper]`, and how it is refused.
const WRONG: &[(&str, &str)] = &[
    (
        "advertise = 'zk1'",
        r#"2:13: "zk1" has no port; write "host:port", such as "10.0.0.5:8080""#,
    ),
    (
        "four_letter_words = ['ruok', 'mntrr']",
        r#"2:30: unknown four-letter word "mntrr"; did you mean "mntr"?"#,
    ),
    (
        "four_letter_words = 'ruok'",
        "2:21: four_letter_words must be an array, not a string",
    ),
    (
        "super_digest = 'super:secret'",
        "2:16: not a digest; write \"user:HASH\", where HASH is what `printf %s user:password | openssl sha1 -binary | base64` prints",
    ),
    (
        "read_only = 'yes'",
        "2:13: read_only must be true or false, not a string",
    ),
    (
        "reconfig = 1",
        "2:12: reconfig must be true or false, not an integer",
    ),
    (
        "reap_interval = '1ms'",
        "2:17: reap_interval must be 100ms to 1day; 1ms is not",
    ),
    (
        "fresh_acl = 'close'",
        r#"2:13: unknown fresh_acl "close"; did you mean "closed"?"#,
    ),
    (
        "tls = { certificate = 'c' }",
        r#"2:7: key "key" is missing in tls of [zookeeper]"#,
    ),
    (
        "tls = { certificate = '', key = 'k' }",
        r#"2:23: "" is not a file's path"#,
    ),
    (
        "tls = { certificate = 'c', key = 'k', client_certificate = 'required' }",
        "2:60: client_certificate needs client_ca, the authorities to judge it by",
    ),
    (
        "tls = { certificate = 'c', key = 'k', client_ca = 'a', client_certificate = 'must' }",
        r#"2:77: unknown client_certificate "must"; known: "optional" and "required""#,
    ),
    (
        "tls = { listen = '127.0.0.1:9180', certificate = 'c', key = 'k' }",
        "2:18: 127.0.0.1:9180 is the address of [admin], by default, already",
    ),
    (
        "listen = '127.0.0.1:2281'\ntls = { certificate = 'c', key = 'k' }",
        "2:10: 127.0.0.1:2281 is the address of tls of [zookeeper], by default, already",
    ),
];

#[test]
fn wrong_values_are_refused_at_their_place() {
    for (text, expected) in WRONG {
        assert_eq!(refused(&format!("[zookeeper]\n{text}")), [*expected]);
    }
}

#[test]
fn none_of_it_changes_while_running_and_no_digest_is_shown() {
    let old = parsed("");
    let new = parsed(ALL);
    let conflicts = old.reload_conflicts(&new);
    let named = [
        "advertise",
        "four_letter_words",
        "super_digest",
        "read_only",
        "reconfig",
        "reap_interval",
        "fresh_acl",
        "tls",
    ];
    assert_eq!(conflicts.len(), named.len(), "{conflicts:?}");
    for (conflict, name) in conflicts.iter().zip(named) {
        assert!(
            conflict.starts_with(&format!("zookeeper.{name} cannot change while running")),
            "{conflict}"
        );
        assert!(!conflict.contains("D/InIHSb7yEEbrWz8b9l71RjZJU="));
    }
}
