//! What the user wrote, what it means, and every limit with its reason.
//!
//! ```text
//! zoogate.toml --> file/ --+--> Config                       once at start, again on SIGHUP if nothing conflicts
//!                  walk    |
//!  a service's     report  +--> ServiceSettings (one layer)  whenever the tree changes
//!  znode --------> words   +--> ConfigErrors                 all errors, each with line and column
//!
//! built-in < file < tree:  ServicePolicy::default().overlaid(file).overlaid(tree)
//! ```
//! A text is valid as a whole or changes nothing. What is valid is a [`Config`], and nothing behind this door checks
//! again. Unknown keys are errors: a misspelt timeout that is silently ignored shows itself only in an outage.

mod error;
mod exposure;
mod file;
mod health;
pub mod limits;
mod name;
mod reload;
mod report;
mod service;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod walk;
mod warning;
mod words;
mod zookeeper;

pub use error::{ConfigError, ConfigErrors};
pub use health::{Check, Outlier, Probe};
pub use name::{NameError, ServiceName};
pub use service::{
    HashKey, OnEmpty, Origin, SendProxy, ServicePolicy, ServiceSettings, StaticEndpoint, Strategy,
};
pub use socket::{Keepalive, ListenerSocket};
pub use tls::{
    AdminTls, CertificateFiles, ClientCertificate, DEFAULT_TRUST_DOMAIN, EnsembleTls, ListenerTls,
    TlsVersion, ZookeeperTls,
};
pub use words::closest as closest_name;
pub use zookeeper::{FourLetterWords, FreshAcl, ZookeeperConfig};

use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// `node.data_dir` when not set.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/zoogate";

/// `ensemble.heartbeat` when not set: a dead leader is replaced within half a second, at twenty small messages per
/// second and member.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_millis(50);

/// `zookeeper.listen` when not set: ZooKeeper's port, for this machine only.
pub const DEFAULT_ZOOKEEPER_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2181);

/// `zookeeper.tick_time` when not set, as ZooKeeper's sample configuration has it.
pub const DEFAULT_TICK_TIME: Duration = Duration::from_secs(2);

/// `zookeeper.tls.listen` when not set: the port that ZooKeeper's documentation uses for TLS in its examples, for this
/// machine only.
pub const DEFAULT_ZOOKEEPER_TLS_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2281);

/// `zookeeper.reap_interval` when not set, as in ZooKeeper (`znode.container.checkIntervalMs`).
pub const DEFAULT_REAP_INTERVAL: Duration = Duration::from_secs(60);

/// `admin.listen` when not set: for this machine only, since whoever reaches it may act.
pub const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9180);

/// `listener.max_connections` when not set: with a connection to an endpoint each, 16,384 descriptors.
pub const DEFAULT_MAX_CONNECTIONS: usize = 8192;

/// `listener.handshake_timeout` when not set: several times what a client at the other end of the world needs.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole, valid configuration of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[node]`
    pub node: NodeConfig,
    /// `[ensemble]`; absent means an ensemble of one that listens for no peers.
    pub ensemble: Option<EnsembleConfig>,
    /// `[zookeeper]`
    pub zookeeper: ZookeeperConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[[listener]]`
    pub listeners: Vec<ListenerConfig>,
    /// `[service.<name>]`
    pub services: BTreeMap<ServiceName, ServiceSettings>,
}

/// `[node]`: who this node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Its name; default the host name.
    pub name: String,
    /// Its zone, shown but not yet used for routing.
    pub zone: Option<String>,
    /// Where log and snapshots are kept.
    pub data_dir: PathBuf,
    /// Data-plane threads; default one per core.
    pub workers: usize,
    /// Addresses of this machine that connections to endpoints come from, in turn; empty leaves it to the kernel.
    pub source_addresses: Vec<IpAddr>,
    /// The format of the access log; absent: there is none.
    pub access_log: Option<AccessFormat>,
    /// Descriptors that traffic leaves to the rest of the process; absent: an eighth of the limit, at most 1,024.
    pub reserved_descriptors: Option<usize>,
}

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    /// A JSON object, as in the node's log.
    Json,
    /// The fields of HAProxy's `tcplog`.
    Tcplog,
}

/// `[ensemble]`: with whom it agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleConfig {
    /// Where it listens for other members.
    pub listen: SocketAddr,
    /// The members that found the ensemble, by name, `host:port` each; empty if it is joined. Only looked at while the
    /// node has no log, except for its own address.
    pub members: BTreeMap<String, String>,
    /// Members of an ensemble that is there, `host:port` each; empty if it is founded.
    pub join: Vec<String>,
    /// The file with the secret that whoever joins must know.
    pub token_file: Option<PathBuf>,
    /// Where other members reach this one, if not at what `members` or `listen` say.
    pub advertise: Option<String>,
    /// Joins as a non-voting learner.
    pub observer: bool,
    /// Time between a leader's heartbeats; a silent leader is replaced after 8 to 11 of them.
    pub heartbeat: Duration,
    /// How members prove to each other who they are; absent: they do not.
    pub tls: Option<EnsembleTls>,
    /// `listen` may be beyond this machine without TLS.
    pub insecure: bool,
}

/// `[admin]`: metrics and health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// Where the admin endpoint listens.
    pub listen: SocketAddr,
    /// The file with the token that requests must present which change something.
    pub token_file: Option<PathBuf>,
    /// What it speaks is HTTPS then.
    pub tls: Option<AdminTls>,
    /// `listen` may be beyond this machine without TLS.
    pub insecure: bool,
}

/// `[[listener]]`: one bound socket for traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name, for metrics and logs.
    pub name: String,
    /// Where it listens.
    pub bind: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where its traffic goes; the first rule that matches wins.
    pub rules: Vec<RuleConfig>,
    /// Connections served at once; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Connections of one source, an IPv4 address or an IPv6 /64, served at once; more are reset. `None` is no limit.
    pub max_connections_per_source: Option<u32>,
    /// Connections taken per second; more wait. `None` is no limit.
    pub accept_rate: Option<u32>,
    /// Options of its socket and of its clients'.
    pub socket: ListenerSocket,
    /// The networks of the proxies that alone may connect, each beginning with a PROXY header; absent: no header is
    /// ever read.
    pub accept_proxy: Option<Vec<IpNet>>,
    /// Longest time for all that comes before a client's own bytes.
    pub handshake_timeout: Duration,
    /// TLS is ended here; absent: it is not spoken, or passed on.
    pub tls: Option<ListenerTls>,
}

impl ListenerConfig {
    /// A listener that leads nowhere yet, and is otherwise as one is of which nothing more is said.
    pub fn new(name: &str, bind: SocketAddr, protocol: Protocol) -> ListenerConfig {
        ListenerConfig {
            name: name.to_owned(),
            bind,
            protocol,
            rules: Vec::new(),
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_source: None,
            accept_rate: None,
            socket: ListenerSocket::default(),
            accept_proxy: None,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            tls: None,
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes.
    Tcp,
    /// TLS, which is not ended here: bytes that begin with the name of a host.
    Tls,
    /// HTTP/1.1.
    Http,
}

impl Protocol {
    /// As written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
            Protocol::Http => "http",
        }
    }
}

/// A match and the service it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleConfig {
    /// Lower-case name in a ClientHello; `*.example` matches any subdomain; absent matches all.
    pub sni: Option<String>,
    /// Lower-case host without port; `*.example` matches any subdomain; absent matches all.
    pub host: Option<String>,
    /// Path prefix; absent matches all.
    pub path: Option<String>,
    /// The service.
    pub service: ServiceName,
}
