//! What a listener hears before a client's own bytes, and what endpoints are told of clients.

use super::*;

fn listener(rest: &str) -> String {
    format!(
        "[[listener]]\nname = 'a'\nbind = '127.0.0.1:1'\nprotocol = 'tcp'\nservice = 's'\n{rest}"
    )
}

#[test]
fn what_cannot_be_meant_by_a_proxy_is_refused() {
    for (rest, expected) in [
        (
            "accept_proxy = []",
            "6:16: accept_proxy is empty, so nobody could connect; name the proxies' networks, or leave it out",
        ),
        (
            "accept_proxy = ['10.0.0.1/8']",
            "6:17: \"10.0.0.1/8\" has bits behind its prefix; write \"10.0.0.0/8\"",
        ),
        (
            "accept_proxy = ['proxy.example']",
            "6:17: \"proxy.example\" is not a network, such as \"10.0.0.0/8\" or \"fd00::/8\"",
        ),
        (
            "accept_proxy = ['10.0.0.0/33']",
            "6:17: \"10.0.0.0/33\" is not a network, such as \"10.0.0.0/8\" or \"fd00::/8\"",
        ),
        (
            "accept_proxy = true",
            "6:16: accept_proxy must be an array, not a boolean",
        ),
        (
            "handshake_timeout = '50ms'",
            "6:21: handshake_timeout must be 100ms to 5m; 50ms is not",
        ),
    ] {
        assert_eq!(refused(&listener(rest)), [expected], "{rest}");
    }
}

#[test]
fn a_name_in_tls_is_known_where_tls_is_read() {
    let tls = |rule: &str| {
        let text = listener("").replace("service = 's'", &format!("rules = [{rule}]"));
        text.replace("tcp", "tls")
    };
    let rule =
        parsed(&tls("{ sni = '*.Shop.Example', service = 's' }")).listeners[0].rules[0].clone();
    assert_eq!(rule.sni.as_deref(), Some("*.shop.example"));
    for (rule, expected) in [
        (
            "{ sni = '127.0.0.1', service = 's' }",
            "5:18: sni \"127.0.0.1\" is an address, which no ClientHello names",
        ),
        (
            "{ sni = 'a:443', service = 's' }",
            "5:18: host \"a:443\" has a port; rules match the host without it",
        ),
        (
            "{ host = 'a', service = 's' }",
            "5:10: host and path are known with protocol \"http\" only",
        ),
    ] {
        assert_eq!(refused(&tls(rule)), [expected], "{rule}");
    }
    let tcp = tls("{ sni = 'a', service = 's' }").replace("tls", "tcp");
    assert_eq!(
        refused(&tcp),
        ["5:10: sni is known with protocol \"tls\" or with [listener.tls] only"]
    );
}

#[test]
fn a_listener_that_ends_tls_says_what_it_shows() {
    let tls = |rest: &str| {
        let pair = "certificate = 'a.pem', key = 'a.key'";
        listener(&format!(
            "[listener.tls]\ncertificates = [{{ {pair} }}]\n{rest}"
        ))
    };
    let of = |text: &str| parsed(text).listeners[0].tls.clone().unwrap();
    let default = of(&tls(""));
    assert_eq!(default.certificates.len(), 1);
    assert_eq!(default.min_version, TlsVersion::V1_2);
    assert_eq!(default.client_ca, None);
    assert!(default.alpn.is_empty());
    let http = of(&tls("").replace("'tcp'", "'http'"));
    assert_eq!(http.alpn, ["http/1.1"], "what it speaks");
    let all = "alpn = ['mqtt', 'x']\nclient_ca = 'c.pem'\nclient_certificate = 'required'\nmin_version = '1.3'";
    let all = of(&tls(all));
    assert_eq!(all.alpn, ["mqtt", "x"]);
    assert_eq!(
        all.client_ca.as_deref(),
        Some(std::path::Path::new("c.pem"))
    );
    assert_eq!(all.client_certificate, ClientCertificate::Required);
    assert_eq!(all.min_version, TlsVersion::V1_3);
    let by_name = tls("").replace("service = 's'", "rules = [{ sni = 'a', service = 's' }]");
    assert_eq!(
        parsed(&by_name).listeners[0].rules[0].sni.as_deref(),
        Some("a")
    );
    for (text, expected) in [
        (
            listener("[listener.tls]\ncertificates = []"),
            "7:16: certificates is empty, so nothing could be shown to clients",
        ),
        (
            listener("[listener.tls]"),
            "6:1: key \"certificates\" is missing in [listener.tls]",
        ),
        (
            tls("client_certificate = 'required'"),
            "8:22: client_certificate needs client_ca, the authorities to judge it by",
        ),
        (
            tls("min_version = '1.1'"),
            "8:15: unknown min_version \"1.1\"; did you mean \"1.2\"?",
        ),
        (
            tls("alpn = ['']"),
            "8:9: a protocol's name has 1 to 255 bytes, this one has 0",
        ),
        (
            tls("alpn = ['h2']").replace("'tcp'", "'http'"),
            "8:8: with protocol \"http\" only \"http/1.1\" can be offered in alpn",
        ),
        (
            tls("").replace("'tcp'", "'tls'"),
            "6:1: protocol \"tls\" passes TLS on as it is; to end it here, say \"tcp\" or \"http\"",
        ),
        (
            listener("").replace("'tcp'", "'https'"),
            "4:12: https is protocol \"http\" with [listener.tls]",
        ),
    ] {
        assert_eq!(refused(&text), [expected], "{text}");
    }
}

#[test]
fn what_endpoints_cannot_be_told_is_refused() {
    for (text, expected) in [
        (
            "send_proxy = 'v3'",
            "1:14: unknown send_proxy \"v3\"; did you mean \"v1\"?",
        ),
        (
            "send_proxy = true",
            "1:14: send_proxy must be a string, not a boolean",
        ),
        (
            "hash_key = 'proxy-tlv:EA'",
            "1:12: hash_key \"proxy-tlv:EA\" names no type of a TLV; write \"proxy-tlv:0xEA\"",
        ),
        (
            "hash_key = 'proxy-tlv:0x1EA'",
            "1:12: hash_key \"proxy-tlv:0x1EA\" names no type of a TLV; write \"proxy-tlv:0xEA\"",
        ),
    ] {
        assert_eq!(refused_settings(text), [expected], "{text}");
    }
}
