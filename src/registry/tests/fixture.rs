//! A tree whose changes a registry follows.

use crate::balance::Endpoint;
use crate::config::{ListenerConfig, Protocol, RuleConfig, ServiceName, ServiceSettings};
use crate::ensemble::Follower;
use crate::registry::{FileLayer, Registry};
use crate::routing::{RoutingTable, Service};
use crate::telemetry::Metrics;
use crate::tree::{Acl, Actor, Command, CreateMode, Op, SessionId, Transaction, Tree, Zxid};
use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

pub(super) struct World {
    pub(super) tree: Mutex<Tree>,
    pub(super) registry: Registry,
    pub(super) metrics: Arc<Metrics>,
    table: Arc<ArcSwap<RoutingTable>>,
}

impl World {
    /// A tree without services, already caught up with.
    pub(super) fn new(file: FileLayer) -> World {
        let (table, metrics) = (Arc::default(), Metrics::new("n1"));
        let world = World {
            tree: Mutex::new(Tree::new()),
            registry: Registry::new(file, Arc::clone(&table), Arc::clone(&metrics)),
            metrics,
            table,
        };
        world.catch_up();
        world
    }

    /// Writes a znode and what is missing above it, without letting the registry catch up.
    pub(super) fn put(&self, path: &str, data: &str) {
        let above = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]);
        for parent in above {
            if self.tree.lock().get(parent).is_none() {
                self.apply(create(parent, ""));
            }
        }
        let exists = self.tree.lock().get(path).is_some();
        self.apply(if exists {
            Op::SetData {
                path: path.into(),
                data: Some(bytes(data)),
                version: -1,
            }
        } else {
            create(path, data)
        });
    }

    /// Deletes a znode, without letting the registry catch up.
    pub(super) fn delete(&self, path: &str) {
        self.apply(Op::Delete {
            path: path.into(),
            version: -1,
        });
    }

    fn apply(&self, op: Op) {
        self.perform(Actor::Ensemble, Command::One(op));
    }

    fn perform(&self, actor: Actor, command: Command) -> Zxid {
        let mut tree = self.tree.lock();
        let zxid = Zxid(tree.last_zxid().0 + 1);
        let transaction = Transaction {
            time_ms: 0,
            actor,
            command,
        };
        let outcome = tree.apply(zxid, &transaction);
        assert!(outcome.result.is_ok(), "{transaction:?}: {outcome:?}");
        self.registry.applied(&tree, zxid, &outcome.events);
        zxid
    }

    /// Registers an instance of `web` for as long as a new session lives, and catches up.
    pub(super) fn register_for_session(&self, instance: &str) -> SessionId {
        let opening = Command::OpenSession {
            member: 1,
            password: [0; 16],
            timeout_ms: 4000,
        };
        let attachment = self.perform(Actor::Ensemble, opening);
        let id = SessionId::new(1, attachment);
        let actor = Actor::Session {
            id,
            attachment,
            identities: Arc::new([]),
        };
        let op = Op::Create {
            path: format!("/services/web/{instance}").into(),
            data: Some(bytes("10.0.0.7:80")),
            acl: Acl::open(),
            mode: CreateMode::EPHEMERAL,
        };
        self.perform(actor, Command::One(op));
        self.catch_up();
        id
    }

    /// Ends a session, as its client does or the leader, and catches up.
    pub(super) fn end(&self, session: SessionId, is_expired: bool) {
        let attachment = Zxid(session.0 as u64 & 0xff_ffff);
        let attachment = is_expired.then_some(attachment);
        let closing = Command::CloseSession {
            session,
            attachment,
        };
        self.perform(Actor::Ensemble, closing);
        self.catch_up();
    }

    pub(super) fn catch_up(&self) -> Arc<RoutingTable> {
        self.registry.catch_up_by(&|look| look(&self.tree.lock()));
        self.table()
    }

    pub(super) fn table(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// Writes a registration of `web` and catches up.
    pub(super) fn register(&self, instance: &str, data: &str) -> Arc<Service> {
        self.put(&format!("/services/web/{instance}"), data);
        self.web()
    }

    /// Deletes a registration of `web` and catches up.
    pub(super) fn unregister(&self, instance: &str) -> Arc<Service> {
        self.delete(&format!("/services/web/{instance}"));
        self.web()
    }

    /// Writes the settings of `web` in the tree and catches up.
    pub(super) fn set(&self, settings: &str) -> Arc<Service> {
        self.put("/zoogate/config/services/web", settings);
        self.web()
    }

    /// The service `web`, caught up with.
    pub(super) fn web(&self) -> Arc<Service> {
        Arc::clone(self.catch_up().service("web").unwrap())
    }
}

fn create(path: &str, data: &str) -> Op {
    Op::Create {
        path: path.into(),
        data: Some(bytes(data)),
        acl: Acl::open(),
        mode: CreateMode::PERSISTENT,
    }
}

fn bytes(data: &str) -> Bytes {
    Bytes::copy_from_slice(data.as_bytes())
}

pub(super) fn name(service: &str) -> ServiceName {
    ServiceName::new(service).unwrap()
}

/// A file that only has settings for `web`.
pub(super) fn file(web: &str) -> FileLayer {
    let settings = ServiceSettings::parse(web, "zoogate.toml").unwrap();
    FileLayer {
        services: [(name("web"), settings)].into(),
        listeners: Vec::new(),
    }
}

/// A listener `front` with one rule.
pub(super) fn listener(host: Option<&str>, service: &str) -> ListenerConfig {
    ListenerConfig {
        rules: vec![RuleConfig {
            sni: None,
            host: host.map(String::from),
            path: None,
            service: name(service),
        }],
        ..ListenerConfig::new("front", "127.0.0.1:0".parse().unwrap(), Protocol::Http)
    }
}

/// `instance address weight`, for each endpoint.
pub(super) fn shown(endpoints: &[Arc<Endpoint>]) -> Vec<String> {
    let show = |e: &Arc<Endpoint>| format!("{} {} {}", e.instance, e.address, e.weight);
    endpoints.iter().map(show).collect()
}
