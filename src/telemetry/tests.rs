//! What is rendered, and what no longer is.

use super::{Metrics, StatusClass};

#[test]
fn render_shows_what_was_counted() {
    let metrics = Metrics::new("n1");
    let web = metrics.service("web");
    web.answered(204);
    web.answered(503);
    web.error("connect");
    metrics.listener("front").closed("idle");
    let text = metrics.render();
    for line in [
        concat!(
            "zoogate_build_info{node=\"n1\",version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        "zoogate_requests_total{code=\"2xx\",service=\"web\"} 1",
        "zoogate_requests_total{code=\"4xx\",service=\"web\"} 0",
        "zoogate_requests_total{code=\"5xx\",service=\"web\"} 1",
        "zoogate_upstream_errors_total{reason=\"connect\",service=\"web\"} 1",
        "zoogate_connections_closed_total{listener=\"front\",reason=\"idle\"} 1",
        "zoogate_settings_last_reload_successful 1",
        "# TYPE zoogate_commit_to_swap_seconds histogram",
    ] {
        assert!(text.lines().any(|l| l == line), "{line:?} not in:\n{text}");
    }
}

#[test]
fn equal_names_share_their_counters() {
    let metrics = Metrics::new("n1");
    metrics.service("web").retries.inc();
    metrics.service("web").retries.inc();
    assert_eq!(metrics.service("web").retries.get(), 2);
}

#[test]
fn forgotten_service_has_no_series() {
    let metrics = Metrics::new("n1");
    for name in ["web", "api"] {
        let service = metrics.service(name);
        service.answered(200);
        service.error("connect");
        service.error("timeout");
        service.request_duration.observe(0.1);
    }
    metrics.forget_service("web");
    metrics.forget_service("web");
    let text = metrics.render();
    assert!(!text.contains("service=\"web\""), "{text}");
    assert!(text.contains("zoogate_upstream_errors_total{reason=\"timeout\",service=\"api\"} 1"));
}

#[test]
fn scrape_mirrors_before_it_renders() {
    let metrics = Metrics::new("n1");
    let text = metrics.scrape(|metrics| metrics.coordination.znodes.set(7));
    assert!(text.contains("zoogate_znodes 7"));
}

#[test]
fn every_status_has_a_class() {
    let cases = [
        (101, StatusClass::Informational),
        (200, StatusClass::Success),
        (308, StatusClass::Redirection),
        (499, StatusClass::ClientError),
        (599, StatusClass::ServerError),
        (0, StatusClass::ServerError),
    ];
    for (status, class) in cases {
        assert_eq!(StatusClass::of(status), class, "{status}");
    }
}

#[test]
fn the_two_clocks_agree() {
    let seconds = super::unix_seconds();
    let millis = super::unix_millis();
    assert!(seconds > 1_600_000_000, "{seconds}");
    assert!((millis / 1000 - seconds).abs() <= 2, "{seconds} {millis}");
}
