//! A running node.

use super::bind::Bound;
use super::certificates::Certificates;
use super::commands::commands;
use super::end;
use super::error::NodeError;
use super::reload::{LeavingListeners, file_layer};
use crate::admin::{self, AdminState, Door, Health};
use crate::config::Config;
use crate::ensemble::{Ensemble, Running, SNAPSHOT_ENTRIES, Start};
use crate::net::Secret;
use crate::proxy::{Ledger, Proxy, Serving};
use crate::registry::Registry;
use crate::routing::{RoutingTable, Service};
use crate::telemetry::{AccessLog, Metrics, doomed};
use crate::upstream;
use crate::zk::{self, Monitor, Watches};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long the part that has panicked is waited for to be named: it takes moments.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Threads that may wait for the resolver for probes at once; the rest of their look-ups queue. Each costs a stack.
const RESOLVER_THREADS: usize = 4;

/// How long the last access lines are waited for when the node stops: whoever reads them gets that much.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A node with all its parts at work.
pub struct Node {
    pub(super) config: Config,
    pub(super) addrs: Addrs,
    pub(super) ensemble: Ensemble,
    member: Running,
    pub(super) registry: Arc<Registry>,
    table: Arc<ArcSwap<RoutingTable>>,
    pub(super) metrics: Arc<Metrics>,
    certificates: Certificates,
    pub(super) proxy: Serving,
    ledger: Arc<Ledger>,
    /// Listeners that are no more and have connections yet.
    pub(super) leaving: LeavingListeners,
    health: Arc<Health>,
    tasks: JoinSet<&'static str>,
    /// Ends the ZooKeeper side.
    stop_zookeeper: CancellationToken,
    /// Ends what must outlive it.
    stop: CancellationToken,
    /// Does so at the latest when the node is dropped.
    stop_rest: DropGuard,
}

/// Where a node listens, with the ports the kernel chose.
#[derive(Clone, Debug)]
pub struct Addrs {
    /// ZooKeeper clients.
    pub zookeeper: SocketAddr,
    /// ZooKeeper clients with TLS.
    pub zookeeper_tls: Option<SocketAddr>,
    /// Operators.
    pub admin: SocketAddr,
    /// Traffic, by listener.
    pub listeners: BTreeMap<String, SocketAddr>,
}

impl Node {
    /// Starts everything on bound sockets.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(config: Config, bound: Bound) -> Result<Node, NodeError> {
        let addrs = addrs(&bound)?;
        let token = admin_token(&config)?;
        let metrics = Metrics::new(&config.node.name);
        let watches = Watches::new(metrics.clone());
        let table = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
        let registry = Arc::new(Registry::new(
            file_layer(&config, &[]),
            table.clone(),
            metrics.clone(),
        ));
        let start = Start {
            listener: bound.peers,
            tls: bound.certificates.ensemble.clone(),
            followers: vec![watches.clone(), registry.clone()],
            ..member_of(&config, &addrs, &metrics)
        };
        let (ensemble, member) = Ensemble::start(start).await?;
        // The first table comes from this node's own disk: traffic flows before any leader is known.
        registry.catch_up(&ensemble);
        let ledger = ledger(&config, &metrics)?;
        let proxy = bound.proxy.recording(ledger.clone());
        let proxy = serve_traffic(proxy, &table, &metrics)?;
        let health = Arc::new(Health::default());
        let client = addrs.zookeeper;
        let monitor = Monitor::new(&config, client, ensemble.clone(), watches, metrics.clone());
        let state = AdminState {
            commands: commands(monitor.clone()),
            token,
            metrics: metrics.clone(),
            table: table.clone(),
            registry: registry.clone(),
            ensemble: ensemble.clone(),
            health: health.clone(),
        };
        let stop = CancellationToken::new();
        let mut node = Node {
            addrs,
            ensemble: ensemble.clone(),
            member,
            registry: registry.clone(),
            table,
            metrics: metrics.clone(),
            certificates: bound.certificates.clone(),
            proxy,
            ledger,
            leaving: LeavingListeners::default(),
            health,
            tasks: JoinSet::new(),
            stop_zookeeper: CancellationToken::new(),
            stop: stop.clone(),
            stop_rest: stop.clone().drop_guard(),
            config,
        };
        node.watch_over_endpoints(&stop)?;
        node.follow_tree(ensemble, &stop);
        let serving = zk::serve(bound.zookeeper, monitor, node.stop_zookeeper.clone());
        node.spawn("zookeeper", serving);
        let (listener, tls) = (bound.admin, bound.certificates.admin);
        node.spawn(
            "admin",
            admin::serve(Door { listener, tls }, state, stop.clone()),
        );
        node.follow_fronts();
        node.follow_certificates(stop);
        Ok(node)
    }

    /// Keeps the table up with the tree, on a thread of its own: a large table takes milliseconds to assemble, and
    /// heartbeats must not wait for it.
    fn follow_tree(&mut self, ensemble: Ensemble, stop: &CancellationToken) {
        let (registry, stop) = (Arc::clone(&self.registry), stop.clone());
        let runtime = Handle::current();
        self.tasks.spawn_blocking(move || {
            runtime.block_on(registry.follow(&ensemble, &stop));
            "registry"
        });
    }

    /// Probes endpoints, on a thread of its own: thousands of probes a second must cost neither traffic nor heartbeats
    /// anything.
    fn watch_over_endpoints(&mut self, stop: &CancellationToken) -> Result<(), NodeError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(RESOLVER_THREADS)
            .build()
            .map_err(|source| NodeError::System {
                action: "start the thread for probes",
                source,
            })?;
        let registry = Arc::clone(&self.registry);
        let health = upstream::health::Health {
            source_addresses: self.config.node.source_addresses.clone(),
            table: Arc::clone(&self.table),
            swaps: registry.swaps(),
            bell: registry.bell(),
            changed: Arc::new(move |service| registry.changed(service)),
        };
        let stop = stop.clone();
        self.tasks.spawn_blocking(move || {
            runtime.block_on(health.run(&stop));
            "health"
        });
        Ok(())
    }

    /// Has the certificates followed that listeners show now.
    pub(super) fn follow_fronts(&self) {
        let fronts = self.proxy.certificates();
        self.certificates.traffic.send_replace(fronts);
    }

    /// Keeps certificates as new as their files, and the log aware of what is not secure.
    fn follow_certificates(&mut self, stop: CancellationToken) {
        let (certificates, metrics) = (self.certificates.clone(), self.metrics.clone());
        let config = self.config.clone();
        self.spawn("certificates", async move {
            let following = certificates.clone().follow(&metrics);
            let reminding = certificates.remind(config, &metrics);
            let both = async { tokio::join!(following, reminding) };
            stop.run_until_cancelled(both).await;
        });
    }

    /// Reads all certificates again, whether their files seem to have changed or not.
    pub fn reload_certificates(&self) {
        self.certificates.reload(&self.metrics);
    }

    /// Has the process end when a critical part stands still for too long, even if nobody can wait for
    /// [`Node::failed`] any more.
    pub(super) fn end_process_when_stalled(&self) {
        let (health, close) = (self.health.clone(), self.closer());
        self.member.end_when_stalled(move |failed| {
            health.fail(failed.to_string());
            end::now(failed, &close);
        });
    }

    /// What has every socket closed that somebody could take for a sign of life; for any thread.
    fn closer(&self) -> impl Fn() + Send + Sync + use<> {
        let (zookeeper, rest) = (self.stop_zookeeper.clone(), self.stop.clone());
        let traffic = self.proxy.stopper();
        move || {
            zookeeper.cancel();
            rest.cancel();
            traffic();
        }
    }

    fn spawn(&mut self, part: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            task.await;
            part
        });
    }

    /// Where it listens.
    pub fn addrs(&self) -> &Addrs {
        &self.addrs
    }

    /// This node's member of the ensemble.
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// How many endpoints of a service get traffic here.
    pub fn endpoints(&self, service: &str) -> usize {
        let table = self.table.load();
        let in_use = |service: &Arc<Service>| service.balancer.endpoints().len();
        table.services.get(service).map_or(0, in_use)
    }

    /// Resolves when a critical part has died; the process must then end.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn failed(&mut self) -> NodeError {
        let panicked = async {
            doomed().await;
            // Whatever ended with it knows more than this.
            sleep(LAST_WORDS).await;
        };
        tokio::pin!(panicked);
        let error = loop {
            tokio::select! {
                () = &mut panicked => break NodeError::Panicked,
                failed = self.member.failed() => break NodeError::Failed(failed),
                () = self.proxy.failed() => break NodeError::Ended("a traffic worker"),
                Some(Ok(gone)) = self.leaving.drained() => self.forget(&gone),
                ended = self.tasks.join_next() => break match ended {
                    Some(Ok(part)) => NodeError::Ended(part),
                    Some(Err(_)) => NodeError::Panicked,
                    None => NodeError::Ended("everything"),
                },
            }
        };
        tracing::error!(%error, "a critical part has died");
        self.health.fail(error.to_string());
        // While this thread still runs tasks: it may soon wait for one that a hanging disk holds.
        self.closer()();
        sleep(end::CLOSING_TIME).await;
        error
    }

    /// Stops in order; exchanges under way have `grace` to finish.
    pub async fn stop(mut self, grace: Duration) {
        self.health.stop();
        self.stop_zookeeper.cancel();
        self.proxy.stop(grace).await;
        self.ledger.finish(LAST_LINES).await;
        self.member.stop().await;
        drop(self.stop_rest);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task had panicked");
            }
        }
    }
}

/// The access log, if there is to be one.
fn ledger(config: &Config, metrics: &Metrics) -> Result<Arc<Ledger>, NodeError> {
    let Some(format) = config.node.access_log else {
        return Ok(Ledger::closed());
    };
    let log = AccessLog::start(io::stdout(), metrics.access_log_dropped.clone());
    let log = log.map_err(|source| NodeError::System {
        action: "start the access log",
        source,
    })?;
    Ok(Ledger::open(&config.node.name, format, log))
}

fn serve_traffic(
    proxy: Proxy,
    table: &Arc<ArcSwap<RoutingTable>>,
    metrics: &Arc<Metrics>,
) -> Result<Serving, NodeError> {
    let serving = proxy.serve(table.clone(), metrics);
    serving.map_err(|source| NodeError::System {
        action: "start the data plane",
        source,
    })
}

/// What who changes something through the admin port must show.
fn admin_token(config: &Config) -> Result<Option<Arc<Secret>>, NodeError> {
    let token = config.admin.token_file.as_deref().map(Secret::load);
    Ok(token.transpose()?.map(Arc::new))
}

fn addrs(bound: &Bound) -> Result<Addrs, NodeError> {
    let system = |source| NodeError::System {
        action: "read a bound address",
        source,
    };
    Ok(Addrs {
        zookeeper: bound.zookeeper.plain.local_addr().map_err(system)?,
        zookeeper_tls: match &bound.zookeeper.tls {
            Some((listener, _)) => Some(listener.local_addr().map_err(system)?),
            None => None,
        },
        admin: bound.admin.local_addr().map_err(system)?,
        listeners: bound.proxy.local_addrs().clone(),
    })
}

/// What the configuration says of this node's member of the ensemble.
fn member_of(config: &Config, addrs: &Addrs, metrics: &Arc<Metrics>) -> Start {
    Start {
        name: config.node.name.clone(),
        data_dir: config.node.data_dir.clone(),
        config: config.ensemble.clone(),
        listener: None,
        tls: None,
        followers: Vec::new(),
        metrics: metrics.clone(),
        client: config.zookeeper.advertised(addrs.zookeeper),
        reap_interval: config.zookeeper.reap_interval,
        snapshot_entries: SNAPSHOT_ENTRIES,
        fresh_acl: config.zookeeper.fresh_acl,
    }
}
