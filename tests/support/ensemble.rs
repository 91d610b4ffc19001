//! Several members of one ensemble in this process, on real disks and real sockets.

use super::{PATIENCE, eventually};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;
use zoogate::config::{Config, EnsembleConfig, FreshAcl};
use zoogate::ensemble::{Applied, Ensemble, Role, Running, Start};
use zoogate::telemetry::Metrics;
use zoogate::tree::{Acl, Actor, Command, CreateMode, ErrorCode, Op, Reply, SessionId, Zxid};
use zoogate::zk::Watches;

/// How often the leader of such an ensemble looks for znodes whose time is up.
const REAP_INTERVAL: Duration = Duration::from_millis(100);

/// An ensemble whose members can be stopped and started.
pub struct Members {
    dir: TempDir,
    addrs: BTreeMap<String, SocketAddr>,
    observers: Vec<String>,
    snapshot_entries: u64,
    fresh_acl: FreshAcl,
    running: BTreeMap<String, (Ensemble, Running)>,
    watches: BTreeMap<String, Arc<Watches>>,
}

impl Members {
    /// Starts voters `n1`, `n2`, … and waits until all of them serve.
    pub async fn start(voters: usize) -> Members {
        Members::start_with(voters, zoogate::ensemble::SNAPSHOT_ENTRIES).await
    }

    /// As [`Members::start`], with a tree that is closed to everybody.
    pub async fn start_closed(voters: usize) -> Members {
        let entries = zoogate::ensemble::SNAPSHOT_ENTRIES;
        Members::found(voters, entries, FreshAcl::Closed).await
    }

    /// As [`Members::start`], with a snapshot every so many entries.
    pub async fn start_with(voters: usize, snapshot_entries: u64) -> Members {
        Members::found(voters, snapshot_entries, FreshAcl::Open).await
    }

    async fn found(voters: usize, snapshot_entries: u64, fresh_acl: FreshAcl) -> Members {
        let mut members = Members {
            dir: TempDir::new().expect("a temporary directory"),
            addrs: BTreeMap::new(),
            observers: Vec::new(),
            snapshot_entries,
            fresh_acl,
            running: BTreeMap::new(),
            watches: BTreeMap::new(),
        };
        let mut listeners = BTreeMap::new();
        for number in 1..=voters {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let name = format!("n{number}");
            members
                .addrs
                .insert(name.clone(), listener.local_addr().expect("bound"));
            listeners.insert(name, listener);
        }
        for (name, listener) in listeners {
            members.boot(&name, listener).await;
        }
        members.all_serve().await;
        members
    }

    /// Starts an observer called `name` and waits until it serves.
    pub async fn observe(&mut self, name: &str) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.addrs
            .insert(name.into(), listener.local_addr().expect("bound"));
        self.observers.push(name.into());
        self.boot(name, listener).await;
        self.all_serve().await;
    }

    /// Starts a stopped member again, on its old address and disk.
    pub async fn restart(&mut self, name: &str) {
        let listener = TcpListener::bind(self.addrs[name])
            .await
            .expect("its old port");
        self.boot(name, listener).await;
    }

    /// Stops a member in order.
    pub async fn stop(&mut self, name: &str) {
        let (ensemble, running) = self.running.remove(name).expect("it runs");
        drop(ensemble);
        running.stop().await;
    }

    /// The configuration of a member.
    pub fn config(&self, name: &str) -> Config {
        let mut config = Config::parse("", name).expect("defaults");
        config.node.name = name.into();
        config.node.data_dir = self.data_dir(name);
        config.ensemble = Some(self.ensemble_config(name));
        config
    }

    fn ensemble_config(&self, name: &str) -> EnsembleConfig {
        let observer = self.observers.iter().any(|o| o == name);
        let voters = self
            .addrs
            .iter()
            .filter(|(n, _)| !self.observers.contains(n));
        let mut members: BTreeMap<_, _> = voters.map(|(n, a)| (n.clone(), a.to_string())).collect();
        if observer {
            members.insert(name.into(), self.addrs[name].to_string());
        }
        EnsembleConfig {
            listen: self.addrs[name],
            members,
            observer,
            // Slower than by default: many tests at once make a machine pause.
            heartbeat: Duration::from_millis(100),
        }
    }

    async fn boot(&mut self, name: &str, listener: TcpListener) {
        let metrics = Metrics::new(name);
        let watches = Watches::new(metrics.clone());
        self.watches.insert(name.into(), watches.clone());
        let start = Start {
            snapshot_entries: self.snapshot_entries,
            fresh_acl: self.fresh_acl,
            client: Some(format!("{name}.example:2181")),
            reap_interval: REAP_INTERVAL,
            name: name.into(),
            data_dir: self.data_dir(name),
            config: Some(self.ensemble_config(name)),
            listener: Some(listener),
            followers: vec![watches],
            metrics,
        };
        let started = Ensemble::start(start).await.expect("the member starts");
        self.running.insert(name.into(), started);
    }

    /// Where a member keeps its files.
    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How many snapshots a member keeps.
    pub fn snapshot_files(&self, name: &str) -> usize {
        let files = std::fs::read_dir(self.data_dir(name)).expect("its directory");
        let names = files.map(|file| file.expect("readable").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("snap-"))
            .count()
    }

    /// A running member.
    pub fn member(&self, name: &str) -> Ensemble {
        self.running[name].0.clone()
    }

    /// Every running member.
    pub fn all(&self) -> Vec<Ensemble> {
        self.running.values().map(|(e, _)| e.clone()).collect()
    }

    /// Where a member listens for the others.
    pub fn addr(&self, name: &str) -> SocketAddr {
        self.addrs[name]
    }

    /// The watches that follow a running member.
    pub fn watches(&self, name: &str) -> Arc<Watches> {
        self.watches[name].clone()
    }

    /// Waits until every running member serves.
    pub async fn all_serve(&self) {
        eventually("every member serves", || {
            self.running.values().all(|(e, _)| *e.serving().borrow())
        })
        .await;
    }

    /// Name of the member that leads.
    pub async fn leader(&self) -> String {
        let leads = || {
            self.running
                .iter()
                .find(|(_, (e, _))| e.status().role == Role::Leader)
        };
        eventually("a leader", || leads().is_some()).await;
        leads().map(|(name, _)| name.clone()).expect("just seen")
    }

    /// Name of a running voter that does not lead.
    pub async fn follower(&self) -> String {
        let leader = self.leader().await;
        let mut voters = self.running.keys().filter(|n| !self.observers.contains(n));
        voters
            .find(|n| **n != leader)
            .cloned()
            .expect("more than one voter")
    }

    /// Waits until every running member has the same tree as `name` has now.
    pub async fn converge(&self, name: &str) {
        let zxid = self.member(name).read(|tree| tree.last_zxid());
        let digest = self.member(name).read(|tree| tree.digest());
        let same =
            |e: &Ensemble| e.read(|tree| tree.last_zxid() >= zxid && tree.digest() == digest);
        eventually("equal digests", || {
            self.running.values().all(|(e, _)| same(e))
        })
        .await;
    }
}

/// An open session, as the owner of writes.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its attachment.
    pub attachment: Zxid,
}

impl Session {
    /// Opens a session through `member`.
    pub async fn open(member: &Ensemble, timeout: Duration) -> Session {
        let timeout_ms = timeout.as_millis() as u32;
        let command = Command::OpenSession {
            member: member.member(),
            password: [7; 16],
            timeout_ms,
        };
        let applied = propose(member, Actor::Ensemble, command).await;
        match applied.result {
            Ok(Reply::Session { id, .. }) => Session {
                id,
                attachment: applied.zxid,
            },
            other => panic!("opening a session gave {other:?}"),
        }
    }

    /// This session as an actor.
    pub fn actor(&self) -> Actor {
        Actor::Session {
            id: self.id,
            attachment: self.attachment,
            identities: [].into(),
        }
    }

    /// Creates a znode.
    pub async fn create(&self, member: &Ensemble, path: &str, ephemeral: bool) -> Applied {
        propose(member, self.actor(), create(path, ephemeral)).await
    }

    /// Creates a znode, trying again whenever the outcome stays unknown because leaders change.
    pub async fn insist_on(&self, member: &Ensemble, path: &str, ephemeral: bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let command = create(path, ephemeral);
            let pending = member
                .propose(self.actor(), command)
                .await
                .expect("proposed");
            match pending.await.map(|applied| applied.result) {
                Ok(Ok(_) | Err(ErrorCode::NodeExists)) => return,
                Ok(Err(refused)) => panic!("creating {path} was refused: {refused}"),
                Err(unknown) => assert!(Instant::now() < deadline, "creating {path}: {unknown}"),
            }
        }
    }
}

fn create(path: &str, ephemeral: bool) -> Command {
    let mode = match ephemeral {
        true => CreateMode::EPHEMERAL,
        false => CreateMode::PERSISTENT,
    };
    Command::One(Op::Create {
        path: path.into(),
        data: Some(Bytes::from_static(b"data")),
        acl: Acl::open(),
        mode,
    })
}

/// Proposes and waits for the outcome.
pub async fn propose(member: &Ensemble, actor: Actor, command: Command) -> Applied {
    let pending = member.propose(actor, command).await.expect("proposed");
    pending.await.expect("the outcome is known")
}
