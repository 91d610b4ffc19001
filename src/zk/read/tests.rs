//! What reads find, whom they refuse, and what they leave behind.

use super::*;
use crate::tree::{Acl, Actor, Command, CreateMode, Op, Transaction, Zxid};
use crate::zk::wire::{MultiResponse, MultiResult};
use ReadWhat::{Children, ChildrenAndStat, Data, Descendants, Existence};
use bytes::Bytes;
use std::sync::Arc;

const NOBODY: &[Identity] = &[];

fn read(what: ReadWhat, path: &str) -> Read {
    Read {
        what,
        path: path.into(),
        watch: true,
    }
}

fn identity(scheme: &str, id: &str) -> Identity {
    let (scheme, id) = (scheme.into(), id.into());
    Identity { scheme, id }
}

fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    let Identity { scheme, id } = identity(scheme, id);
    Acl { perms, scheme, id }
}

/// A tree with a session, and what the session does to it.
struct Grown {
    tree: Tree,
    zxid: Zxid,
    actor: Actor,
}

impl Grown {
    fn new() -> Grown {
        let mut grown = Grown {
            tree: Tree::new(),
            zxid: Zxid(0),
            actor: Actor::Ensemble,
        };
        grown.apply(Command::OpenSession {
            member: 1,
            password: [1; 16],
            timeout_ms: 4_000,
        });
        grown.actor = Actor::Session {
            id: grown.session(),
            attachment: grown.zxid,
            identities: Arc::new([identity("digest", "owner:hash")]),
        };
        grown
    }

    fn session(&self) -> SessionId {
        let (id, _) = self.tree.sessions().next().expect("it is open");
        id
    }

    fn apply(&mut self, command: Command) {
        self.zxid = Zxid(self.zxid.0 + 1);
        let transaction = Transaction {
            time_ms: 1,
            actor: self.actor.clone(),
            command,
        };
        let outcome = self.tree.apply(self.zxid, &transaction);
        assert!(outcome.result.is_ok(), "{outcome:?}");
    }

    fn create(&mut self, path: &str, acl: Vec<Acl>, mode: CreateMode) {
        self.apply(Command::One(Op::Create {
            path: path.into(),
            data: Some(Bytes::from_static(b"data")),
            acl,
            mode,
        }));
    }

    fn with(path: &str, acl: Vec<Acl>) -> Grown {
        let mut grown = Grown::new();
        grown.create(path, acl, CreateMode::PERSISTENT);
        grown
    }
}

fn error(read: &Read, tree: &Tree, identities: &[Identity]) -> Option<ErrorCode> {
    Found::of(read, tree, identities).err()
}

fn body(read: &Read, tree: &Tree, identities: &[Identity]) -> Bytes {
    let found = Found::of(read, tree, identities).unwrap_or_else(|code| panic!("{code}"));
    let mut out = BytesMut::new();
    found.encode(&mut out);
    out.freeze()
}

#[test]
fn reads_do_not_judge_paths_but_for_exists_with_nul() {
    let tree = Tree::new();
    for (what, path, expected) in [
        (Data, "/a\0", Some(ErrorCode::NoNode)),
        (Existence, "/a\0", Some(ErrorCode::BadArguments)),
        (Existence, "no/slash", Some(ErrorCode::NoNode)),
        (Descendants, "/a\0", Some(ErrorCode::NoNode)),
        (Data, "", None),
    ] {
        assert_eq!(error(&read(what, path), &tree, NOBODY), expected);
    }
}

#[test]
fn bodies_are_the_records_of_their_operations() {
    let tree = Tree::new();
    for (what, length) in [
        (Existence, 68),
        (Data, 4 + 68),
        (Children, 4 + 4 + "zookeeper".len()),
        (ChildrenAndStat, 4 + 4 + "zookeeper".len() + 68),
        (Descendants, 4),
    ] {
        let body = body(&read(what, "/"), &tree, NOBODY);
        assert_eq!(body.len(), length, "{what:?}");
    }
}

#[test]
fn only_exists_leaves_a_watch_when_it_fails() {
    let absent = Err(ErrorCode::NoNode);
    let hidden = Err(ErrorCode::NoAuth);
    for (what, present, failed) in [
        (Existence, Some(WatchKind::Data), Some(WatchKind::Absence)),
        (Data, Some(WatchKind::Data), None),
        (Children, Some(WatchKind::Children), None),
        (ChildrenAndStat, Some(WatchKind::Children), None),
        (ReadWhat::Acl, None, None),
        (Descendants, None, None),
    ] {
        assert_eq!(watch_of(&read(what, "/a"), Ok(())), present, "{what:?}");
        assert_eq!(watch_of(&read(what, "/a"), absent), failed, "{what:?}");
        assert_eq!(watch_of(&read(what, "/a"), hidden), None, "{what:?}");
    }
    let silent = Read {
        watch: false,
        ..read(Data, "/a")
    };
    assert_eq!(watch_of(&silent, Ok(())), None);
}

#[test]
fn every_read_needs_the_right_to_read() {
    let owner = [identity("digest", "owner:hash")];
    let root = [identity("super", "")];
    let grown = Grown::with("/a", vec![acl(31, "digest", "owner:hash")]);
    for what in [
        Existence,
        Data,
        ReadWhat::Acl,
        Children,
        ChildrenAndStat,
        Descendants,
    ] {
        let read = read(what, "/a");
        let refused = error(&read, &grown.tree, NOBODY);
        assert_eq!(refused, Some(ErrorCode::NoAuth), "{what:?}");
        for identities in [&owner, &root] {
            assert_eq!(error(&read, &grown.tree, identities), None, "{what:?}");
        }
    }
}

#[test]
fn an_acl_is_shown_to_readers_masked_and_to_administrators_in_full() {
    let hashed = acl(31, "digest", "owner:hash");
    let masked = acl(31, "digest", "owner:x");
    for (perms, shown) in [(1, Some(masked)), (16, Some(hashed.clone())), (2, None)] {
        let everybody = acl(perms, "world", "anyone");
        let grown = Grown::with("/a", vec![hashed.clone(), everybody.clone()]);
        let read = read(ReadWhat::Acl, "/a");
        match shown {
            None => assert_eq!(error(&read, &grown.tree, NOBODY), Some(ErrorCode::NoAuth)),
            Some(digest) => {
                let mut body = body(&read, &grown.tree, NOBODY);
                let response = AclResponse::decode(&mut body).expect("the record");
                assert_eq!(response.acl, [digest, everybody], "perms {perms}");
            }
        }
    }
}

#[test]
fn all_descendants_are_counted_and_not_the_znode_itself() {
    let mut grown = Grown::with("/a", Acl::open());
    for path in ["/a/b", "/a/b/c", "/a/d", "/ab"] {
        grown.create(path, Acl::open(), CreateMode::PERSISTENT);
    }
    for (path, expected) in [("/a", 3), ("/a/b/c", 0), ("/", 8), ("", 9)] {
        let mut body = body(&read(Descendants, path), &grown.tree, NOBODY);
        assert_eq!(i32::decode(&mut body), Ok(expected), "{path}");
    }
}

#[test]
fn each_element_of_a_multi_read_stands_alone() {
    let mut grown = Grown::with("/a", Acl::open());
    grown.create(
        "/a/hidden",
        vec![acl(31, "digest", "owner:hash")],
        CreateMode::PERSISTENT,
    );
    let reads = [
        read(Data, "/a"),
        read(Data, "/none"),
        read(Children, "/a/hidden"),
        read(Children, "/a"),
    ];
    let body = multi_read(&reads, &grown.tree, NOBODY).expect("a short reply");
    let response = MultiResponse::decode(&mut body.freeze()).expect("the record");
    let stat = grown.tree.get("/a").expect("it exists").stat();
    let data = Some(Bytes::from_static(b"data"));
    let expected = vec![
        MultiResult::Data(DataResponse { data, stat }),
        MultiResult::Error(-101),
        MultiResult::Error(-102),
        MultiResult::Children(vec!["hidden".into()]),
    ];
    assert_eq!(response.0, expected);
    let empty = multi_read(&[], &grown.tree, NOBODY).expect("a short reply");
    assert_eq!(empty.len(), 9);
}

#[test]
fn a_multi_read_that_no_client_could_take_is_refused() {
    let mut grown = Grown::new();
    grown.apply(Command::One(Op::Create {
        path: "/large".into(),
        data: Some(Bytes::from(vec![7; 1 << 20])),
        acl: Acl::open(),
        mode: CreateMode::PERSISTENT,
    }));
    let reads = |count| {
        let reads = std::iter::repeat_with(|| read(Data, "/large"));
        reads.take(count).collect::<Vec<_>>()
    };
    let longest = multi_read(&reads(63), &grown.tree, NOBODY).expect("within the limit");
    assert!(longest.len() <= MAX_REPLY_FRAME);
    let error = multi_read(&reads(40_000), &grown.tree, NOBODY).err();
    assert_eq!(error, Some(ErrorCode::MarshallingError));
}

#[test]
fn ephemerals_are_those_of_the_session_that_begin_with_the_prefix() {
    let mut grown = Grown::with("/a", Acl::open());
    for path in ["/b", "/a/y", "/a/x"] {
        grown.create(path, Acl::open(), CreateMode::EPHEMERAL);
    }
    let session = grown.session();
    let all = ["/a/x", "/a/y", "/b"];
    for (prefix, expected) in [
        (None, &all[..]),
        (Some(""), &all),
        (Some("/"), &all),
        (Some(" / "), &all),
        (Some("/a"), &all[..2]),
        (Some("/a/y"), &all[1..2]),
        (Some("a"), &[]),
    ] {
        let found = ephemerals(&grown.tree, session, prefix);
        assert_eq!(found, expected, "{prefix:?}");
    }
    let other = SessionId(session.0 + 1);
    assert!(ephemerals(&grown.tree, other, None).is_empty());
}

#[test]
fn who_am_i_never_shows_a_digest() {
    let identities = [
        identity("ip", "::1"),
        identity("digest", "me:hash"),
        identity("super", ""),
        identity("x509", "CN=a:b"),
    ];
    let shown: Vec<_> = who_am_i(&identities)
        .into_iter()
        .map(|identity| (identity.scheme.to_string(), identity.user.to_string()))
        .collect();
    let expected = [
        ("ip", "::1"),
        ("digest", "me"),
        ("super", ""),
        ("x509", "CN=a:b"),
    ];
    assert_eq!(shown, expected.map(|(s, u)| (s.into(), u.into())));
}
