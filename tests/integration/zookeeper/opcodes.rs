//! What each operation answers, beyond create, read, set and delete.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::propose;
use crate::support::zookeeper::{Client, Port, create, put_request, set};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use zoogate::tree::{Actor, Command, ErrorCode, SessionId, Stat};
use zoogate::zk::wire::{
    AuthRequest, ClientIdentity, Create2Response, CreateRequest, CreateTtlRequest, DataResponse,
    EventType, MultiOp, MultiReadOp, MultiReadRequest, MultiRequest, MultiResponse, MultiResult,
    OpCode, PathRequest, ReadRequest, ReconfigRequest, VersionRequest,
};

const BAD_ARGUMENTS: i32 = -8;

fn path(path: &str) -> PathRequest {
    PathRequest { path: path.into() }
}

fn ttl(path: &str, flags: i32, ttl_ms: i64) -> CreateTtlRequest {
    let create = create(path, flags);
    CreateTtlRequest { create, ttl_ms }
}

fn check(path: &str, version: i32) -> MultiOp {
    let path = path.into();
    MultiOp::Check(VersionRequest { path, version })
}

async fn stat(client: &mut Client, path: &str) -> Stat {
    client.get(OpCode::Exists, path, false).await.read()
}

async fn multi(client: &mut Client, ops: Vec<MultiOp>) -> Vec<MultiResult> {
    let reply = client.call(OpCode::Multi, &MultiRequest(ops)).await;
    reply.read::<MultiResponse>().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_curator_create_sends_opcode_15() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for (flags, name) in [(0, "/a"), (1, "/e"), (2, "/a0000000002")] {
        let prefix = if flags == 2 { "/a" } else { name };
        let reply = client.call(OpCode::Create2, &create(prefix, flags)).await;
        let zxid = reply.header.zxid;
        let created: Create2Response = reply.read();
        assert_eq!(&*created.path, name);
        assert_eq!(created.stat, stat(&mut client, name).await);
        assert_eq!(created.stat.czxid.to_wire(), zxid);
        let is_ephemeral = created.stat.ephemeral_owner == client.session;
        assert_eq!(is_ephemeral, flags == 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cversion_is_not_bumped_by_a_childs_set() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for path in ["/a", "/a/b"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    let before = stat(&mut client, "/a").await;
    assert_eq!((before.cversion, before.num_children), (1, 1));
    for _ in 0..3 {
        assert_eq!(client.set("/a/b", "x").await.error(), 0);
    }
    assert_eq!(stat(&mut client, "/a").await, before);
    let delete = VersionRequest {
        path: "/a/b".into(),
        version: 3,
    };
    assert_eq!(client.call(OpCode::Delete, &delete).await.error(), 0);
    assert_eq!(stat(&mut client, "/a").await.cversion, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_config_znode_can_be_read_and_watched_as_curators_ensemble_tracker_does() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let config = "/zookeeper/config";
    let read = client.get(OpCode::GetData, config, true).await;
    let found: DataResponse = read.read();
    let length = found.data.as_ref().map_or(0, Bytes::len);
    assert_eq!(found.stat.data_length as usize, length);
    assert_eq!(stat(&mut client, config).await, found.stat);
    // For everybody to read, and for nobody to change.
    assert_eq!(client.set(config, "mine").await.error(), -102);
    let delete = VersionRequest {
        path: config.into(),
        version: -1,
    };
    let deleted = client.call(OpCode::Delete, &delete).await;
    assert_eq!(deleted.error(), BAD_ARGUMENTS);
    assert!(client.events.is_empty());
    let member = members.member("n1");
    let introduce = Command::Introduce {
        member: member.member(),
        client: Some("127.0.0.1:2181".into()),
    };
    let applied = propose(&member, Actor::Ensemble, introduce).await;
    assert!(applied.result.is_ok(), "{:?}", applied.result);
    let found: DataResponse = client.get(OpCode::GetData, config, false).await.read();
    let expected = (EventType::DataChanged as i32, config.to_owned());
    assert_eq!(client.events, [expected]);
    let text = String::from_utf8(found.data.unwrap_or_default().into()).expect("text");
    let told = |address: &str| text.contains(&format!(";{address}:2181\n"));
    assert!(told("127.0.0.1") || told("n1.example"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_and_ttl_znodes_answer_path_and_stat_and_show_no_owner() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let reply = client.call(OpCode::CreateContainer, &create("/c", 4)).await;
    let container: Create2Response = reply.read();
    let reply = client.call(OpCode::CreateTtl, &ttl("/t", 5, 600_000)).await;
    let left: Create2Response = reply.read();
    let reply = client.call(OpCode::CreateTtl, &ttl("/s", 6, 600_000)).await;
    let sequential: Create2Response = reply.read();
    assert_eq!(&*sequential.path, "/s0000000002");
    for created in [container, left, sequential] {
        assert_eq!(created.stat.ephemeral_owner, SessionId::NONE);
        assert_eq!(created.stat, stat(&mut client, &created.path).await);
        let child = format!("{}/child", created.path);
        assert_eq!(client.create(&child, 1).await.error(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flags_and_times_that_cannot_be_are_bad_arguments() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for flags in [5, 6, 7, -1] {
        for op in [OpCode::Create, OpCode::Create2, OpCode::CreateContainer] {
            let reply = client.call(op, &create("/no", flags)).await;
            assert_eq!(reply.error(), BAD_ARGUMENTS, "{op:?}, {flags}");
        }
    }
    for (flags, ttl_ms) in [(5, 0), (5, -1), (6, 1 << 40), (0, 1), (4, 1), (0, -1)] {
        let request = ttl("/no", flags, ttl_ms);
        let reply = client.call(OpCode::CreateTtl, &request).await;
        assert_eq!(reply.error(), BAD_ARGUMENTS, "{flags}, {ttl_ms} ms");
    }
    // The form of the flags is judged before anything else.
    let reply = client.create("/no/parent/x", 7).await;
    assert_eq!(reply.error(), BAD_ARGUMENTS);
    assert_eq!(client.get(OpCode::Exists, "/no", false).await.error(), -101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_create_of_a_multi_but_the_plain_one_answers_as_create2() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let ops = vec![
        MultiOp::Create(create("/p", 0)),
        MultiOp::Create2(create("/p/2", 1)),
        MultiOp::CreateContainer(create("/p/c", 4)),
        MultiOp::CreateTtl(ttl("/p/t", 5, 600_000)),
        MultiOp::Create(create("/p/f", 4)),
        check("/p", 0),
    ];
    let results = multi(&mut client, ops).await;
    let [plain, others @ .., checked] = &results[..] else {
        panic!("{results:?}");
    };
    assert_eq!(*plain, MultiResult::Create("/p".into()));
    assert_eq!(*checked, MultiResult::Check);
    for (result, name) in others.iter().zip(["/p/2", "/p/c", "/p/t", "/p/f"]) {
        let MultiResult::Create2(created) = result else {
            panic!("{result:?}");
        };
        assert_eq!(&*created.path, name);
        assert_eq!(created.stat, stat(&mut client, name).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operation_of_a_multi_that_fails_first_is_told() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let malformed = || MultiOp::Create(create("/z", 9));
    let codes = |codes: &[i32]| codes.iter().copied().map(MultiResult::Error).collect();
    let expected: Vec<(Vec<MultiOp>, Vec<MultiResult>)> = vec![
        (
            vec![check("/none", -1), malformed(), check("/", -1)],
            codes(&[-101, -2, -2]),
        ),
        (
            vec![malformed(), check("/none", -1)],
            codes(&[BAD_ARGUMENTS, -2]),
        ),
        (
            vec![
                MultiOp::Create(create("/a", 0)),
                MultiOp::CreateTtl(ttl("/a/t", 5, 0)),
            ],
            codes(&[0, BAD_ARGUMENTS]),
        ),
    ];
    for (ops, expected) in expected {
        assert_eq!(multi(&mut client, ops).await, expected);
    }
    assert_eq!(client.get(OpCode::Exists, "/a", false).await.error(), -101);
    assert_eq!(multi(&mut client, Vec::new()).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_is_foreign_to_a_multi_does_not_parse() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let read = ReadRequest {
        path: "/".into(),
        watch: false,
    };
    let reads = MultiReadRequest(vec![MultiReadOp::Data(read)]);
    let writes = MultiRequest(vec![check("/", -1)]);
    let marshalling = ErrorCode::MarshallingError.to_wire();
    let reply = client.call(OpCode::Multi, &reads).await;
    assert_eq!(reply.error(), marshalling);
    let reply = client.call(OpCode::MultiRead, &writes).await;
    assert_eq!(reply.error(), marshalling);
    assert_eq!(client.call(OpCode::MultiRead, &reads).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_multi_read_answers_each_element_and_leaves_no_watch() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for path in ["/a", "/a/b"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    let read = |path: &str| ReadRequest {
        path: path.into(),
        watch: true,
    };
    let request = MultiReadRequest(vec![
        MultiReadOp::Data(read("/a")),
        MultiReadOp::Children(read("/a")),
        MultiReadOp::Data(read("/none")),
    ]);
    let MultiResponse(results) = client.call(OpCode::MultiRead, &request).await.read();
    let expected = [
        MultiResult::Data(DataResponse {
            data: Some(Bytes::from_static(b"0")),
            stat: stat(&mut client, "/a").await,
        }),
        MultiResult::Children(vec!["b".into()]),
        MultiResult::Error(-101),
    ];
    assert_eq!(results, expected);
    let empty = MultiReadRequest(Vec::new());
    let MultiResponse(results) = client.call(OpCode::MultiRead, &empty).await.read();
    assert_eq!(results, []);
    for path in ["/a/c", "/none"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    assert_eq!(client.set("/a", "1").await.error(), 0);
    assert!(client.events.is_empty(), "{:?}", client.events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ephemerals_are_listed_for_their_own_session_by_prefix() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let mut other = Client::open(port.addr).await;
    for (path, flags) in [("/a", 0), ("/a/y", 1), ("/a/x", 1), ("/ab", 1)] {
        assert_eq!(client.create(path, flags).await.error(), 0);
    }
    assert_eq!(other.create("/a/z", 1).await.error(), 0);
    for (prefix, expected) in [
        (None, &["/a/x", "/a/y", "/ab"][..]),
        (Some("/"), &["/a/x", "/a/y", "/ab"]),
        (Some("/a/"), &["/a/x", "/a/y"]),
        (Some("/none"), &[]),
    ] {
        let prefix: Option<Arc<str>> = prefix.map(Arc::from);
        let found: Vec<String> = client.call(OpCode::GetEphemerals, &prefix).await.read();
        assert_eq!(found, expected, "{prefix:?}");
    }
    let number: i32 = {
        let request = path("/a");
        let reply = other.call(OpCode::GetAllChildrenNumber, &request).await;
        reply.read()
    };
    assert_eq!(number, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_am_i_lists_the_address_and_the_users() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for user in ["me:secret", "you:secret"] {
        let auth = AuthRequest {
            kind: 0,
            scheme: "digest".into(),
            auth: Some(Bytes::from_static(user.as_bytes())),
        };
        assert_eq!(client.call(OpCode::Auth, &auth).await.error(), 0);
    }
    let identities: Vec<ClientIdentity> = client.call(OpCode::WhoAmI, &()).await.read();
    let shown: Vec<(&str, &str)> = identities.iter().map(|i| (&*i.scheme, &*i.user)).collect();
    let expected = [("ip", "127.0.0.1"), ("digest", "me"), ("digest", "you")];
    assert_eq!(shown, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sasl_is_answered_as_by_a_server_that_is_not_configured_for_it() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for token in [Some(Bytes::new()), Some(Bytes::from_static(b"token")), None] {
        let reply = client.call(OpCode::Sasl, &token).await;
        assert_eq!(reply.header.zxid, 0);
        assert_eq!(reply.read::<Option<Bytes>>(), None);
    }
    assert_eq!(client.create("/a", 0).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconfig_is_disabled_by_default_and_then_for_those_who_may_set_the_config() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let request = ReconfigRequest {
        joining: Some("server.9=127.0.0.1:1:2:observer;3".into()),
        leaving: None,
        new_members: None,
        from_version: -1,
    };
    let reply = client.call(OpCode::Reconfig, &request).await;
    assert_eq!(reply.error(), ErrorCode::ReconfigDisabled.to_wire());
    assert_eq!(client.create("/a", 0).await.error(), 0);

    let port = Port::open_with(&members, "n1", |settings| settings.reconfig = true).await;
    let mut client = Client::open(port.addr).await;
    let reply = client.call(OpCode::Reconfig, &request).await;
    assert_eq!(reply.error(), ErrorCode::NoAuth.to_wire());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_can_be_sent_away_and_the_answer_is_the_new_config() {
    let members = Members::start(3).await;
    let follower = members.follower().await;
    let port = Port::open_with(&members, &follower, |settings| {
        settings.reconfig = true;
        // The digest of `super:test`.
        settings.super_digest = Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into());
    })
    .await;
    let mut watcher = Client::open(port.addr).await;
    let mut client = Client::open(port.addr).await;
    let auth = AuthRequest {
        kind: 0,
        scheme: "digest".into(),
        auth: Some(Bytes::from_static(b"super:test")),
    };
    assert_eq!(client.call(OpCode::Auth, &auth).await.error(), 0);
    let request = |leaving: &str, from_version| ReconfigRequest {
        joining: None,
        leaving: Some(leaving.into()),
        new_members: None,
        from_version,
    };
    for (request, code) in [
        (request("x", -1), BAD_ARGUMENTS),
        (request("3", 1 << 40), ErrorCode::BadVersion.to_wire()),
        (request("3", -2), ErrorCode::BadVersion.to_wire()),
    ] {
        // Form and version come before permission, so that those without it learn no less.
        for asking in [&mut client, &mut watcher] {
            let reply = asking.call(OpCode::Reconfig, &request).await;
            assert_eq!(reply.error(), code);
        }
    }
    let nonsense = ReconfigRequest {
        joining: Some("some thing".into()),
        ..request("", -1)
    };
    let reply = watcher.call(OpCode::Reconfig, &nonsense).await;
    assert_eq!(reply.error(), BAD_ARGUMENTS);
    let reply = watcher.call(OpCode::Reconfig, &request("3", -1)).await;
    assert_eq!(reply.error(), ErrorCode::NoAuth.to_wire());
    let config = "/zookeeper/config";
    let watched = watcher.get(OpCode::GetData, config, true).await;
    assert_eq!(watched.error(), 0);
    let names = ["n1", "n2", "n3"];
    let third = names.iter().find(|name| {
        let leader = members.member(name).status().leader;
        leader.is_some_and(|leader| leader != members.member(name).member()) && **name != follower
    });
    let leaving = members.member(third.expect("the other follower")).member();
    let request = request(&leaving.to_string(), -1);
    let reply = client.call(OpCode::Reconfig, &request).await;
    let zxid = reply.header.zxid;
    let answered: DataResponse = reply.read();
    let found: DataResponse = client.get(OpCode::GetData, config, false).await.read();
    assert_eq!(answered, found);
    assert!(found.stat.mzxid.to_wire() <= zxid);
    let text = String::from_utf8(found.data.unwrap_or_default().into()).expect("text");
    let servers = text.lines().filter(|line| line.starts_with("server."));
    assert_eq!(servers.count(), 2, "{text}");
    assert!(!text.contains(&format!("server.{leaving}=")), "{text}");
    assert_eq!(watcher.create("/after", 0).await.error(), 0);
    let expected = (EventType::DataChanged as i32, config.to_owned());
    assert_eq!(watcher.events, [expected]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_opcode_that_deletes_containers_is_for_no_client() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    let reply = client.call(OpCode::DeleteContainer, &path("/a")).await;
    assert_eq!(reply.error(), ErrorCode::Unimplemented.to_wire());
    assert_eq!(stat(&mut client, "/a").await.version, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_data_and_empty_data_come_back_as_they_were() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for (path, data) in [("/null", None), ("/empty", Some(Bytes::new()))] {
        let request = CreateRequest {
            data: data.clone(),
            ..create(path, 0)
        };
        assert_eq!(client.call(OpCode::Create, &request).await.error(), 0);
        for _ in 0..2 {
            let found: DataResponse = client.get(OpCode::GetData, path, false).await.read();
            assert_eq!((&found.data, found.stat.data_length), (&data, 0));
            let mut request = set(path, "");
            request.data = data.clone();
            assert_eq!(client.call(OpCode::SetData, &request).await.error(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_not_utf_8_can_be_looked_for_and_not_created() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let broken = Some(Bytes::from_static(b"/a\xff"));
    let reply = client.call(OpCode::GetAllChildrenNumber, &broken).await;
    assert_eq!(reply.error(), -101);
    let echoed: Arc<str> = client.call(OpCode::Sync, &broken).await.read();
    assert_eq!(&*echoed, "/a\u{fffd}");
    let mut frame = BytesMut::new();
    put_request(&mut frame, 99, OpCode::SetData.to_wire(), &broken);
    frame.extend_from_slice(&[0xff; 8]);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    client.raw(&frame).await;
    let reply = client.reply().await;
    assert_eq!((reply.header.xid, reply.error()), (99, BAD_ARGUMENTS));
    let null: Option<Arc<str>> = None;
    let echoed: Option<Arc<str>> = client.call(OpCode::Sync, &null).await.read();
    assert_eq!(echoed, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ephemeral_of_a_multi_goes_with_its_session() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    let mut witness = Client::open(port.addr).await;
    let ops = vec![
        MultiOp::CreateContainer(create("/c", 4)),
        MultiOp::Create2(create("/c/e", 1)),
    ];
    assert_eq!(multi(&mut client, ops).await.len(), 2);
    let watched = witness.get(OpCode::Exists, "/c/e", true).await;
    assert_eq!(watched.error(), 0);
    assert_eq!(client.call(OpCode::CloseSession, &()).await.error(), 0);
    let member = members.member("n1");
    eventually("the ephemeral is gone", || {
        member.read(|tree| tree.get("/c/e").is_none())
    })
    .await;
    assert_eq!(stat(&mut witness, "/c").await.num_children, 0);
    let expected = (EventType::Deleted as i32, "/c/e".to_owned());
    assert_eq!(witness.events, [expected]);
}
