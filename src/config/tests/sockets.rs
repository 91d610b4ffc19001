//! Options of sockets, source addresses and descriptors: what is refused, and that a reload is.

use super::*;

fn listener(keys: &str) -> String {
    format!("[[listener]]\nname='l'\nbind='127.0.0.1:0'\nprotocol='tcp'\nservice='s'\n{keys}\n")
}

#[test]
fn options_outside_their_range_are_refused() {
    for (keys, error) in [
        ("backlog = 0", "6:11: backlog must be 1 to 65535; 0 is not"),
        (
            "receive_buffer = 67108865",
            "6:18: receive_buffer must be 0 to 67108864; 67108865 is not",
        ),
        (
            "keepalive = 'on'",
            r#"6:13: keepalive "on" is neither "off" nor a table such as { idle = "1m", interval = "10s", probes = 6 }"#,
        ),
        (
            "keepalive = true",
            "6:13: keepalive must be a string, not a boolean",
        ),
        (
            "keepalive.idle = '500ms'",
            "6:18: idle must be 1s to 9h 6m 7s; 500ms is not",
        ),
        (
            "keepalive.probes = 128",
            "6:20: probes must be 1 to 127; 128 is not",
        ),
        (
            "keepalive.count = 3",
            r#"6:11: unknown key "count" in keepalive; known: "idle", "interval" and "probes""#,
        ),
        (
            "user_timeout = '2days'",
            "6:16: user_timeout must be 0s to 1day; 2days is not",
        ),
    ] {
        assert_eq!(refused(&listener(keys)), [error], "{keys}");
    }
}

#[test]
fn a_source_is_an_address_of_one_machine() {
    for (source, error) in [
        ("10.0.0.1:80", "is not an IP address without port"),
        ("host.example", "is not an IP address without port"),
        ("0.0.0.0", "is no address that a connection can come from"),
        ("ff02::1", "is no address that a connection can come from"),
    ] {
        let errors = refused(&format!("node.source_addresses = ['{source}']"));
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains(error), "{errors:?}");
    }
    let many = vec!["'10.0.0.1'"; 65].join(",");
    assert_eq!(
        refused(&format!("node.source_addresses = [{many}]")),
        ["1:25: source_addresses has 65 entries, more than 64"]
    );
    assert_eq!(
        refused("node.reserved_descriptors = 3"),
        ["1:29: reserved_descriptors must be 16 to 1000000; 3 is not"]
    );
}

#[test]
fn sources_and_descriptors_need_a_restart() {
    let old = parsed(VALID);
    let changed = VALID
        .replace(r#"["10.0.0.1", "2001:db8::1"]"#, "[]")
        .replace("reserved_descriptors = 100", "reserved_descriptors = 200");
    let conflicts = old.reload_conflicts(&parsed(&changed));
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert!(conflicts[0].starts_with("node.source_addresses cannot change while running"));
    assert!(conflicts[1].starts_with("node.reserved_descriptors cannot change while running"));
}
