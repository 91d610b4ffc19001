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
        panics: IntCounter = counter("panics_total", "Panics of this process: defects that ended a connection, if not the process.");
        serving: IntGauge = gauge("serving", "1 while a leader is within reach and ZooKeeper clients are served.");
        sessions: IntGauge = gauge("sessions", "Open sessions in the ensemble.");
        sessions_expired: IntCounter = counter("sessions_expired_total", "Sessions expired by this member as the leader.");
        znodes_reaped: IntCounter = counter("znodes_reaped_total", "Containers and TTL znodes removed by this member as the leader.");
        zk_connections: IntGauge = gauge("zookeeper_connections", "ZooKeeper clients connected here.");
        zk_requests: IntCounter = counter("zookeeper_requests_total", "ZooKeeper requests received here.");
        zk_request_duration: Histogram = histogram("zookeeper_request_duration_seconds", "From a ZooKeeper request's arrival to its reply being queued.", FAST);
        watches: IntGauge = gauge("watches", "Watches set here.");
        znodes: IntGauge = gauge("znodes", "Znodes in the tree.");
        ephemerals: IntGauge = gauge("ephemerals", "Ephemeral znodes in the tree.");
        tree_bytes: IntGauge = gauge("tree_data_bytes", "Bytes of paths and data in the tree.");
        log_fsync: Histogram = histogram("log_fsync_seconds", "Time to make a batch of log records durable.", FAST);
        log_bytes: IntCounter = counter("log_written_bytes_total", "Bytes written to the log.");
        log_segments_zeroed: IntCounter = counter("log_segments_zeroed_total", "Log segments made by writing zeroes, because no purged one could be used again.");
        disk_free: IntGauge = gauge("disk_free_bytes", "Room left on the disk of the data directory.");
        disk_size: IntGauge = gauge("disk_size_bytes", "Size of the disk of the data directory.");
        disk_refused: IntCounter = counter("disk_full_refused_total", "Writes refused by this member as the leader because its own disk or those of a quorum are full.");
        damage_found: IntCounter = counter("damage_found_total", "Damaged files found in the log or among the snapshots when this member started.");
        damage_repaired: IntCounter = counter("damage_repaired_total", "Times this member started in spite of damage: from an older snapshot, or as a new member.");
        snapshot_failures: IntCounter = counter("snapshot_failures_total", "Snapshots that could not be written; each is tried again.");
        digest_index: IntGauge = gauge("digest_compared_index", "Last log index at which the digest of the tree here was found equal to the leader's; 0 on a leader.");
        digests_differing: IntCounter = counter("digest_differences_total", "Comparisons in which the digest of the tree here was not the leader's.");
        tree_rebuilds: IntCounter = counter("tree_rebuilds_total", "Times that the tree here was found wrong and replaced by the leader's.");
        backups: IntCounter = counter("backups_total", "Backups sent whole by this member.");
        backup_failures: IntCounter = counter("backup_failures_total", "Backups asked of this member that could not be taken or were not read to their end.");
        last_backup_at: IntGauge = gauge("last_backup_timestamp_seconds", "When this member last sent a backup whole, Unix time; 0 before the first since it started.");
        last_backup_bytes: IntGauge = gauge("last_backup_bytes", "Size of that backup.");
        last_backup_zxid: IntGauge = gauge("last_backup_zxid", "The last log entry in that backup, which is its zxid or a little later.");
        snapshots: IntCounter = counter("snapshots_total", "Snapshots written.");
        snapshot_duration: Histogram = histogram("snapshot_duration_seconds", "Time to write a snapshot.", SLOW);
    }
}
