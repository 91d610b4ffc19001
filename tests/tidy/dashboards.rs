//! The dashboard and the alerts name metrics that exist, and no metric is forgotten.

use super::assert_clean;
use super::source::{self, Source, is_word};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;
use zoogate::telemetry::Metrics;

/// The files that may name metrics; each must exist.
const FILES: &[&str] = &[
    "grafana/zoogate.json",
    "grafana/alerts.yml",
    "grafana/alerts_test.yml",
];

/// The names of all metric families, and of the series of the histograms among them.
struct Known {
    families: BTreeSet<String>,
    histograms: BTreeSet<String>,
}

/// What a node exposes: every family has a series once each kind of label was used.
fn known() -> Known {
    let metrics = Metrics::new("n1");
    metrics.listener("l").closed("r");
    metrics.service("s").error("r");
    metrics.service("s").probed("r", Duration::ZERO);
    metrics.service("s").ejected("r");
    for endpoint in [
        &metrics.endpoint_up,
        &metrics.endpoint_active,
        &metrics.endpoint_weight,
    ] {
        endpoint.with_label_values(&["s", "e"]);
    }
    for endpoint in [&metrics.endpoint_picks, &metrics.endpoint_connect_failures] {
        endpoint.with_label_values(&["s", "e"]);
    }
    for service in [
        &metrics.service_endpoints,
        &metrics.service_queue,
        &metrics.service_unparsed,
    ] {
        service.with_label_values(&["s"]);
    }
    metrics.service_degraded.with_label_values(&["s", "r"]);
    metrics.fault.with_label_values(&["f"]);
    metrics.tls.begin("l", ["r"]);
    for port in [&metrics.tls.expiry, &metrics.tls.insecure] {
        port.with_label_values(&["l"]);
    }
    parse(&metrics.render())
}

fn parse(exposition: &str) -> Known {
    let types = exposition
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let pairs: Vec<(&str, &str)> = types.filter_map(|line| line.split_once(' ')).collect();
    let histograms = pairs.iter().filter(|(_, kind)| *kind == "histogram");
    Known {
        families: pairs.iter().map(|(name, _)| (*name).into()).collect(),
        histograms: histograms.map(|(name, _)| (*name).into()).collect(),
    }
}

/// The family that `name` belongs to.
fn family<'a>(known: &Known, name: &'a str) -> Option<&'a str> {
    if known.histograms.contains(name) {
        return None; // a histogram is asked for by its series
    }
    let base = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    let base = base
        .filter(|base| known.histograms.contains(*base))
        .unwrap_or(name);
    known.families.contains(base).then_some(base)
}

/// Every word of `text` that begins with `zoogate_`.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("zoogate_")).collect()
}

fn unknown(known: &Known, file: &str, text: &str) -> Vec<String> {
    let missing = names(text)
        .into_iter()
        .filter(|name| family(known, name).is_none());
    missing
        .map(|name| format!("{file}: no metric `{name}`"))
        .collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana/zoogate.json")).expect("the dashboard is JSON")
}

#[test]
fn dashboard_and_alerts_name_real_metrics() {
    let known = known();
    let all = FILES
        .iter()
        .flat_map(|file| unknown(&known, file, &read(file)));
    assert_clean(all.collect());
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let (known, text) = (known(), read("grafana/zoogate.json"));
    let shown: BTreeSet<&str> = names(&text)
        .iter()
        .filter_map(|name| family(&known, name))
        .collect();
    let hidden = known
        .families
        .iter()
        .filter(|family| !shown.contains(family.as_str()));
    assert_clean(
        hidden
            .map(|family| format!("no panel shows `{family}`"))
            .collect(),
    );
}

/// The public fields of `declared`, a file that declares metrics by `families!` or in a struct.
fn fields(declared: &Source) -> Vec<&str> {
    const TYPES: &[&str] = &["IntCounter", "IntGauge", "Histogram"];
    let lines = declared.code.lines();
    let pairs = lines.filter_map(|line| line.trim().trim_start_matches("pub ").split_once(": "));
    let metrics = pairs.filter(|(_, kind)| TYPES.iter().any(|t| kind.starts_with(t)));
    metrics.map(|(field, _)| field).collect()
}

/// Fields of `declared` that no source among `sources` outside `telemetry` mentions.
fn idle(declared: &Source, sources: &[Source]) -> Vec<String> {
    let others = || sources.iter().filter(|s| s.room() != Some("telemetry"));
    let mentions = |source: &Source, field: &str| {
        let code = source.code_without_tests();
        let mut places = code.match_indices(field);
        places.any(|(at, _)| {
            let after = &code[at + field.len()..];
            code[..at].ends_with('.') && !after.starts_with(is_word)
        })
    };
    let mut idle = fields(declared);
    idle.retain(|field| !others().any(|source| mentions(source, field)));
    idle.iter()
        .map(|field| format!("{}: nobody sets `{field}`", declared.path))
        .collect()
}

#[test]
fn every_metric_is_set_somewhere() {
    let sources = source::all();
    let declaring = ["coordination.rs", "metrics.rs"].map(|file| format!("src/telemetry/{file}"));
    let declared = sources.iter().filter(|s| declaring.contains(&s.path));
    let idle: Vec<String> = declared
        .flat_map(|declared| idle(declared, &sources))
        .collect();
    assert_clean(idle);
}

#[test]
fn metric_that_nobody_sets_is_found() {
    let declared = Source::new(
        "src/telemetry/a.rs",
        "    seen: IntCounter = counter(\"s\");\n    pub idle: IntGauge,\n    other: String,\n",
    );
    let user = |path| Source::new(path, "m.seen.inc();\nm.idle_since();\n// m.idle\n");
    let found = idle(&declared, &[user("src/zk/a.rs")]);
    assert_eq!(found, ["src/telemetry/a.rs: nobody sets `idle`"]);
    assert_eq!(idle(&declared, &[user("src/telemetry/b.rs")]).len(), 2);
}

#[test]
fn name_without_a_metric_is_found() {
    let known = parse("# TYPE zoogate_a counter\nzoogate_a 1\n# TYPE zoogate_b histogram\n");
    let check = |text: &str, expected: &[&str]| {
        let expected: Vec<String> = expected
            .iter()
            .map(|name| format!("f: no metric `{name}`"))
            .collect();
        assert_eq!(unknown(&known, "f", text), expected, "{text}");
    };
    check(
        "rate(zoogate_a{x=\"y\"}[5m]) + zoogate_b_sum / zoogate_b_count",
        &[],
    );
    check(
        "zoogate_c + zoogate_a_sum + zoogate_b",
        &["zoogate_a_sum", "zoogate_b", "zoogate_c"],
    );
}

#[test]
fn every_panel_has_a_description_and_a_unit() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut incomplete = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let present = |pointer: &str| {
            panel
                .pointer(pointer)
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty())
        };
        for pointer in [
            "/title",
            "/description",
            "/fieldConfig/defaults/unit",
            "/targets/0/expr",
        ] {
            if !present(pointer) {
                incomplete.push(format!("panel {}: no {pointer}", panel["title"]));
            }
        }
    }
    assert_clean(incomplete);
    assert!(panels.len() > 20, "only {} panels", panels.len());
}

#[test]
fn panels_have_distinct_ids_and_do_not_overlap() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels
        .iter()
        .filter_map(|panel| panel["id"].as_u64())
        .collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let side = |key: &str| panel["gridPos"][key].as_u64().expect("a position");
        assert!(
            side("x") + side("w") <= 24,
            "{} is too wide",
            panel["title"]
        );
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(
                    taken.insert((x, y)),
                    "{} lies on another panel",
                    panel["title"]
                );
            }
        }
    }
}

#[test]
fn every_alert_says_what_happened_and_what_to_do() {
    let (rules, runbook) = (read("grafana/alerts.yml"), read("grafana/README.md"));
    let tests = read("grafana/alerts_test.yml");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10, "only {} alerts", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        let runbook_line = format!("runbook: \"README.md#{}\"", name.to_lowercase());
        for part in [
            "severity: ",
            "summary: ",
            "description: ",
            runbook_line.as_str(),
        ] {
            assert!(alert.contains(part), "{name}: no {part}");
        }
        assert!(
            runbook.contains(&format!("\n### {name}\n")),
            "{name}: not in README.md"
        );
        assert!(tests.contains(name), "{name}: not in alerts_test.yml");
    }
}
