//! Persistent and recursive watches, alone and together with others.

use super::fixture::*;
use AddWatchMode::{Persistent, Recursive};

#[tokio::test]
async fn a_persistent_watch_hears_of_data_and_children_again_and_again() {
    let mut scene = Scene::new();
    let watcher = scene.watcher();
    // On an absent znode, twice: one watch.
    scene.add(&watcher, Persistent, "/a");
    scene.add(&watcher, Persistent, "/a");
    assert_eq!(scene.watches.count(), 1);
    assert!(watcher.heard().await.is_empty(), "nothing is replayed");
    for _ in 0..2 {
        scene.run(vec![create("/a")]);
        scene.run(vec![set("/a")]);
        scene.run(vec![set("/a"), create("/a/b")]);
        scene.run(vec![set("/a/b"), create("/a/b/c"), delete("/a/b/c")]);
        scene.run(vec![delete("/a/b")]);
        scene.run(vec![delete("/a")]);
        let expected = [
            event(Created, "/a"),
            event(DataChanged, "/a"),
            event(DataChanged, "/a"),
            event(ChildrenChanged, "/a"),
            event(ChildrenChanged, "/a"),
            event(Deleted, "/a"),
        ];
        assert_eq!(watcher.heard_kinds().await, expected);
    }
    assert_eq!(scene.watches.count(), 1);
}

#[tokio::test]
async fn a_recursive_watch_reports_the_path_that_changed() {
    let mut scene = Scene::with(&["/a", "/ab", "/z"]);
    let watcher = scene.watcher();
    scene.add(&watcher, Recursive, "/a");
    for _ in 0..2 {
        scene.run(vec![create("/a/b"), create("/a/b/c")]);
        let zxid = scene.tree.last_zxid().to_wire();
        scene.run(vec![set("/a/b/c"), set("/a"), set("/ab"), create("/ab/c")]);
        scene.run(vec![delete("/a/b/c"), delete("/a/b"), delete("/ab/c")]);
        let expected = [
            (zxid, Created as i32, "/a/b".to_string()),
            (zxid, Created as i32, "/a/b/c".to_string()),
            (zxid + 1, DataChanged as i32, "/a/b/c".to_string()),
            (zxid + 1, DataChanged as i32, "/a".to_string()),
            (zxid + 2, Deleted as i32, "/a/b/c".to_string()),
            (zxid + 2, Deleted as i32, "/a/b".to_string()),
        ];
        assert_eq!(watcher.heard().await, expected);
    }
    scene.run(vec![delete("/a")]);
    scene.run(vec![create("/a")]);
    let expected = [event(Deleted, "/a"), event(Created, "/a")];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[tokio::test]
async fn a_recursive_watch_on_the_root_hears_of_everything() {
    let mut scene = Scene::new();
    let watcher = scene.watcher();
    scene.add(&watcher, Recursive, "/");
    scene.run(vec![create("/a"), create("/a/b"), set("/")]);
    let expected = [
        event(Created, "/a"),
        event(Created, "/a/b"),
        event(DataChanged, "/"),
    ];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[tokio::test]
async fn one_change_is_one_event_however_many_watches_wait_for_it() {
    let all = [Data, Children, WatchKind::Persistent, WatchKind::Recursive];
    for mask in 1..16u32 {
        let kinds = || {
            all.into_iter()
                .zip(0..)
                .filter(|(_, bit)| mask >> bit & 1 == 1)
        };
        let has = |kind| kinds().any(|(each, _)| each == kind);
        let lasts = has(WatchKind::Persistent) || has(WatchKind::Recursive);
        let mut scene = Scene::with(&["/a"]);
        let watcher = scene.watcher();
        for (kind, _) in kinds() {
            scene.watch(&watcher, kind, "/a");
        }
        scene.run(vec![set("/a")]);
        scene.run(vec![create("/a/b")]);
        scene.run(vec![set("/a")]);
        scene.run(vec![delete("/a/b")]);
        scene.run(vec![delete("/a")]);
        let mut expected = Vec::new();
        if has(Data) || lasts {
            expected.push(event(DataChanged, "/a"));
        }
        if has(WatchKind::Recursive) {
            expected.push(event(Created, "/a/b"));
        }
        if has(Children) || has(WatchKind::Persistent) {
            expected.push(event(ChildrenChanged, "/a"));
        }
        if lasts {
            expected.push(event(DataChanged, "/a"));
        }
        if has(WatchKind::Recursive) {
            expected.push(event(Deleted, "/a/b"));
        }
        if has(WatchKind::Persistent) {
            expected.push(event(ChildrenChanged, "/a"));
        }
        // One-shot watches are used up by now.
        if lasts {
            expected.push(event(Deleted, "/a"));
        }
        assert_eq!(watcher.heard_kinds().await, expected, "{mask:04b}");
    }
}

#[tokio::test]
async fn a_deletion_is_one_event_to_a_connection_with_watches_of_every_kind() {
    let mut scene = Scene::with(&["/a", "/a/b"]);
    let watcher = scene.watcher();
    for (kind, path) in [
        (Data, "/a/b"),
        (Children, "/a/b"),
        (WatchKind::Persistent, "/a/b"),
        (WatchKind::Recursive, "/a/b"),
        (WatchKind::Recursive, "/a"),
        (WatchKind::Recursive, "/"),
        (Children, "/a"),
    ] {
        scene.watch(&watcher, kind, path);
    }
    scene.run(vec![delete("/a/b")]);
    let expected = [event(Deleted, "/a/b"), event(ChildrenChanged, "/a")];
    assert_eq!(watcher.heard_kinds().await, expected);
    assert_eq!(scene.watches.count(), 4, "those that stay");
}

#[tokio::test]
async fn a_one_shot_watch_over_a_persistent_one_leaves_it_in_place() {
    for first in [true, false] {
        let mut scene = Scene::with(&["/a"]);
        let watcher = scene.watcher();
        if first {
            scene.watch(&watcher, Data, "/a");
        }
        scene.add(&watcher, Persistent, "/a");
        scene.add(&watcher, Recursive, "/a");
        if !first {
            scene.watch(&watcher, Data, "/a");
        }
        for _ in 0..3 {
            scene.run(vec![set("/a")]);
            let expected = [event(DataChanged, "/a")];
            assert_eq!(watcher.heard_kinds().await, expected);
        }
    }
}

#[tokio::test]
async fn a_multi_tells_lasting_watches_of_each_of_its_operations_in_order() {
    let mut scene = Scene::with(&["/a"]);
    let watcher = scene.watcher();
    scene.add(&watcher, Persistent, "/a");
    scene.add(&watcher, Recursive, "/a");
    scene.run(vec![set("/a"), create("/a/b"), set("/a"), delete("/a/b")]);
    let expected = [
        event(DataChanged, "/a"),
        event(Created, "/a/b"),
        event(ChildrenChanged, "/a"),
        event(DataChanged, "/a"),
        event(Deleted, "/a/b"),
        event(ChildrenChanged, "/a"),
    ];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[tokio::test]
async fn a_changed_acl_is_no_event() {
    let mut scene = Scene::with(&["/a"]);
    let watcher = scene.watcher();
    for kind in [Data, Children, WatchKind::Persistent, WatchKind::Recursive] {
        scene.watch(&watcher, kind, "/a");
    }
    scene.run(vec![Op::SetAcl {
        path: "/a".into(),
        acl: Acl::open(),
        version: -1,
    }]);
    assert!(watcher.heard().await.is_empty());
}
