//! Who may not read a znode hears nothing of it.

use super::fixture::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Only this user may read; everybody may do the rest.
fn readable_by(user: &str) -> Vec<Acl> {
    let hash = STANDARD.encode(Sha1::digest(format!("{user}:{user}")));
    let reader = Acl {
        perms: 1,
        scheme: "digest".into(),
        id: format!("{user}:{hash}"),
    };
    let others = Acl {
        perms: 30,
        ..Acl::open().swap_remove(0)
    };
    vec![reader, others]
}

fn set_acl(path: &str, acl: Vec<Acl>) -> Op {
    Op::SetAcl {
        path: path.into(),
        acl,
        version: -1,
    }
}

#[tokio::test]
async fn events_of_a_znode_go_to_those_who_may_read_it() {
    let mut scene = Scene::with(&["/a"]);
    let (bob, eve) = (scene.watcher(), scene.another_watcher());
    bob.log_in("bob");
    eve.log_in("eve");
    for watcher in [&bob, &eve] {
        scene.watch(watcher, Recursive, "/a");
        scene.watch(watcher, Persistent, "/a/b");
        scene.watch(watcher, Absence, "/a/b");
    }
    scene.run(vec![create_for("/a/b", readable_by("bob"))]);
    scene.run(vec![set("/a/b")]);
    scene.run(vec![create("/a/b/c")]);
    scene.run(vec![delete("/a/b/c")]);
    scene.run(vec![delete("/a/b")]);
    let open = [event(Created, "/a/b/c"), event(Deleted, "/a/b/c")];
    let heard = eve.heard_kinds().await;
    assert_eq!(
        heard, open,
        "the child may be read, its parent's list of children not"
    );
    let expected = [
        event(Created, "/a/b"),
        event(DataChanged, "/a/b"),
        open[0].clone(),
        event(ChildrenChanged, "/a/b"),
        open[1].clone(),
        event(ChildrenChanged, "/a/b"),
        event(Deleted, "/a/b"),
    ];
    assert_eq!(bob.heard_kinds().await, expected);
}

#[tokio::test]
async fn a_child_that_may_not_be_read_shows_in_the_events_of_its_parent() {
    let mut scene = Scene::with(&["/a"]);
    let eve = scene.watcher();
    scene.watch(&eve, Children, "/a");
    scene.run(vec![create_for("/a/b", readable_by("bob"))]);
    let expected = [event(ChildrenChanged, "/a")];
    assert_eq!(eve.heard_kinds().await, expected);
}

#[tokio::test]
async fn an_event_that_is_withheld_uses_the_watch_up() {
    let mut scene = Scene::with(&["/a"]);
    let eve = scene.watcher();
    scene.watch(&eve, Data, "/a");
    scene.watch(&eve, Children, "/a");
    scene.run(vec![set_acl("/a", readable_by("bob"))]);
    scene.run(vec![set("/a")]);
    scene.run(vec![create("/a/b")]);
    assert!(eve.heard().await.is_empty());
    assert_eq!(scene.watches.count(), 0);
    scene.run(vec![set_acl("/a", Acl::open())]);
    scene.run(vec![set("/a")]);
    assert!(eve.heard().await.is_empty());
}

#[tokio::test]
async fn what_is_proved_later_counts_from_then_on() {
    let mut scene = Scene::new();
    scene.run(vec![create_for("/a", readable_by("bob"))]);
    let watcher = scene.watcher();
    scene.watch(&watcher, Persistent, "/a");
    scene.run(vec![set("/a")]);
    assert!(watcher.heard().await.is_empty());
    watcher.log_in("bob");
    scene.run(vec![set("/a")]);
    let expected = [event(DataChanged, "/a")];
    assert_eq!(watcher.heard_kinds().await, expected);
}

#[tokio::test]
async fn a_snapshot_tells_of_a_znode_those_who_may_read_it_and_of_its_absence_all() {
    let mut scene = Scene::with(&["/a", "/b"]);
    let (bob, eve) = (scene.watcher(), scene.another_watcher());
    bob.log_in("bob");
    for watcher in [&bob, &eve] {
        scene.watch(watcher, Data, "/a");
        scene.watch(watcher, Data, "/b");
    }
    let closed = ["/a", "/b"].map(|path| set_acl(path, readable_by("bob")));
    scene.run(closed.to_vec());
    scene.run_elsewhere(vec![vec![set("/a")], vec![delete("/b")]]);
    let (changed, deleted) = (event(DataChanged, "/a"), event(Deleted, "/b"));
    assert_eq!(eve.heard_kinds().await, std::slice::from_ref(&deleted));
    assert_eq!(bob.heard_kinds().await, [changed, deleted]);
    assert_eq!(scene.watches.count(), 0);
}
