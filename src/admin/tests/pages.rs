//! What the pages say of a routing table and of an ensemble.

use super::super::mirror;
use super::super::services::list;
use crate::balance::{Balancer, Candidate, Endpoint, EndpointState, Lease};
use crate::config::{ServiceName, ServicePolicy, Strategy};
use crate::ensemble::{Fault, Role, Status};
use crate::routing::{Notes, RoutingTable, Selection, Service, Unparsed};
use crate::telemetry::Metrics;
use crate::tree::Tree;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn endpoint(instance: &str, address: &str, weight: u16) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        instance: instance.into(),
        address: address.into(),
        weight,
        tier: 0,
        state: Arc::new(EndpointState::default()),
    })
}

fn in_use(endpoints: &[Arc<Endpoint>]) -> Vec<Candidate> {
    let is_in_use = |endpoint: &&Arc<Endpoint>| endpoint.state.retire_at().is_none();
    let picked = endpoints.iter().filter(is_in_use).cloned();
    picked.map(Candidate::from).collect()
}

/// A service's name, endpoints, and instances that cannot be read.
type Given<'a> = (&'a str, &'a [Arc<Endpoint>], &'a [&'a str]);

fn table(metrics: &Metrics, services: &[Given<'_>]) -> RoutingTable {
    let mut table = RoutingTable {
        version: 42,
        ..RoutingTable::default()
    };
    for (name, endpoints, unparsed) in services {
        let name = ServiceName::new(name).expect("valid");
        let unparsed = unparsed.iter().map(|instance| Unparsed {
            instance: (*instance).into(),
            reason: "no port".into(),
        });
        let service = Service {
            policy: ServicePolicy {
                strategy: Strategy::ConsistentHash,
                ..ServicePolicy::default()
            },
            balancer: Balancer::new(Strategy::ConsistentHash.into(), in_use(endpoints), None),
            endpoints: endpoints.to_vec(),
            unparsed: unparsed.collect(),
            selection: Selection::default(),
            notes: Notes::default(),
            bell: Arc::default(),
            metrics: Arc::new(metrics.service(name.as_str())),
            name: name.clone(),
        };
        table.services.insert(name, Arc::new(service));
    }
    table
}

fn scrape(metrics: &Metrics, table: &RoutingTable) -> String {
    metrics.scrape(|metrics| mirror::table(metrics, table))
}

#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(text.lines().any(|l| l == *line), "{line:?} not in:\n{text}");
    }
}

#[test]
fn metrics_show_the_tables_endpoints() {
    let metrics = Metrics::new("n1");
    let (a, b) = (
        endpoint("a", "10.0.0.1:80", 3),
        endpoint("b", "10.0.0.2:80", 1),
    );
    let _lease = Lease::new(Arc::clone(&a));
    b.state.retire(1);
    b.state.connect_failures.store(5, Ordering::Relaxed);
    let table = table(&metrics, &[("web", &[a, b], &["c"]), ("api", &[], &[])]);
    assert_lines(
        &scrape(&metrics, &table),
        &[
            "zoogate_endpoint_up{endpoint=\"10.0.0.1:80\",service=\"web\"} 1",
            "zoogate_endpoint_up{endpoint=\"10.0.0.2:80\",service=\"web\"} 0",
            "zoogate_endpoint_active{endpoint=\"10.0.0.1:80\",service=\"web\"} 1",
            "zoogate_endpoint_weight{endpoint=\"10.0.0.1:80\",service=\"web\"} 3",
            "zoogate_endpoint_picks_total{endpoint=\"10.0.0.1:80\",service=\"web\"} 1",
            "zoogate_endpoint_connect_failures_total{endpoint=\"10.0.0.2:80\",service=\"web\"} 5",
            "zoogate_service_endpoints{service=\"web\"} 1",
            "zoogate_service_endpoints{service=\"api\"} 0",
            "zoogate_service_unparsed{service=\"web\"} 1",
        ],
    );
}

#[test]
fn vanished_endpoint_has_no_series() {
    let metrics = Metrics::new("n1");
    let (a, b) = (
        endpoint("a", "10.0.0.1:80", 1),
        endpoint("b", "10.0.0.2:80", 1),
    );
    let before = table(&metrics, &[("web", &[a, Arc::clone(&b)], &[])]);
    assert!(scrape(&metrics, &before).contains("10.0.0.1:80"));
    let after = table(&metrics, &[("web", &[b], &[])]);
    let text = scrape(&metrics, &after);
    assert!(!text.contains("10.0.0.1:80"), "{text}");
    assert!(text.contains("10.0.0.2:80"), "{text}");
}

#[test]
fn address_registered_twice_adds_up() {
    let metrics = Metrics::new("n1");
    let (a, b) = (
        endpoint("a", "10.0.0.1:80", 2),
        endpoint("b", "10.0.0.1:80", 3),
    );
    drop(Lease::new(Arc::clone(&a)));
    drop(Lease::new(Arc::clone(&b)));
    b.state.retire(1);
    let table = table(&metrics, &[("web", &[a, b], &[])]);
    assert_lines(
        &scrape(&metrics, &table),
        &[
            "zoogate_endpoint_up{endpoint=\"10.0.0.1:80\",service=\"web\"} 1",
            "zoogate_endpoint_weight{endpoint=\"10.0.0.1:80\",service=\"web\"} 5",
            "zoogate_endpoint_picks_total{endpoint=\"10.0.0.1:80\",service=\"web\"} 2",
            "zoogate_service_endpoints{service=\"web\"} 1",
        ],
    );
}

#[test]
fn repeated_scrapes_show_the_same() {
    let metrics = Metrics::new("n1");
    let a = endpoint("a", "10.0.0.1:80", 1);
    drop(Lease::new(Arc::clone(&a)));
    let table = table(&metrics, &[("web", &[a], &[])]);
    assert_eq!(scrape(&metrics, &table), scrape(&metrics, &table));
}

#[test]
fn metrics_show_the_ensemble_and_the_tree() {
    let metrics = Metrics::new("n1");
    let status = Status {
        member: 2,
        role: Role::Leader,
        leader: Some(2),
        term: 7,
        last_log: 103,
        purged: 0,
        committed: 102,
        applied: 101,
        synced_followers: 1,
        voters: 3,
        serving: true,
        faults: vec![Fault::Diverged { index: 100 }],
    };
    let text = metrics.scrape(|metrics| {
        mirror::ensemble(metrics, &status);
        mirror::tree(metrics, &Tree::new().counts());
    });
    assert_lines(
        &text,
        &[
            "zoogate_raft_term 7",
            "zoogate_raft_role 3",
            "zoogate_raft_leader 2",
            "zoogate_raft_committed_index 102",
            "zoogate_raft_applied_index 101",
            "zoogate_raft_last_log_index 103",
            "zoogate_raft_voters 3",
            "zoogate_raft_synced_followers 1",
            "zoogate_applied_zxid 101",
            "zoogate_serving 1",
            "zoogate_fault{fault=\"diverged\"} 1",
            "zoogate_fault{fault=\"disk_full\"} 0",
            "zoogate_fault{fault=\"stalled\"} 0",
            "zoogate_znodes 5",
            "zoogate_sessions 0",
        ],
    );
}

#[test]
fn services_page_shows_the_table() {
    let metrics = Metrics::new("n1");
    let (a, b) = (
        endpoint("a", "10.0.0.1:80", 3),
        endpoint("b", "[::1]:80", 1),
    );
    let _lease = Lease::new(Arc::clone(&a));
    b.state.retire(1);
    let table = table(&metrics, &[("web", &[a, b], &["c"]), ("api", &[], &[])]);
    let text = list::page(&table);
    assert!(text.ends_with("}\n"), "{text}");
    let page: Value = serde_json::from_str(&text).expect("JSON");
    let expected = json!({ "zxid": 42, "services": [
        { "name": "api", "strategy": "consistent-hash", "endpoints": [], "unparsed": [] },
        {
            "name": "web",
            "strategy": "consistent-hash",
            "endpoints": [
                { "instance": "a", "address": "10.0.0.1:80", "weight": 3, "state": "up", "active": 1, "picks": 1 },
                { "instance": "b", "address": "[::1]:80", "weight": 1, "state": "draining", "active": 0, "picks": 0 },
            ],
            "unparsed": [{ "instance": "c", "reason": "no port" }],
        },
    ]});
    assert_eq!(page, expected);
}
