//! What services and instances look like to people.

use crate::cli::table::aligned;
use humantime::format_duration;
use serde_json::Value;
use std::time::Duration;

const SERVICES: [&str; 5] = ["SERVICE", "STRATEGY", "ENDPOINTS", "ACTIVE", "UNPARSED"];

const ENDPOINTS: [&str; 9] = [
    "INSTANCE", "ADDRESS", "STATE", "WEIGHT", "ACTIVE", "PICKS", "FAILURES", "AGE", "WHY",
];

/// All services.
pub(super) fn services(page: &Value) -> Vec<String> {
    let row = |service: &Value| {
        let endpoints = || service["endpoints"].as_array().into_iter().flatten();
        let active: u64 = endpoints().filter_map(|e| e["active"].as_u64()).sum();
        vec![
            text(&service["name"]),
            text(&service["strategy"]),
            endpoints().count().to_string(),
            active.to_string(),
            service["unparsed"]
                .as_array()
                .map_or(0, Vec::len)
                .to_string(),
        ]
    };
    let rows = page["services"].as_array().into_iter().flatten().map(row);
    table(&SERVICES, rows)
}

/// One service, and all that it has, had or cannot read.
pub(super) fn service(page: &Value) -> Vec<String> {
    let head = format!(
        "{}: {}; strategy {} ({}), as of {} on member {}",
        text(&page["service"]),
        text(&page["why"]),
        text(&page["strategy"]),
        text(&page["strategy_from"]),
        zxid(&page["zxid"]),
        text(&page["member"]),
    );
    let lists = ["endpoints", "aside", "unparsed", "gone"];
    let instances = lists
        .iter()
        .filter_map(|list| page[list].as_array())
        .flatten();
    let misread = page["misread_orders"].as_array().into_iter().flatten();
    let misread = misread.map(|order| {
        let (instance, reason) = (text(&order["instance"]), text(&order["reason"]));
        format!("an operator's order for {instance} cannot be read: {reason}")
    });
    let table = table(&ENDPOINTS, instances.map(row));
    [head].into_iter().chain(table).chain(misread).collect()
}

/// One instance, a line for each thing that is known of it.
pub(super) fn instance(page: &Value) -> Vec<String> {
    let found = &page["endpoint"];
    let registered = &found["registration"];
    let drained: Vec<String> = found["drained_by"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let rows = [
        (
            "instance",
            format!("{}/{}", text(&page["service"]), text(&found["instance"])),
        ),
        ("why", text(&found["why"])),
        ("state", text(&found["state"])),
        ("cause", text(&found["cause"])),
        ("by", zxid(&found["zxid"])),
        ("for", age(&found["age_ms"])),
        ("ends in", age(&found["left_ms"])),
        ("drained by", or_dash(drained.join(", "))),
        ("address", text(&found["address"])),
        ("weight", text(&found["weight"])),
        ("effective weight", text(&found["effective_weight"])),
        ("tier", text(&found["tier"])),
        ("active", text(&found["active"])),
        ("picks", text(&found["picks"])),
        ("connect failures", text(&found["connect_failures"])),
        ("znode", text(&registered["path"])),
        ("session", text(&registered["session"])),
        ("registered by", zxid(&registered["czxid"])),
        ("changed by", zxid(&registered["mzxid"])),
        (
            "as of",
            format!(
                "{} on member {}",
                zxid(&page["zxid"]),
                text(&page["member"])
            ),
        ),
    ];
    let rows = rows.into_iter().filter(|(_, value)| value != "-");
    let rows: Vec<Vec<String>> = rows
        .map(|(key, value)| vec![key.to_owned(), value])
        .collect();
    aligned(&rows)
}

fn row(found: &Value) -> Vec<String> {
    vec![
        text(&found["instance"]),
        text(&found["address"]),
        text(&found["state"]),
        text(&found["weight"]),
        text(&found["active"]),
        text(&found["picks"]),
        text(&found["connect_failures"]),
        age(&found["age_ms"]),
        text(&found["why"]),
    ]
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// A value as people read it. What could move the cursor of a terminal is shown as it would be written in a program:
/// registrations come from anybody.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text
            .chars()
            .flat_map(|c| match c.is_control() {
                true => c.escape_default().collect::<Vec<char>>(),
                false => vec![c],
            })
            .collect(),
        other => other.to_string(),
    }
}

fn or_dash(text: String) -> String {
    match text.is_empty() {
        true => "-".into(),
        false => text,
    }
}

/// As ZooKeeper's tools and the log write it.
fn zxid(value: &Value) -> String {
    value
        .as_u64()
        .map_or("-".into(), |zxid| format!("{zxid:#x}"))
}

fn age(value: &Value) -> String {
    let Some(ms) = value.as_u64() else {
        return "-".into();
    };
    let rounded = match ms {
        0..1000 => Duration::from_millis(ms),
        ms => Duration::from_secs(ms / 1000),
    };
    format_duration(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page() -> Value {
        json!({"zxid": 42, "member": 1, "service": "web", "strategy": "random", "strategy_from": "tree",
            "why": "1 of 2 endpoints are in",
            "endpoints": [
                {"instance": "a", "address": "10.0.0.1:80", "state": "up", "in": true, "weight": 1, "active": 3,
                 "picks": 99, "connect_failures": 0, "age_ms": 61_000, "why": "in: nothing speaks against it"},
                {"instance": "bb", "address": "h:1", "state": "draining", "in": false, "weight": 10, "active": 0,
                 "picks": 0, "connect_failures": 2, "age_ms": 20, "why": "out: the settings want it"}],
            "aside": [], "unparsed": [{"instance": "c", "state": "unparsed", "why": "cannot be read: \u{1b}[2J"}],
            "misread_orders": [{"instance": "d", "reason": "found nothing"}], "gone": []})
    }

    #[test]
    fn a_service_is_a_line_and_a_table() {
        assert_eq!(
            service(&page()),
            [
                "web: 1 of 2 endpoints are in; strategy random (tree), as of 0x2a on member 1",
                "INSTANCE  ADDRESS      STATE     WEIGHT  ACTIVE  PICKS  FAILURES  AGE    WHY",
                "a         10.0.0.1:80  up        1       3       99     0         1m 1s  in: nothing speaks against it",
                "bb        h:1          draining  10      0       0      2         20ms   out: the settings want it",
                "c         -            unparsed  -       -       -      -         -      cannot be read: \\u{1b}[2J",
                "an operator's order for d cannot be read: found nothing",
            ]
        );
    }

    #[test]
    fn an_instance_is_a_line_for_each_thing_known() {
        let page = json!({"zxid": 42, "member": 1, "service": "web", "endpoint":
            {"instance": "a", "state": "gone", "why": "gone for 3m", "zxid": 41, "age_ms": 180_000, "drained_by": []}});
        assert_eq!(
            instance(&page),
            [
                "instance  web/a",
                "why       gone for 3m",
                "state     gone",
                "by        0x29",
                "for       3m",
                "as of     0x2a on member 1",
            ]
        );
    }

    #[test]
    fn services_are_a_table() {
        let page = json!({"services": [{"name": "web", "strategy": "random", "unparsed": [],
            "endpoints": [{"active": 2}, {"active": 1}]}]});
        assert_eq!(
            services(&page),
            [
                "SERVICE  STRATEGY  ENDPOINTS  ACTIVE  UNPARSED",
                "web      random    2          3       0",
            ]
        );
    }
}
