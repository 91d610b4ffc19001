//! Control ports beyond this machine: refused without TLS or leave, and how each way out is taken.

use super::*;
use std::path::Path;

const MEMBERS: &str = "members = { n1 = '10.0.0.1:2888' }";

/// A file with one section more, for node n1.
fn with(section: &str) -> String {
    format!("[node]\nname = 'n1'\n{section}")
}

#[test]
fn a_port_beyond_this_machine_is_refused_with_its_place_and_three_ways_out() {
    for address in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
        let text = with(&format!("[ensemble]\nlisten = '{address}'\n{MEMBERS}"));
        assert_eq!(
            refused(&text),
            [format!(
                "4:10: [ensemble] listens on {address}, beyond this machine, without TLS, and whoever reaches it \
                 is taken for a member; either listen on 127.0.0.1:1, or add [ensemble.tls], so that members prove \
                 who they are (`zoogate cert` makes what it needs), or say insecure = true in [ensemble]"
            )]
        );
        assert_eq!(
            refused(&with(&format!("[zookeeper]\nlisten = '{address}'"))),
            [format!(
                "4:10: [zookeeper] listens on {address}, beyond this machine, without TLS, and whoever reaches it \
                 may register endpoints and change settings; either listen on 127.0.0.1:1, or keep this one so and \
                 let clients in by [zookeeper.tls], which has a port of its own, or say insecure = true in [zookeeper]"
            )]
        );
        assert_eq!(
            refused(&with(&format!("[admin]\nlisten = '{address}'"))),
            [format!(
                "4:10: [admin] listens on {address}, beyond this machine, without TLS, and whoever reaches it \
                 may act as an operator; either listen on 127.0.0.1:1, or add [admin.tls], so that it speaks HTTPS, \
                 or say insecure = true in [admin]"
            )]
        );
    }
}

#[test]
fn each_way_out_is_taken() {
    let pair = "certificate = 'c', key = 'k'";
    for section in [
        format!("[ensemble]\nlisten = '127.1.2.3:1'\n{MEMBERS}"),
        format!("[ensemble]\nlisten = '0.0.0.0:1'\ntls = {{ {pair}, ca = 'a' }}\n{MEMBERS}"),
        "[zookeeper]\nlisten = '[::ffff:127.0.0.1]:1'".to_owned(),
        format!("[zookeeper]\ntls = {{ listen = '0.0.0.0:1', {pair} }}"),
        format!("[admin]\nlisten = '127.0.0.1:1'\ntls = {{ {pair} }}"),
        format!(
            "[admin]\nlisten = '0.0.0.0:1'\ntls = {{ {pair}, client_ca = 'a', client_certificate = 'required' }}"
        ),
    ] {
        let config = parsed(&with(&section));
        assert_eq!(config.warnings(), [""; 0], "{section}");
        assert!(config.insecure_ports().is_empty(), "{section}");
    }
    let text = with("[admin]\nlisten = '0.0.0.0:1'\ninsecure = true");
    let address = "0.0.0.0:1".parse().unwrap();
    assert_eq!(parsed(&text).insecure_ports(), [("admin", address)]);
}

#[test]
fn an_admin_port_that_asks_nobody_who_he_is_is_warned_about() {
    let text = with("[admin]\nlisten = '0.0.0.0:1'\ntls = { certificate = 'c', key = 'k' }");
    assert_eq!(
        parsed(&text).warnings(),
        [
            "[admin.tls] requires no certificate of clients, so whoever reaches the port may act as an operator"
        ]
    );
}

#[test]
fn members_prove_themselves_by_files_beside_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zoogate.toml");
    let keys = "certificate = 'tls/n1.pem'\nkey = '/etc/n1.key'\nca = 'tls/ca.pem'";
    let tls = |more: &str| {
        let text = with(&format!(
            "[ensemble]\nlisten = '0.0.0.0:1'\n{MEMBERS}\n[ensemble.tls]\n{keys}\n{more}"
        ));
        std::fs::write(&path, text).unwrap();
        Config::load(&path).unwrap().ensemble.unwrap().tls.unwrap()
    };
    let plain = tls("");
    assert_eq!(plain.certificate, dir.path().join("tls/n1.pem"));
    assert_eq!(plain.key, Path::new("/etc/n1.key"));
    assert_eq!(plain.ca, dir.path().join("tls/ca.pem"));
    assert_eq!(plain.trust_domain, "zoogate");
    assert_eq!(tls("trust_domain = 'a.b-1_c'").trust_domain, "a.b-1_c");
}

#[test]
fn what_is_wrong_with_tls_has_a_place() {
    for (section, expected) in [
        (
            "[ensemble]\nlisten = '127.0.0.1:1'\nmembers = { n1 = 'a:1' }\ntls = { certificate = 'c', key = 'k' }",
            "6:7: key \"ca\" is missing in tls of [ensemble]",
        ),
        (
            "[ensemble]\nlisten = '127.0.0.1:1'\nmembers = { n1 = 'a:1' }\ntls = { certificate = 'c', key = 'k', ca = 'a', trust_domain = 'A/b' }",
            "6:64: \"A/b\" is not a trust domain: 1 to 255 lower-case letters, digits, '-', '_' and '.'",
        ),
        (
            "[admin]\ntls = { certificate = 'c', key = 'k', client_certificate = 'required' }",
            "4:60: client_certificate needs client_ca, the authorities to judge it by",
        ),
        (
            "[admin]\ntls = { listen = '127.0.0.1:1', certificate = 'c', key = 'k' }",
            "4:9: unknown key \"listen\" in tls of [admin]; known: \"certificate\", \"key\", \"client_ca\" and \"client_certificate\"",
        ),
    ] {
        assert_eq!(refused(&with(section)), [expected]);
    }
}
