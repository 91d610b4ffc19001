//! Several operations, all or nothing.

use super::fixture::*;
use crate::tree::{Acl, Actor, Change, Command, ErrorCode, MultiFailure, Op, OpReply, Reply};

#[test]
fn operations_see_the_effects_of_earlier_ones() {
    let mut fixture = Fixture::new();
    let ops = vec![
        create("/a"),
        create_as("/a/", SEQUENTIAL),
        create_as("/a/", SEQUENTIAL),
        set_data("/a", "x", 0),
        check("/a", 1),
        delete("/a/0000000000", 0),
    ];
    let outcome = fixture.apply(&Actor::Ensemble, Command::Multi(ops));
    let Ok(Reply::Multi(Ok(replies))) = outcome.result else {
        panic!("the multi gave {:?}", outcome.result);
    };
    assert_eq!(created(&replies[1]), "/a/0000000000");
    assert_eq!(created(&replies[2]), "/a/0000000001");
    assert_eq!(replies[4..], [OpReply::Checked, OpReply::Deleted]);
    let a = fixture.stat("/a");
    assert_eq!((a.cversion, a.num_children, a.version), (3, 1, 1));
    assert_eq!([a.czxid, a.mzxid, a.pzxid], [fixture.zxid; 3]);
    let changed = |path: &str| event(Change::Children, path);
    let expected = [
        event(Change::Created, "/a"),
        changed("/"),
        event(Change::Created, "/a/0000000000"),
        changed("/a"),
        event(Change::Created, "/a/0000000001"),
        changed("/a"),
        event(Change::Data, "/a"),
        event(Change::Deleted, "/a/0000000000"),
        changed("/a"),
    ];
    assert_eq!(outcome.events, expected);
}

#[test]
fn empty_multi_succeeds() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.multi(&Actor::Ensemble, vec![]), Ok(vec![]));
}

#[test]
fn the_first_failure_of_a_multi_is_told_whether_it_was_foreseen_or_not() {
    let mut fixture = Fixture::new();
    let refuse = Op::Refuse(ErrorCode::BadArguments);
    let failed = |index, code| Err(MultiFailure { index, code });
    for (ops, expected) in [
        (
            vec![create("/a"), check("/none", -1), refuse.clone()],
            failed(1, ErrorCode::NoNode),
        ),
        (
            vec![create("/a"), check("/a", 0), refuse],
            failed(2, ErrorCode::BadArguments),
        ),
    ] {
        assert_eq!(fixture.multi(&Actor::Ensemble, ops), expected);
        assert!(fixture.tree.get("/a").is_none());
    }
}

/// A multi that fails at its last operation, having done all kinds of things before.
#[test]
fn failed_multi_leaves_no_trace() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    fixture.must(create("/a"));
    for name in ["/a/x", "/a/y", "/a/z"] {
        fixture
            .one(&client, create_as(name, EPHEMERAL))
            .expect("created");
    }
    let before = (dump(&fixture.tree), fixture.tree.digest());
    let order: Vec<String> = children(&fixture, "/a");
    let other_acl = vec![Acl {
        perms: 1 | 8,
        ..Acl::open().swap_remove(0)
    }];
    let ops = vec![
        set_data("/a", "changed", -1),
        delete("/a/y", -1),
        delete("/a/z", -1),
        create_as("/a/", SEQUENTIAL),
        create_as("/a/y", PERSISTENT),
        create("/a/y/below"),
        set_acl("/a/y", other_acl, -1),
        set_data("/a/y/below", "x", 0),
        delete("/a/y/below", -1),
        delete("/a/x", -1),
        create_as("/a/x", EPHEMERAL),
        create_as("/b", EPHEMERAL),
        create("/b/c"),
    ];
    let index = ops.len() - 1;
    let outcome = fixture.apply(&client, Command::Multi(ops));
    let code = ErrorCode::NoChildrenForEphemerals;
    assert_eq!(
        outcome.result,
        Ok(Reply::Multi(Err(MultiFailure { index, code })))
    );
    assert_eq!(outcome.events, []);
    assert_eq!((dump(&fixture.tree), fixture.tree.digest()), before);
    assert_eq!(children(&fixture, "/a"), order);
    let next = fixture.must(create_as("/a/", SEQUENTIAL));
    assert_eq!(created(&next), "/a/0000000003");
}

fn children(fixture: &Fixture, path: &str) -> Vec<String> {
    let znode = fixture.tree.get(path).expect("exists");
    znode.children().map(str::to_owned).collect()
}

#[test]
fn failure_names_the_first_operation_that_failed() {
    let mut fixture = Fixture::new();
    let ops: Vec<Op> = vec![create("/a"), create("/b"), check("/c", -1), create("/a")];
    let failure = MultiFailure {
        index: 2,
        code: ErrorCode::NoNode,
    };
    assert_eq!(fixture.multi(&Actor::Ensemble, ops), Err(failure));
}

#[test]
fn session_is_checked_before_the_operations() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let Actor::Session { id, identities, .. } = client else {
        panic!("opened by a client");
    };
    let stranger = Actor::Session {
        id,
        attachment: crate::tree::Zxid(99),
        identities,
    };
    let outcome = fixture.apply(&stranger, Command::Multi(vec![create("/absent/a")]));
    assert_eq!(outcome.result, Err(ErrorCode::SessionMoved));
}
