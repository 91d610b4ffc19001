//! Checks: what they mean, and what is wrong with them.

use super::*;

fn check(text: &str) -> Option<Check> {
    let settings = format!("check = {text}");
    let settings = ServiceSettings::parse(&settings, "f");
    let settings = settings.unwrap_or_else(|errors| panic!("{errors}"));
    settings.check.unwrap()
}

#[test]
fn a_check_has_defaults_for_all_but_its_type() {
    let http = Probe::Http {
        path: "/".into(),
        host: None,
        lowest: 200,
        highest: 399,
    };
    for (kind, probe) in [
        ("tcp", Probe::Tcp),
        ("tls", Probe::Tls { host: None }),
        ("http", http),
    ] {
        let expected = Check {
            probe,
            port: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            jitter: 10,
            rise: 2,
            fall: 3,
        };
        let found = check(&format!("{{ type = '{kind}' }}"));
        assert_eq!(found, Some(expected), "{kind}");
    }
    assert_eq!(ServicePolicy::default().check, None);
}

#[test]
fn every_key_of_a_check_reaches_its_field() {
    let found = check(
        "{ type = 'http', path = '/h?deep=1', host = 'shop.example:81', status = '204', port = 9100,
           interval = '500ms', timeout = '250ms', jitter = 0.25, rise = 1, fall = 9 }",
    );
    let expected = Check {
        probe: Probe::Http {
            path: "/h?deep=1".into(),
            host: Some("shop.example:81".into()),
            lowest: 204,
            highest: 204,
        },
        port: Some(9100),
        interval: Duration::from_millis(500),
        timeout: Duration::from_millis(250),
        jitter: 25,
        rise: 1,
        fall: 9,
    };
    assert_eq!(found, Some(expected));
    let expect = check(r#"{ type = "expect", send = "PING\r\n", expect = "+PONG" }"#);
    let expected = Probe::Expect {
        send: "PING\r\n".into(),
        expect: "+PONG".into(),
    };
    assert_eq!(expect.unwrap().probe, expected);
}

#[test]
fn a_timeout_that_is_not_set_is_no_longer_than_the_interval() {
    let found = check("{ type = 'tcp', interval = '200ms' }").unwrap();
    assert_eq!(found.timeout, Duration::from_millis(200));
}

#[test]
fn a_later_layer_may_take_a_check_away() {
    let layer = |text| ServiceSettings::parse(text, "f").unwrap();
    let file = layer("check = { type = 'tcp' }");
    let policy = ServicePolicy::default().overlaid(&file);
    assert!(policy.check.is_some());
    let silent = policy.clone().overlaid(&layer("strategy = 'random'"));
    assert_eq!(silent.check, policy.check);
    let without = policy.overlaid(&layer("check = { type = 'none' }"));
    assert_eq!(without.check, None);
}

#[test]
fn outliers_are_ejected_by_default_and_every_key_reaches_its_field() {
    let outlier = |text: &str| {
        let settings = ServiceSettings::parse(&format!("outlier = {text}"), "f");
        settings.unwrap().outlier.unwrap()
    };
    let default = Outlier {
        consecutive: 5,
        eject: Duration::from_secs(30),
        max_eject: Duration::from_secs(300),
        max_ejected: 50,
        success_rate: 0,
        interval: Duration::from_secs(10),
        min_requests: 100,
        min_endpoints: 5,
    };
    assert_eq!(ServicePolicy::default().outlier, default);
    assert_eq!(outlier("{}"), default);
    let all = outlier(
        "{ consecutive = 3, eject = '1s', max_eject = '1m', max_ejected = 0.25, success_rate = 1.9,
           interval = '5s', min_requests = 10, min_endpoints = 3 }",
    );
    let expected = Outlier {
        consecutive: 3,
        eject: Duration::from_secs(1),
        max_eject: Duration::from_secs(60),
        max_ejected: 25,
        success_rate: 190,
        interval: Duration::from_secs(5),
        min_requests: 10,
        min_endpoints: 3,
    };
    assert_eq!(all, expected);
    assert!(default.active().is_some());
    assert_eq!(outlier("{ consecutive = 0 }").active(), None);
    for (text, expected) in [
        (
            "{ success_rate = 0.4 }",
            "1:28: success_rate must be 0, or 0.5 to 10 with at most two decimals",
        ),
        (
            "{ max_ejected = 1.5 }",
            "1:27: max_ejected must be 0, or 0.01 to 1 with at most two decimals",
        ),
        (
            "{ min_endpoints = 2 }",
            "1:29: min_endpoints must be 3 to 10000; 2 is not",
        ),
    ] {
        let text = format!("outlier = {text}");
        assert_eq!(refused_settings(&text), [expected], "{text}");
    }
}

fn check_each(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let text = format!("check = {text}");
        assert_eq!(refused_settings(&text), [*expected], "{text}");
    }
}

#[test]
fn keys_go_with_their_type() {
    check_each(&[
        ("{}", r#"1:9: key "type" is missing in a check"#),
        (
            "{ type = 'htp' }",
            r#"1:18: unknown check "htp"; did you mean "http"?"#,
        ),
        (
            "{ type = 'tcp', path = '/' }",
            r#"1:32: path means nothing to a check of type "tcp", only to "http""#,
        ),
        (
            "{ type = 'expect', host = 'h', expect = 'x' }",
            r#"1:35: host means nothing to a check of type "expect", only to "http" and "tls""#,
        ),
        (
            "{ type = 'none', send = 'x' }",
            r#"1:33: send means nothing to a check of type "none", only to "expect""#,
        ),
    ]);
}

#[test]
fn values_of_a_check_are_in_range() {
    check_each(&[
        (
            "{ type = 'http', path = 'x' }",
            r#"1:33: path "x" must begin with '/' and have at most 1024 printable ASCII characters without '#'"#,
        ),
        (
            "{ type = 'http', path = '/a b' }",
            r#"1:33: path "/a b" must begin with '/' and have at most 1024 printable ASCII characters without '#'"#,
        ),
        (
            "{ type = 'http', host = 'a b' }",
            r#"1:33: "a b" is not a host"#,
        ),
        (
            "{ type = 'http', status = '399-200' }",
            r#"1:35: status "399-200" is neither a status such as "200" nor a range such as "200-399""#,
        ),
        (
            "{ type = 'http', status = '100' }",
            r#"1:35: status "100" is neither a status such as "200" nor a range such as "200-399""#,
        ),
        (
            "{ type = 'expect', expect = '' }",
            r#"1:37: expect is empty, so anything would pass; use a check of type "tcp""#,
        ),
        (
            "{ type = 'expect' }",
            "1:18: a check of type \"expect\" needs expect: what the answer must have in it",
        ),
        (
            "{ type = 'tcp', timeout = '3s' }",
            "1:35: timeout is longer than the interval, 2s: a probe ends before the next one",
        ),
        (
            "{ type = 'tcp', interval = '10ms' }",
            "1:36: interval must be 100ms to 1h; 10ms is not",
        ),
        (
            "{ type = 'tcp', jitter = 0.6 }",
            "1:34: jitter must be 0, or 0.01 to 0.5 with at most two decimals",
        ),
        (
            "{ type = 'tcp', fall = 0 }",
            "1:32: fall must be 1 to 100; 0 is not",
        ),
        (
            "{ type = 'tcp', port = 0 }",
            "1:32: port must be 1 to 65535; 0 is not",
        ),
    ]);
}
