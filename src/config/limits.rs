//! Every bound on what may be set, with its reason, and the relations between bounds that must hold.
//!
//! A setting outside its range is refused with the range in the message, so each range here is part of the
//! product's surface: widening one is a compatible change, narrowing one is not. Bounds of a protocol or of
//! one room's own buffers live in that room.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Longest settings text, in bytes: 1 MiB. It is what a znode holds at most by ZooKeeper's default
/// (`jute.maxbuffer`), so what fits the file's `[service.x]` also fits the tree. Raising it costs memory in
/// proportion each time settings are read.
pub const TEXT_BYTES: usize = 1 << 20;

/// Errors reported for one text; the rest are counted. A screen or two is what a person reads, and a hostile
/// znode of a megabyte could otherwise cost a hundred times its size in messages.
pub const REPORTED_ERRORS: usize = 64;

/// Longest name of a node, member, zone or listener, in bytes: a host name's label and a metric label stay readable.
pub const NAME_BYTES: usize = 64;

/// Longest name of an endpoint's instance, in bytes: one znode name, as [`super::ServiceName`] has it.
pub const INSTANCE_BYTES: usize = 255;

/// Longest `host:port`, in bytes: a DNS name has at most 253, a port 5, and `:`, rounded up for brackets.
pub const ADDRESS_BYTES: usize = 264;

/// Longest path prefix of a rule, in bytes. Matching costs as much per request as the prefix is long.
pub const RULE_PATH_BYTES: usize = 1024;

/// Data-plane threads. More threads than cores only add switches; 256 covers the largest machines sold.
pub const WORKERS: RangeInclusive<u64> = 1..=256;

/// Voting members. Each write waits for a majority: five survive two failures, seven survive three, and beyond
/// that each member slows every write for a failure nobody plans for; use observers instead.
pub const MEMBERS: RangeInclusive<usize> = 1..=7;

/// Listeners of one node. Each holds a socket per worker.
pub const LISTENERS: usize = 256;

/// Rules of one listener. They are tried in order, so the last costs this many comparisons per request.
pub const RULES: usize = 1024;

/// Services in one file. Services that only register are not counted.
pub const SERVICES: usize = 4096;

/// Static endpoints of one service. More than this belongs in the tree, where endpoints register themselves.
pub const STATIC_ENDPOINTS: usize = 1024;

/// Instances named in one service's `weights`, and in its `drain`.
pub const INSTANCES: usize = 4096;

/// Connections a listener serves at once. Each costs two descriptors and, while it moves bytes, two buffers.
pub const MAX_CONNECTIONS: RangeInclusive<u64> = 1..=1_000_000;

/// Connections of one source at once; 0 is no limit. As many as a listener may have.
pub const PER_SOURCE: RangeInclusive<u64> = 0..=1_000_000;

/// Connections per second that a listener takes; 0 is no limit. No machine takes a million.
pub const ACCEPT_RATE: RangeInclusive<u64> = 0..=1_000_000;

/// Networks in one list. Each costs a comparison per connection.
pub const NETWORKS: usize = 256;

/// Time for all that comes before a client's own bytes: PROXY header, ClientHello, handshake. Below 100 ms a client
/// behind one lost packet is turned away; above five minutes it only serves those who mean harm.
pub const HANDSHAKE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(5 * 60);
/// Exchanges an endpoint has under way at once, per node; 0 is no limit. As many as a listener may have connections.
pub const ENDPOINT_CONNECTIONS: RangeInclusive<u64> = 0..=1_000_000;

/// Exchanges of one service that wait for an endpoint, per node; 0 is none. Each that waits keeps its client's
/// connection, a few KiB, and 65,536 that are given up together are more work than a worker notices in a sweep.
pub const QUEUE: RangeInclusive<u64> = 0..=65_536;

/// Wait for an endpoint that is not full. Whoever would wait longer than minutes has given up long before.
pub const QUEUE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(5 * 60);

/// Age of a connection; zero is no limit. A month is as good as never.
pub const MAX_LIFETIME: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(30 * 24 * 60 * 60);

/// Connections the kernel completes ahead of a worker. It lowers the number to `net.core.somaxconn`; more than the
/// largest of those would promise what cannot be had.
pub const BACKLOG: RangeInclusive<u64> = 1..=65_535;

/// Silence before a keepalive probe, and time between probes: what Linux takes, in whole seconds.
pub const KEEPALIVE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(32_767);

/// Keepalive probes without an answer: what Linux takes.
pub const KEEPALIVE_PROBES: RangeInclusive<u64> = 1..=127;

/// Time that sent bytes may stay unacknowledged. Zero leaves it to the kernel, which takes some fifteen minutes.
pub const USER_TIMEOUT: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 60 * 60);

/// A kernel buffer of one connection, in bytes. 64 MiB fill a path of 5 Gbit/s and 100 ms; each of a thousand slow
/// clients may fill it.
pub const SOCKET_BUFFER: RangeInclusive<u64> = 0..=64 << 20;

/// Addresses that connections to endpoints come from. Each adds some 28,000 connections per endpoint: with 64 that is
/// more than a process has descriptors for.
pub const SOURCE_ADDRESSES: usize = 64;

/// Descriptors kept from traffic: a few for the admin port and members at least; a million is more than there are
/// ZooKeeper sessions on one node.
pub const RESERVED_DESCRIPTORS: RangeInclusive<u64> = 16..=1_000_000;
/// A port to connect to.
pub const PORT: RangeInclusive<u64> = 1..=u16::MAX as u64;

/// Time between two probes of an endpoint. Every node probes every endpoint of a service with a check: ten a second
/// are as much as any service should be asked, and an hour is as good as never.
pub const CHECK_INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60 * 60);

/// Longest time of one probe. Probes under way are bounded in number, and slow ones take the place of others.
pub const CHECK_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(60);

/// Jitter of the time between probes, in hundredths of it. More than half of it would make probes bunch.
pub const CHECK_JITTER: RangeInclusive<u16> = 1..=50;

/// Probes in a row that decide: `rise` and `fall`.
pub const CHECK_PROBES: RangeInclusive<u64> = 1..=100;

/// Longest text that a probe sends or expects, in bytes.
pub const CHECK_TEXT_BYTES: usize = 1024;

/// Statuses of HTTP that can be expected. Those below 200 do not end an exchange.
pub const STATUS: RangeInclusive<u16> = 200..=599;

/// Certificates of one listener. Each is read at every change of any.
pub const CERTIFICATES: usize = 1024;

/// Protocols offered by ALPN.
pub const ALPN: usize = 16;

/// Longest name of a protocol in ALPN, in bytes: its length has one byte.
pub const ALPN_BYTES: usize = 255;
/// Failures in a row before an endpoint is ejected; zero is never. One is what a single unlucky request takes.
pub const CONSECUTIVE: RangeInclusive<u64> = 0..=10_000;

/// How long an ejection lasts. Below 100 ms a table is assembled for next to nothing; a day is a drain.
pub const EJECT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// A share of a service's endpoints, in hundredths.
pub const SHARE: RangeInclusive<u16> = 1..=100;

/// Standard deviations below the mean, in hundredths. Below half of one, a third of all endpoints would be outliers.
pub const DEVIATIONS: RangeInclusive<u16> = 50..=1000;

/// Over how long success rates are counted. Looked at once a second.
pub const OUTLIER_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// Exchanges before an endpoint's success rate means something.
pub const MIN_REQUESTS: RangeInclusive<u64> = 1..=1_000_000;

/// Endpoints before one can be an exception. Of two nobody can tell which one is.
pub const MIN_ENDPOINTS: RangeInclusive<u64> = 3..=10_000;

/// Weight of an endpoint. Zero is refused: draining says the same and can be seen.
pub const WEIGHT: RangeInclusive<u64> = 1..=u16::MAX as u64;

/// Tier of an endpoint: what fits 8 bits. More than a few are hard to reason about, and cost nothing.
pub const TIER: RangeInclusive<u64> = 0..=u8::MAX as u64;

/// Load of an endpoint relative to the average, in percent. At 100 there would be room for none but the least loaded;
/// at 101 some ten thousand endpoints may be looked at for one pick. Above ten times, nothing is bounded.
pub const LOAD_FACTOR: RangeInclusive<u16> = 101..=1000;

/// Percent of endpoints that must be left for their health to matter.
pub const PANIC_THRESHOLD: RangeInclusive<u64> = 0..=100;

/// Time over which a new endpoint comes to its weight. Zero is at once; an hour is past any warming up.
pub const SLOW_START: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60 * 60);

/// Members to ask for admission: as many as there can be voters.
pub const JOIN_CONTACTS: usize = 7;

/// Time between a leader's heartbeats. Below 10 ms a scheduling hiccup looks like a dead leader; above 10 s
/// the ensemble is without a leader for a minute after each failure.
pub const HEARTBEAT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

/// ZooKeeper's tick. Below 50 ms default sessions would be too short to survive a scheduling hiccup.
pub const TICK_TIME: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(60);

/// Time between the leader's searches for containers and TTL znodes whose time is up. Each looks at every such znode;
/// below 100 ms a leader with a million of them does nothing else, and a day is as good as never.
pub const REAP_INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// Four-letter words in the list of those allowed: a few times as many as there are.
pub const FOUR_LETTER_WORDS: usize = 64;

/// Longest trust domain in nodes' names, in bytes, as SPIFFE has it.
pub const TRUST_DOMAIN_BYTES: usize = 255;

/// Longest path of a file, in bytes: Linux's `PATH_MAX`.
pub const FILE_PATH_BYTES: usize = 4096;

/// Bytes of a digest identity's user name: as long as a client may make it.
pub const DIGEST_USER_BYTES: usize = 1024;

/// Session timeouts granted. Below 100 ms a client that pauses to collect garbage loses its ephemerals; a day
/// is already so long that a dead endpoint's entry serves nobody.
pub const SESSION_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// Wait for a connection to an endpoint. Each of a request's attempts may take this long.
pub const CONNECT_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(5 * 60);

/// Wait for a response's head. Long polls fit; a day says the endpoint will never answer.
pub const RESPONSE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);

/// Silence on a connection. Each silent connection keeps its descriptors and its place under the limit.
pub const IDLE_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(7 * 24 * 60 * 60);

/// Time given to exchanges with an endpoint that leaves. Zero cuts them at once; a removed endpoint's state is
/// kept in memory this long.
pub const DRAIN_TIMEOUT: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(24 * 60 * 60);

/// `zookeeper.session_timeout.min` when not set, in ticks; ZooKeeper's own rule (`minSessionTimeout`).
pub const SESSION_MIN_TICKS: u32 = 2;

/// `zookeeper.session_timeout.max` when not set, in ticks; ZooKeeper's own rule (`maxSessionTimeout`).
pub const SESSION_MAX_TICKS: u32 = 20;

/// Whether every value of the first range multiplied by `factor` is in the second.
const fn scaled_within(
    inner: &RangeInclusive<Duration>,
    factor: u32,
    outer: &RangeInclusive<Duration>,
) -> bool {
    inner.start().as_millis() * factor as u128 >= outer.start().as_millis()
        && inner.end().as_millis() * factor as u128 <= outer.end().as_millis()
}

// Session bounds derived from any legal tick must be legal themselves: nobody should get an error about a value
// they did not write.
const _: () = assert!(scaled_within(
    &TICK_TIME,
    SESSION_MIN_TICKS,
    &SESSION_TIMEOUT
));
const _: () = assert!(scaled_within(
    &TICK_TIME,
    SESSION_MAX_TICKS,
    &SESSION_TIMEOUT
));
// And the shorter must not exceed the longer.
const _: () = assert!(SESSION_MIN_TICKS <= SESSION_MAX_TICKS);
// The handshake carries the timeout as a signed 32-bit count of milliseconds.
const _: () = assert!(SESSION_TIMEOUT.end().as_millis() <= i32::MAX as u128);
// A dead leader must be noticed within the shortest session the default tick grants, or fail-over at the default
// heartbeat would cost sessions: six missed heartbeats of 50 ms against two ticks of 2 s.
const _: () = assert!(
    6 * super::DEFAULT_HEARTBEAT.as_millis()
        < SESSION_MIN_TICKS as u128 * super::DEFAULT_TICK_TIME.as_millis()
);
// A weight is kept in 16 bits, a tier and a percentage in 8.
const _: () = assert!(*TIER.end() <= u8::MAX as u64 && *PANIC_THRESHOLD.end() <= u8::MAX as u64);
const _: () = assert!(*WEIGHT.end() <= u16::MAX as u64 && *WEIGHT.start() > 0);
// An ensemble of one is legal, and the largest has a majority that is not everybody.
const _: () = assert!(*MEMBERS.start() == 1 && *MEMBERS.end() % 2 == 1);
