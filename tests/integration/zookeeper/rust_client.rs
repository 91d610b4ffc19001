//! The crate `zookeeper-client`, unmodified: a third implementation of the protocol, and the strictest.

use crate::support::ensemble::Members;
use crate::support::soon;
use crate::support::zookeeper::Port;
use std::time::Duration;
use zookeeper_client::{
    Acl, Acls, AddWatchMode, AuthId, Client, CreateMode, CreateOptions, Error, EventType,
    LockPrefix, MultiReadResult, MultiWriteError, MultiWriteResult, Permission,
};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
const CONTAINER: CreateOptions<'static> = CreateMode::Container.with_acls(Acls::anyone_all());
const SEQUENTIAL: CreateOptions<'static> =
    CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());

/// A session that no pause of a busy machine ends.
const LONG: Duration = Duration::from_secs(40);

async fn connect(port: &Port) -> Client {
    let hosts = port.addr.to_string();
    let connector = Client::connector().with_session_timeout(LONG);
    let connected = soon(connector.connect(&hosts)).await;
    connected.expect("a session")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_of_create_answers_a_stat_of_its_own() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let client = connect(&port).await;
    let timed = PERSISTENT.with_ttl(Duration::from_secs(60));
    for (path, options, owned) in [
        ("/plain", &PERSISTENT, false),
        ("/ephemeral", &EPHEMERAL, true),
        ("/container", &CONTAINER, false),
        ("/timed", &timed, false),
    ] {
        let (stat, _) = client.create(path, b"data", options).await.expect(path);
        let owner = if owned { client.session_id().0 } else { 0 };
        assert_eq!(stat.ephemeral_owner, owner, "{path}");
        assert_eq!((stat.data_length, stat.version), (4, 0), "{path}");
        let found = client.get_data(path).await.expect(path);
        assert_eq!(found, (b"data".to_vec(), stat), "{path}");
    }
    let (_, sequence) = client
        .create("/plain/n-", b"", &SEQUENTIAL)
        .await
        .expect("created");
    assert_eq!(sequence.to_string(), "0000000000");
    let mut owned = client.list_ephemerals("/").await.expect("listed");
    owned.sort();
    assert_eq!(owned, ["/ephemeral", "/plain/n-0000000000"]);
    assert_eq!(client.count_descendants_number("/plain").await, Ok(1));
    let under_ephemeral = client.create("/ephemeral/child", b"", &PERSISTENT).await;
    assert_eq!(under_ephemeral.unwrap_err(), Error::NoChildrenForEphemerals);
    assert!(client.get_config().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_multi_answers_with_stats_and_a_failed_one_with_its_culprit() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let client = connect(&port).await;
    let mut writer = client.new_multi_writer();
    writer.add_create("/a", b"1", &PERSISTENT).expect("valid");
    writer.add_set_data("/a", b"2", Some(0)).expect("valid");
    writer.add_check_version("/a", 1).expect("valid");
    writer.add_create("/a/c", b"", &CONTAINER).expect("valid");
    writer.add_delete("/a/c", None).expect("valid");
    let results = writer.commit().await.expect("committed");
    let [
        MultiWriteResult::Create {
            path,
            stat: created,
        },
        MultiWriteResult::SetData { stat: set },
        MultiWriteResult::Check,
        MultiWriteResult::Create { .. },
        MultiWriteResult::Delete,
    ] = &results[..]
    else {
        panic!("other results: {results:?}");
    };
    assert_eq!((path.as_str(), created.is_invalid()), ("/a", false));
    assert_eq!((set.version, set.mzxid), (1, created.czxid));

    let mut writer = client.new_multi_writer();
    writer.add_create("/b", b"", &PERSISTENT).expect("valid");
    writer.add_delete("/a", Some(7)).expect("valid");
    let failed = writer.commit().await.unwrap_err();
    let source = Error::BadVersion;
    assert_eq!(
        failed,
        MultiWriteError::OperationFailed { index: 1, source }
    );
    assert_eq!(client.check_stat("/b").await, Ok(None));

    let mut reader = client.new_multi_reader();
    reader.add_get_data("/a").expect("valid");
    reader.add_get_children("/a").expect("valid");
    reader.add_get_data("/b").expect("valid");
    let results = reader.commit().await.expect("read");
    let [
        MultiReadResult::Data { data, .. },
        MultiReadResult::Children { children },
        MultiReadResult::Error { err },
    ] = &results[..]
    else {
        panic!("other results: {results:?}");
    };
    assert_eq!(
        (&data[..], children.len(), err),
        (&b"2"[..], 0, &Error::NoNode)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_of_all_kinds_live_side_by_side() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let (watcher, writer) = (connect(&port).await, connect(&port).await);
    writer
        .create("/w", b"", &PERSISTENT)
        .await
        .expect("created");
    let mut persistent = watcher
        .watch("/w", AddWatchMode::Persistent)
        .await
        .expect("set");
    let mut recursive = watcher
        .watch("/w", AddWatchMode::PersistentRecursive)
        .await
        .expect("set");
    let (_, _, once) = watcher.get_and_watch_data("/w").await.expect("read");
    let (_, children) = watcher.list_and_watch_children("/w").await.expect("read");

    let stat = writer.set_data("/w", b"1", None).await.expect("set");
    let event = once.changed().await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeDataChanged, "/w")
    );
    assert_eq!(
        event.zxid, stat.mzxid,
        "an event names the transaction that caused it"
    );
    assert_eq!(
        persistent.changed().await.event_type,
        EventType::NodeDataChanged
    );
    assert_eq!(
        recursive.changed().await.event_type,
        EventType::NodeDataChanged
    );

    writer
        .create("/w/c", b"", &PERSISTENT)
        .await
        .expect("created");
    assert_eq!(
        children.changed().await.event_type,
        EventType::NodeChildrenChanged
    );
    assert_eq!(
        persistent.changed().await.event_type,
        EventType::NodeChildrenChanged
    );
    let event = recursive.changed().await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeCreated, "/w/c")
    );

    drop(persistent);
    writer
        .create("/w/c/d", b"", &PERSISTENT)
        .await
        .expect("created");
    writer.delete("/w/c/d", None).await.expect("deleted");
    for kind in [EventType::NodeCreated, EventType::NodeDeleted] {
        let event = recursive.changed().await;
        assert_eq!((event.event_type, event.path.as_str()), (kind, "/w/c/d"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acl_keeps_out_who_has_not_proved_enough() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let (owner, other) = (connect(&port).await, connect(&port).await);
    owner.auth("digest", b"ann:secret").await.expect("accepted");
    let private = CreateMode::Persistent.with_acls(Acls::creator_all());
    owner
        .create("/private", b"hers", &private)
        .await
        .expect("created");
    for refused in [
        other.get_data("/private").await.map(|_| ()),
        other.set_data("/private", b"", None).await.map(|_| ()),
        other
            .create("/private/x", b"", &PERSISTENT)
            .await
            .map(|_| ()),
        other.get_acl("/private").await.map(|_| ()),
    ] {
        assert_eq!(refused, Err(Error::NoAuth));
    }
    let readable = [Acl::new(Permission::READ, AuthId::anyone())];
    owner
        .set_acl("/private", &readable, Some(0))
        .await
        .expect("set");
    assert_eq!(
        other.get_data("/private").await.expect("readable now").0,
        b"hers"
    );
    let users = owner.list_auth_users().await.expect("told");
    assert!(
        users
            .iter()
            .any(|user| (user.scheme(), user.user()) == ("digest", "ann"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_guards_writes_and_passes_on() {
    let members = Members::start(1).await;
    let port = Port::open(&members, "n1").await;
    let (first, second) = (connect(&port).await, connect(&port).await);
    first.mkdir("/locks", &PERSISTENT).await.expect("created");
    let prefix = || LockPrefix::new_curator("/locks", "latch-").expect("valid");
    let held = soon(first.lock(prefix(), b"", Acls::anyone_all())).await;
    let held = held.expect("locked");
    let written = soon(held.create("/guarded", b"1", &PERSISTENT)).await;
    written.expect("written");
    let waiting = second.lock(prefix(), b"", Acls::anyone_all());
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waiting).await;
    assert!(early.is_err(), "two hold one lock");

    let lock_path = held.lock_path().to_owned();
    let broken = soon(second.delete(&lock_path, None)).await;
    broken.expect("broken by force");
    let late = soon(held.set_data("/guarded", b"2", None)).await;
    assert_eq!(late.unwrap_err(), Error::RuntimeInconsistent);
    let passed = soon(waiting).await.expect("locked by the next");
    let written = soon(passed.set_data("/guarded", b"3", None)).await;
    written.expect("written");
    let read = soon(first.get_data("/guarded")).await;
    assert_eq!(read.expect("read").0, b"3");
}
