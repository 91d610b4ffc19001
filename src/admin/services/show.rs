//! One service, or one of its instances, with everything that explains it.
//!
//! ```text
//! {"zxid":42,"member":1,"service":"web","strategy":"random","strategy_from":"tree","why":"2 of 3 endpoints are in",
//!  "endpoints":[{"instance":"a","address":"10.0.0.1:80","weight":1,"effective_weight":0.0,"tier":0,"state":"draining","in":false,
//!    "why":"out: an operator (ann at ::1) at 0x2a wants it drained; what is under way may go on for 12s",
//!    "zxid":42,"age_ms":17000,"left_ms":13000,"cause":null,"active":3,"picks":99,"connect_failures":0,
//!    "drained_by":["operator"],
//!    "registration":{"path":"/services/web/a","session":"0x1..","czxid":12,"mzxid":12,"created_ms":..,"changed_ms":..}}],
//!  "aside":[..],"unparsed":[..],"misread_orders":[..],"gone":[..]}
//! ```
//! `effective_weight` is the part of `weight` that counts now: less while it warms up, none while it is out.
//! `zxid` of an endpoint is the transaction that brought it into its state, if one did; `age_ms` how long this node has
//! seen it so; `left_ms` how long that lasts at most, and of a draining one how long what is under way may go on.
//! An endpoint without `registration` comes from the settings. `gone` are instances that have left lately.
//! Keys are added over time, never renamed or removed within `/v1`.

use super::{Named, known, why};
use crate::admin::AdminState;
use crate::admin::reply::done;
use crate::admin::routes::Page;
use crate::balance::{Availability, Endpoint, WHOLE};
use crate::net::now_ms;
use crate::registry::{Departure, layout};
use crate::routing::{Aside, Drain, Service, Unparsed};
use crate::telemetry::unix_millis;
use crate::tree::{SessionId, Stat};
use hyper::StatusCode;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Registrations that are looked up while `apply` waits: a tenth of a millisecond's worth.
const LOOKED_UP: usize = 256;

/// Instances that have left which a service's page lists: those that left last.
const GONE: usize = 20;

/// A service at one moment.
struct Look<'a> {
    service: &'a Service,
    /// Those that picks choose among, and how much of their weight counts, in thousandths.
    picked: HashMap<*const Endpoint, u32>,
    now_ms: u64,
    unix_ms: i64,
}

impl<'a> Look<'a> {
    fn at(service: &'a Service) -> Look<'a> {
        let picked = service.balancer.endpoints().iter().map(Arc::as_ptr);
        let scales = service.balancer.scales().iter().copied();
        Look {
            service,
            picked: picked.zip(scales).collect(),
            now_ms: now_ms(),
            unix_ms: unix_millis(),
        }
    }

    fn endpoint(&self, endpoint: &Arc<Endpoint>, stat: Option<&Stat>) -> Value {
        let state = &endpoint.state;
        let standing = self.service.standing(endpoint, self.now_ms);
        let drain = self.service.notes.drain(&endpoint.instance);
        let scale = self.picked.get(&Arc::as_ptr(endpoint)).copied();
        let is_picked = scale.is_some();
        let case = why::Case {
            standing,
            is_picked,
            drain,
            now_ms: self.now_ms,
        };
        let age = |since: u64| self.now_ms.saturating_sub(since);
        let left = |until: u64| until.saturating_sub(self.now_ms);
        json!({
            "instance": &*endpoint.instance,
            "address": &*endpoint.address,
            "weight": endpoint.weight,
            "effective_weight": f64::from(endpoint.weight) * f64::from(scale.unwrap_or(0)) / f64::from(WHOLE),
            "tier": endpoint.tier,
            "state": standing.condition.as_str(),
            "in": is_picked,
            "why": case.sentence(),
            "zxid": standing.zxid,
            "age_ms": standing.since_ms.map(age),
            "left_ms": standing.until_ms.map(left),
            "cause": standing.cause,
            "active": state.active.load(Ordering::Relaxed),
            "picks": state.picks.load(Ordering::Relaxed),
            "connect_failures": state.connect_failures.load(Ordering::Relaxed),
            "drained_by": drain.map_or(Vec::new(), Drain::words),
            "registration": stat.map(|stat| registration(self.service, &endpoint.instance, stat)),
        })
    }

    fn gone(&self, instance: &str, departure: &Departure) -> Value {
        json!({
            "instance": instance,
            "address": departure.address,
            "state": "gone",
            "in": false,
            "why": why::departed(departure, self.unix_ms),
            "zxid": departure.zxid,
            "age_ms": self.unix_ms.saturating_sub(departure.at_ms).max(0),
        })
    }
}

/// The page of a service.
pub(super) fn service(state: &AdminState, name: &str) -> Page {
    let table = state.table.load();
    let service = match known::service(&table, name) {
        Ok(service) => service,
        Err(refusal) => return *refusal,
    };
    let look = Look::at(service);
    let mut endpoints = Vec::with_capacity(service.endpoints.len());
    for some in service.endpoints.chunks(LOOKED_UP) {
        let stats = stats(state, service, some);
        let shown = some.iter().zip(&stats);
        endpoints.extend(shown.map(|(endpoint, stat)| look.endpoint(endpoint, stat.as_ref())));
    }
    let mut gone = state.registry.departures(name);
    gone.retain(|(instance, _)| !known::has(service, instance));
    gone.sort_by_key(|(_, departure)| std::cmp::Reverse(departure.at_ms));
    let gone = gone.iter().take(GONE);
    let notes = &service.notes;
    let page = json!({
        "zxid": table.version,
        "member": state.ensemble.member(),
        "service": service.name.as_str(),
        "strategy": service.policy.strategy.as_str(),
        "strategy_from": notes.strategy_from.as_str(),
        "why": summary(&look),
        "endpoints": endpoints,
        "aside": notes.aside.iter().map(aside).collect::<Vec<Value>>(),
        "unparsed": service.unparsed.iter().map(unparsed).collect::<Vec<Value>>(),
        "misread_orders": notes.misread.iter().map(unparsed).collect::<Vec<Value>>(),
        "gone": gone.map(|(instance, left)| look.gone(instance, left)).collect::<Vec<Value>>(),
    });
    done(StatusCode::OK, &page)
}

/// The page of an instance, whether it is an endpoint or not.
pub(super) fn instance(state: &AdminState, named: &Named) -> Page {
    let table = state.table.load();
    let service = match known::service(&table, &named.service) {
        Ok(service) => service,
        Err(refusal) => return *refusal,
    };
    let (look, name) = (Look::at(service), &*named.instance);
    let mut endpoints = service.endpoints.iter();
    let shown = if let Some(endpoint) = endpoints.find(|e| *e.instance == *name) {
        let stats = stats(state, service, std::slice::from_ref(endpoint));
        look.endpoint(endpoint, stats.first().and_then(Option::as_ref))
    } else if let Some(found) = service.notes.aside.iter().find(|a| *a.instance == *name) {
        aside(found)
    } else if let Some(found) = service.unparsed.iter().find(|u| *u.instance == *name) {
        unparsed(found)
    } else if let Some(departure) = state.registry.departure(&named.service, name) {
        look.gone(name, &departure)
    } else if let Some(drain) = service.notes.drain(name) {
        json!({ "instance": name, "state": "absent", "in": false, "why": why::ordered(drain),
            "zxid": drain.zxid, "drained_by": drain.words() })
    } else {
        return known::no_instance(service, named);
    };
    let page = json!({
        "zxid": table.version,
        "member": state.ensemble.member(),
        "service": named.service,
        "endpoint": shown,
    });
    done(StatusCode::OK, &page)
}

/// What the tree says of the registrations of these endpoints; nothing of those that come from the settings.
fn stats(state: &AdminState, service: &Service, endpoints: &[Arc<Endpoint>]) -> Vec<Option<Stat>> {
    let path = |endpoint: &Arc<Endpoint>| layout::instance_path(&service.name, &endpoint.instance);
    let paths: Vec<String> = endpoints.iter().map(path).collect();
    state.ensemble.read(|tree| {
        let stat = |path: &String| tree.get(path).map(|znode| znode.stat());
        paths.iter().map(stat).collect()
    })
}

fn registration(service: &Service, instance: &str, stat: &Stat) -> Value {
    let session = stat.ephemeral_owner;
    json!({
        "path": layout::instance_path(&service.name, instance),
        "session": (session != SessionId::NONE).then(|| session.to_string()),
        "czxid": stat.czxid.0,
        "mzxid": stat.mzxid.0,
        "created_ms": stat.ctime,
        "changed_ms": stat.mtime,
    })
}

fn aside(aside: &Aside) -> Value {
    let state = match aside.is_starting {
        true => "starting",
        false => "stopped",
    };
    json!({ "instance": &*aside.instance, "address": &*aside.address, "state": state, "in": false,
        "why": why::aside(aside) })
}

fn unparsed(unparsed: &Unparsed) -> Value {
    let why = format!("cannot be read: {}", unparsed.reason);
    json!({ "instance": &*unparsed.instance, "state": "unparsed", "in": false, "why": why,
        "reason": unparsed.reason })
}

fn summary(look: &Look<'_>) -> String {
    let (all, picked) = (look.service.endpoints.len(), look.picked.len());
    let in_need = |endpoint: &&Arc<Endpoint>| {
        let condition = look.service.standing(endpoint, look.now_ms).condition;
        condition.availability() != Availability::InUse
    };
    let needed = look.service.balancer.endpoints().iter().filter(in_need);
    match (all, picked, needed.count()) {
        (0, ..) => "there are no endpoints".into(),
        (all, 0, _) => format!("none of {all} endpoints is in"),
        (all, picked, 0) => format!("{picked} of {all} endpoints are in"),
        (all, picked, needed) => {
            format!(
                "{picked} of {all} endpoints are in, {needed} of them in need, as too few others are better"
            )
        }
    }
}
