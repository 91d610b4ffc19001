//! Who gets traffic, by what is recorded of the endpoints.

use super::fixture::{World, file, name, shown};
use crate::balance::{EjectionCause, EndpointState, ProbeFailure};
use crate::net::now_ms;
use crate::routing::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Instances `a`, `b` and `c`.
fn three() -> World {
    three_by("")
}

/// The same, by these settings.
fn three_by(settings: &str) -> World {
    let world = World::new(file(settings));
    for (at, instance) in ["a", "b", "c"].iter().enumerate() {
        world.register(instance, &format!("10.0.0.{at}:80"));
    }
    world
}

fn state(world: &World, instance: &str) -> Arc<EndpointState> {
    let web = world.web();
    let mut endpoints = web.endpoints.iter();
    let endpoint = endpoints.find(|e| *e.instance == *instance).unwrap();
    Arc::clone(&endpoint.state)
}

/// The instances that get traffic once the registry has heard of a change.
fn changed(world: &World) -> Vec<String> {
    world.registry.changed(&name("web"));
    in_use(&world.web())
}

fn in_use(web: &Service) -> Vec<String> {
    let endpoints = web.balancer.endpoints().iter();
    endpoints.map(|e| e.instance.to_string()).collect()
}

#[test]
fn endpoints_with_something_against_them_get_no_traffic_until_it_is_over() {
    let world = three_by("panic_threshold = 0");
    let (a, b) = (state(&world, "a"), state(&world, "b"));
    a.fail(now_ms(), ProbeFailure::Refused);
    assert_eq!(changed(&world), ["b", "c"]);
    b.eject(now_ms(), now_ms() + 60_000, EjectionCause::Consecutive);
    assert_eq!(changed(&world), ["c"]);
    a.recover(now_ms());
    assert_eq!(changed(&world), ["a", "c"]);
    b.forget_ejection();
    assert_eq!(changed(&world), ["a", "b", "c"]);
    let shown = shown(&world.web().endpoints);
    assert_eq!(shown.len(), 3, "they are in the table all along");
}

#[test]
fn if_nobody_is_well_everybody_but_the_draining_gets_traffic() {
    let world = three();
    for instance in ["a", "b", "c"] {
        state(&world, instance).fail(now_ms(), ProbeFailure::TimedOut);
    }
    assert_eq!(changed(&world), ["a", "b", "c"]);
    let web = world.set("drain = [\"c\"]");
    assert_eq!(in_use(&web), ["a", "b"]);
}

#[test]
fn a_change_that_keeps_traffic_as_it_is_keeps_the_service() {
    let world = three();
    let before = world.web();
    world.registry.changed(&name("web"));
    assert!(Arc::ptr_eq(&before, &world.web()));
}

#[test]
fn a_change_of_what_is_no_service_is_no_trouble() {
    let world = three();
    world.registry.changed(&name("unknown"));
    assert!(world.catch_up().service("unknown").is_none());
}

#[test]
fn endpoints_know_when_and_by_which_transaction_they_came_and_drained() {
    let world = World::new(file("endpoints = [\"10.0.0.9:80\"]"));
    // Of what is in the first table nobody knows since when it is there.
    world.put("/services/other/x", "10.0.0.8:80");
    world.catch_up();
    let begun = now_ms();
    world.register("a", r#"{"address":"10.0.0.1","port":80}"#);
    let created = world.tree.lock().last_zxid().0;
    let joined = state(&world, "a").facts().joined.unwrap();
    assert_eq!(joined.zxid, Some(created));
    assert!((begun..=now_ms()).contains(&joined.since_ms));
    world.register(
        "a",
        r#"{"address":"10.0.0.1","port":80,"status":"draining"}"#,
    );
    let facts = state(&world, "a").facts();
    assert_eq!(facts.drained.unwrap().zxid, Some(created + 1));
    assert_eq!(facts.joined, Some(joined));
    assert_eq!(
        state(&world, "10.0.0.9:80").facts().joined.unwrap().zxid,
        None
    );
    world.register("a", r#"{"address":"10.0.0.1","port":80}"#);
    assert_eq!(state(&world, "a").facts().drained, None);
}

#[test]
fn who_registers_anew_begins_anew() {
    let world = three();
    let a = state(&world, "a");
    a.eject(now_ms(), now_ms() + 60_000, EjectionCause::Consecutive);
    assert_eq!(changed(&world), ["b", "c"]);
    world.register("a", "10.0.0.0:80 weight=2");
    assert_eq!(in_use(&world.web()), ["b", "c"], "it is the same");
    // Both within one table.
    world.delete("/services/web/a");
    world.put("/services/web/a", "10.0.0.0:80");
    assert_eq!(in_use(&world.web()), ["a", "b", "c"]);
    let created = world.tree.lock().last_zxid().0;
    assert_eq!(a.facts().joined.unwrap().zxid, Some(created));
    assert_eq!(a.facts().ejected, None);
}

#[tokio::test]
async fn an_ejection_ends_by_itself() {
    let world = Arc::new(three());
    let stop = CancellationToken::new();
    let follower = tokio::spawn({
        let (world, stop) = (Arc::clone(&world), stop.clone());
        async move {
            let reader = |look: &dyn Fn(&crate::tree::Tree) -> _| look(&world.tree.lock());
            world.registry.follow_by(&reader, &stop).await;
        }
    });
    let mut swaps = world.registry.swaps();
    let until = now_ms() + 100;
    state(&world, "a").eject(now_ms(), until, EjectionCause::Consecutive);
    world.registry.changed(&name("web"));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let swap = tokio::time::timeout(Duration::from_secs(10), swaps.changed());
        swap.await.unwrap().unwrap();
        seen.push((
            in_use(world.table().service("web").unwrap()),
            now_ms() >= until,
        ));
        seen.dedup();
    }
    assert_eq!(seen[0].0, ["b", "c"]);
    assert_eq!(seen[1], (vec!["a".into(), "b".into(), "c".into()], true));
    stop.cancel();
    follower.await.unwrap();
}
