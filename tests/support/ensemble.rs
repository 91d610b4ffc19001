//! Several members of one ensemble in this process, on real disks and real sockets.

use super::eventually;
use super::links::Links;
use super::tls::{Authority, Issued, install_node};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use zoogate::config::{Config, EnsembleConfig, FreshAcl};
use zoogate::ensemble::offline::{Plan, restore};
use zoogate::ensemble::{Ensemble, MemberFailed, Role, Running, Start, StartError};
use zoogate::net::{PeerTls, TlsFailure};
use zoogate::telemetry::Metrics;
use zoogate::zk::Watches;

/// How often the leader of such an ensemble looks for znodes whose time is up.
const REAP_INTERVAL: Duration = Duration::from_millis(100);

/// An ensemble whose members can be stopped and started.
pub struct Members {
    dir: TempDir,
    addrs: BTreeMap<String, SocketAddr>,
    /// What lies between the members, and where each of them is for the others, if anything does.
    links: Option<Links>,
    fronts: BTreeMap<String, SocketAddr>,
    observers: Vec<String>,
    /// Those that are to be admitted.
    joiners: Vec<String>,
    /// Where the token is kept, if there is one.
    token: Option<PathBuf>,
    snapshot_entries: u64,
    fresh_acl: FreshAcl,
    /// Who certifies the members, if they speak TLS to each other.
    authority: Option<Authority>,
    certificates: BTreeMap<String, Arc<PeerTls>>,
    metrics: BTreeMap<String, Arc<Metrics>>,
    running: BTreeMap<String, (Ensemble, Running)>,
    watches: BTreeMap<String, Arc<Watches>>,
}

/// What lies between the members, besides TCP.
#[derive(Default)]
struct Between {
    authority: Option<Authority>,
    links: Option<Links>,
}

impl Members {
    /// Starts voters `n1`, `n2`, … and waits until all of them serve.
    pub async fn start(voters: usize) -> Members {
        Members::start_with(voters, zoogate::ensemble::SNAPSHOT_ENTRIES).await
    }

    /// As [`Members::start`], with a tree that is closed to everybody.
    pub async fn start_closed(voters: usize) -> Members {
        let entries = zoogate::ensemble::SNAPSHOT_ENTRIES;
        Members::found(voters, entries, FreshAcl::Closed, Between::default()).await
    }

    /// As [`Members::start`], with a snapshot every so many entries.
    pub async fn start_with(voters: usize, snapshot_entries: u64) -> Members {
        Members::found(voters, snapshot_entries, FreshAcl::Open, Between::default()).await
    }

    /// As [`Members::start_with`], with TLS between them.
    pub async fn start_secure(voters: usize, snapshot_entries: u64) -> Members {
        let between = Between {
            authority: Some(Authority::new()),
            ..Between::default()
        };
        Members::found(voters, snapshot_entries, FreshAcl::Open, between).await
    }

    /// As [`Members::start`], with links between them that can be cut.
    pub async fn start_linked(voters: usize) -> Members {
        Members::start_linked_with(voters, zoogate::ensemble::SNAPSHOT_ENTRIES).await
    }

    /// As [`Members::start_linked`], with a snapshot every so many entries.
    pub async fn start_linked_with(voters: usize, snapshot_entries: u64) -> Members {
        let between = Between {
            links: Some(Links::default()),
            ..Between::default()
        };
        Members::found(voters, snapshot_entries, FreshAcl::Open, between).await
    }

    /// Starts voters that are restored from `backup`.
    pub async fn restored(voters: usize, backup: &Path) -> Members {
        let entries = zoogate::ensemble::SNAPSHOT_ENTRIES;
        Members::found_from(
            voters,
            entries,
            FreshAcl::Open,
            Between::default(),
            Some(backup),
        )
        .await
    }

    async fn found(
        voters: usize,
        snapshot_entries: u64,
        fresh_acl: FreshAcl,
        between: Between,
    ) -> Members {
        Members::found_from(voters, snapshot_entries, fresh_acl, between, None).await
    }

    async fn found_from(
        voters: usize,
        snapshot_entries: u64,
        fresh_acl: FreshAcl,
        between: Between,
        backup: Option<&Path>,
    ) -> Members {
        let Between { authority, links } = between;
        let mut members = Members {
            dir: TempDir::new().expect("a temporary directory"),
            addrs: BTreeMap::new(),
            links,
            fronts: BTreeMap::new(),
            observers: Vec::new(),
            joiners: Vec::new(),
            token: None,
            snapshot_entries,
            fresh_acl,
            authority,
            certificates: BTreeMap::new(),
            metrics: BTreeMap::new(),
            running: BTreeMap::new(),
            watches: BTreeMap::new(),
        };
        let mut listeners = BTreeMap::new();
        for number in 1..=voters {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let name = format!("n{number}");
            let addr = listener.local_addr().expect("bound");
            members.addrs.insert(name.clone(), addr);
            if let Some(links) = &mut members.links {
                let front = links.front(number as u64, addr).await;
                members.fronts.insert(name.clone(), front);
            }
            listeners.insert(name, listener);
        }
        if let Some(backup) = backup {
            members.restore(backup).await;
        }
        let starts = listeners.into_iter().map(|(name, listener)| {
            let start = members.start_of(&name, listener);
            async move {
                (
                    name,
                    Ensemble::start(start).await.expect("the member starts"),
                )
            }
        });
        let starts: Vec<_> = starts.collect();
        // Together, because each waits for the others before it founds the ensemble.
        members.running.extend(join_all(starts).await);
        members.all_serve().await;
        members
    }

    /// Makes every voter's data directory out of `backup`.
    async fn restore(&self, backup: &Path) {
        for name in self.addrs.keys() {
            let addresses = self.addrs.iter();
            let plan = Plan {
                file: backup.to_owned(),
                data_dir: self.data_dir(name),
                name: name.clone(),
                members: addresses
                    .map(|(name, addr)| (name.clone(), addr.to_string()))
                    .collect(),
                token: 1,
                bump: 1_000,
            };
            restore(&plan).await.expect("restored");
        }
    }

    /// Knows voters `n1`, `n2`, … that were never started.
    pub async fn listed(voters: usize) -> Members {
        let mut members = Members::start(0).await;
        for number in 1..=voters {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let addr = listener.local_addr().expect("bound");
            members.addrs.insert(format!("n{number}"), addr);
        }
        members
    }

    /// As [`Members::start`], with a token that who joins must know.
    pub async fn start_with_token(voters: usize, token: &str) -> Members {
        let mut members = Members::listed(voters).await;
        members.use_token(token);
        let names: Vec<String> = members.addrs.keys().cloned().collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        members.restart_all(&names).await;
        members.all_serve().await;
        members
    }

    /// What members that are started from now on take for the token.
    pub fn use_token(&mut self, token: &str) {
        let path = self.dir.path().join(token.replace(' ', "-"));
        std::fs::write(&path, token).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("its owner's");
        self.token = Some(path);
    }

    /// Has a node called `name` admitted.
    pub async fn join(&mut self, name: &str) -> Result<(), StartError> {
        let addr = self.addrs.get(name).copied();
        let addr = addr.unwrap_or_else(|| "127.0.0.1:0".parse().expect("an address"));
        let listener = TcpListener::bind(addr).await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        self.addrs.insert(name.into(), addr);
        if !self.joiners.iter().any(|joiner| joiner == name) {
            self.joiners.push(name.into());
        }
        let start = self.start_of(name, listener);
        let started = Ensemble::start(start).await?;
        self.running.insert(name.into(), started);
        Ok(())
    }

    /// Starts stopped members again, all together.
    pub async fn restart_all(&mut self, names: &[&str]) {
        let mut starts = Vec::new();
        for name in names {
            let listener = TcpListener::bind(self.addrs[*name]).await;
            let start = self.start_of(name, listener.expect("its old port"));
            starts.push(async move {
                let started = Ensemble::start(start).await.expect("the member starts");
                (name.to_string(), started)
            });
        }
        self.running.extend(join_all(starts).await);
    }

    /// Starts a stopped member again, which may fail.
    pub async fn try_restart(&mut self, name: &str) -> Result<(), StartError> {
        let listener = TcpListener::bind(self.addrs[name]).await;
        let start = self.start_of(name, listener.expect("its old port"));
        let started = Ensemble::start(start).await?;
        self.running.insert(name.into(), started);
        Ok(())
    }

    /// Waits until a member fails.
    pub async fn failed(&mut self, name: &str) -> MemberFailed {
        let (_, running) = self.running.get_mut(name).expect("it runs");
        running.failed().await
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
        let is_joining = self.joiners.iter().any(|joiner| joiner == name);
        let voters = self
            .addrs
            .iter()
            .filter(|(n, _)| !self.observers.contains(n) && !self.joiners.contains(n));
        let known = |name: &String, addr| *self.fronts.get(name).unwrap_or(addr);
        let mut members: BTreeMap<_, _> = voters
            .map(|(name, addr)| (name.clone(), known(name, addr).to_string()))
            .collect();
        if observer {
            members.insert(name.into(), self.addrs[name].to_string());
        }
        EnsembleConfig {
            listen: self.addrs[name],
            join: match is_joining {
                true => members.values().cloned().collect(),
                false => Vec::new(),
            },
            members: match is_joining {
                true => BTreeMap::new(),
                false => members,
            },
            token_file: self.token.clone(),
            advertise: None,
            observer,
            // Slower than by default: many tests at once make a machine pause.
            heartbeat: Duration::from_millis(100),
            tls: None,
            insecure: false,
        }
    }

    async fn boot(&mut self, name: &str, listener: TcpListener) {
        let start = self.start_of(name, listener);
        let started = Ensemble::start(start).await.expect("the member starts");
        self.running.insert(name.into(), started);
    }

    fn start_of(&mut self, name: &str, listener: TcpListener) -> Start {
        let metrics = Metrics::new(name);
        self.metrics.insert(name.into(), metrics.clone());
        let watches = Watches::new(metrics.clone());
        self.watches.insert(name.into(), watches.clone());
        Start {
            snapshot_entries: self.snapshot_entries,
            fresh_acl: self.fresh_acl,
            client: Some(format!("{name}.example:2181")),
            reap_interval: REAP_INTERVAL,
            name: name.into(),
            data_dir: self.data_dir(name),
            config: Some(self.ensemble_config(name)),
            listener: Some(listener),
            tls: self.certificate(name),
            followers: vec![watches],
            metrics,
        }
    }

    /// What a member starts with; of the authority, unless something was installed before.
    fn certificate(&mut self, name: &str) -> Option<Arc<PeerTls>> {
        let authority = self.authority.as_ref()?;
        if !self.certificates.contains_key(name) {
            let (issued, ca) = (authority.issue_node(name), authority.pem());
            let files = install_node(&self.tls_dir(name), name, &issued, &ca);
            let tls = PeerTls::load(files).expect("a node's certificate");
            self.certificates.insert(name.into(), Arc::new(tls));
        }
        self.certificates.get(name).cloned()
    }

    /// Gives a member another certificate and other authorities, while it runs.
    pub fn certify(&self, name: &str, issued: &Issued, ca: &str) {
        install_node(&self.tls_dir(name), name, issued, ca);
        self.certificates[name].reload().expect("they are good");
    }

    /// Who certifies the members.
    pub fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("they speak TLS")
    }

    /// How many handshakes have failed at a member for this reason.
    pub fn failures(&self, name: &str, reason: TlsFailure) -> u64 {
        let labels = ["ensemble", reason.as_str()];
        let tls = &self.metrics[name].tls;
        tls.failures.with_label_values(&labels).get()
    }

    fn tls_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}-tls"))
    }

    /// Where a member keeps its files.
    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A running member.
    pub fn member(&self, name: &str) -> Ensemble {
        self.running[name].0.clone()
    }

    /// Every running member.
    pub fn all(&self) -> Vec<Ensemble> {
        self.running.values().map(|(e, _)| e.clone()).collect()
    }

    /// The links, of members that were started with some.
    pub fn links(&self) -> &Links {
        self.links.as_ref().expect("started with links")
    }

    /// Where a member listens for the others.
    pub fn addr(&self, name: &str) -> SocketAddr {
        self.addrs[name]
    }

    /// The watches that follow a running member.
    pub fn watches(&self, name: &str) -> Arc<Watches> {
        self.watches[name].clone()
    }

    /// The metrics of a running member.
    pub fn metrics(&self, name: &str) -> Arc<Metrics> {
        self.metrics[name].clone()
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

    /// Waits until every running member has the same tree, whatever is still being written.
    pub async fn agree(&self) {
        let state = |e: &Ensemble| e.read(|tree| (tree.last_zxid(), tree.digest()));
        eventually("equal trees", || {
            let mut states = self.running.values().map(|(e, _)| state(e));
            let first = states.next();
            states.all(|other| Some(other) == first)
        })
        .await;
    }

    /// Waits until every running member has the same tree, which is that of `name` or a later one.
    pub async fn converge(&self, name: &str) {
        let zxid = self.member(name).read(|tree| tree.last_zxid());
        let state = |e: &Ensemble| e.read(|tree| (tree.last_zxid(), tree.digest()));
        eventually("equal digests", || {
            let states: Vec<_> = self.running.values().map(|(e, _)| state(e)).collect();
            states.iter().all(|it| it.0 >= zxid && *it == states[0])
        })
        .await;
    }
}
