//! When a table is assembled, what is counted, and what happens when something is wrong.

use super::fixture::{World, file, listener, name, shown};
use crate::config::Strategy;
use crate::ensemble::Follower;
use crate::registry::{Departed, Given, TreeSettings, What};
use crate::registry::{FileLayer, assemble, reading};
use crate::routing::{Asked, RoutingTable};
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn swaps(world: &World) -> u64 {
    world.metrics.coordination.table_swaps.get()
}

#[test]
fn changes_of_services_are_served_and_others_cost_nothing() {
    let world = World::new(FileLayer::default());
    let before = swaps(&world);
    world.put("/locks/a", "10.0.0.1:80");
    world.put("/services/web/a/below", "");
    world.catch_up();
    assert_eq!(
        swaps(&world),
        before + 1,
        "for /services/web and its instance"
    );
    world.put("/services/web/a/below", "x");
    world.put("/zoogate/other", "x");
    world.catch_up();
    assert_eq!(swaps(&world), before + 1);
}

#[test]
fn many_changes_are_served_by_one_table() {
    let world = World::new(FileLayer::default());
    let before = swaps(&world);
    for number in 0..100 {
        world.put(&format!("/services/web/i{number}"), "10.0.0.1:80");
    }
    assert_eq!(world.web().endpoints.len(), 100);
    world.catch_up();
    assert_eq!(swaps(&world), before + 1);
}

#[test]
fn the_table_in_use_is_told_in_metrics() {
    let world = World::new(FileLayer::default());
    let coordination = &world.metrics.coordination;
    assert_eq!(coordination.commit_to_swap.get_sample_count(), 0);
    world.register("a", "10.0.0.1:80");
    let zxid = world.tree.lock().last_zxid();
    assert_eq!(coordination.table_zxid.get(), zxid.to_wire());
    assert_eq!(world.table().version, zxid.0);
    assert!(coordination.table_swap_timestamp.get() > 1_500_000_000);
    assert_eq!(coordination.commit_to_swap.get_sample_count(), 1);
}

#[test]
fn a_failure_leaves_the_table_and_what_is_dirty() {
    let world = World::new(FileLayer::default());
    let before = world.register("a", "10.0.0.1:80");
    world.put("/services/web/b", "10.0.0.2:80");
    world.registry.catch_up_by(&|_| panic!("as if by a defect"));
    let now = world.table();
    assert!(Arc::ptr_eq(now.service("web").unwrap(), &before));
    assert_eq!(world.metrics.coordination.table_failures.get(), 1);
    world.put("/services/api/a", "10.0.0.3:80");
    assert_eq!(world.web().endpoints.len(), 2);
}

#[test]
fn invalid_settings_are_refused_counted_and_shown() {
    let world = World::new(FileLayer::default());
    world.register("a", "10.0.0.1:80");
    world.set("strategy = \"random\"");
    let coordination = &world.metrics.coordination;
    let (taken, refused) = (
        coordination.settings_reloads.get(),
        coordination.settings_refused.get(),
    );

    let web = world.set("strategy = \"rondom\"");
    assert_eq!(web.policy.strategy, Strategy::Random);
    assert_eq!(coordination.settings_refused.get(), refused + 1);
    assert_eq!(coordination.settings_ok.get(), 0);
    let shown = world.registry.refused_settings();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].service, name("web"));
    assert!(
        shown[0]
            .reason
            .contains("/zoogate/config/services/web:1:12:")
    );

    world.register("b", "10.0.0.2:80");
    assert_eq!(coordination.settings_refused.get(), refused + 1, "once");

    let web = world.set("strategy = \"weighted\"");
    assert_eq!(web.policy.strategy, Strategy::Weighted);
    assert_eq!(coordination.settings_reloads.get(), taken + 1);
    assert_eq!(coordination.settings_ok.get(), 1);
    assert!(world.registry.refused_settings().is_empty());
}

#[test]
fn a_reload_takes_settings_rules_and_services_of_the_new_file() {
    let world = World::new(file("endpoints = [\"10.0.0.9:80\"]"));
    let before = world.web();
    world.registry.reload(FileLayer {
        listeners: vec![listener(None, "shop")],
        ..FileLayer::default()
    });
    let table = world.catch_up();
    assert!(table.service("web").is_none());
    assert!(before.endpoints[0].state.retire_at().is_some());
    let routed = table.route("front", &Asked::default()).unwrap();
    assert_eq!(routed.name, name("shop"));
}

#[test]
fn a_replaced_tree_is_read_as_a_whole() {
    let world = World::new(FileLayer::default());
    world.register("a", "10.0.0.1:80");
    world.set("strategy = \"random\"");
    let other = World::new(FileLayer::default());
    other.put("/services/api/b", "10.0.0.2:80");
    *world.tree.lock() = other.tree.into_inner();
    world.registry.replaced(&world.tree.lock());
    let table = world.catch_up();
    assert!(table.service("web").is_none());
    let api = table.service("api").unwrap();
    assert_eq!(shown(&api.endpoints), ["b 10.0.0.2:80 1"]);
    assert_eq!(
        world.register("a", "10.0.0.1:80").policy.strategy,
        Strategy::RoundRobin
    );
}

#[test]
fn no_change_is_missed_while_tables_are_assembled() {
    let world = World::new(FileLayer::default());
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..2_000 {
                let service = number % 7;
                world.put(
                    &format!("/services/s{service}/i"),
                    &format!("10.0.0.1:{}", number + 1),
                );
            }
        });
        while !writer.is_finished() {
            world.catch_up();
        }
    });
    let table = world.catch_up();
    for service in 0..7 {
        let last = (0..2_000)
            .rev()
            .find(|number| number % 7 == service)
            .unwrap();
        let endpoints = &table.service(&format!("s{service}")).unwrap().endpoints;
        assert_eq!(shown(endpoints), [format!("i 10.0.0.1:{} 1", last + 1)]);
    }
}

#[tokio::test]
async fn the_loop_serves_changes_until_it_is_stopped() {
    let world = Arc::new(World::new(FileLayer::default()));
    let stop = CancellationToken::new();
    let follower = tokio::spawn({
        let (world, stop) = (Arc::clone(&world), stop.clone());
        async move {
            let reader =
                |look: &dyn Fn(&crate::tree::Tree) -> reading::Reading| look(&world.tree.lock());
            world.registry.follow_by(&reader, &stop).await;
        }
    });
    world.put("/services/web/a", "10.0.0.1:80");
    let served = async {
        while world
            .table()
            .service("web")
            .is_none_or(|web| web.endpoints.is_empty())
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), served)
        .await
        .expect("the change is served");
    stop.cancel();
    follower.await.unwrap();
}

#[test]
fn what_changes_is_told_once() {
    let world = World::new(FileLayer::default());
    let (file, metrics) = (FileLayer::default(), Metrics::new("n1"));
    let (settings, departed) = (TreeSettings::default(), Departed::default());
    let assemble_from = |previous: &RoutingTable| {
        assemble(&Given {
            file: &file,
            settings: &settings,
            reading: &reading::read(&world.tree.lock(), &reading::Scope::All),
            previous,
            departed: &departed,
            metrics: &metrics,
            bell: &Arc::default(),
            now_ms: 0,
        })
    };
    let told = |assembled: &crate::registry::Assembled| -> Vec<(String, What)> {
        let changes = assembled.changes.iter();
        changes
            .map(|c| (c.instance.to_string(), c.what.clone()))
            .collect()
    };
    world.put("/services/web/a", "10.0.0.1:80");
    world.put("/services/web/b", "nonsense");
    let first = assemble_from(&RoutingTable::default());
    let reason = r#"found "nonsense" without a port; expected host:port"#;
    assert_eq!(
        told(&first),
        [
            ("a".into(), What::Joined("10.0.0.1:80".into())),
            ("b".into(), What::Unparsed(reason.into())),
        ]
    );
    let second = assemble_from(&first.table);
    assert_eq!(told(&second), []);
    world.put("/services/web/a", "10.0.0.2:80");
    let third = assemble_from(&second.table);
    assert_eq!(
        told(&third),
        [
            ("a".into(), What::Joined("10.0.0.2:80".into())),
            ("a".into(), What::Left("10.0.0.1:80".into())),
        ]
    );
    let state = &second.table.services[&name("web")].endpoints[0].state;
    assert_eq!(state.retire_at(), None, "assembling itself changes nothing");
}
