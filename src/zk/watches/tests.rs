//! Watches against a real tree.

use super::*;
use crate::tree::{Acl, Actor, Command, CreateMode, Op, Reply, Transaction};
use crate::zk::wire::{MAX_FRAME, Wire, take_frame};
use EventType::*;
use WatchKind::*;

/// A tree, its watches, and one zxid after the other.
struct Scene {
    tree: Tree,
    watches: Arc<Watches>,
    session: SessionId,
    attachment: Zxid,
}

/// A connection that reads what it is sent.
struct Watcher {
    attached: Attached,
    outbox: Arc<Outbox>,
}

impl Scene {
    fn new() -> Scene {
        let mut scene = Scene {
            tree: Tree::new(),
            watches: Watches::new(Metrics::new("n1")),
            session: SessionId::NONE,
            attachment: Zxid(0),
        };
        let opened = scene.apply(Actor::Ensemble, open_session());
        let Ok(Reply::Session { id, .. }) = opened else {
            panic!("{opened:?}")
        };
        scene.session = id;
        scene.attachment = scene.tree.last_zxid();
        scene
    }

    fn apply(&mut self, actor: Actor, command: Command) -> Result<Reply, crate::tree::ErrorCode> {
        let zxid = Zxid(self.tree.last_zxid().0 + 1);
        let transaction = Transaction {
            time_ms: 1,
            actor,
            command,
        };
        let outcome = self.tree.apply(zxid, &transaction);
        self.watches.applied(&self.tree, zxid, &outcome.events);
        outcome.result
    }

    fn run(&mut self, ops: Vec<Op>) {
        let actor = Actor::Session {
            id: self.session,
            attachment: self.attachment,
            identities: Arc::new([]),
        };
        let result = self.apply(actor, Command::Multi(ops));
        assert!(matches!(result, Ok(Reply::Multi(Ok(_)))), "{result:?}");
    }

    fn watcher(&self) -> Watcher {
        let outbox = Arc::new(Outbox::default());
        let attached = self
            .watches
            .attach(self.session, self.attachment, outbox.clone());
        Watcher { attached, outbox }
    }

    fn watch(&self, watcher: &Watcher, kind: WatchKind, path: &str) {
        let path = Arc::from(path);
        assert_eq!(watcher.attached.watch(kind, &path, &self.tree), Ok(()));
    }
}

impl Watcher {
    /// The zxid, kind and path of each event so far, in order.
    async fn heard(&self) -> Vec<(i64, i32, String)> {
        // Ends the wait for more.
        self.outbox.pong(Zxid(0));
        let batch = self.outbox.batch(BytesMut::new()).await;
        let mut batch = batch.expect("the connection is not ended");
        let mut heard = Vec::new();
        while let Some(mut frame) = take_frame(&mut batch, MAX_FRAME).expect("whole frames") {
            let header = ReplyHeader::decode(&mut frame).expect("a header");
            if header.xid == XID_EVENT {
                let event = WatcherEvent::decode(&mut frame).expect("an event");
                assert_eq!((event.state, header.error), (3, 0));
                heard.push((header.zxid, event.kind, event.path.to_string()));
            }
        }
        heard
    }

    async fn heard_kinds(&self) -> Vec<(i32, String)> {
        let heard = self.heard().await;
        heard
            .into_iter()
            .map(|(_, kind, path)| (kind, path))
            .collect()
    }

    async fn is_hung_up(&self) -> bool {
        self.outbox.reply(header(), |_| ());
        self.outbox.finish();
        self.outbox.batch(BytesMut::new()).await.is_none()
    }
}

fn header() -> ReplyHeader {
    ReplyHeader {
        xid: 1,
        zxid: 1,
        error: 0,
    }
}

fn open_session() -> Command {
    Command::OpenSession {
        member: 1,
        password: [7; 16],
        timeout_ms: 4000,
    }
}

fn create(path: &str) -> Op {
    Op::Create {
        path: path.into(),
        data: Bytes::new(),
        acl: Acl::open(),
        mode: CreateMode {
            ephemeral: false,
            sequential: false,
        },
    }
}

fn set(path: &str) -> Op {
    Op::SetData {
        path: path.into(),
        data: Bytes::new(),
        version: -1,
    }
}

fn delete(path: &str) -> Op {
    Op::Delete {
        path: path.into(),
        version: -1,
    }
}

fn event(kind: EventType, path: &str) -> (i32, String) {
    (kind as i32, path.into())
}

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
    assert_eq!(watcher.attached.restore(&request, &scene.tree), Ok(()));
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
    // What the leader applied meanwhile, seen by nobody here.
    let ahead = Watches::new(Metrics::new("n2"));
    let here = std::mem::replace(&mut scene.watches, ahead);
    scene.run(vec![
        set("/data"),
        delete("/gone"),
        create("/kids/k"),
        create("/new"),
    ]);
    here.replaced(&scene.tree);
    scene.watches = here;
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
async fn a_snapshot_without_the_session_ends_its_connection() {
    let scene = Scene::new();
    let watcher = scene.watcher();
    scene.watches.replaced(&scene.tree);
    assert!(watcher.heard().await.is_empty());
    scene.watches.replaced(&Tree::new());
    assert!(watcher.is_hung_up().await);
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
