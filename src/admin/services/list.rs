//! `/v1/services`: the routing table as JSON.
//!
//! ```text
//! {"zxid":42,"services":[{"name":"web","strategy":"round-robin",
//!   "endpoints":[{"instance":"a","address":"10.0.0.1:80","weight":1,"state":"up","active":3,"picks":99}],
//!   "unparsed":[{"instance":"b","reason":"no port"}]}]}
//! ```
//! Services come in order of their names, endpoints and unparsed registrations in the table's order. Keys are
//! added over time, never renamed or removed within `/v1`.

use crate::balance::Endpoint;
use crate::net::now_ms;
use crate::routing::{RoutingTable, Service, Unparsed};
use serde::Serialize;
use std::sync::atomic::Ordering;

#[derive(Serialize)]
struct TablePage<'a> {
    /// The transaction the table reflects.
    zxid: u64,
    services: Vec<ServicePage<'a>>,
}

#[derive(Serialize)]
struct ServicePage<'a> {
    name: &'a str,
    strategy: &'static str,
    endpoints: Vec<EndpointPage<'a>>,
    unparsed: Vec<UnparsedPage<'a>>,
}

#[derive(Serialize)]
struct EndpointPage<'a> {
    instance: &'a str,
    address: &'a str,
    weight: u16,
    /// A [`crate::balance::Condition`].
    state: &'static str,
    /// Exchanges under way.
    active: u32,
    /// Times picked since this node first saw the endpoint.
    picks: u64,
}

#[derive(Serialize)]
struct UnparsedPage<'a> {
    instance: &'a str,
    reason: &'a str,
}

/// The page, as JSON text that ends in a newline.
pub(in crate::admin) fn page(table: &RoutingTable) -> String {
    let page = TablePage {
        zxid: table.version,
        services: table.services.values().map(|s| service_page(s)).collect(),
    };
    let mut text = serde_json::to_string(&page).expect("keys are text and values plain");
    text.push('\n');
    text
}

fn service_page(service: &Service) -> ServicePage<'_> {
    let endpoints = service.endpoints.iter();
    ServicePage {
        name: service.name.as_str(),
        strategy: service.policy.strategy.as_str(),
        endpoints: endpoints.map(|e| endpoint_page(service, e)).collect(),
        unparsed: service.unparsed.iter().map(unparsed_page).collect(),
    }
}

fn endpoint_page<'e>(service: &Service, endpoint: &'e Endpoint) -> EndpointPage<'e> {
    let state = &endpoint.state;
    EndpointPage {
        instance: &endpoint.instance,
        address: &endpoint.address,
        weight: endpoint.weight,
        state: service.standing(endpoint, now_ms()).condition.as_str(),
        active: state.active.load(Ordering::Relaxed),
        picks: state.picks.load(Ordering::Relaxed),
    }
}

fn unparsed_page(unparsed: &Unparsed) -> UnparsedPage<'_> {
    UnparsedPage {
        instance: &unparsed.instance,
        reason: &unparsed.reason,
    }
}
