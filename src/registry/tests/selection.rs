//! Who gets traffic and how much: tiers, slow start, and what is left when registrations vanish.

use super::fixture::{World, file, name, shown};
use crate::balance::ProbeFailure;
use crate::net::now_ms;
use crate::registry::{Assembled, Departed, FileLayer, Given, TreeSettings, assemble, reading};
use crate::routing::{Degradation, RoutingTable, Service};
use crate::telemetry::Metrics;
use std::sync::Arc;

/// `instance scale`, for each endpoint that gets traffic.
fn picked(web: &Service) -> Vec<String> {
    let endpoints = web.balancer.endpoints().iter().zip(web.balancer.scales());
    let show = |(endpoint, scale): (&Arc<_>, &u32)| {
        let endpoint: &Arc<crate::balance::Endpoint> = endpoint;
        format!("{} {scale}", endpoint.instance)
    };
    endpoints.map(show).collect()
}

/// A tree whose tables are assembled at times of the test's choosing.
struct Clockwork {
    world: World,
    file: FileLayer,
    metrics: Arc<Metrics>,
    table: RoutingTable,
}

impl Clockwork {
    fn new(settings: &str) -> Clockwork {
        Clockwork {
            world: World::new(FileLayer::default()),
            file: file(settings),
            metrics: Metrics::new("n1"),
            table: RoutingTable::default(),
        }
    }

    /// Puts the table as of `now_ms` into use: who gets traffic then, and when that changes by itself.
    fn at(&mut self, now_ms: u64) -> (Vec<String>, Option<u64>) {
        let Assembled {
            table,
            effects,
            due,
            ..
        } = assemble(&Given {
            file: &self.file,
            settings: &TreeSettings::default(),
            reading: &reading::read(&self.world.tree.lock(), &reading::Scope::All),
            previous: &self.table,
            departed: &Departed::default(),
            metrics: &self.metrics,
            bell: &Arc::default(),
            now_ms,
        });
        effects.before_swap();
        effects.after_swap(&mut Departed::default(), &self.metrics);
        self.table = table;
        let due = due.into_iter().find(|(service, _)| *service == name("web"));
        (picked(self.web()), due.and_then(|(_, at_ms)| at_ms))
    }

    fn web(&self) -> &Arc<Service> {
        self.table.service("web").unwrap()
    }

    fn register(&self, instance: &str) {
        self.world
            .put(&format!("/services/web/{instance}"), "10.0.0.1:80");
    }

    /// A clockwork with `a` and `b`, which were there before the node.
    fn with_two(settings: &str) -> Clockwork {
        let mut clockwork = Clockwork::new(settings);
        clockwork.register("a");
        clockwork.register("b");
        assert_eq!(clockwork.at(10_000), (list(["a 1000", "b 1000"]), None));
        clockwork
    }
}

fn list<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(String::from).to_vec()
}

#[test]
fn a_newcomer_warms_up_in_tenths_and_each_has_its_time() {
    let mut clockwork = Clockwork::with_two("slow_start = \"10s\"");
    clockwork.register("c");
    for (now_ms, scale, due) in [
        (20_000, 100, Some(22_000)),
        (21_000, 100, Some(22_000)),
        (22_000, 200, Some(23_000)),
        (29_000, 900, Some(30_000)),
        (30_000, 1000, None),
    ] {
        let expected = list(["a 1000", "b 1000", &format!("c {scale}")]);
        assert_eq!(clockwork.at(now_ms), (expected, due), "at {now_ms}");
    }
}

#[test]
fn without_a_slow_start_nothing_has_its_time() {
    let mut clockwork = Clockwork::with_two("");
    clockwork.register("c");
    let expected = list(["a 1000", "b 1000", "c 1000"]);
    assert_eq!(clockwork.at(20_000), (expected, None));
}

#[test]
fn a_service_of_newcomers_divides_its_traffic_as_usual() {
    let mut clockwork = Clockwork::new("slow_start = \"10s\"");
    clockwork.world.put("/services/other/x", "10.0.0.9:80");
    clockwork.at(10_000);
    clockwork.register("a");
    clockwork.register("b");
    assert_eq!(clockwork.at(20_000).0, ["a 1000", "b 1000"]);
    clockwork.register("c");
    assert_eq!(clockwork.at(20_900).0, ["a 1000", "b 1000", "c 1000"]);
    assert_eq!(clockwork.at(24_000).0, ["a 1000", "b 1000", "c 750"]);
}

#[test]
fn who_recovers_or_is_drained_no_more_warms_up() {
    let mut clockwork = Clockwork::with_two("slow_start = \"10s\"");
    let a = Arc::clone(&clockwork.web().endpoints[0].state);
    a.fail(20_000, ProbeFailure::Refused);
    assert_eq!(clockwork.at(20_000).0, ["b 1000"]);
    a.recover(30_000);
    assert_eq!(clockwork.at(30_000).0, ["a 100", "b 1000"]);
    assert_eq!(clockwork.at(40_000).0, ["a 1000", "b 1000"]);

    clockwork.file = file("slow_start = \"10s\"\ndrain = [\"b\"]");
    assert_eq!(clockwork.at(50_000).0, ["a 1000"]);
    clockwork.file = file("slow_start = \"10s\"");
    assert_eq!(
        clockwork.at(60_000),
        (list(["a 1000", "b 100"]), Some(62_000))
    );
    assert_eq!(clockwork.at(65_000).0, ["a 1000", "b 500"]);
}

#[test]
fn higher_tiers_stand_by_for_lower_ones() {
    let world = World::new(file(
        "endpoints = [\"10.0.0.8:80\", { address = \"10.0.0.9:80\", tier = 7 }]",
    ));
    let web = world.register("b", "10.0.0.1:80 tier=1");
    assert_eq!(picked(&web), ["10.0.0.8:80 1000"]);
    let tiers: Vec<(u8, u8)> = web
        .selection
        .tiers
        .iter()
        .map(|t| (t.tier, t.share))
        .collect();
    assert_eq!(tiers, [(0, 100), (1, 0), (7, 0)]);

    let lowest = Arc::clone(&web.endpoints[0].state);
    lowest.fail(now_ms(), ProbeFailure::Refused);
    world.registry.changed(&name("web"));
    let web = world.web();
    assert_eq!(picked(&web), ["b 1000"]);
    assert!(web.selection.is(Degradation::Spill));

    // With everything down nobody knows better than the tiers.
    for endpoint in &web.endpoints {
        endpoint.state.fail(now_ms(), ProbeFailure::Refused);
    }
    world.registry.changed(&name("web"));
    let web = world.web();
    assert_eq!(picked(&web), ["10.0.0.8:80 1000"]);
    assert!(web.selection.is(Degradation::Panic));
    lowest.recover(now_ms());
    world.registry.changed(&name("web"));
    assert!(!world.web().selection.is(Degradation::Panic));
}

#[test]
fn another_tier_is_another_endpoint_with_the_same_state() {
    let world = World::new(FileLayer::default());
    let before = world.register("a", "10.0.0.1:80");
    let after = world.register("a", "10.0.0.1:80 tier=1");
    assert_eq!(after.endpoints[0].tier, 1);
    assert!(Arc::ptr_eq(
        &before.endpoints[0].state,
        &after.endpoints[0].state
    ));
    assert_eq!(picked(&after), ["a 1000"], "nobody is below it");
}

#[test]
fn the_last_endpoints_are_kept_until_others_come() {
    let world = World::new(FileLayer::default());
    world.register("a", "10.0.0.1:80 weight=3");
    let before = world.register("b", "10.0.0.2:80");
    world.delete("/services/web/a");
    world.delete("/services/web/b");
    let kept = world.web();
    assert_eq!(
        shown(&kept.endpoints),
        ["a 10.0.0.1:80 3", "b 10.0.0.2:80 1"]
    );
    assert_eq!(picked(&kept), ["a 1000", "b 1000"]);
    assert!(kept.selection.is(Degradation::Kept));
    let state = &before.endpoints[0].state;
    assert!(Arc::ptr_eq(state, &kept.endpoints[0].state));
    assert_eq!(state.retire_at(), None, "its exchanges go on");

    // Whatever is assembled meanwhile, it is still since then.
    let since = kept.selection.kept_since_ms;
    world.registry.changed(&name("web"));
    assert_eq!(world.web().selection.kept_since_ms, since);

    let web = world.register("c", "10.0.0.3:80");
    assert_eq!(shown(&web.endpoints), ["c 10.0.0.3:80 1"]);
    assert!(!web.selection.is(Degradation::Kept));
    assert!(state.retire_at().is_some());
}

#[test]
fn nothing_is_kept_that_was_meant_to_go() {
    let gone = |settings: &str, last_words: &str| {
        let world = World::new(file(settings));
        world.register("a", "10.0.0.1:80");
        if !last_words.is_empty() {
            world.register("a", last_words);
        }
        world.unregister("a")
    };
    let draining = r#"{"address":"10.0.0.1","port":80,"status":"draining"}"#;
    for (settings, last_words, expected) in [
        ("", "", 1),
        ("on_empty = \"reject\"", "", 0),
        ("on_empty = \"backup\"\nbackup = \"spare\"", "", 0),
        ("", draining, 0),
        ("drain = [\"a\"]", "", 0),
    ] {
        let web = gone(settings, last_words);
        assert_eq!(web.endpoints.len(), expected, "{settings} {last_words}");
        assert_eq!(web.selection.is(Degradation::Empty), expected == 0);
    }
}

#[test]
fn who_says_that_it_has_stopped_has_not_vanished() {
    let world = World::new(FileLayer::default());
    let serverset = |status: &str| {
        format!(r#"{{"serviceEndpoint":{{"host":"10.0.0.1","port":80}},"status":"{status}"}}"#)
    };
    assert_eq!(world.register("a", &serverset("ALIVE")).endpoints.len(), 1);
    assert_eq!(world.register("a", &serverset("DEAD")).endpoints.len(), 0);
}
