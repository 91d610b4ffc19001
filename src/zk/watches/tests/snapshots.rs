//! A snapshot from the leader instead of events.

use super::fixture::*;

#[tokio::test]
async fn a_snapshot_loses_no_watch() {
    let mut scene = Scene::new();
    scene.run(["/data", "/gone", "/kids", "/same"].map(create).to_vec());
    let watcher = scene.watcher();
    for path in ["/data", "/gone", "/same"] {
        scene.watch(&watcher, Data, path);
    }
    scene.watch(&watcher, Absence, "/new");
    scene.watch(&watcher, Absence, "/later");
    scene.watch(&watcher, Children, "/kids");
    scene.watch(&watcher, Children, "/gone");
    // What the leader applied meanwhile.
    scene.run_elsewhere(vec![vec![
        set("/data"),
        delete("/gone"),
        create("/kids/k"),
        create("/new"),
    ]]);
    let expected = [
        event(DataChanged, "/data"),
        event(Deleted, "/gone"),
        event(ChildrenChanged, "/kids"),
        event(Created, "/new"),
    ];
    assert_eq!(watcher.heard_kinds().await, expected);
    assert_eq!(scene.watches.count(), 2);
    scene.run(vec![set("/same"), create("/later")]);
    let expected = [event(DataChanged, "/same"), event(Created, "/later")];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[tokio::test]
async fn a_snapshot_without_the_session_ends_its_connection() {
    let scene = Scene::new();
    let watcher = scene.watcher();
    scene.watches.replaced(&scene.tree);
    assert!(watcher.heard().await.is_empty());
    scene.watches.replaced(&Tree::new());
    assert!(watcher.is_hung_up().await);
}

#[tokio::test]
async fn a_snapshot_tells_a_persistent_watch_what_became_of_its_znode() {
    type Case = (bool, Vec<Op>, &'static [EventType]);
    let cases: Vec<Case> = vec![
        (true, vec![set("/other")], &[]),
        (true, vec![set("/a")], &[DataChanged]),
        (true, vec![create("/a/b")], &[ChildrenChanged]),
        (
            true,
            vec![set("/a"), create("/a/b")],
            &[DataChanged, ChildrenChanged],
        ),
        (true, vec![delete("/a")], &[Deleted]),
        (true, vec![delete("/a"), create("/a")], &[Deleted, Created]),
        (false, vec![set("/other")], &[]),
        (false, vec![create("/a")], &[Created]),
        (false, vec![create("/a"), delete("/a")], &[]),
        (
            false,
            vec![create("/a"), create("/a/b"), set("/a")],
            &[Created, DataChanged, ChildrenChanged],
        ),
    ];
    for (present, ops, expected) in cases {
        let mut scene = Scene::with(&["/other"]);
        let watcher = scene.watcher();
        scene.watch(&watcher, Persistent, "/a");
        if present {
            scene.run(vec![create("/a")]);
            assert_eq!(watcher.heard_kinds().await, [event(Created, "/a")]);
        }
        let described = format!("{present} {ops:?}");
        scene.run_elsewhere(ops.into_iter().map(|op| vec![op]).collect());
        let expected: Vec<_> = expected.iter().map(|kind| event(*kind, "/a")).collect();
        assert_eq!(watcher.heard_kinds().await, expected, "{described}");
        // Nothing is told twice, and the watch goes on.
        scene.run_elsewhere(Vec::new());
        assert!(watcher.heard().await.is_empty());
        let (op, kind) = match scene.tree.get("/a") {
            Some(_) => (set("/a"), DataChanged),
            None => (create("/a"), Created),
        };
        scene.run(vec![op]);
        assert_eq!(watcher.heard_kinds().await, [event(kind, "/a")]);
    }
}

#[tokio::test]
async fn what_a_snapshot_has_to_tell_in_two_tables_is_told_once() {
    let mut scene = Scene::with(&["/a", "/gone"]);
    let watcher = scene.watcher();
    for path in ["/a", "/gone"] {
        for kind in [Data, Children, Persistent] {
            scene.watch(&watcher, kind, path);
        }
    }
    scene.run_elsewhere(vec![vec![set("/a")], vec![delete("/gone")]]);
    let expected = [event(DataChanged, "/a"), event(Deleted, "/gone")];
    assert_eq!(watcher.heard_kinds().await, expected);
    assert_eq!(scene.watches.count(), 3, "two that stay, one that waits");
}

#[tokio::test]
async fn a_snapshot_tells_nothing_of_what_was_there_before_the_watch() {
    let mut scene = Scene::with(&["/a"]);
    // A member that begins with this tree, as after a restart.
    scene.watches = Watches::new(Metrics::new("n1"));
    let watcher = scene.watcher();
    scene.watch(&watcher, Data, "/a");
    scene.watch(&watcher, Persistent, "/a");
    scene.run_elsewhere(Vec::new());
    assert!(watcher.heard().await.is_empty());
}

#[tokio::test]
async fn a_snapshot_ends_the_connections_with_recursive_watches() {
    let mut scene = Scene::with(&["/a"]);
    let (recursive, persistent) = (scene.watcher(), scene.another_watcher());
    scene.watch(&recursive, Recursive, "/a");
    scene.watch(&persistent, Persistent, "/a");
    scene.run_elsewhere(Vec::new());
    assert!(recursive.is_hung_up().await);
    assert!(persistent.heard().await.is_empty(), "still open");
}
