//! The ensemble's bounds on time and size, each with its reason.

use std::time::Duration;

/// Longest wait for a greeting between members: several times a loaded loopback or LAN round trip.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for the answer to a request between members, votes included.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that owes results on an append connection and sends none for this long is redialled. A follower's
/// disk may pause this long without harm; a stopped process is noticed by the election timeout instead.
pub(super) const APPEND_STALL: Duration = Duration::from_secs(5);
/// Longest pause while a snapshot is sent or received; the whole may take as long as it makes progress.
pub(super) const SNAPSHOT_STALL: Duration = Duration::from_secs(30);
/// First pause before a member that could not be reached is tried again; doubles from there.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest such pause: how late a returning member may be noticed.
pub(super) const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// Bytes sent per snapshot frame.
pub(super) const SNAPSHOT_FRAME: usize = 256 << 10;
/// Proposals taken from the queue at once, for one append and one frame.
pub(super) const BATCH_PROPOSALS: usize = 1024;
/// Bytes of proposals or entries in one batch. An entry holds at most about 1 MiB, so one batch with one
/// oversize entry stays far below the frame limit.
pub(super) const BATCH_BYTES: usize = 4 << 20;
/// Proposals of this member's clients that may be under way, in units of [`ROOM_UNIT`]; more wait. With 1 KiB
/// units and one unit per small write this is 64 Ki writes or 64 MiB of data.
pub(super) const ROOM: usize = 64 << 10;
/// Bytes of data per unit of [`ROOM`].
pub(super) const ROOM_UNIT: usize = 1 << 10;
/// How often a member reports its sessions' signs of life to the leader. Ages travel with the report, so this
/// delays an expiry by nothing; it only has to be well below the shortest session timeout.
pub(super) const TOUCH_INTERVAL: Duration = Duration::from_millis(100);
/// How often the leader looks for expired sessions: the most by which an expiry is late.
pub(super) const EXPIRY_INTERVAL: Duration = Duration::from_millis(20);
/// If the expiry task itself slept this much longer than asked, the whole process was paused and has heard
/// nobody: every deadline moves by the pause.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// An expiry that was proposed and not applied is proposed again after this long.
pub(super) const EXPIRY_RETRY: Duration = Duration::from_secs(1);
/// Expiries proposed at once; more follow in the next round.
pub(super) const EXPIRY_BATCH: usize = 1024;
/// Clients are served this long after the last word from a leader: long enough for an election, short enough
/// that a member cut off from the quorum does not answer from the past for long.
pub(super) const SERVING_GRACE: Duration = Duration::from_millis(1500);
/// How often a member looks whether it may serve.
pub(super) const SERVING_INTERVAL: Duration = Duration::from_millis(50);
/// Log entries between snapshots. More make restarts slower and the log larger, fewer cost disk traffic.
pub const SNAPSHOT_ENTRIES: u64 = 100_000;
/// One part in this many of the entries between snapshots is kept behind a snapshot, for followers that lag a
/// little and need not get all of it.
pub(super) const KEPT_PART: u64 = 5;
/// Connections accepted from members at once: four purposes, several instances each, at most a few dozen
/// members and observers.
pub(super) const PEER_CONNECTIONS: usize = 1024;
/// Barriers answered by one round to the leader; more wait for the next.
pub(super) const BARRIER_BATCH: usize = 4096;
/// Longest wait of one barrier.
pub(super) const BARRIER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long each voter of a new ensemble waits for each of those before it to found it.
pub(super) const BOOTSTRAP_TURN: Duration = Duration::from_secs(1);
/// Longest wait for the leader to add an observer: it commits a membership entry meanwhile.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between an observer's attempts to join.
pub(super) const JOIN_RETRY: Duration = Duration::from_millis(500);
/// How long a stopping leader waits for another member to take over.
pub(super) const HANDOVER_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(
    TOUCH_INTERVAL.as_millis() * 4 <= 500,
    "several reports must fit into the shortest timeout"
);
