//! How many exchanges each node has with an endpoint: what whoever drains it waits for.
//!
//! ```text
//! {"zxid":99,"service":"web","instance":"a","nodes":[
//!   {"number":1,"name":"n1","zxid":99,"active":3,"state":"draining"},
//!   {"number":2,"name":"n2","error":"it does not answer: .."}]}
//! ```
//! `zxid` is the transaction that the routing table there reflects: a node whose table is older than an order may still
//! pick the endpoint. `state` is null where the table has no such endpoint; exchanges with what
//! it was before it left are counted all the same.

use super::Named;
use crate::admin::AdminState;
use crate::admin::reply::done;
use crate::admin::routes::Page;
use crate::ensemble::MemberAnswer;
use crate::net::now_ms;
use crate::registry::Registry;
use crate::routing::RoutingTable;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What one node asks the others.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Question {
    Exchanges { service: String, instance: String },
}

/// What a node says of its exchanges with an endpoint.
#[derive(Serialize, Deserialize)]
struct Exchanges {
    zxid: u64,
    active: u32,
    state: Option<String>,
}

/// Answers what the admin door of another node asks, from what this node knows; `None` if it makes no sense.
pub(in crate::admin) fn answer_member(
    table: &RoutingTable,
    registry: &Registry,
    question: &[u8],
) -> Option<Vec<u8>> {
    let Question::Exchanges { service, instance } = serde_json::from_slice(question).ok()?;
    let active = registry.active(&service, &instance);
    let state = table.service(&service).and_then(|service| {
        let mut endpoints = service.endpoints.iter();
        let endpoint = endpoints.find(|endpoint| *endpoint.instance == *instance)?;
        let standing = service.standing(endpoint, now_ms());
        Some(standing.condition.as_str())
    });
    let exchanges = Exchanges {
        zxid: table.version,
        active,
        state: state.map(str::to_owned),
    };
    serde_json::to_vec(&exchanges).ok()
}

/// The page: every node is asked.
pub(super) async fn page(state: &AdminState, named: &Named) -> Page {
    let question = Question::Exchanges {
        service: named.service.clone(),
        instance: named.instance.clone(),
    };
    let question = serde_json::to_vec(&question).expect("its keys are text and its values plain");
    let answers = state.ensemble.ask_members(question.into()).await;
    let nodes: Vec<Value> = answers.iter().map(node).collect();
    let page = json!({
        "zxid": state.table.load().version,
        "service": named.service,
        "instance": named.instance,
        "nodes": nodes,
    });
    done(StatusCode::OK, &page)
}

fn node(said: &MemberAnswer) -> Value {
    let read = |bytes: &[u8]| {
        serde_json::from_slice::<Exchanges>(bytes).map_err(|_| "its answer makes no sense".into())
    };
    let answer = said.answer.as_ref().map_err(|error| error.to_string());
    match answer.and_then(|bytes| read(bytes)) {
        Ok(exchanges) => json!({
            "number": said.number,
            "name": said.name,
            "zxid": exchanges.zxid,
            "active": exchanges.active,
            "state": exchanges.state,
        }),
        Err(error) => json!({ "number": said.number, "name": said.name, "error": error }),
    }
}
