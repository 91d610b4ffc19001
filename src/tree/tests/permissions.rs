//! ACLs by example, where a transcript would not say enough.

use super::fixture::*;
use crate::tree::{Acl, Actor, Change, Command, ErrorCode, Op, Permission};

fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl {
        perms,
        scheme: scheme.into(),
        id: id.into(),
    }
}

/// A znode `/a` with a child `/a/b` on which somebody has one permission only.
fn with_one_permission(bit: i32) -> (Fixture, Actor) {
    let mut fixture = Fixture::new();
    let client = having_proved(&fixture.open(), &[("digest", "a:1")]);
    fixture.must(create("/a"));
    fixture.must(create("/a/b"));
    fixture.must(set_acl("/a", vec![acl(bit, "digest", "a:1")], -1));
    (fixture, client)
}

#[test]
fn each_operation_needs_its_own_permission() {
    let ops: [(Permission, Op); 5] = [
        (Permission::Read, check("/a", -1)),
        (Permission::Write, set_data("/a", "x", -1)),
        (Permission::Create, create("/a/c")),
        (Permission::Delete, delete("/a/b", -1)),
        (Permission::Admin, set_acl("/a", Acl::open(), -1)),
    ];
    for (needed, op) in ops {
        for bit in [0, 1, 2, 4, 8, 16] {
            let (mut fixture, client) = with_one_permission(bit);
            let before = fixture.tree.digest();
            let outcome = fixture.apply(&client, Command::One(op.clone()));
            if bit == needed as i32 {
                assert!(outcome.result.is_ok(), "{op:?}");
            } else {
                assert_eq!(outcome.result, Err(ErrorCode::NoAuth), "{op:?}");
                assert_eq!(fixture.tree.digest(), before, "{op:?}");
            }
        }
    }
}

/// What a fresh tree is closed with.
#[test]
fn list_without_bits_denies_everybody_but_super() {
    let (mut fixture, client) = with_one_permission(0);
    let closed = vec![acl(0, "world", "anyone")];
    for path in ["/", "/zookeeper", "/zookeeper/quota"] {
        fixture.must(set_acl(path, closed.clone(), -1));
    }
    let above_all = having_proved(&client, &[("super", "")]);
    for op in [
        create("/b"),
        delete("/a", -1),
        set_data("/", "x", -1),
        set_acl("/", Acl::open(), -1),
        create("/zookeeper/quota/a"),
    ] {
        assert_eq!(fixture.one(&client, op), Err(ErrorCode::NoAuth));
    }
    let znode = fixture.tree.get("/").expect("always there");
    assert!(!znode.permits(Permission::Read, &[]));
    assert_eq!(znode.acl_shown_to(&[]), closed);
    assert!(fixture.one(&above_all, create("/b")).is_ok());
    assert!(fixture.one(&above_all, set_data("/", "x", -1)).is_ok());
}

#[test]
fn readers_see_masked_hashes() {
    let mut fixture = Fixture::new();
    let list = vec![acl(1, "world", "anyone"), acl(31, "digest", "a:1")];
    fixture.must(create("/a"));
    fixture.must(set_acl("/a", list.clone(), -1));
    let owner = having_proved(&fixture.open(), &[("digest", "a:1")]);
    let Actor::Session { identities, .. } = owner else {
        panic!("a client");
    };
    let znode = fixture.tree.get("/a").expect("created");
    let masked = vec![acl(1, "world", "anyone"), acl(31, "digest", "a:x")];
    assert_eq!(znode.acl_shown_to(&[]), masked);
    assert_eq!(znode.acl_shown_to(&identities), list);
    assert_eq!(znode.acl(), list);
}

/// Watchers are filtered by it, so it must be the list that hid the znode, also when it is gone.
#[test]
fn events_carry_the_acl_of_their_znode() {
    let (mut fixture, client) = with_one_permission(8);
    let above = [acl(8, "digest", "a:1")];
    let outcome = fixture.apply(&client, Command::One(delete("/a/b", -1)));
    let expected = [
        event(Change::Deleted, "/a/b"),
        event_of(Change::Children, "/a", &above),
    ];
    assert_eq!(outcome.events, expected);
    let outcome = fixture.apply(&Actor::Ensemble, Command::One(set_data("/a", "x", -1)));
    assert_eq!(outcome.events, [event_of(Change::Data, "/a", &above)]);
}
