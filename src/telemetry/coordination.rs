//! The control plane's metrics: table, settings, ensemble, sessions, tree, log.
//!
//! Those that mirror state (`raft_*`, `serving`, `sessions`, `znodes`, ...) are brought up to date when
//! somebody scrapes; the others count as things happen.

use super::families::{FAST, SLOW, families};
use prometheus::{Histogram, IntCounter, IntGauge};

families! {
    /// The control plane's metrics.
    pub struct CoordinationMetrics {
        table_swaps: IntCounter = counter("table_swaps_total", "Routing tables put into use.");
        table_failures: IntCounter = counter("table_failures_total", "Routing tables that could not be assembled; the one before stayed in use.");
        table_zxid: IntGauge = gauge("table_zxid", "The transaction that the routing table reflects.");
        table_swap_timestamp: IntGauge = gauge("table_swap_timestamp_seconds", "When the routing table was put into use, Unix time.");
        commit_to_swap: Histogram = histogram("commit_to_swap_seconds", "From the first change a table reflects, applied here, to its use.", FAST);
        settings_reloads: IntCounter = counter("settings_reloads_total", "Changes of settings taken, from file or tree.");
        settings_refused: IntCounter = counter("settings_refused_total", "Changes of settings refused because they are invalid.");
        settings_ok: IntGauge = gauge("settings_last_reload_successful", "1 unless the last change of settings was refused.");
        applied_zxid: IntGauge = gauge("applied_zxid", "The last transaction applied here.");
        raft_term: IntGauge = gauge("raft_term", "Raft term.");
        raft_role: IntGauge = gauge("raft_role", "0 observer, 1 follower, 2 candidate, 3 leader.");
        raft_leader: IntGauge = gauge("raft_leader", "Number of the leader followed, 0 for none.");
        raft_committed: IntGauge = gauge("raft_committed_index", "Last log index known to be committed.");
        raft_applied: IntGauge = gauge("raft_applied_index", "Last log index applied.");
        raft_last_log: IntGauge = gauge("raft_last_log_index", "Last index in the log.");
        raft_voters: IntGauge = gauge("raft_voters", "Voting members of the ensemble.");
        raft_synced_followers: IntGauge = gauge("raft_synced_followers", "Followers within reach and not far behind; known to the leader, 0 elsewhere.");
        serving: IntGauge = gauge("serving", "1 while a leader is within reach and ZooKeeper clients are served.");
        sessions: IntGauge = gauge("sessions", "Open sessions in the ensemble.");
        sessions_expired: IntCounter = counter("sessions_expired_total", "Sessions expired by this member as the leader.");
        znodes_reaped: IntCounter = counter("znodes_reaped_total", "Containers and TTL znodes removed by this member as the leader.");
        zk_connections: IntGauge = gauge("zookeeper_connections", "ZooKeeper clients connected here.");
        zk_requests: IntCounter = counter("zookeeper_requests_total", "ZooKeeper requests received here.");
        zk_request_duration: Histogram = histogram("zookeeper_request_duration_seconds", "From a ZooKeeper request's arrival to its reply being queued.", FAST);
        zk_tls_refused: IntCounter = counter("zookeeper_tls_handshake_failures_total", "ZooKeeper clients turned away because their TLS handshake failed or took too long.");
        zk_tls_reloads: IntCounter = counter("zookeeper_tls_reloads_total", "Changed certificates and keys of the ZooKeeper port taken into use.");
        zk_tls_reload_failures: IntCounter = counter("zookeeper_tls_reload_failures_total", "Changed certificates and keys of the ZooKeeper port refused because they cannot be used.");
        zk_tls_ok: IntGauge = gauge("zookeeper_tls_last_reload_successful", "1 unless the last change of certificate or key of the ZooKeeper port was refused.");
        zk_tls_expiry: IntGauge = gauge("zookeeper_tls_certificate_expiry_timestamp_seconds", "When the certificate of the ZooKeeper port expires, Unix time; 0 without TLS.");
        watches: IntGauge = gauge("watches", "Watches set here.");
        znodes: IntGauge = gauge("znodes", "Znodes in the tree.");
        ephemerals: IntGauge = gauge("ephemerals", "Ephemeral znodes in the tree.");
        tree_bytes: IntGauge = gauge("tree_data_bytes", "Bytes of paths and data in the tree.");
        log_fsync: Histogram = histogram("log_fsync_seconds", "Time to make a batch of log records durable.", FAST);
        log_bytes: IntCounter = counter("log_written_bytes_total", "Bytes written to the log.");
        snapshots: IntCounter = counter("snapshots_total", "Snapshots written.");
        snapshot_duration: Histogram = histogram("snapshot_duration_seconds", "Time to write a snapshot.", SLOW);
    }
}
