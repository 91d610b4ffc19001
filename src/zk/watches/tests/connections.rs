//! What becomes of a connection and its watches, and what they may cost.

use super::fixture::*;

#[tokio::test]
async fn the_end_or_move_of_a_session_ends_its_connection() {
    let attach = |scene: &Scene| Command::AttachSession {
        session: scene.session,
        password: Bytes::from_static(&[7; 16]),
        member: 2,
        timeout_ms: 4000,
    };
    let close = |scene: &Scene| Command::CloseSession {
        session: scene.session,
        attachment: None,
    };
    for command in [attach, close] {
        let mut scene = Scene::new();
        let watcher = scene.watcher();
        let command = command(&scene);
        assert!(scene.apply(Actor::Ensemble, command).is_ok());
        assert!(watcher.is_hung_up().await);
    }
    let mut scene = Scene::new();
    let watcher = scene.watcher();
    watcher.attached.leave();
    let command = close(&scene);
    assert!(scene.apply(Actor::Ensemble, command).is_ok());
    assert!(watcher.heard().await.is_empty(), "still open for the reply");
}

#[tokio::test]
async fn watches_go_with_their_connection() {
    let scene = Scene::new();
    let (first, second) = (scene.watcher(), scene.watcher());
    scene.watch(&first, Children, "/");
    scene.watch(&first, Data, "/");
    scene.watch(&second, Data, "/");
    assert_eq!(scene.watches.count(), 3);
    drop(first);
    assert_eq!(scene.watches.count(), 1);
    assert_eq!(scene.watches.metrics.coordination.watches.get(), 1);
}

#[test]
fn one_connection_cannot_fill_the_memory_with_watches() {
    let scene = Scene::new();
    let watcher = scene.watcher();
    let long = "x".repeat(MAX_WATCH_BYTES / 4);
    let mut set = 0;
    while watcher
        .attached
        .watch(Absence, &format!("/{set}{long}").into(), &scene.tree)
        .is_ok()
    {
        set += 1;
    }
    assert_eq!(set, 3);
}
