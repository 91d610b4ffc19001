//! Checking, removing, setting again, listing.

use super::fixture::*;

const KINDS: [WatchKind; 5] = [Data, Absence, Children, Persistent, Recursive];

/// Which types name a watch, by themselves.
fn names(kind: WatchKind, named: WatcherType) -> bool {
    let own = match kind {
        Data | Absence => WatcherType::Data,
        Children => WatcherType::Children,
        Persistent => WatcherType::Persistent,
        Recursive => WatcherType::Recursive,
    };
    named == own || named == WatcherType::Any
}

const TYPES: [WatcherType; 5] = [
    WatcherType::Children,
    WatcherType::Data,
    WatcherType::Any,
    WatcherType::Persistent,
    WatcherType::Recursive,
];

#[tokio::test]
async fn each_type_finds_and_removes_the_watches_it_names() {
    for kind in KINDS {
        for named in TYPES {
            let path = if kind == Absence { "/none" } else { "/a" };
            let mut scene = Scene::with(&["/a"]);
            let (watcher, other) = (scene.watcher(), scene.another_watcher());
            scene.watch(&watcher, kind, path);
            assert!(!scene.check(&watcher, named, "/b"), "another path");
            assert!(!scene.remove(&other, named, path), "another's watch");
            let matches = names(kind, named);
            assert_eq!(scene.check(&watcher, named, path), matches);
            assert_eq!(scene.watches.count(), 1, "checking removes nothing");
            assert_eq!(
                scene.remove(&watcher, named, path),
                matches,
                "{kind:?} {named:?}"
            );
            assert!(!scene.remove(&watcher, named, path), "removed twice");
            assert_eq!(scene.watches.count(), usize::from(!matches));
            if matches {
                scene.run(vec![create("/none"), create("/a/b"), set("/a")]);
                assert!(watcher.heard().await.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn removing_one_kind_leaves_the_others_in_place() {
    let all = [Data, Children, Persistent, Recursive];
    for named in TYPES {
        let scene = Scene::with(&["/a"]);
        let watcher = scene.watcher();
        for kind in all {
            scene.watch(&watcher, kind, "/a");
        }
        assert!(scene.remove(&watcher, named, "/a"));
        for kind in all {
            for other in TYPES {
                if names(kind, other) && other != WatcherType::Any {
                    let left = !names(kind, named);
                    assert_eq!(
                        scene.check(&watcher, other, "/a"),
                        left,
                        "{named:?} {kind:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn lasting_watches_are_set_again_without_a_word() {
    let mut scene = Scene::with(&["/a", "/b"]);
    let seen = scene.tree.last_zxid();
    scene.run(vec![set("/a"), create("/a/k"), delete("/b"), create("/c")]);
    let paths = |list: &[&str]| list.iter().map(|p| Arc::from(*p)).collect::<Vec<_>>();
    let request = SetWatches2Request {
        one_shot: SetWatchesRequest {
            relative_zxid: seen.to_wire(),
            data: paths(&["/a"]),
            exist: Vec::new(),
            child: Vec::new(),
        },
        persistent: paths(&["/a", "/b", "/c"]),
        recursive: paths(&["/a", "/later"]),
    };
    let watcher = scene.watcher();
    assert!(scene.ask(&watcher, WatchRequest::Set(request)));
    let expected = [(-1, DataChanged as i32, "/a".to_string())];
    assert_eq!(watcher.heard().await, expected, "the one-shot watch alone");
    assert_eq!(scene.watches.count(), 5);
    scene.run(vec![
        set("/a/k"),
        create("/b"),
        delete("/c"),
        create("/later"),
    ]);
    let expected = [
        event(DataChanged, "/a/k"),
        event(Created, "/b"),
        event(Deleted, "/c"),
        event(Created, "/later"),
    ];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[test]
fn the_listings_show_all_kinds_of_watches() {
    let scene = Scene::with(&["/a"]);
    let first = scene.watcher();
    assert_eq!(scene.watches.summary(), (0, 0, 0));
    for kind in [Data, Children, Persistent, Recursive] {
        scene.watch(&first, kind, "/a");
    }
    scene.watch(&first, Absence, "/c");
    let session = SessionId(77);
    let other = Arc::new(Outbox::default());
    let other = scene.watches.attach(session, scene.attachment, other);
    assert_eq!(other.watch(Recursive, &"/a".into(), &scene.tree), Ok(()));
    assert_eq!(scene.watches.summary(), (2, 2, 6));
    assert_eq!(scene.watches.count(), 6);
    let set = |paths: &[&str]| paths.iter().map(|p| Arc::from(*p)).collect();
    let by_session = BTreeMap::from([(scene.session, set(&["/a", "/c"])), (session, set(&["/a"]))]);
    assert_eq!(scene.watches.by_session(), by_session);
    let by_path = BTreeMap::from([
        (Arc::from("/a"), BTreeSet::from([scene.session, session])),
        (Arc::from("/c"), BTreeSet::from([scene.session])),
    ]);
    assert_eq!(scene.watches.by_path(), by_path);
    drop((first, other));
    assert_eq!(scene.watches.summary(), (0, 0, 0));
    assert!(scene.watches.by_session().is_empty());
}
