//! Watches that fire once, and what they have missed when they are set again.

use super::fixture::*;

#[tokio::test]
async fn a_watch_fires_once_for_the_changes_of_its_table() {
    type Case = (
        WatchKind,
        &'static str,
        Op,
        Option<(EventType, &'static str)>,
    );
    let cases: Vec<Case> = vec![
        (Data, "/a", set("/a"), Some((DataChanged, "/a"))),
        (Data, "/a", create("/a/b"), None),
        (Data, "/a", delete("/a"), Some((Deleted, "/a"))),
        (Absence, "/b", create("/b"), Some((Created, "/b"))),
        (
            Children,
            "/a",
            create("/a/b"),
            Some((ChildrenChanged, "/a")),
        ),
        (Children, "/a", set("/a"), None),
        (Children, "/a", delete("/a"), Some((Deleted, "/a"))),
        (Children, "/", create("/b"), Some((ChildrenChanged, "/"))),
    ];
    for (kind, path, op, expected) in cases {
        let mut scene = Scene::new();
        scene.run(vec![create("/a")]);
        let watcher = scene.watcher();
        scene.watch(&watcher, kind, path);
        scene.watch(&watcher, kind, path);
        assert_eq!(scene.watches.count(), 1);
        scene.run(vec![op]);
        let zxid = scene.tree.last_zxid().to_wire();
        let expected: Vec<_> = expected
            .map(|(kind, path)| (zxid, kind as i32, path.to_string()))
            .into_iter()
            .collect();
        assert_eq!(watcher.heard().await, expected, "{kind:?} on {path}");
        let left = if expected.is_empty() { 1 } else { 0 };
        assert_eq!(scene.watches.count(), left);
    }
}

#[tokio::test]
async fn a_deletion_is_told_once_and_before_the_parents_change() {
    let mut scene = Scene::new();
    scene.run(vec![create("/a"), create("/a/b")]);
    let watcher = scene.watcher();
    scene.watch(&watcher, Children, "/a");
    scene.watch(&watcher, Data, "/a/b");
    scene.watch(&watcher, Children, "/a/b");
    scene.run(vec![delete("/a/b")]);
    let expected = [event(Deleted, "/a/b"), event(ChildrenChanged, "/a")];
    assert_eq!(watcher.heard_kinds().await, expected);
    assert_eq!(scene.watches.count(), 0);
}

#[tokio::test]
async fn a_multi_fires_each_watch_once_in_the_order_of_its_operations() {
    let mut scene = Scene::new();
    scene.run(vec![create("/a")]);
    let watcher = scene.watcher();
    scene.watch(&watcher, Absence, "/a/b");
    scene.watch(&watcher, Children, "/a");
    scene.watch(&watcher, Data, "/a");
    scene.run(vec![create("/a/b"), set("/a"), create("/a/c"), set("/a")]);
    let expected = [
        event(Created, "/a/b"),
        event(ChildrenChanged, "/a"),
        event(DataChanged, "/a"),
    ];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[tokio::test]
async fn restored_watches_tell_what_they_missed_and_wait_for_the_rest() {
    let mut scene = Scene::new();
    let made = ["/data", "/gone", "/kids", "/same", "/quiet"];
    scene.run(made.map(create).to_vec());
    let seen = scene.tree.last_zxid();
    scene.run(vec![set("/data")]);
    scene.run(vec![delete("/gone")]);
    scene.run(vec![create("/kids/k"), create("/new")]);
    let paths = |list: &[&str]| list.iter().map(|p| Arc::from(*p)).collect();
    let request = SetWatchesRequest {
        relative_zxid: seen.to_wire(),
        data: paths(&["/data", "/gone", "/same"]),
        exist: paths(&["/new", "/later"]),
        child: paths(&["/kids", "/quiet", "/gone"]),
    };
    let watcher = scene.watcher();
    assert!(scene.ask(&watcher, WatchRequest::Set(request.into())));
    let expected = [
        (-1, DataChanged as i32, "/data".to_string()),
        (-1, Deleted as i32, "/gone".to_string()),
        (-1, Created as i32, "/new".to_string()),
        (-1, ChildrenChanged as i32, "/kids".to_string()),
        (-1, Deleted as i32, "/gone".to_string()),
    ];
    assert_eq!(watcher.heard().await, expected);
    scene.run(vec![set("/data"), set("/same"), create("/later")]);
    scene.run(vec![create("/quiet/k")]);
    let expected = [
        event(DataChanged, "/same"),
        event(Created, "/later"),
        event(ChildrenChanged, "/quiet"),
    ];
    assert_eq!(watcher.heard_kinds().await, expected);
}
