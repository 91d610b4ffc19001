//! `zoogate dev`: a whole ensemble with sample services in one process, to try things on.
//!
//! The nodes are the real thing, one by one: own sockets, own disks, real elections between them. Only the
//! process is shared.

use super::bind::Bound;
use super::end;
use super::error::NodeError;
use super::running::{Addrs, Node};
use super::sample::{self, SERVICE};
use super::serve::Signals;
use crate::client::Hosts;
use crate::config::{
    AdminConfig, Config, DEFAULT_HEARTBEAT, EnsembleConfig, ListenerConfig, NodeConfig, Protocol,
    RuleConfig, ServiceName, ZookeeperConfig,
};
use crate::telemetry::init_logs;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long exchanges under way may go on at the end.
const GRACE: Duration = Duration::from_secs(2);
/// Longest wait for the samples to say goodbye, and for the nodes to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How often to look whether all nodes are ready.
const READY_INTERVAL: Duration = Duration::from_millis(20);

/// What `zoogate dev` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevOptions {
    /// Members of the ensemble.
    pub nodes: u16,
    /// Sample upstream servers.
    pub backends: u16,
    /// Where to keep data; a temporary directory, removed at the end, when absent.
    pub data_dir: Option<PathBuf>,
    /// Let the system choose every port.
    pub free_ports: bool,
}

/// Runs a whole ensemble with sample services in this process, until it is told to stop.
///
/// # Errors
/// [`NodeError`] when it cannot start, or when a critical part dies.
pub async fn dev(options: DevOptions) -> Result<(), NodeError> {
    init_logs("dev")?;
    let mut signals = Signals::new()?;
    let dir = DataDir::new(options.data_dir)?;
    let mut nodes = start_nodes(options.nodes, options.free_ports, dir.path()).await?;
    let addrs: Vec<Addrs> = nodes.iter().map(|node| node.addrs().clone()).collect();
    let hosts: Vec<String> = addrs
        .iter()
        .map(|addrs| addrs.zookeeper.to_string())
        .collect();
    let hosts: Hosts = hosts.join(",").parse().expect("socket addresses are hosts");
    let stop_samples = CancellationToken::new();
    let mut samples = JoinSet::new();
    for number in 1..=options.backends {
        samples.spawn(sample::run(
            format!("sample-{number}"),
            hosts.clone(),
            stop_samples.clone(),
        ));
    }

    let mut greeted = false;
    let ran = loop {
        tokio::select! {
            error = any_failed(&mut nodes) => {
                end::at_the_latest(end::code(&error));
                break Err(error);
            }
            () = signals.stop() => break Ok(()),
            () = tokio::time::sleep(READY_INTERVAL), if !greeted => {
                greeted = all_ready(&nodes, usize::from(options.backends));
                if greeted && let Err(error) = print(&welcome(&addrs, options.backends, &dir)) {
                    break Err(error);
                }
            }
        }
    };
    stop_samples.cancel();
    let stop = async {
        while samples.join_next().await.is_some() {}
        futures_util::future::join_all(nodes.into_iter().map(|node| node.stop(GRACE))).await;
    };
    if tokio::time::timeout(STOP_TIMEOUT, stop).await.is_err() {
        tracing::warn!("not everything stopped within {STOP_TIMEOUT:?}");
    }
    ran
}

/// Where the nodes keep their data.
enum DataDir {
    /// The user's; stays.
    Kept(PathBuf),
    /// Ours; removed at the end.
    Temporary(TempDir),
}

impl DataDir {
    fn new(kept: Option<PathBuf>) -> Result<DataDir, NodeError> {
        let system = |source| NodeError::System {
            action: "make a temporary directory",
            source,
        };
        match kept {
            Some(dir) => Ok(DataDir::Kept(dir)),
            None => TempDir::with_prefix("zoogate-dev-")
                .map(DataDir::Temporary)
                .map_err(system),
        }
    }

    fn path(&self) -> &Path {
        match self {
            DataDir::Kept(dir) => dir,
            DataDir::Temporary(dir) => dir.path(),
        }
    }
}

/// Binds all nodes first, because each must know the others' addresses, then starts them.
async fn start_nodes(count: u16, free_ports: bool, dir: &Path) -> Result<Vec<Node>, NodeError> {
    let mut bound = Vec::new();
    for index in 0..count {
        let config = node_config(index, free_ports, dir);
        bound.push((Bound::bind(&config).await?, config));
    }
    let address = |bound: &Bound| bound.peer_addr().map(|addr| addr.to_string());
    let members: BTreeMap<String, String> = bound
        .iter()
        .filter_map(|(b, config)| Some((config.node.name.clone(), address(b)?)))
        .collect();
    // Together, because each waits for the others before it founds the ensemble.
    let starting = bound.into_iter().map(|(bound, mut config)| {
        if let Some(ensemble) = &mut config.ensemble {
            ensemble.members = members.clone();
        }
        async {
            let node = Node::start(config, bound).await?;
            node.end_process_when_stalled();
            Ok(node)
        }
    });
    futures_util::future::try_join_all(starting).await
}

fn node_config(index: u16, free_ports: bool, dir: &Path) -> Config {
    let at = |port| local(port + index, free_ports);
    let name = format!("n{}", index + 1);
    let service = ServiceName::new(SERVICE).expect("a valid name");
    let listener = |name: &str, bind, protocol| ListenerConfig {
        rules: vec![RuleConfig {
            sni: None,
            host: None,
            path: None,
            service: service.clone(),
        }],
        ..ListenerConfig::new(name, bind, protocol)
    };
    Config {
        node: NodeConfig {
            name: name.clone(),
            zone: None,
            data_dir: dir.join(name),
            workers: 1,
            source_addresses: Vec::new(),
            access_log: None,
            reserved_descriptors: None,
        },
        ensemble: Some(EnsembleConfig {
            listen: at(2888),
            members: BTreeMap::new(),
            join: Vec::new(),
            token_file: None,
            advertise: None,
            observer: false,
            heartbeat: DEFAULT_HEARTBEAT,
            tls: None,
            insecure: false,
        }),
        zookeeper: ZookeeperConfig::at(at(2181)),
        admin: AdminConfig {
            listen: at(9180),
            token_file: None,
            tls: None,
            insecure: false,
        },
        listeners: vec![
            listener("http", at(8080), Protocol::Http),
            listener("tcp", at(9080), Protocol::Tcp),
        ],
        services: BTreeMap::new(),
    }
}

/// A loopback address with the usual port, or with any free one if that is taken or `free` is asked for.
fn local(port: u16, free: bool) -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let taken = || std::net::TcpListener::bind(usual).is_err();
    if free || taken() {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    } else {
        usual
    }
}

/// Whether every node routes to every sample.
fn all_ready(nodes: &[Node], samples: usize) -> bool {
    nodes
        .iter()
        .all(|node| node.endpoints(SERVICE) >= samples && *node.ensemble().serving().borrow())
}

async fn any_failed(nodes: &mut [Node]) -> NodeError {
    let failures = nodes.iter_mut().map(|node| Box::pin(node.failed()));
    futures_util::future::select_all(failures).await.0
}

fn welcome(addrs: &[Addrs], samples: u16, dir: &DataDir) -> String {
    let mut text = String::new();
    let kept = match dir {
        DataDir::Kept(dir) => format!("data in {}, kept", dir.display()),
        DataDir::Temporary(dir) => format!("data in {}, removed at the end", dir.path().display()),
    };
    let program =
        std::env::current_exe().map_or("zoogate".into(), |path| path.display().to_string());
    let listener = |addrs: &Addrs, name| {
        addrs
            .listeners
            .get(name)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "Zoogate: {} nodes, {samples} sample servers; {kept}\n",
        addrs.len()
    );
    let _ = writeln!(
        text,
        "{:<6}{:<18}{:<18}{:<18}admin",
        "node", "zookeeper", "http", "tcp"
    );
    for (number, node) in (1..).zip(addrs) {
        let (http, tcp) = (listener(node, "http"), listener(node, "tcp"));
        let name = format!("n{number}");
        let _ = writeln!(
            text,
            "{name:<6}{:<18}{http:<18}{tcp:<18}http://{}/",
            node.zookeeper.to_string(),
            node.admin
        );
    }
    let first = &addrs[0];
    let (http, zookeeper) = (listener(first, "http"), first.zookeeper);
    let _ = write!(
        text,
        "\nNow try, in another terminal:\n\
         \x20 curl http://{http}/          # which sample answers? ask again\n\
         \x20 {program} zk --server {zookeeper} ls /services/{SERVICE}\n\
         \x20 {program} zk --server {zookeeper} create -p /zoogate/config/services/{SERVICE} 'strategy = \"consistent-hash\"'\n\
         Ctrl-C stops everything.\n"
    );
    text
}

fn print(text: &str) -> Result<(), NodeError> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| NodeError::System {
        action: "write to standard output",
        source,
    })
}
