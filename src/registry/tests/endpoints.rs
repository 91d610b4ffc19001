//! What becomes of the state of endpoints that stay, drain, leave and return.

use super::fixture::{World, file, shown};
use crate::balance::{Lease, PickInput, UNLIMITED};
use crate::net::now_ms;
use crate::registry::FileLayer;
use crate::routing::Service;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Wake, Waker};

fn lease(service: &Service) -> Lease {
    let input = PickInput {
        key: 0,
        random: 0,
        now_ms: 0,
        tried: &[],
        limit: UNLIMITED,
    };
    service.balancer.pick(&input).unwrap()
}

fn world(drain_timeout: &str) -> World {
    World::new(file(&format!(
        "drain_timeout = \"{drain_timeout}\"\non_empty = \"reject\""
    )))
}

#[test]
fn state_stays_with_service_instance_and_address() {
    let world = World::new(FileLayer::default());
    let before = world.register("a", "10.0.0.1:80");
    drop(lease(&before));
    let state = Arc::clone(&before.endpoints[0].state);

    let weighed = world.register("a", "10.0.0.1:80 weight=2");
    assert_eq!(weighed.endpoints[0].weight, 2);
    assert!(Arc::ptr_eq(&weighed.endpoints[0].state, &state));
    assert_eq!(state.picks.load(Relaxed), 1);

    let moved = world.register("a", "10.0.0.2:80");
    assert!(!Arc::ptr_eq(&moved.endpoints[0].state, &state));
    assert!(state.retire_at().is_some(), "the old address is retired");
    assert_eq!(moved.endpoints[0].state.retire_at(), None);
}

#[test]
fn an_endpoint_that_leaves_has_its_drain_timeout() {
    let world = world("10s");
    let before = world.register("a", "10.0.0.1:80");
    let earliest = now_ms() + 10_000;
    let after = world.unregister("a");
    assert!(after.endpoints.is_empty());
    let deadline = before.endpoints[0].state.retire_at().unwrap();
    assert!((earliest..=now_ms() + 10_000).contains(&deadline));
}

#[test]
fn endpoints_of_a_service_that_goes_are_retired() {
    let world = World::new(FileLayer::default());
    let before = world.register("a", "10.0.0.1:80");
    before.metrics.answered(200);
    world.delete("/services/web/a");
    world.delete("/services/web");
    assert!(world.catch_up().service("web").is_none());
    assert!(before.endpoints[0].state.retire_at().is_some());
    let metrics = world.metrics.scrape(|_| ());
    assert!(!metrics.contains("service=\"web\""), "{metrics}");
}

#[test]
fn an_endpoint_that_returns_in_time_keeps_its_exchanges() {
    let world = world("10s");
    let before = world.register("a", "10.0.0.1:80");
    let exchange = lease(&before);
    drop(before);
    world.unregister("a");
    let after = world.register("a", "10.0.0.1:80");
    assert!(Arc::ptr_eq(
        &after.endpoints[0].state,
        &exchange.endpoint().state
    ));
    assert_eq!(exchange.endpoint().state.retire_at(), None);
    assert_eq!(after.endpoints[0].state.active.load(Relaxed), 1);
}

#[test]
fn an_endpoint_that_returns_after_its_exchanges_starts_afresh() {
    let world = world("10s");
    drop(lease(&world.register("a", "10.0.0.1:80")));
    world.unregister("a");
    // The table before the last is gone, and with it the last holder of the state.
    let after = world.register("a", "10.0.0.1:80");
    assert_eq!(after.endpoints[0].state.picks.load(Relaxed), 0);
    assert_eq!(after.endpoints[0].state.retire_at(), None);
}

#[test]
fn a_draining_registration_is_listed_but_not_picked() {
    let world = world("10s");
    world.register("a", "10.0.0.1:80");
    let before = world.register("b", r#"{"address":"10.0.0.2","port":80}"#);
    let draining = r#"{"address":"10.0.0.2","port":80,"status":"draining"}"#;
    let web = world.register("b", draining);
    assert_eq!(web.endpoints.len(), 2);
    assert_eq!(shown(web.balancer.endpoints()), ["a 10.0.0.1:80 1"]);
    let state = &web.endpoints[1].state;
    assert!(Arc::ptr_eq(state, &before.endpoints[1].state));
    let deadline = state.retire_at();
    assert!(deadline.is_some());

    world.register("c", "10.0.0.3:80");
    assert_eq!(state.retire_at(), deadline, "the deadline stays as it is");

    let back = world.register("b", r#"{"address":"10.0.0.2","port":80}"#);
    assert_eq!(back.balancer.endpoints().len(), 3);
    assert_eq!(state.retire_at(), None);
}

#[test]
fn an_operator_drains_by_settings() {
    let world = World::new(file("endpoints = [\"10.0.0.9:80\"]"));
    world.register("a", "10.0.0.1:80");
    let web = world.set("drain = [\"a\", \"10.0.0.9:80\"]");
    assert!(web.endpoints.iter().all(|e| e.state.retire_at().is_some()));
    assert!(web.balancer.endpoints().is_empty());
    let web = world.set("drain = []");
    assert!(web.endpoints.iter().all(|e| e.state.retire_at().is_none()));
    assert_eq!(web.balancer.endpoints().len(), 2);
}

#[test]
fn a_registration_may_drain_from_the_start() {
    let world = World::new(FileLayer::default());
    let web = world.register(
        "a",
        r#"{"address":"10.0.0.2","port":80,"status":"draining"}"#,
    );
    assert!(web.endpoints[0].state.retire_at().is_some());
    assert!(web.balancer.endpoints().is_empty());
}

#[test]
fn a_draining_endpoint_that_leaves_keeps_its_deadline() {
    let world = world("10s");
    world.register("a", "10.0.0.1:80");
    let draining = world.set("drain = [\"a\"]\ndrain_timeout = \"20s\"");
    let state = Arc::clone(&draining.endpoints[0].state);
    let deadline = state.retire_at();
    world.set("drain_timeout = \"1s\"\ndrain = [\"a\"]");
    world.unregister("a");
    assert_eq!(state.retire_at(), deadline);
}

/// Remembers that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn who_waits_for_an_endpoint_hears_of_every_change_of_the_service() {
    let world = World::new(FileLayer::default());
    let web = world.register("a", "10.0.0.1:80");
    let place = web.balancer.queue().enter(1).unwrap();
    let woken = Arc::new(Woken::default());
    let hears_of = |change: &dyn Fn()| {
        place.may_try(&Waker::from(Arc::clone(&woken)));
        change();
        world.catch_up();
        woken.0.swap(false, Relaxed)
    };
    assert!(hears_of(&|| world.put("/services/web/b", "10.0.0.2:80")));
    assert!(hears_of(&|| world.delete("/services/web/b")));
    let settings = "/zoogate/config/services/web";
    assert!(hears_of(&|| world.put(settings, "max_connections = 9")));
    assert!(!hears_of(&|| world.put("/services/api/a", "10.0.0.3:80")));
    world.delete(settings);
    world.delete("/services/web/a");
    assert!(hears_of(&|| world.delete("/services/web")));
    assert!(world.table().service("web").is_none());
}
