//! Stats, counts and digests.

use super::fixture::*;
use crate::tree::{Acl, Actor, Command, Counts, SessionId, Stat, Tree, Zxid};

#[test]
fn tree_starts_with_the_protected_znodes() {
    let tree = Tree::new();
    tree.check_invariants();
    let seen = dump(&tree);
    let paths: Vec<&str> = seen.keys().map(String::as_str).collect();
    let protected = ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"];
    assert_eq!(paths, protected);
    for (path, znode) in &seen {
        let children = znode.children.len() as i32;
        let expected = Stat {
            num_children: children,
            cversion: -children,
            ..Stat::default()
        };
        assert_eq!(znode.stat, expected, "{path}");
        let perms = if path == "/zookeeper/config" { 1 } else { 31 };
        assert_eq!(znode.acl.len(), 1);
        assert_eq!(znode.acl[0].perms, perms, "{path}");
        assert_eq!(znode.acl[0].id, "anyone", "{path}");
    }
    let counts = Counts {
        znodes: 5,
        ephemerals: 0,
        data_bytes: 44,
        sessions: 0,
    };
    assert_eq!(tree.counts(), counts);
    assert_eq!(tree.last_zxid(), Zxid(0));
}

#[test]
fn create_sets_a_fresh_stat_and_touches_the_parent() {
    let mut fixture = Fixture::new();
    fixture.must(create("/p"));
    let before = fixture.stat("/p");
    fixture.must(create("/p/c"));
    let zxid = fixture.zxid;
    let time = time_of(zxid);
    let child = Stat {
        czxid: zxid,
        mzxid: zxid,
        pzxid: zxid,
        ctime: time,
        mtime: time,
        data_length: 4,
        ..Stat::default()
    };
    assert_eq!(fixture.stat("/p/c"), child);
    let parent = Stat {
        cversion: 1,
        pzxid: zxid,
        num_children: 1,
        ..before
    };
    assert_eq!(fixture.stat("/p"), parent);
    fixture.must(delete("/p/c", -1));
    let parent = Stat {
        cversion: 2,
        pzxid: fixture.zxid,
        num_children: 0,
        ..before
    };
    assert_eq!(fixture.stat("/p"), parent);
}

#[test]
fn set_data_moves_version_mzxid_and_mtime_only() {
    let mut fixture = Fixture::new();
    fixture.must(create("/p"));
    let (root, before) = (fixture.stat("/"), fixture.stat("/p"));
    for (data, length) in [("data", 4), ("data", 4), ("", 0), ("longer", 6)] {
        let version = fixture.stat("/p").version;
        fixture.must(set_data("/p", data, -1));
        let after = Stat {
            version: version + 1,
            mzxid: fixture.zxid,
            mtime: time_of(fixture.zxid),
            data_length: length,
            ..before
        };
        assert_eq!(fixture.stat("/p"), after);
    }
    assert_eq!(fixture.stat("/"), root);
}

#[test]
fn set_acl_moves_aversion_only() {
    let mut fixture = Fixture::new();
    fixture.must(create("/p"));
    let before = fixture.stat("/p");
    fixture.must(set_acl("/p", Acl::open(), 0));
    let after = Stat {
        aversion: 1,
        ..before
    };
    assert_eq!(fixture.stat("/p"), after);
}

#[test]
fn grandchildren_do_not_touch_a_znode() {
    let mut fixture = Fixture::new();
    fixture.must(create("/a"));
    fixture.must(create("/a/b"));
    let before = fixture.stat("/a");
    fixture.must(create("/a/b/c"));
    fixture.must(set_data("/a/b", "x", -1));
    fixture.must(delete("/a/b/c", -1));
    assert_eq!(fixture.stat("/a"), before);
}

#[test]
fn times_never_go_back() {
    let mut fixture = Fixture::new();
    for (time_ms, ctime) in [(500, 500), (400, 500), (-1, 500), (600, 600)] {
        let path = format!("/{}", fixture.zxid.0);
        fixture.apply_at(time_ms, &Actor::Ensemble, Command::One(create(&path)));
        assert_eq!(fixture.stat(&path).ctime, ctime);
    }
}

#[test]
#[should_panic(expected = "transaction 0x1 was applied after 0x1")]
fn applying_a_zxid_twice_panics() {
    let mut fixture = Fixture::new();
    fixture.must(create("/a"));
    fixture.zxid.0 -= 1;
    fixture.must(create("/b"));
}

#[test]
fn counts_follow_znodes_data_and_sessions() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    fixture.must(create("/p"));
    fixture
        .one(&client, create_as("/p/e", EPHEMERAL))
        .expect("created");
    fixture.must(set_data("/p", "1234567", -1));
    let counts = Counts {
        znodes: 7,
        ephemerals: 1,
        data_bytes: 44 + (2 + 7) + (4 + 4),
        sessions: 1,
    };
    assert_eq!(fixture.tree.counts(), counts);
}

#[test]
fn digest_depends_on_everything_kept() {
    let digest_after = |edit: &dyn Fn(&mut Fixture)| {
        let mut fixture = Fixture::new();
        fixture.must(create("/a"));
        edit(&mut fixture);
        fixture.tree.digest()
    };
    let digests = [
        digest_after(&|_| {}),
        digest_after(&|f| drop(f.must(set_data("/a", "data", -1)))),
        digest_after(&|f| drop(f.must(set_data("/a", "other", -1)))),
        digest_after(&|f| drop(f.must(set_acl("/a", Acl::open(), -1)))),
        digest_after(&|f| drop(f.must(create("/b")))),
        digest_after(&|f| drop(f.must(create("/a/b")))),
        digest_after(&|f| drop(f.must(delete("/a", -1)))),
        digest_after(&|f| drop(f.open())),
        digest_after(&|f| drop(f.must(set_data("/a", "", -1)))),
        digest_after(&|f| drop(f.must(set_null("/a")))),
        digest_after(&|f| drop(f.must(create_as("/b", CONTAINER)))),
        digest_after(&|f| drop(f.must(create_as("/b", ttl(1))))),
        digest_after(&|f| drop(f.must(create_as("/b", ttl(2))))),
        digest_after(&|f| drop(f.members(&[(1, "", true)]))),
        digest_after(&|f| drop(f.members(&[(1, "", false)]))),
        digest_after(&|f| drop(f.members(&[(2, "", true)]))),
        digest_after(&|f| drop(f.members(&[(1, "a:1", true)]))),
        digest_after(&|f| f.introduce(1, None)),
        digest_after(&|f| f.introduce(2, None)),
        digest_after(&|f| f.introduce(1, Some("a:1"))),
        digest_after(&|f| f.introduce(2, Some("a:1"))),
    ];
    for (at, digest) in digests.iter().enumerate() {
        assert!(!digests[..at].contains(digest), "case {at}");
    }
}

#[test]
fn digest_returns_when_the_state_does() {
    let mut fixture = Fixture::new();
    let before = fixture.tree.digest();
    let client = fixture.open();
    let session = session_of(&client);
    assert_ne!(session, SessionId::NONE);
    let close = Command::CloseSession {
        session,
        attachment: None,
    };
    fixture.apply(&client, close).result.expect("closed");
    assert_eq!(fixture.tree.digest(), before);
}
