//! A tree, its watches, and connections that read what they are sent.

pub(super) use super::super::*;
pub(super) use crate::tree::{Acl, Actor, Command, CreateMode, Identity, Op, Reply, Transaction};
pub(super) use crate::zk::wire::{
    AddWatchMode, AddWatchRequest, SetWatches2Request, SetWatchesRequest, WatcherType,
    WatchesRequest,
};
pub(super) use EventType::*;
pub(super) use WatchKind::*;

use super::super::request::WatchAnswer;
use crate::zk::wire::{AuthRequest, MAX_FRAME, Wire, take_frame};

/// A tree, its watches, and one zxid after the other.
pub(super) struct Scene {
    pub(super) tree: Tree,
    pub(super) watches: Arc<Watches>,
    pub(super) session: SessionId,
    pub(super) attachment: Zxid,
}

/// A connection that reads what it is sent.
pub(super) struct Watcher {
    pub(super) attached: Attached,
    outbox: Arc<Outbox>,
}

impl Scene {
    pub(super) fn new() -> Scene {
        let mut scene = Scene {
            tree: Tree::new(),
            watches: Watches::new(Metrics::new("n1")),
            session: SessionId::NONE,
            attachment: Zxid(0),
        };
        scene.session = scene.open_session();
        scene.attachment = scene.tree.last_zxid();
        scene
    }

    fn open_session(&mut self) -> SessionId {
        let command = Command::OpenSession {
            member: 1,
            password: [7; 16],
            timeout_ms: 4000,
        };
        match self.apply(Actor::Ensemble, command) {
            Ok(Reply::Session { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A scene with these znodes.
    pub(super) fn with(paths: &[&str]) -> Scene {
        let mut scene = Scene::new();
        scene.run(paths.iter().copied().map(create).collect());
        scene
    }

    pub(super) fn apply(
        &mut self,
        actor: Actor,
        command: Command,
    ) -> Result<Reply, crate::tree::ErrorCode> {
        let zxid = Zxid(self.tree.last_zxid().0 + 1);
        let transaction = Transaction {
            time_ms: 1,
            actor,
            command,
        };
        let outcome = self.tree.apply(zxid, &transaction);
        self.watches.applied(&self.tree, zxid, &outcome.events);
        self.watches.with(|state| state.check_invariants());
        outcome.result
    }

    /// Carries operations out as one transaction, by somebody who may do everything.
    pub(super) fn run(&mut self, ops: Vec<Op>) {
        let actor = Actor::Session {
            id: self.session,
            attachment: self.attachment,
            identities: Arc::new([Identity {
                scheme: "super".into(),
                id: String::new(),
            }]),
        };
        let result = self.apply(actor, Command::Multi(ops));
        assert!(matches!(result, Ok(Reply::Multi(Ok(_)))), "{result:?}");
    }

    /// Carries out what nobody here is told of, then replaces the tree by the one that came of it.
    pub(super) fn run_elsewhere(&mut self, transactions: Vec<Vec<Op>>) {
        let elsewhere = Watches::new(Metrics::new("n2"));
        let here = std::mem::replace(&mut self.watches, elsewhere);
        for ops in transactions {
            self.run(ops);
        }
        self.watches = here;
        self.watches.replaced(&self.tree);
        self.watches.with(|state| state.check_invariants());
    }

    /// A connection that holds the scene's session.
    pub(super) fn watcher(&self) -> Watcher {
        self.watcher_of(self.session, self.attachment)
    }

    /// A connection with a session of its own.
    pub(super) fn another_watcher(&mut self) -> Watcher {
        let session = self.open_session();
        self.watcher_of(session, self.tree.last_zxid())
    }

    fn watcher_of(&self, session: SessionId, attachment: Zxid) -> Watcher {
        let outbox = Arc::new(Outbox::default());
        let attached = self.watches.attach(session, attachment, outbox.clone());
        Watcher { attached, outbox }
    }

    pub(super) fn watch(&self, watcher: &Watcher, kind: WatchKind, path: &str) {
        let path = Arc::from(path);
        assert_eq!(watcher.attached.watch(kind, &path, &self.tree), Ok(()));
    }

    /// Carries out a request; whether there was something to do it to.
    pub(super) fn ask(&self, watcher: &Watcher, request: WatchRequest) -> bool {
        let answer = watcher.attached.carry_out(&request, &self.tree);
        self.watches.with(|state| state.check_invariants());
        answer.expect("there is room") != WatchAnswer::NoWatcher
    }

    pub(super) fn add(&self, watcher: &Watcher, mode: AddWatchMode, path: &str) {
        let path = path.into();
        let request = WatchRequest::Add(AddWatchRequest { path, mode });
        assert!(self.ask(watcher, request));
    }

    pub(super) fn check(&self, watcher: &Watcher, kind: WatcherType, path: &str) -> bool {
        let path = path.into();
        self.ask(watcher, WatchRequest::Check(WatchesRequest { path, kind }))
    }

    pub(super) fn remove(&self, watcher: &Watcher, kind: WatcherType, path: &str) -> bool {
        let path = path.into();
        self.ask(watcher, WatchRequest::Remove(WatchesRequest { path, kind }))
    }
}

impl Watcher {
    /// Proves to be a user, whose password is the same.
    pub(super) fn log_in(&self, user: &str) {
        let mut identities = Identities::of([127, 0, 0, 1].into(), None);
        let auth = AuthRequest {
            kind: 0,
            scheme: "digest".into(),
            auth: Some(Bytes::from(format!("{user}:{user}"))),
        };
        assert_eq!(identities.add(&auth, None), Ok(()));
        self.attached.identify(&identities);
    }

    /// The zxid, kind and path of each event so far, in order.
    pub(super) async fn heard(&self) -> Vec<(i64, i32, String)> {
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

    pub(super) async fn heard_kinds(&self) -> Vec<(i32, String)> {
        let heard = self.heard().await;
        heard
            .into_iter()
            .map(|(_, kind, path)| (kind, path))
            .collect()
    }

    pub(super) async fn is_hung_up(&self) -> bool {
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

pub(super) fn create(path: &str) -> Op {
    create_for(path, Acl::open())
}

pub(super) fn create_for(path: &str, acl: Vec<Acl>) -> Op {
    Op::Create {
        path: path.into(),
        data: None,
        acl,
        mode: CreateMode::PERSISTENT,
    }
}

pub(super) fn set(path: &str) -> Op {
    Op::SetData {
        path: path.into(),
        data: None,
        version: -1,
    }
}

pub(super) fn delete(path: &str) -> Op {
    Op::Delete {
        path: path.into(),
        version: -1,
    }
}

pub(super) fn event(kind: EventType, path: &str) -> (i32, String) {
    (kind as i32, path.into())
}
