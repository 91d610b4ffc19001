//! How far a drain is: what each node said of its exchanges.

use serde_json::Value;
use std::fmt;

/// What is still to be waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// What nodes have under way, by their names.
    under_way: Vec<(String, u64)>,
    /// Nodes that do not follow the order yet.
    behind: Vec<String>,
    /// Nodes that do not answer.
    silent: Vec<String>,
    /// Nobody answered.
    is_unknown: bool,
}

impl Progress {
    /// From a node's answer about an order of that transaction; some nodes are not waited for.
    pub(super) fn of(answer: &Value, zxid: u64, without: &[String]) -> Progress {
        let mut progress = Progress::default();
        let nodes = answer["nodes"].as_array();
        progress.is_unknown = nodes.is_none();
        for node in nodes.into_iter().flatten() {
            let name = node["name"].as_str().unwrap_or("?").to_owned();
            if without.contains(&name) {
                continue;
            }
            match (node["zxid"].as_u64(), node["active"].as_u64()) {
                (Some(seen), _) if seen < zxid => progress.behind.push(name),
                (Some(_), Some(0)) => {}
                (Some(_), Some(active)) => progress.under_way.push((name, active)),
                _ => progress.silent.push(name),
            }
        }
        progress
    }

    /// When nothing is known.
    pub(super) fn unknown() -> Progress {
        Progress {
            is_unknown: true,
            ..Progress::default()
        }
    }

    /// Whether there is nothing to wait for.
    pub(super) fn is_over(&self) -> bool {
        *self == Progress::default()
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unknown {
            return f.write_str("no node answers");
        }
        let under_way = self
            .under_way
            .iter()
            .map(|(name, active)| format!("{name} has {active} under way"));
        let behind = self
            .behind
            .iter()
            .map(|name| format!("{name} does not follow yet"));
        let silent = self
            .silent
            .iter()
            .map(|name| format!("{name} does not answer"));
        let all: Vec<String> = under_way.chain(behind).chain(silent).collect();
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_drain_is_over_when_every_node_follows_it_and_has_nothing_under_way() {
        let n1 = |zxid: u64, active: u64| json!({"name":"n1","zxid":zxid,"active":active});
        let n2 = || json!({"name":"n2","zxid":7,"active":0});
        let n3 = || json!({"name":"n3","error":"it does not answer"});
        for (nodes, expected) in [
            (vec![n1(7, 0), n2()], ""),
            (vec![n1(9, 0), n2()], ""),
            (vec![n1(7, 2), n2()], "n1 has 2 under way"),
            (vec![n1(6, 0), n2()], "n1 does not follow yet"),
            (
                vec![n1(7, 1), n2(), n3()],
                "n1 has 1 under way, n3 does not answer",
            ),
        ] {
            let progress = Progress::of(&json!({ "nodes": nodes }), 7, &[]);
            assert_eq!(progress.to_string(), expected);
            assert_eq!(progress.is_over(), expected.is_empty());
        }
        let nodes = json!({ "nodes": [n2(), n3()] });
        assert!(Progress::of(&nodes, 7, &["n3".into()]).is_over());
        for nothing in [json!({}), json!(null)] {
            assert!(!Progress::of(&nothing, 7, &[]).is_over());
        }
    }
}
