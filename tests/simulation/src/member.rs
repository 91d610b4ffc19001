//! One member: the real log, snapshots, Raft, peers and ZooKeeper port, on a simulated host.

use crate::history::{History, Observer};
use crate::plan::Plan;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use zoogate::config::{Config, EnsembleConfig, FreshAcl, ZookeeperConfig};
use zoogate::ensemble::{Ensemble, Start};
use zoogate::net::TcpListener;
use zoogate::telemetry::Metrics;
use zoogate::zk::{Monitor, Watches, serve};

/// Where members listen for each other.
const PEERS: u16 = 2888;
/// Where they listen for clients.
pub const CLIENTS: u16 = 2181;

/// The address of a host.
pub fn address(host: usize, port: u16) -> String {
    format!("10.0.0.{}:{port}", host + 1)
}

/// How a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// It noticed that it cannot go on.
    Failed(String),
    /// It could not start.
    NotStarted(String),
}

/// What the simulation sees of a member from outside.
pub struct Handle {
    /// The member, once it has started.
    pub ensemble: Option<Ensemble>,
    pub end: Option<End>,
}

/// What a member needs to know.
pub struct Setup {
    pub host: usize,
    pub plan: Plan,
    pub history: History,
    pub stop: CancellationToken,
}

fn ensemble_config(host: usize, plan: &Plan) -> EnsembleConfig {
    let members: BTreeMap<_, _> = (0..plan.members)
        .map(|host| (format!("n{}", host + 1), address(host, PEERS)))
        .collect();
    let listen = address(host, PEERS).parse().expect("an address");
    EnsembleConfig {
        listen,
        members,
        join: Vec::new(),
        token_file: None,
        advertise: None,
        observer: false,
        heartbeat: Duration::from_millis(50),
        tls: None,
        insecure: true,
    }
}

/// Runs a member until it ends.
pub async fn run(setup: Setup, publish: impl FnOnce(&Ensemble)) -> End {
    match start(setup, publish).await {
        Ok(end) => end,
        Err(why) => End::NotStarted(why),
    }
}

async fn start(setup: Setup, publish: impl FnOnce(&Ensemble)) -> Result<End, String> {
    let Setup {
        host,
        plan,
        history,
        stop,
    } = setup;
    let name = format!("n{}", host + 1);
    let data_dir = std::path::PathBuf::from("/data");
    let client: std::net::SocketAddr = address(host, CLIENTS).parse().expect("an address");
    let mut config = Config::parse("", &name).map_err(|e| format!("{e:?}"))?;
    config.node.name = name.clone();
    config.node.data_dir = data_dir.clone();
    config.ensemble = Some(ensemble_config(host, &plan));
    config.zookeeper = ZookeeperConfig {
        session_timeout_min: Duration::from_millis(200),
        ..ZookeeperConfig::at(client)
    };
    let text = |e: std::io::Error| e.to_string();
    let listener = TcpListener::bind(PEERS).map_err(text)?;
    let metrics = Metrics::new(&name);
    let watches = Watches::new(metrics.clone());
    let observer = Arc::new(Observer::new(host, history));
    let started = Ensemble::start(Start {
        name,
        data_dir,
        config: config.ensemble.clone(),
        listener: Some(listener),
        tls: None,
        followers: vec![watches.clone(), observer],
        metrics: metrics.clone(),
        client: Some(client.to_string()),
        reap_interval: Duration::from_secs(1),
        snapshot_entries: plan.snapshot_entries,
        fresh_acl: FreshAcl::Open,
    });
    let (ensemble, mut running) = started.await.map_err(|e| chain(&e))?;
    publish(&ensemble);
    let port = TcpListener::bind(CLIENTS).map_err(text)?;
    let monitor = Monitor::new(&config, client, ensemble.clone(), watches, metrics);
    let closing = CancellationToken::new();
    let serving = tokio::spawn(serve(port, monitor, closing.clone()));
    tokio::select! {
        failed = running.failed() => Ok(End::Failed(failed.to_string())),
        () = stop.cancelled() => {
            closing.cancel();
            drop(ensemble);
            let _ = serving.await;
            running.stop().await;
            Ok(End::Stopped)
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
