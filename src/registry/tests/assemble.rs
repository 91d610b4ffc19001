//! Which services and endpoints a table has, and what it shares with the one before.

use super::fixture::{World, file, listener, name, shown};
use crate::balance::{PickInput, UNLIMITED};
use crate::config::Strategy;
use crate::registry::FileLayer;
use crate::registry::assemble::MAX_SERVICES;
use crate::registry::reading::MAX_INSTANCES;
use crate::routing::Asked;
use std::sync::Arc;
use std::time::Duration;

const ANY: PickInput<'static> = PickInput {
    key: 0,
    random: 0,
    now_ms: 0,
    tried: &[],
    limit: UNLIMITED,
};

fn host(host: &str) -> Asked<'_> {
    Asked {
        host: Some(host),
        ..Asked::default()
    }
}

#[test]
fn registrations_become_endpoints_in_the_order_of_their_names() {
    let world = World::new(FileLayer::default());
    world.put("/services/web/b", "10.0.0.2:80 weight=3");
    world.put("/services/web/a", r#"{"address":"10.0.0.1","port":80}"#);
    world.put("/services/web/10.0.0.3:80", "");
    let expected = [
        "10.0.0.3:80 10.0.0.3:80 1",
        "a 10.0.0.1:80 1",
        "b 10.0.0.2:80 3",
    ];
    let web = world.web();
    assert_eq!(shown(&web.endpoints), expected);
    assert_eq!(shown(web.balancer.endpoints()), expected);
}

#[test]
fn a_registration_that_cannot_be_read_harms_no_other() {
    let world = World::new(FileLayer::default());
    world.put("/services/web/a", "10.0.0.1:80");
    let web = world.register("broken", "nonsense");
    assert_eq!(shown(&web.endpoints), ["a 10.0.0.1:80 1"]);
    assert_eq!(web.unparsed.len(), 1);
    assert_eq!(&*web.unparsed[0].instance, "broken");
    assert_eq!(
        web.unparsed[0].reason,
        r#"found "nonsense" without a port; expected host:port"#
    );
    let web = world.register("broken", "10.0.0.2:80");
    assert!(web.unparsed.is_empty());
    assert_eq!(web.endpoints.len(), 2);
}

#[test]
fn two_instances_at_one_address_are_two_endpoints() {
    let world = World::new(FileLayer::default());
    world.register("a", "10.0.0.1:80");
    let web = world.register("b", "10.0.0.1:80");
    assert_eq!(
        shown(&web.endpoints),
        ["a 10.0.0.1:80 1", "b 10.0.0.1:80 1"]
    );
    assert!(!Arc::ptr_eq(
        &web.endpoints[0].state,
        &web.endpoints[1].state
    ));
}

#[test]
fn static_endpoints_stand_beside_registered_ones() {
    let world = World::new(file(
        r#"endpoints = ["10.0.0.9:80", { address = "10.0.0.8:80", weight = 2 }]"#,
    ));
    let web = world.register("a", "10.0.0.1:80");
    assert_eq!(
        shown(&web.endpoints),
        [
            "10.0.0.8:80 10.0.0.8:80 2",
            "10.0.0.9:80 10.0.0.9:80 1",
            "a 10.0.0.1:80 1"
        ]
    );
}

#[test]
fn a_registration_hides_a_static_endpoint_of_its_name() {
    let world = World::new(file(r#"endpoints = ["10.0.0.9:80"]"#));
    let web = world.register("10.0.0.9:80", "10.0.0.9:80 weight=7");
    assert_eq!(shown(&web.endpoints), ["10.0.0.9:80 10.0.0.9:80 7"]);
}

#[test]
fn services_that_rules_name_exist_without_endpoints() {
    let world = World::new(FileLayer {
        listeners: vec![listener(Some("shop.example"), "shop")],
        ..FileLayer::default()
    });
    let table = world.table();
    let shop = table.route("front", &host("shop.example")).unwrap();
    assert_eq!(shop.name, name("shop"));
    assert!(shop.balancer.pick(&ANY).is_err());
    assert!(table.route("front", &host("other.example")).is_none());
}

#[test]
fn rules_lead_to_the_service_of_their_own_table() {
    let world = World::new(FileLayer {
        listeners: vec![listener(None, "web")],
        ..FileLayer::default()
    });
    world.register("a", "10.0.0.1:80");
    let table = world.table();
    let routed = table.route("front", &Asked::default()).unwrap();
    assert!(Arc::ptr_eq(routed, table.service("web").unwrap()));
    assert_eq!(routed.endpoints.len(), 1);
}

#[test]
fn a_service_lives_as_long_as_its_znode_its_settings_or_the_file_names_it() {
    let world = World::new(FileLayer::default());
    world.put("/services/web", "");
    assert!(world.catch_up().service("web").is_some());
    world.put("/zoogate/config/services/web", "");
    world.delete("/services/web");
    assert!(world.catch_up().service("web").is_some());
    world.delete("/zoogate/config/services/web");
    assert!(world.catch_up().service("web").is_none());
}

#[test]
fn settings_in_the_tree_are_laid_over_the_file_key_by_key() {
    let world = World::new(file("strategy = \"random\"\nconnect_timeout = \"7s\""));
    assert_eq!(world.web().policy.strategy, Strategy::Random);
    let web = world.set("strategy = \"weighted\"");
    assert_eq!(web.policy.strategy, Strategy::Weighted);
    assert_eq!(web.balancer.strategy(), Strategy::Weighted);
    assert_eq!(web.policy.connect_timeout, Duration::from_secs(7));
    assert_eq!(web.policy.idle_timeout, Duration::from_secs(300));
    world.delete("/zoogate/config/services/web");
    assert_eq!(world.web().policy.strategy, Strategy::Random);
}

#[test]
fn weights_in_the_settings_win_over_registered_ones() {
    let world = World::new(file("endpoints = [\"10.0.0.9:80\"]"));
    world.register("a", "10.0.0.1:80 weight=3");
    let web = world.set("weights = { a = 5, \"10.0.0.9:80\" = 6 }");
    assert_eq!(
        shown(&web.endpoints),
        ["10.0.0.9:80 10.0.0.9:80 6", "a 10.0.0.1:80 5"]
    );
}

#[test]
fn services_that_did_not_change_are_shared_between_tables() {
    let world = World::new(FileLayer {
        listeners: vec![listener(None, "web")],
        ..FileLayer::default()
    });
    world.put("/services/api/a", "10.0.0.7:80");
    world.put("/services/web/a", "10.0.0.1:80");
    let before = world.catch_up();
    world.put("/services/web/b", "10.0.0.2:80");
    let after = world.catch_up();
    let service =
        |table: &crate::routing::RoutingTable, name| Arc::clone(table.service(name).unwrap());
    assert!(Arc::ptr_eq(
        &service(&before, "api"),
        &service(&after, "api")
    ));
    assert!(!Arc::ptr_eq(
        &service(&before, "web"),
        &service(&after, "web")
    ));
    assert!(after.version > before.version);

    world.put("/services/web/b", "10.0.0.2:80");
    let same = world.catch_up();
    assert!(Arc::ptr_eq(&service(&after, "web"), &service(&same, "web")));
    assert!(
        same.version > after.version,
        "the table says it is up to date"
    );
}

#[test]
fn a_whole_reading_shares_what_did_not_change_too() {
    let world = World::new(FileLayer::default());
    let before = world.register("a", "10.0.0.1:80");
    world.registry.reload(FileLayer::default());
    assert!(Arc::ptr_eq(&before, &world.web()));
}

#[test]
fn positions_carry_on_across_tables() {
    let world = World::new(FileLayer::default());
    world.register("a", "10.0.0.1:80");
    world.register("b", "10.0.0.2:80");
    let before = world.register("c", "10.0.0.3:80");
    let pick = |service: &crate::routing::Service| {
        let lease = service.balancer.pick(&ANY).unwrap();
        lease.endpoint().instance.to_string()
    };
    assert_eq!((pick(&before), pick(&before)), ("a".into(), "b".into()));
    let after = world.register("c", "10.0.0.4:80");
    assert_eq!((pick(&after), pick(&after)), ("c".into(), "a".into()));
}

#[test]
fn registrations_beyond_the_limit_are_reported() {
    let world = World::new(FileLayer::default());
    for number in 0..MAX_INSTANCES + 2 {
        world.put(&format!("/services/web/i{number:05}"), "10.0.0.1:80");
    }
    let web = world.web();
    assert_eq!(web.endpoints.len(), MAX_INSTANCES);
    assert_eq!(&*web.endpoints[MAX_INSTANCES - 1].instance, "i09999");
    assert_eq!(
        web.unparsed[0].reason,
        "2 more registrations are not used; expected at most 10000 of one service"
    );
}

#[test]
fn a_full_table_takes_a_service_when_another_goes() {
    let world = World::new(file(""));
    for number in 0..MAX_SERVICES {
        world.put(&format!("/services/s{number:05}"), "");
    }
    let last = format!("s{:05}", MAX_SERVICES - 1);
    let full = world.catch_up();
    assert_eq!(full.services.len(), MAX_SERVICES);
    assert!(full.service("web").is_some(), "the file names it");
    assert!(full.service(&last).is_none());
    world.delete("/services/s00000");
    assert!(world.catch_up().service(&last).is_some());
}
