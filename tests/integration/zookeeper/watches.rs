//! Watches: an event is seen before any reply that shows its change.

use crate::support::ensemble::Members;
use crate::support::zookeeper::{Client, Message, Port, set};
use bytes::Bytes;
use zoogate::zk::wire::{
    DataResponse, EventType, OpCode, ReadRequest, SetWatchesRequest, VersionRequest,
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
