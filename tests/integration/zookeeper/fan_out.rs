//! One change and many who watch; many changes and one who does not read.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::zookeeper::{Client, Message, Port, set};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use zoogate::tree::Stat;
use zoogate::zk::wire::{
    AddWatchMode, AddWatchRequest, EventType, MultiOp, MultiRequest, MultiResponse, OpCode,
};

/// Told of before a client that does not read is given up, bytes: what the port holds for it at most, a queue and a
/// batch of 8 MiB each (see `zk::outbox`); what the kernel holds, 6 MiB or less as Linux is set up; and what comes in
/// until its end is seen here.
const MOST_TOLD: usize = 32 << 20;

async fn watch_all(client: &mut Client) {
    let (path, mode) = ("/".into(), AddWatchMode::Recursive);
    let request = AddWatchRequest { path, mode };
    assert_eq!(client.call(OpCode::AddWatch, &request).await.error(), 0);
}

/// The znode whose events are told, of a kilobyte each.
fn long_path() -> String {
    format!("/{}", "x".repeat(1_000))
}

/// Counts events of `path`, which must be in order, until one of another path or the end of the connection.
async fn count_events(client: &mut Client, path: &str) -> usize {
    let (mut count, mut last) = (0, 0);
    while let Some(message) = client.message().await {
        match message {
            Message::Event { path: of, .. } if of != path => break,
            Message::Event { zxid, kind, .. } => {
                assert_eq!(kind, EventType::DataChanged as i32);
                assert!(zxid >= last);
                (count, last) = (count + 1, zxid);
            }
            Message::Reply(reply) => panic!("nothing was asked: {reply:?}"),
        }
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_its_events_is_cut_off_and_nobody_else_notices() {
    const OPERATIONS: usize = 500;
    const MOST_ROUNDS: usize = 120;
    // One member: a storm that keeps it busy must not cost a leader its followers.
    let members = Members::start(1).await;
    let (here, there) = (
        Port::open(&members, "n1").await,
        Port::open(&members, "n1").await,
    );
    let path = long_path();
    let mut writer = Client::open(there.addr).await;
    assert_eq!(writer.create(&path, 0).await.error(), 0);
    let mut deaf = Client::open(here.addr).await;
    assert_eq!(deaf.create("/of-the-deaf", 1).await.error(), 0);
    let mut listener = Client::open(here.addr).await;
    watch_all(&mut deaf).await;
    watch_all(&mut listener).await;
    let heard = tokio::spawn({
        let path = path.clone();
        async move { count_events(&mut listener, &path).await }
    });
    let sets = (0..OPERATIONS).map(|_| MultiOp::SetData(set(&path, "")));
    let storm = MultiRequest(sets.collect());
    let (mut rounds, mut slowest) = (0, Duration::ZERO);
    while here.metrics.coordination.zk_connections.get() > 1 {
        assert!(rounds < MOST_ROUNDS, "it is not cut off");
        let begun = Instant::now();
        let done: MultiResponse = writer.call(OpCode::Multi, &storm).await.read();
        assert_eq!(done.0.len(), OPERATIONS);
        slowest = slowest.max(begun.elapsed());
        rounds += 1;
    }
    let told = rounds * OPERATIONS * path.len();
    assert!(told <= MOST_TOLD, "{told} bytes");
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert_eq!(writer.create("/end", 0).await.error(), 0);
    assert_eq!(heard.await.expect("no panic"), rounds * OPERATIONS);
    // What the kernel had taken still arrives; the connection then ends.
    let late = count_events(&mut deaf, &path).await;
    assert!(late < rounds * OPERATIONS);
    let mut again = Client::reattach(there.addr, &deaf).await;
    let mine: Stat = again
        .get(OpCode::Exists, "/of-the-deaf", false)
        .await
        .read();
    assert_eq!(mine.ephemeral_owner, deaf.session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_change_reaches_every_watcher_on_every_member_once() {
    const WATCHERS: usize = 90;
    let members = Members::start(3).await;
    let mut ports = Vec::new();
    for name in ["n1", "n2", "n3"] {
        ports.push(Port::open(&members, name).await);
    }
    let mut writer = Client::open(ports[0].addr).await;
    assert_eq!(writer.create("/a", 0).await.error(), 0);
    let opened: JoinSet<Client> = (0..WATCHERS)
        .map(|number| {
            let addr = ports[number % 3].addr;
            async move {
                let mut client = Client::open(addr).await;
                let read = [OpCode::GetData, OpCode::Exists][number % 2];
                assert_eq!(client.get(read, "/a", true).await.error(), 0);
                client
            }
        })
        .collect();
    let mut watchers = opened.join_all().await;
    let changed = writer.set("/a", "1").await;
    for watcher in &mut watchers {
        match watcher.message().await {
            Some(Message::Event { zxid, kind, path }) => {
                let change = (changed.header.zxid, EventType::DataChanged as i32, "/a");
                assert_eq!((zxid, kind, path.as_str()), change);
            }
            other => panic!("no event: {other:?}"),
        }
    }
    // Once: the watches are used up.
    assert_eq!(writer.set("/a", "2").await.error(), 0);
    eventually("no watch is left", || {
        NAMES.iter().all(|name| members.watches(name).count() == 0)
    })
    .await;
    for watcher in &mut watchers {
        assert_eq!(watcher.get(OpCode::Exists, "/a", false).await.error(), 0);
        assert_eq!(watcher.events, []);
    }
    let nothing = timeout(Duration::ZERO, watchers[0].message()).await;
    assert!(nothing.is_err());
}

const NAMES: [&str; 3] = ["n1", "n2", "n3"];
