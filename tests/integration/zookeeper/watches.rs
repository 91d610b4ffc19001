//! Watches: an event is seen before any reply that shows its change.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Message, Port, create, set};
use bytes::Bytes;
use zoogate::tree::Acl;
use zoogate::zk::wire::{
    AddWatchMode, AddWatchRequest, AuthRequest, CreateRequest, DataResponse, ErrorResponse,
    EventType, OpCode, ReadRequest, SetWatches2Request, SetWatchesRequest, VersionRequest,
    WatcherType, WatchesRequest,
};

fn event(kind: EventType, path: &str) -> (i32, String) {
    (kind as i32, path.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_shows_a_change_before_its_event() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut writer = Client::open(port.addr).await;
    let mut reader = Client::open(port.addr).await;
    assert_eq!(writer.create("/a", 0).await.error(), 0);
    let read = ReadRequest {
        path: "/a".into(),
        watch: false,
    };
    for round in 1..=100 {
        let data = format!("{round}");
        let watched = reader.get(OpCode::GetData, "/a", true).await;
        assert_eq!(watched.error(), 0);
        for _ in 0..10 {
            reader.send(OpCode::GetData, &read).await;
        }
        writer.send(OpCode::SetData, &set("/a", &data)).await;
        for _ in 0..10 {
            reader.send(OpCode::GetData, &read).await;
        }
        for _ in 0..20 {
            let found: DataResponse = reader.reply().await.read();
            if found.data == Some(Bytes::from(data.clone())) {
                assert!(!reader.events.is_empty(), "round {round}");
            }
        }
        assert_eq!(writer.reply().await.error(), 0);
        if reader.events.is_empty() {
            let Some(Message::Event { kind, path, .. }) = reader.message().await else {
                panic!("no event")
            };
            reader.events.push((kind, path));
        }
        let expected = [event(EventType::DataChanged, "/a")];
        assert_eq!(std::mem::take(&mut reader.events), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_event_of_ones_own_write_comes_before_its_reply_with_its_zxid() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    for _ in 0..50 {
        let watched = client.get(OpCode::GetData, "/a", true).await;
        assert_eq!(watched.error(), 0);
        client.send(OpCode::SetData, &set("/a", "1")).await;
        let Some(Message::Event { zxid, .. }) = client.message().await else {
            panic!("the reply came first")
        };
        assert_eq!(client.reply().await.header.zxid, zxid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_replies_of_one_connection_follow_the_log() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut other = Client::open(port.addr).await;
    let mut client = Client::open(port.addr).await;
    for path in ["/mine", "/theirs"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    for _ in 0..50 {
        let watched = client.get(OpCode::GetData, "/theirs", true).await;
        assert_eq!(watched.error(), 0);
        other.send(OpCode::SetData, &set("/theirs", "1")).await;
        for _ in 0..5 {
            client.send(OpCode::SetData, &set("/mine", "1")).await;
        }
        let mut last = 0;
        for _ in 0..6 {
            let zxid = match client.message().await.expect("open") {
                Message::Event { zxid, .. } => zxid,
                Message::Reply(reply) => reply.header.zxid,
            };
            assert!(zxid > last);
            last = zxid;
        }
        assert_eq!(other.reply().await.error(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_reads_leave_no_watch_but_a_failed_exists_does() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for (op, path) in [
        (OpCode::GetData, "/a"),
        (OpCode::GetChildren2, "/b"),
        (OpCode::Exists, "/c"),
    ] {
        assert_eq!(client.get(op, path, true).await.error(), -101);
    }
    for path in ["/a", "/b", "/c"] {
        assert_eq!(client.create(path, 0).await.error(), 0);
    }
    assert_eq!(client.events, [event(EventType::Created, "/c")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_are_set_again_on_another_member_and_tell_what_they_missed() {
    let members = Members::start(3).await;
    let (n1, n2) = (
        Port::open(&members, "n1").await,
        Port::open(&members, "n2").await,
    );
    let mut writer = Client::open(n1.addr).await;
    let mut client = Client::open(n1.addr).await;
    for path in ["/data", "/gone", "/kids", "/same"] {
        assert_eq!(writer.create(path, 0).await.error(), 0);
    }
    let seen = client.get(OpCode::Exists, "/", false).await.header.zxid;
    let delete = VersionRequest {
        path: "/gone".into(),
        version: -1,
    };
    assert_eq!(writer.set("/data", "1").await.error(), 0);
    assert_eq!(writer.call(OpCode::Delete, &delete).await.error(), 0);
    assert_eq!(writer.create("/kids/k", 0).await.error(), 0);
    // Taking the session over there is applied behind all that.
    let mut moved = Client::reattach(n2.addr, &client).await;
    let request = SetWatchesRequest {
        relative_zxid: seen,
        data: vec!["/data".into(), "/gone".into(), "/same".into()],
        exist: vec!["/later".into()],
        child: vec!["/kids".into()],
    };
    assert_eq!(moved.call(OpCode::SetWatches, &request).await.error(), 0);
    let told = [
        event(EventType::DataChanged, "/data"),
        event(EventType::Deleted, "/gone"),
        event(EventType::ChildrenChanged, "/kids"),
    ];
    assert_eq!(std::mem::take(&mut moved.events), told);
    assert_eq!(moved.set("/same", "1").await.error(), 0);
    assert_eq!(moved.create("/later", 0).await.error(), 0);
    let told = [
        event(EventType::DataChanged, "/same"),
        event(EventType::Created, "/later"),
    ];
    assert_eq!(moved.events, told);
}

async fn add_watch(client: &mut Client, path: &str, mode: AddWatchMode) {
    let path = path.into();
    let request = AddWatchRequest { path, mode };
    let added = client.call(OpCode::AddWatch, &request).await;
    assert_eq!(added.read::<ErrorResponse>().error, 0);
}

fn named(path: &str, kind: WatcherType) -> WatchesRequest {
    let path = path.into();
    WatchesRequest { path, kind }
}

async fn delete(client: &mut Client, path: &str) {
    let path = path.into();
    let request = VersionRequest { path, version: -1 };
    assert_eq!(client.call(OpCode::Delete, &request).await.error(), 0);
}

/// Sets, makes a child, unmakes it, deletes and makes a znode again.
async fn stir(client: &mut Client, path: &str) {
    let child = format!("{path}/child");
    assert_eq!(client.set(path, "1").await.error(), 0);
    assert_eq!(client.create(&child, 0).await.error(), 0);
    assert_eq!(client.set(&child, "1").await.error(), 0);
    delete(client, &child).await;
    delete(client, path).await;
    assert_eq!(client.create(path, 0).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_leaves_a_watch_that_hears_once_of_the_changes_it_shows() {
    use EventType::{ChildrenChanged, DataChanged, Deleted};
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    for (op, kind) in [
        (OpCode::GetData, DataChanged),
        (OpCode::Exists, DataChanged),
        (OpCode::GetChildren, ChildrenChanged),
        (OpCode::GetChildren2, ChildrenChanged),
    ] {
        assert_eq!(client.create("/a", 0).await.error(), 0);
        assert_eq!(client.get(op, "/a", true).await.error(), 0);
        stir(&mut client, "/a").await;
        let told = [event(kind, "/a")];
        assert_eq!(std::mem::take(&mut client.events), told, "{op:?}");
        assert_eq!(client.get(op, "/a", true).await.error(), 0);
        delete(&mut client, "/a").await;
        let told = [event(Deleted, "/a")];
        assert_eq!(std::mem::take(&mut client.events), told, "{op:?}");
    }
    let absent = client.get(OpCode::Exists, "/a", true).await;
    assert_eq!(absent.error(), -101);
    assert_eq!(client.create("/a", 0).await.error(), 0);
    stir(&mut client, "/a").await;
    assert_eq!(client.events, [event(EventType::Created, "/a")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_were_added_hear_of_every_change_until_they_are_removed() {
    use EventType::{ChildrenChanged, Created, DataChanged, Deleted};
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    let persistent = [
        (DataChanged, "/a"),
        (ChildrenChanged, "/a"),
        (ChildrenChanged, "/a"),
        (Deleted, "/a"),
        (Created, "/a"),
    ];
    let recursive = [
        (DataChanged, "/a"),
        (Created, "/a/child"),
        (DataChanged, "/a/child"),
        (Deleted, "/a/child"),
        (Deleted, "/a"),
        (Created, "/a"),
    ];
    for (mode, told) in [
        (AddWatchMode::Persistent, &persistent[..]),
        (AddWatchMode::Recursive, &recursive),
    ] {
        let told: Vec<_> = told.iter().map(|(kind, path)| event(*kind, path)).collect();
        add_watch(&mut client, "/a", mode).await;
        for _ in 0..2 {
            stir(&mut client, "/a").await;
            assert_eq!(std::mem::take(&mut client.events), told, "{mode:?}");
        }
        let all = named("/a", WatcherType::Any);
        let removed = client.call(OpCode::RemoveWatches, &all).await;
        assert_eq!((removed.error(), removed.body.len()), (0, 0));
        stir(&mut client, "/a").await;
        assert_eq!(client.events, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_are_checked_and_removed_by_type() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    let types = [
        WatcherType::Children,
        WatcherType::Data,
        WatcherType::Persistent,
        WatcherType::Recursive,
    ];
    for kind in types {
        let none = client.call(OpCode::CheckWatches, &named("/a", kind)).await;
        assert_eq!(none.error(), -121);
        let none = client.call(OpCode::RemoveWatches, &named("/a", kind)).await;
        assert_eq!(none.error(), -121);
    }
    for op in [OpCode::GetData, OpCode::GetChildren2] {
        assert_eq!(client.get(op, "/a", true).await.error(), 0);
    }
    for mode in [AddWatchMode::Persistent, AddWatchMode::Recursive] {
        add_watch(&mut client, "/a", mode).await;
    }
    for kind in types {
        for (op, error) in [
            (OpCode::CheckWatches, 0),
            (OpCode::RemoveWatches, 0),
            (OpCode::CheckWatches, -121),
        ] {
            let reply = client.call(op, &named("/a", kind)).await;
            assert_eq!(reply.error(), error, "{op:?} {kind:?}");
        }
    }
    stir(&mut client, "/a").await;
    assert_eq!(client.events, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_modes_and_types_are_refused_and_the_session_goes_on() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut client = Client::open(port.addr).await;
    // Has the layout of all three requests.
    let request = |version| VersionRequest {
        path: "/".into(),
        version,
    };
    for (op, numbers) in [
        (OpCode::AddWatch, [-1, 2]),
        (OpCode::CheckWatches, [0, 6]),
        (OpCode::RemoveWatches, [0, 6]),
    ] {
        for number in numbers {
            let refused = client.call(op, &request(number)).await;
            assert_eq!(refused.error(), -5, "{op:?} {number}");
        }
    }
    assert_eq!(client.get(OpCode::Exists, "/", false).await.error(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn add_watch_does_not_loop_the_client_through_reconnects() {
    let members = Members::start(3).await;
    let mut ports = Vec::new();
    for name in ["n1", "n2", "n3"] {
        ports.push(Port::open(&members, name).await);
    }
    let mut writer = Client::open(ports[0].addr).await;
    assert_eq!(writer.create("/a", 0).await.error(), 0);
    let mut client = Client::open(ports[0].addr).await;
    for mode in [AddWatchMode::Persistent, AddWatchMode::Recursive] {
        add_watch(&mut client, "/a", mode).await;
    }
    for port in ports.iter().chain(&ports) {
        let seen = client.get(OpCode::Exists, "/", false).await.header.zxid;
        // Missed, and not told later: these watches only tell of what is to come.
        assert_eq!(writer.set("/a", "1").await.error(), 0);
        client = Client::reattach(port.addr, &client).await;
        let request = SetWatches2Request {
            one_shot: SetWatchesRequest {
                relative_zxid: seen,
                data: Vec::new(),
                exist: Vec::new(),
                child: Vec::new(),
            },
            persistent: vec!["/a".into()],
            recursive: vec!["/a".into()],
        };
        let reply = client.call(OpCode::SetWatches2, &request).await;
        assert_eq!((reply.error(), reply.body.len()), (0, 0));
        assert_eq!(client.events, []);
        assert_eq!(client.create("/a/b", 0).await.error(), 0);
        delete(&mut client, "/a/b").await;
        let told = [
            event(EventType::Created, "/a/b"),
            event(EventType::ChildrenChanged, "/a"),
            event(EventType::Deleted, "/a/b"),
            event(EventType::ChildrenChanged, "/a"),
        ];
        assert_eq!(std::mem::take(&mut client.events), told);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_hears_only_of_znodes_it_may_read() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let mut writer = Client::open(port.addr).await;
    let mut client = Client::open(port.addr).await;
    add_watch(&mut client, "/", AddWatchMode::Recursive).await;
    let auth = AuthRequest {
        kind: 0,
        scheme: "digest".into(),
        auth: Some(Bytes::from_static(b"bob:secret")),
    };
    assert_eq!(writer.call(OpCode::Auth, &auth).await.error(), 0);
    let own = |path: &str| CreateRequest {
        acl: vec![Acl {
            perms: 31,
            scheme: "auth".into(),
            id: String::new(),
        }],
        ..create(path, 0)
    };
    let made = writer.call(OpCode::Create, &own("/hidden")).await;
    assert_eq!(made.error(), 0);
    assert_eq!(writer.create("/open", 0).await.error(), 0);
    assert_eq!(client.call(OpCode::Auth, &auth).await.error(), 0);
    assert_eq!(writer.set("/hidden", "1").await.error(), 0);
    // Comes back behind all events before it.
    assert_eq!(client.create("/last", 0).await.error(), 0);
    let told = [
        event(EventType::Created, "/open"),
        event(EventType::DataChanged, "/hidden"),
        event(EventType::Created, "/last"),
    ];
    assert_eq!(client.events, told);
}
