//! What can be set for a service, as an overlay ([`ServiceSettings`]) and resolved ([`ServicePolicy`]).

use super::{Check, Keepalive, Outlier, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Which layer of settings a value comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    #[default]
    BuiltIn,
    /// The node's file.
    File,
    /// The tree.
    Tree,
}

impl Origin {
    /// As JSON and the command line show it. A published interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::BuiltIn => "built-in",
            Origin::File => "file",
            Origin::Tree => "tree",
        }
    }
}

/// How a service picks an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Each endpoint in turn.
    RoundRobin,
    /// Smooth weighted round-robin: in turn, in proportion to the weights, interleaved.
    Weighted,
    /// Uniformly at random.
    Random,
    /// The one with the fewest exchanges under way for its weight.
    LeastConnections,
    /// The better of two drawn at random, by latency, exchanges under way and weight.
    PowerOfTwo,
    /// By a hash ring, so that equal keys go to the same endpoint.
    ConsistentHash,
    /// By a Maglev table, so that equal keys go to the same endpoint.
    Maglev,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 7] = [
        Strategy::RoundRobin,
        Strategy::Weighted,
        Strategy::Random,
        Strategy::LeastConnections,
        Strategy::PowerOfTwo,
        Strategy::ConsistentHash,
        Strategy::Maglev,
    ];

    /// As written in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::RoundRobin => "round-robin",
            Strategy::Weighted => "weighted",
            Strategy::Random => "random",
            Strategy::LeastConnections => "least-connections",
            Strategy::PowerOfTwo => "p2c",
            Strategy::ConsistentHash => "consistent-hash",
            Strategy::Maglev => "maglev",
        }
    }

    /// Whether an endpoint of twice the weight gets twice the traffic.
    pub fn knows_weights(self) -> bool {
        !matches!(self, Strategy::RoundRobin | Strategy::Random)
    }

    /// Whether it matters how long endpoints take.
    pub fn knows_latency(self) -> bool {
        self == Strategy::PowerOfTwo
    }

    /// Whether equal keys go to the same endpoint.
    pub fn knows_keys(self) -> bool {
        matches!(self, Strategy::ConsistentHash | Strategy::Maglev)
    }
}

/// What consistent hashing and Maglev hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// The client's IP address, without its port.
    ClientAddress,
    /// The value of an HTTP header (lower-case name); the client's address when absent or on `tcp`.
    Header(String),
    /// The value of a cookie; the client's address when absent or on `tcp`.
    Cookie(String),
    /// The request path without its query; the client's address on `tcp`.
    Path,
    /// The value of a query parameter; the client's address when absent or on `tcp`.
    Query(String),
    /// The host name in the client's ClientHello; its address when absent.
    Sni,
    /// The value of the TLV of that type in the PROXY header that came with the client; its address when absent.
    ProxyTlv(u8),
}

/// Whether endpoints are told who the client is, by the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendProxy {
    /// They are not.
    #[default]
    Off,
    /// By a line of text, with addresses only.
    V1,
    /// By a binary header, with what is known of the client's TLS and what came with it.
    V2,
}

impl SendProxy {
    /// Each as it is written.
    pub(super) const NAMES: [(&str, SendProxy); 3] = [
        ("off", SendProxy::Off),
        ("v1", SendProxy::V1),
        ("v2", SendProxy::V2),
    ];
}

/// What becomes of traffic to a service without endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnEmpty {
    /// It is refused.
    Reject,
    /// When the last registrations vanish, their endpoints stay in use until others come.
    KeepLast,
    /// Another service takes it.
    Backup,
}

impl OnEmpty {
    /// All of them.
    pub const ALL: [OnEmpty; 3] = [OnEmpty::Reject, OnEmpty::KeepLast, OnEmpty::Backup];

    /// As written in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            OnEmpty::Reject => "reject",
            OnEmpty::KeepLast => "keep-last",
            OnEmpty::Backup => "backup",
        }
    }
}

/// An endpoint written in the settings rather than registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticEndpoint {
    /// `host:port`.
    pub address: String,
    /// Share of traffic relative to its neighbours, 1 to 65,535; default 1.
    pub weight: u16,
    /// Its tier, 0 to 255; default 0.
    pub tier: u8,
}

/// One layer of settings of a service: only what that layer says. Later layers win key by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSettings {
    /// `strategy`
    pub strategy: Option<Strategy>,
    /// `hash_key`
    pub hash_key: Option<HashKey>,
    /// `load_factor`, in percent
    pub load_factor: Option<u16>,
    /// `slow_start`
    pub slow_start: Option<Duration>,
    /// `panic_threshold`, in percent
    pub panic_threshold: Option<u8>,
    /// `on_empty`
    pub on_empty: Option<OnEmpty>,
    /// `backup`
    pub backup: Option<ServiceName>,
    /// `connect_timeout`
    pub connect_timeout: Option<Duration>,
    /// `response_timeout`
    pub response_timeout: Option<Duration>,
    /// `idle_timeout`
    pub idle_timeout: Option<Duration>,
    /// `drain_timeout`
    pub drain_timeout: Option<Duration>,
    /// `send_proxy`
    pub send_proxy: Option<SendProxy>,
    /// `keepalive`
    pub keepalive: Option<Keepalive>,
    /// `user_timeout`
    pub user_timeout: Option<Duration>,
    /// `max_connections`; `Some(None)` lifts the limit of the layer below.
    pub max_connections: Option<Option<u32>>,
    /// `queue`
    pub queue: Option<usize>,
    /// `queue_timeout`
    pub queue_timeout: Option<Duration>,
    /// `max_lifetime`; `Some(None)` lifts the limit of the layer below.
    pub max_lifetime: Option<Option<Duration>>,
    /// `check`; the inner `None` takes away what an earlier layer has.
    pub check: Option<Option<Check>>,
    /// `outlier`
    pub outlier: Option<Outlier>,
    /// `endpoints`
    pub endpoints: Option<Vec<StaticEndpoint>>,
    /// `weights`: by instance name (for static endpoints their `host:port`), over what was registered.
    pub weights: Option<BTreeMap<String, u16>>,
    /// `drain`: instance names that get no new traffic.
    pub drain: Option<BTreeSet<String>>,
}

/// Everything the data plane needs to know about a service; no key is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePolicy {
    /// How endpoints are picked.
    pub strategy: Strategy,
    /// What strategies with a key hash.
    pub hash_key: HashKey,
    /// Most load of an endpoint with [`Strategy::ConsistentHash`], in percent of the average; 0 for any.
    pub load_factor: u16,
    /// Time over which the weight of a new or recovered endpoint grows to what it is; zero for no time.
    pub slow_start: Duration,
    /// Percent of a tier's endpoints below which it does not matter any more what is known of their health; 0 for
    /// never.
    pub panic_threshold: u8,
    /// What becomes of traffic while there are no endpoints.
    pub on_empty: OnEmpty,
    /// The service that takes it, with [`OnEmpty::Backup`].
    pub backup: Option<ServiceName>,
    /// Longest wait for a connection to an endpoint.
    pub connect_timeout: Duration,
    /// Longest wait for the head of a response once the request was sent.
    pub response_timeout: Duration,
    /// Longest silence, both ways, on a connection.
    pub idle_timeout: Duration,
    /// How long exchanges with a removed or drained endpoint may go on.
    pub drain_timeout: Duration,
    /// Whether endpoints are told who the client is.
    pub send_proxy: SendProxy,
    /// Whether silent connections to endpoints are probed.
    pub keepalive: Keepalive,
    /// How long bytes sent to an endpoint may stay unacknowledged; zero leaves it to the kernel.
    pub user_timeout: Duration,
    /// Exchanges that one endpoint has under way on this node at most; `None` is no limit.
    pub max_connections: Option<u32>,
    /// Exchanges that wait on this node, at most, while every endpoint is full.
    pub queue: usize,
    /// How long they wait.
    pub queue_timeout: Duration,
    /// How old a connection gets; `None` is no limit.
    pub max_lifetime: Option<Duration>,
    /// How endpoints are probed, if they are.
    pub check: Option<Check>,
    /// When endpoints are ejected because exchanges fail.
    pub outlier: Outlier,
    /// Endpoints beside the registered ones.
    pub endpoints: Vec<StaticEndpoint>,
    /// Weights over what was registered.
    pub weights: BTreeMap<String, u16>,
    /// Instances that get no new traffic.
    pub drain: BTreeSet<String>,
}

impl Default for ServicePolicy {
    fn default() -> ServicePolicy {
        ServicePolicy {
            strategy: Strategy::RoundRobin,
            hash_key: HashKey::ClientAddress,
            load_factor: 0,
            slow_start: Duration::ZERO,
            panic_threshold: 50,
            on_empty: OnEmpty::KeepLast,
            backup: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(30),
            send_proxy: SendProxy::Off,
            keepalive: Keepalive::default(),
            user_timeout: Duration::ZERO,
            max_connections: None,
            queue: 1024,
            queue_timeout: Duration::from_secs(5),
            max_lifetime: None,
            check: None,
            outlier: Outlier::default(),
            endpoints: Vec::new(),
            weights: BTreeMap::new(),
            drain: BTreeSet::new(),
        }
    }
}

impl ServicePolicy {
    /// This policy with a layer of settings over it.
    pub fn overlaid(mut self, layer: &ServiceSettings) -> ServicePolicy {
        macro_rules! take {
            ($($key:ident),*) => { $( if let Some(value) = &layer.$key { self.$key = value.clone(); } )* };
        }
        take!(
            strategy,
            hash_key,
            load_factor,
            slow_start,
            panic_threshold,
            on_empty,
            connect_timeout,
            response_timeout,
            idle_timeout,
            drain_timeout,
            send_proxy,
            keepalive,
            user_timeout,
            max_connections,
            queue,
            queue_timeout,
            max_lifetime,
            check,
            outlier,
            endpoints,
            weights,
            drain
        );
        if layer.backup.is_some() {
            self.backup.clone_from(&layer.backup);
        }
        self
    }
}
