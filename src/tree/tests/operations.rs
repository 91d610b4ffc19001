//! Each rule of each operation, by example.

use super::fixture::*;
use crate::tree::{Acl, Actor, Change, Command, ErrorCode, Op, OpReply, Outcome, Reply};
use bytes::Bytes;

/// `/p` with the child `/p/c`, `/e` an ephemeral of the session returned.
fn furnished() -> (Fixture, Actor) {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    fixture.must(create("/p"));
    fixture.must(create("/p/c"));
    let ephemeral = fixture.one(&client, create_as("/e", EPHEMERAL));
    assert!(ephemeral.is_ok());
    (fixture, client)
}

/// The same operation fails alone, and as the only one of a multi; and changes nothing.
fn refused(op: Op, code: ErrorCode) {
    let (mut fixture, client) = furnished();
    let (before, digest) = (dump(&fixture.tree), fixture.tree.digest());
    let shown = format!("{op:?}");
    assert_eq!(fixture.one(&client, op.clone()), Err(code), "{shown}");
    let failure = fixture.multi(&client, vec![op]).map_err(|f| f.code);
    assert_eq!(failure, Err(code), "{shown} in a multi");
    assert_eq!(dump(&fixture.tree), before, "{shown}");
    assert_eq!(fixture.tree.digest(), digest, "{shown}");
}

fn invalid_acl(path: &str) -> Op {
    Op::Create {
        path: path.into(),
        data: Some(Bytes::new()),
        acl: vec![],
        mode: PERSISTENT,
    }
}

#[test]
fn create_checks_in_order() {
    use ErrorCode::*;
    for (op, code) in [
        (invalid_acl("no-slash"), BadArguments),
        (invalid_acl("/nul\0"), BadArguments),
        (invalid_acl("/absent/a"), InvalidAcl),
        (invalid_acl("/p/./a"), InvalidAcl),
        (invalid_acl("/p"), InvalidAcl),
        (create("/absent/a"), NoNode),
        (create("/absent/"), NoNode),
        (create("p/c"), NoNode),
        (create("/p//a"), NoNode),
        (create("/p/"), BadArguments),
        (create("/p/.."), BadArguments),
        (create("/e/.."), BadArguments),
        (create("//"), BadArguments),
        (create("/"), NodeExists),
        (create("/p"), NodeExists),
        (create("/p/c"), NodeExists),
        (create("/zookeeper"), NodeExists),
        (create("/e/a"), NoChildrenForEphemerals),
        (create_as("/e/a", EPHEMERAL), NoChildrenForEphemerals),
        (create_as("/e/", SEQUENTIAL), NoChildrenForEphemerals),
        (create_as("/p//", SEQUENTIAL), NoNode),
        (create_as("//", SEQUENTIAL), BadArguments),
    ] {
        refused(op, code);
    }
}

#[test]
fn delete_checks_in_order() {
    use ErrorCode::*;
    for (op, code) in [
        (delete("", -1), BadArguments),
        (delete("p", -1), BadArguments),
        (delete("/p\0", 7), BadArguments),
        (delete("/", -1), BadArguments),
        (delete("/zookeeper", -1), BadArguments),
        (delete("/zookeeper/quota", -1), BadArguments),
        (delete("/zookeeper/config", 7), BadArguments),
        (delete("/absent/a", -1), NoNode),
        (delete("/absent", -1), NoNode),
        (delete("/p/", -1), NoNode),
        (delete("//", -1), NoNode),
        (delete("/p", 7), BadVersion),
        (delete("/p", -2), BadVersion),
        (delete("/p", -1), NotEmpty),
        (delete("/p", 0), NotEmpty),
    ] {
        refused(op, code);
    }
}

#[test]
fn set_data_set_acl_and_check_verify_in_order() {
    use ErrorCode::*;
    for (op, code) in [
        (set_data("", "x", -1), BadArguments),
        (set_data("/p/", "x", -1), BadArguments),
        (set_data("/absent", "x", 7), NoNode),
        (set_data("/p", "x", 1), BadVersion),
        (set_acl("/p/", vec![], -1), BadArguments),
        (set_acl("/absent", vec![], -1), InvalidAcl),
        (set_acl("/absent", Acl::open(), 7), NoNode),
        (set_acl("/p", Acl::open(), 1), BadVersion),
        (check("", -1), BadArguments),
        (check("/p/", -1), BadArguments),
        (check("/absent", -1), NoNode),
        (check("/p", 1), BadVersion),
    ] {
        refused(op, code);
    }
}

#[test]
fn matching_versions_are_accepted() {
    let (mut fixture, client) = furnished();
    for op in [
        check("/p", 0),
        check("/p", -1),
        check("/", -1),
        set_data("/p", "x", 0),
        set_data("/p", "y", 1),
        check("/p", 2),
        set_acl("/p", Acl::open(), 0),
        set_acl("/p", Acl::open(), 1),
        set_acl("/p", Acl::open(), -1),
        set_data("/", "root", 0),
        delete("/p/c", 0),
        delete("/p", 2),
    ] {
        let shown = format!("{op:?}");
        let result = fixture.one(&client, op);
        assert!(result.is_ok(), "{shown}: {result:?}");
    }
}

#[test]
fn operations_answer_with_stat_and_fire_events() {
    let (mut fixture, client) = furnished();
    let mut run = |op| fixture.apply(&client, Command::One(op));
    let create = run(create("/p/d"));
    assert_eq!(
        create.events,
        [
            event(Change::Created, "/p/d"),
            event(Change::Children, "/p")
        ]
    );
    let top = run(create_as("/f", EPHEMERAL));
    assert_eq!(
        top.events,
        [event(Change::Created, "/f"), event(Change::Children, "/")]
    );
    let set = run(set_data("/p/d", "data", -1));
    assert_eq!(set.events, [event(Change::Data, "/p/d")]);
    let acl = run(set_acl("/p/d", Acl::open(), -1));
    assert_eq!(acl.events, []);
    let check = run(check("/p/d", 1));
    assert_eq!(
        check,
        Outcome {
            result: Ok(Reply::One(OpReply::Checked)),
            events: vec![]
        }
    );
    let delete = run(delete("/p/d", 1));
    assert_eq!(
        delete.events,
        [
            event(Change::Deleted, "/p/d"),
            event(Change::Children, "/p")
        ]
    );
    assert_eq!(delete.result, Ok(Reply::One(OpReply::Deleted)));
}

#[test]
fn sequence_suffix_counts_creates_ever() {
    let (mut fixture, client) = furnished();
    let mut next = |prefix: &str| {
        let reply = fixture.one(&client, create_as(prefix, SEQUENTIAL));
        created(&reply.expect("created")).to_owned()
    };
    assert_eq!(next("/p/n-"), "/p/n-0000000001");
    assert_eq!(next("/p/"), "/p/0000000002");
    assert_eq!(next("/p/c"), "/p/c0000000003");
    fixture.must(delete("/p/0000000002", -1));
    fixture.must(create("/p/plain"));
    let refused = fixture.one(&client, create("/p/plain"));
    assert_eq!(refused, Err(ErrorCode::NodeExists));
    let ephemeral_sequential = crate::tree::CreateMode {
        lifetime: crate::tree::Lifetime::Ephemeral,
        sequential: true,
    };
    let reply = fixture.one(&client, create_as("/p/", ephemeral_sequential));
    assert_eq!(reply.as_ref().map(created), Ok("/p/0000000005"));
    assert_eq!(
        fixture.stat("/p/0000000005").ephemeral_owner,
        session_of(&client)
    );
}

#[test]
fn sequence_of_the_root_starts_at_zero() {
    let mut fixture = Fixture::new();
    let reply = fixture.must(create_as("/", SEQUENTIAL));
    assert_eq!(created(&reply), "/0000000000");
}

#[test]
fn sequence_wraps_to_negative_numbers() {
    let mut fixture = Fixture::new();
    fixture.must(create("/q"));
    let queue = fixture.tree.store.resolve("/q").expect("just created");
    fixture
        .tree
        .store
        .change(queue, |record| record.creates = i32::MAX);
    for expected in ["/q/2147483647", "/q/-2147483648", "/q/-2147483647"] {
        let reply = fixture.must(create_as("/q/", SEQUENTIAL));
        assert_eq!(created(&reply), expected);
    }
    fixture
        .tree
        .store
        .change(queue, |record| record.creates = -5);
    let reply = fixture.must(create_as("/q/", SEQUENTIAL));
    assert_eq!(created(&reply), "/q/-000000005");
}

#[test]
fn ensemble_cannot_own_ephemerals() {
    let mut fixture = Fixture::new();
    let refused = fixture.one(&Actor::Ensemble, create_as("/e", EPHEMERAL));
    assert_eq!(refused, Err(ErrorCode::BadArguments));
}

#[test]
fn acl_is_stored_as_normalised() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let bob = having_proved(&client, &[("ip", "127.0.0.1"), ("digest", "bob:x")]);
    let auth = Acl {
        perms: 3,
        scheme: "auth".into(),
        id: String::new(),
    };
    let stored = Acl {
        perms: 3,
        scheme: "digest".into(),
        id: "bob:x".into(),
    };
    fixture.must(create("/a"));
    let refused = fixture.one(&client, set_acl("/a", vec![auth.clone()], -1));
    assert_eq!(refused, Err(ErrorCode::InvalidAcl));
    let set = fixture.one(&bob, set_acl("/a", vec![auth.clone(), auth], -1));
    assert!(set.is_ok());
    let znode = fixture.tree.get("/a").expect("created");
    assert_eq!(znode.acl(), [stored]);
    assert_eq!(znode.data(), Some(&Bytes::from_static(b"data")));
}

#[test]
fn data_does_not_keep_the_receive_buffer() {
    let mut fixture = Fixture::new();
    let buffer = Bytes::from(vec![7; 4096]);
    let data = buffer.slice(10..20);
    for op in [
        Op::Create {
            path: "/a".into(),
            data: Some(data.clone()),
            acl: Acl::open(),
            mode: PERSISTENT,
        },
        Op::SetData {
            path: "/a".into(),
            data: Some(data.clone()),
            version: -1,
        },
    ] {
        fixture.must(op);
        let stored = fixture.tree.get("/a").expect("created").data();
        let stored = stored.expect("not null");
        assert_eq!(stored, &data);
        assert_ne!(stored.as_ptr(), data.as_ptr());
    }
}

#[test]
fn reads_find_only_well_formed_paths() {
    let (fixture, _) = furnished();
    for path in ["", "/", "/p", "/p/c", "/zookeeper/config"] {
        assert!(fixture.tree.get(path).is_some(), "{path:?}");
    }
    for path in ["p", "//", "/p/", "/p//c", "/p/./c", "/absent", "/p\0"] {
        assert!(fixture.tree.get(path).is_none(), "{path:?}");
    }
    let root = fixture.tree.get("").expect("the root");
    assert_eq!(root.path(), "/");
    assert_eq!(root.descendants(), 6);
}
