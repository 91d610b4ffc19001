//! What drains an instance, what each of those who may ask for it undoes, and what is said of it.

use super::fixture::{World, file, name, shown};
use crate::net::now_ms;
use crate::registry::reading::MAX_INSTANCES;
use crate::registry::{Departure, FileLayer, Removal, layout};
use crate::routing::{Drain, Service};
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// Writes what an operator wants of an instance of `web`, and catches up.
    fn order(&self, instance: &str, data: &str) -> Arc<Service> {
        self.put(&layout::order_path(&name("web"), instance), data);
        self.web()
    }

    /// Takes it back.
    fn take_back(&self, instance: &str) -> Arc<Service> {
        self.delete(&layout::order_path(&name("web"), instance));
        self.web()
    }
}

/// Two endpoints, `a` and `b`, whose exchanges have 10 s to end.
fn world() -> World {
    let world = World::new(file("drain_timeout = \"10s\""));
    world.register("a", "10.0.0.1:80");
    world.register("b", "10.0.0.2:80");
    world
}

fn picked(web: &Service) -> Vec<&str> {
    let endpoints = web.balancer.endpoints().iter();
    endpoints.map(|endpoint| &*endpoint.instance).collect()
}

/// Milliseconds that the exchanges of an endpoint have left, about.
fn left_ms(web: &Service, at: usize) -> u64 {
    web.endpoints[at].state.retire_at().unwrap() - now_ms()
}

#[test]
fn an_operator_drains_by_a_znode() {
    let world = world();
    for data in [r#"{"state":"drain"}"#, "drain"] {
        let web = world.order("a", data);
        assert_eq!(picked(&web), ["b"], "{data}");
        assert_eq!(web.endpoints.len(), 2, "it is listed all the same");
        assert!((9_000..=10_000).contains(&left_ms(&web, 0)));
        assert_eq!(picked(&world.order("a", "ready")), ["a", "b"]);
    }
    world.order("a", "drain");
    let web = world.take_back("a");
    assert_eq!(picked(&web), ["a", "b"]);
    assert_eq!(web.endpoints[0].state.retire_at(), None);
    assert_eq!(web.notes.drains, []);
}

#[test]
fn each_who_asks_for_a_drain_takes_back_only_his_own() {
    let world = world();
    world.register(
        "a",
        r#"{"address":"10.0.0.1","port":80,"status":"draining"}"#,
    );
    world.set("drain = [\"a\"]");
    let web = world.order("a", "drain");
    let drain = |web: &Service| web.notes.drain("a").cloned();
    let zxid = world.tree.lock().last_zxid().0;
    assert_eq!(
        drain(&web),
        Some(Drain {
            registration: true,
            settings: true,
            order: Some(Default::default()),
            zxid: Some(zxid),
            ..Drain::of(&"a".into())
        })
    );
    let deadline = web.endpoints[0].state.retire_at();

    let web = world.register("a", "10.0.0.1:80");
    assert!(!drain(&web).unwrap().registration && picked(&web) == ["b"]);
    let web = world.set("drain = []");
    assert!(!drain(&web).unwrap().settings && picked(&web) == ["b"]);
    assert_eq!(web.endpoints[0].state.retire_at(), deadline, "one drain");
    let web = world.take_back("a");
    assert_eq!((drain(&web), picked(&web)), (None, vec!["a", "b"]));
}

#[test]
fn an_orders_deadline_wins_and_counts_from_the_order() {
    let world = world();
    let web = world.order("a", r#"{"state":"drain","deadline":"60s"}"#);
    assert!((59_000..=60_000).contains(&left_ms(&web, 0)));
    let zxid = world.tree.lock().last_zxid().0;
    let drained = web.endpoints[0].state.facts().drained.unwrap();
    assert_eq!(drained.zxid, Some(zxid), "and is told by its transaction");
    let deadline = web.endpoints[0].state.retire_at();
    world.register("c", "10.0.0.3:80");
    assert_eq!(world.web().endpoints[0].state.retire_at(), deadline);

    let web = world.order("a", r#"{"state":"drain","deadline":"1s"}"#);
    assert!(left_ms(&web, 0) <= 1_000, "another order, another deadline");
    let deadline = web.endpoints[0].state.retire_at();
    let web = world.order("a", r#"{"state":"drain","by":"somebody"}"#);
    assert_eq!(web.endpoints[0].state.retire_at(), deadline);

    world.set("drain = [\"b\"]");
    let web = world.order("b", r#"{"state":"drain","deadline":"2s"}"#);
    assert!(left_ms(&web, 1) <= 2_000, "also of what drains already");
}

#[test]
fn an_order_that_cannot_be_read_changes_nothing_and_is_reported() {
    let world = world();
    let web = world.order("a", "dran");
    assert_eq!(picked(&web), ["a", "b"]);
    assert_eq!(&*web.notes.misread[0].instance, "a");
    let reason = r#"found "dran"; expected drain, ready, or {"state":"drain"}"#;
    assert_eq!(web.notes.misread[0].reason, reason);

    let web = world.order("a", r#"{"state":"drain","deadline":"60s"}"#);
    assert_eq!(web.notes.misread, []);
    let deadline = web.endpoints[0].state.retire_at();
    let web = world.order("a", "{");
    assert_eq!(picked(&web), ["b"], "as it was");
    let order = web.notes.drain("a").unwrap().order.clone().unwrap();
    assert_eq!(order.deadline, Some(Duration::from_secs(60)));
    assert_eq!(web.endpoints[0].state.retire_at(), deadline);
    assert_eq!(web.notes.misread.len(), 1);
}

#[test]
fn an_order_outlives_registrations() {
    let world = world();
    world.order("a", "drain");
    let web = world.unregister("a");
    assert!(web.notes.drain("a").is_some(), "and is seen");
    let web = world.register("a", "10.0.0.1:81");
    assert_eq!(picked(&web), ["b"]);
    assert!(web.endpoints[0].state.retire_at().is_some());
    world.registry.reload(file("drain_timeout = \"10s\""));
    assert_eq!(picked(&world.web()), ["b"], "a whole reading has it too");
}

#[test]
fn orders_hold_for_static_endpoints_of_services_without_a_znode() {
    let world = World::new(file("endpoints = [\"10.0.0.9:80\"]"));
    let web = world.order("10.0.0.9:80", "drain");
    assert_eq!(picked(&web), Vec::<&str>::new());
    world
        .registry
        .reload(file("endpoints = [\"10.0.0.9:80\"]\nstrategy = \"random\""));
    assert_eq!(picked(&world.web()), Vec::<&str>::new());
    assert_eq!(picked(&world.take_back("10.0.0.9:80")), ["10.0.0.9:80"]);
}

#[test]
fn orders_alone_make_no_service() {
    let world = World::new(FileLayer::default());
    world.put(&layout::order_path(&name("web"), "a"), "drain");
    assert!(world.catch_up().service("web").is_none());
    world.registry.reload(FileLayer::default());
    assert!(world.catch_up().service("web").is_none());
    assert_eq!(
        picked(&world.register("a", "10.0.0.1:80")),
        Vec::<&str>::new()
    );
}

#[test]
fn orders_beyond_the_limit_are_reported() {
    let world = world();
    for number in 0..=MAX_INSTANCES {
        world.put(
            &layout::order_path(&name("web"), &format!("i{number:05}")),
            "drain",
        );
    }
    let web = world.web();
    assert_eq!(web.notes.drains.len(), MAX_INSTANCES);
    assert_eq!(
        web.notes.misread[0].reason,
        "1 more orders are not followed; expected at most 10000 for one service"
    );
}

#[test]
fn a_registration_that_does_not_serve_is_no_endpoint_but_is_seen() {
    let world = world();
    let member = |status: &str| {
        let endpoint = r#""serviceEndpoint":{"host":"10.0.0.3","port":80}"#;
        world.register("m", &format!(r#"{{"status":"{status}",{endpoint}}}"#))
    };
    let web = member("STARTING");
    assert_eq!(
        shown(&web.endpoints),
        ["a 10.0.0.1:80 1", "b 10.0.0.2:80 1"]
    );
    assert!(web.notes.aside[0].is_starting);
    assert_eq!(&*web.notes.aside[0].address, "10.0.0.3:80");
    assert_eq!(picked(&member("ALIVE")), ["a", "b", "m"]);
    let web = member("STOPPING");
    assert_eq!(picked(&web), ["a", "b"]);
    assert!(web.notes.drain("m").unwrap().registration);
    let state = Arc::clone(&web.endpoints[2].state);
    let web = member("DEAD");
    assert_eq!(web.endpoints.len(), 2);
    assert!(!web.notes.aside[0].is_starting);
    assert!(state.retire_at().is_some(), "what is under way may end");
}

#[test]
fn a_registration_hides_a_static_endpoint_though_it_does_not_serve() {
    let world = World::new(file("endpoints = [\"10.0.0.9:80\"]"));
    let dead = r#"{"status":"DEAD","serviceEndpoint":{"host":"10.0.0.9","port":80}}"#;
    assert_eq!(world.register("10.0.0.9:80", dead).endpoints.len(), 0);
}

#[test]
fn how_an_instance_left_is_remembered() {
    let world = world();
    let state = Arc::clone(&world.web().endpoints[0].state);
    world.unregister("a");
    let zxid = world.tree.lock().last_zxid().0;
    let departure = world.registry.departure("web", "a").unwrap();
    let expected = Departure {
        address: Some("10.0.0.1:80".into()),
        zxid,
        removal: Some(Removal::Deleted),
        at_ms: departure.at_ms,
    };
    assert_eq!(departure, expected);
    assert!(departure.at_ms > 1_500_000_000_000);
    state.active.store(2, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(world.registry.active("web", "a"), 2, "they go on");
    let web = world.register("a", "10.0.0.1:81");
    let now = &web.endpoints[0].state;
    now.active.store(1, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(world.registry.active("web", "a"), 3);
    assert_eq!(world.registry.active("web", "nobody"), 0);

    world.register("b", "nonsense");
    let departure = world.registry.departure("web", "b").unwrap();
    assert_eq!(departure.removal, None, "its znode is there");
    let names: Vec<Arc<str>> = world
        .registry
        .departures("web")
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    assert_eq!(names, ["a".into(), "b".into()]);
}

#[test]
fn a_session_that_ends_says_how() {
    let world = world();
    for (is_expired, expected) in [(true, "expired"), (false, "closed")] {
        let session = world.register_for_session("c");
        world.end(session, is_expired);
        let departure = world.registry.departure("web", "c").unwrap();
        let word = match departure.removal {
            Some(Removal::Expired(of)) if of == session => "expired",
            Some(Removal::Closed(of)) if of == session => "closed",
            _ => "other",
        };
        assert_eq!(word, expected);
    }
}
