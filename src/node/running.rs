//! A running node.

use super::bind::Bound;
use super::certificates;
use super::commands::commands;
use super::error::NodeError;
use crate::admin::{self, AdminState, Health};
use crate::config::Config;
use crate::ensemble::{Ensemble, Running, SNAPSHOT_ENTRIES, Start};
use crate::net::ServerTls;
use crate::proxy::Serving;
use crate::registry::{FileLayer, Registry};
use crate::routing::{RoutingTable, Service};
use crate::telemetry::Metrics;
use crate::zk::{self, Monitor, Watches};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A node with all its parts at work.
pub struct Node {
    config: Config,
    addrs: Addrs,
    ensemble: Ensemble,
    member: Running,
    registry: Arc<Registry>,
    table: Arc<ArcSwap<RoutingTable>>,
    metrics: Arc<Metrics>,
    tls: Option<Arc<ServerTls>>,
    proxy: Serving,
    health: Arc<Health>,
    tasks: JoinSet<&'static str>,
    /// Ends the ZooKeeper side.
    stop_zookeeper: CancellationToken,
    /// Ends what must outlive it, at the latest when the node is dropped.
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
        let metrics = Metrics::new(&config.node.name);
        let watches = Watches::new(metrics.clone());
        let table = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
        let registry = Arc::new(Registry::new(
            file_layer(&config),
            table.clone(),
            metrics.clone(),
        ));
        let (ensemble, member) = Ensemble::start(Start {
            name: config.node.name.clone(),
            data_dir: config.node.data_dir.clone(),
            config: config.ensemble.clone(),
            listener: bound.peers,
            followers: vec![watches.clone(), registry.clone()],
            metrics: metrics.clone(),
            client: config.zookeeper.advertised(addrs.zookeeper),
            reap_interval: config.zookeeper.reap_interval,
            snapshot_entries: SNAPSHOT_ENTRIES,
            fresh_acl: config.zookeeper.fresh_acl,
        })
        .await?;
        // The first table comes from this node's own disk: traffic flows before any leader is known.
        registry.catch_up(&ensemble);
        let proxy = bound.proxy.serve(table.clone(), &metrics);
        let proxy = proxy.map_err(|source| NodeError::System {
            action: "start the data plane",
            source,
        })?;

        let health = Arc::new(Health::default());
        let client = addrs.zookeeper;
        let monitor = Monitor::new(&config, client, ensemble.clone(), watches, metrics.clone());
        let state = AdminState {
            commands: commands(monitor.clone()),
            metrics: metrics.clone(),
            table: table.clone(),
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
            tls: bound.zookeeper.tls.as_ref().map(|(_, tls)| tls.clone()),
            proxy,
            health,
            tasks: JoinSet::new(),
            stop_zookeeper: CancellationToken::new(),
            stop_rest: stop.clone().drop_guard(),
            config,
        };
        let (follower, stop_registry) = (ensemble, stop.clone());
        // On a thread of its own: a large table takes milliseconds to assemble, and heartbeats must not wait for it.
        let runtime = Handle::current();
        node.tasks.spawn_blocking(move || {
            runtime.block_on(registry.follow(&follower, &stop_registry));
            "registry"
        });
        let serving = zk::serve(bound.zookeeper, monitor, node.stop_zookeeper.clone());
        node.spawn("zookeeper", serving);
        node.spawn("admin", admin::serve(bound.admin, state, stop.clone()));
        node.follow_certificates(stop);
        Ok(node)
    }

    /// Keeps the certificate of the ZooKeeper port as new as its files, if it has one.
    fn follow_certificates(&mut self, stop: CancellationToken) {
        let Some(tls) = self.tls.clone() else { return };
        let metrics = self.metrics.clone();
        certificates::note_expiry(&tls, &metrics);
        self.spawn("certificates", async move {
            let told = |reloaded| certificates::note_reload(reloaded, &tls, &metrics);
            stop.run_until_cancelled(tls.clone().follow(told)).await;
        });
    }

    /// Reads the certificate of the ZooKeeper port again, whether its files seem to have changed or not.
    pub fn reload_certificates(&self) {
        if let Some(tls) = &self.tls {
            certificates::note_reload(tls.reload(), tls, &self.metrics);
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
        let in_use = |service: &Arc<Service>| {
            service
                .endpoints
                .iter()
                .filter(|e| e.state.retire_at().is_none())
                .count()
        };
        table.services.get(service).map_or(0, in_use)
    }

    /// Takes a new configuration into use: services and rules change at once, whole; anything that cannot change
    /// while running refuses the configuration and is named.
    pub fn reload(&mut self, new: Config) {
        let conflicts = self.config.reload_conflicts(&new);
        if conflicts.is_empty() {
            self.registry.reload(file_layer(&new));
            self.config = new;
            let coordination = &self.metrics.coordination;
            coordination.settings_reloads.inc();
            coordination
                .settings_ok
                .set(i64::from(self.registry.refused_settings().is_empty()));
            tracing::info!("configuration reloaded");
        } else {
            self.refuse_reload(&conflicts.join("; "));
        }
    }

    /// Notes that a new configuration was refused; the old one stays.
    pub fn refuse_reload(&self, why: &str) {
        self.metrics.coordination.settings_refused.inc();
        self.metrics.coordination.settings_ok.set(0);
        tracing::error!(%why, "configuration refused, the old one stays in force");
    }

    /// Resolves when a critical part has died; the process must then end.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn failed(&mut self) -> NodeError {
        let error = tokio::select! {
            failed = self.member.failed() => NodeError::Failed(failed),
            ended = self.tasks.join_next() => match ended {
                Some(Ok(part)) => NodeError::Ended(part),
                Some(Err(_)) => NodeError::Ended("a panicked task"),
                None => NodeError::Ended("everything"),
            },
        };
        self.health.fail(error.to_string());
        error
    }

    /// Stops in order; exchanges under way have `grace` to finish.
    pub async fn stop(mut self, grace: Duration) {
        self.health.stop();
        self.stop_zookeeper.cancel();
        self.proxy.stop(grace).await;
        self.member.stop().await;
        drop(self.stop_rest);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task had panicked");
            }
        }
    }
}

/// What the registry takes from the file.
fn file_layer(config: &Config) -> FileLayer {
    FileLayer {
        services: config.services.clone(),
        listeners: config.listeners.clone(),
    }
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
