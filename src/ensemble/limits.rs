//! The ensemble's bounds on time and size, each with its reason.

use crate::config::limits::SESSION_TIMEOUT;
use std::time::Duration;

/// Longest wait for a greeting between members: several times a loaded loopback or LAN round trip.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for the answer to a request between members, votes included.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// A peer that owes results on an append connection and sends none for this long is redialled. A follower's
/// disk may pause this long without harm; a stopped process is noticed by the election timeout instead.
pub(super) const APPEND_STALL: Duration = Duration::from_secs(5);
/// Longest time the answer to an append request waits for company if it acknowledges nothing that was not acknowledged
/// before. Far below a heartbeat, since it is a sign of life too.
pub(super) const OLD_RESULT_DELAY: Duration = Duration::from_millis(5);
/// How often a member writes down how far its log is committed, if no entry came that took it along. A member that
/// is killed and starts without its peers is behind by no more than this.
pub(super) const COMMITTED_INTERVAL: Duration = Duration::from_millis(100);
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
/// How long a member gathers its sessions' signs of life between two reports to the leader. The first one after a
/// quiet time is reported at once; this bounds what a busy member sends, to 50 messages a second.
pub(super) const TOUCH_INTERVAL: Duration = Duration::from_millis(20);
/// Pause before signs of life that could not be reported are reported again: there is no leader, or no way to it.
pub(super) const TOUCH_RETRY: Duration = Duration::from_millis(100);
/// Signs of life in one message, 12 bytes each.
pub(super) const TOUCH_BATCH: usize = 16 << 10;
/// How long behind a deadline the leader waits for signs of life that were given before it and are still on their
/// way: a [`TOUCH_INTERVAL`] and a round trip on a loaded machine. Every expiry is late by this.
pub(super) const EXPIRY_GRACE: Duration = Duration::from_millis(40);
/// The leader looks for expired sessions when the next is due, but not more often than this: so many at once cost
/// one look, and an expiry is late by no more besides [`EXPIRY_GRACE`].
pub(super) const EXPIRY_INTERVAL: Duration = Duration::from_millis(20);
/// The longest the leader waits without a look. A session that is opened meanwhile must not be due before.
pub(super) const EXPIRY_REST: Duration = Duration::from_millis(100);
/// If the expiry task itself slept this much longer than asked, the whole process was paused and has heard
/// nobody: every deadline moves by the pause.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
/// An expiry that was proposed and not applied is proposed again after this long.
pub(super) const EXPIRY_RETRY: Duration = Duration::from_secs(1);
/// Expiries proposed at once; more follow in the next round.
pub(super) const EXPIRY_BATCH: usize = 1024;
/// Clients are served this long after the last word from a leader or, on the leader, from its quorum: long
/// enough for an election, short enough that a member cut off does not answer from the past for long.
pub(super) const SERVING_GRACE: Duration = Duration::from_millis(1500);
/// How often a member that does not serve looks whether it may. One that serves looks when its time is up.
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
/// How often the leader of a new ensemble looks whether the tree is closed, if it is to be.
pub(super) const CLOSING_INTERVAL: Duration = Duration::from_millis(20);
/// Longest wait for the proposal that closes it; then it is made again.
pub(super) const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long each voter of a new ensemble waits for each of those before it to found it.
pub(super) const BOOTSTRAP_TURN: Duration = Duration::from_secs(1);
/// Longest wait for the leader to add an observer: it commits a membership entry meanwhile.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between an observer's attempts to join.
pub(super) const JOIN_RETRY: Duration = Duration::from_millis(500);
/// Longest wait for what a member says about a leader that seems gone: it knows or it does not, so this is a
/// round trip and a loaded machine.
pub(super) const TAKEOVER_ASK: Duration = Duration::from_millis(100);
/// Pause before the leader or a voter is asked again: long beside a round trip, short beside a takeover.
pub(super) const TAKEOVER_RETRY: Duration = Duration::from_millis(1);
/// How long a member whose log is shorter waits for the one before it: an election takes two disk writes.
pub(super) const TAKEOVER_TURN: Duration = Duration::from_millis(20);
/// A takeover that is not done by then is left to the election timeout, which is about as long.
pub(super) const TAKEOVER_PATIENCE: Duration = Duration::from_millis(300);
/// Longest wait for the entry that tells where this member's clients connect; told again after that.
pub(super) const INTRODUCTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Containers and TTL znodes removed at once, and the pause before the next: 10,000 a minute, as ZooKeeper does
/// (`znode.container.maxPerMinute`), so that a mass end does not crowd out clients.
pub(super) const REAP_BATCH: usize = 1000;
/// See [`REAP_BATCH`].
pub(super) const REAP_PAUSE: Duration = Duration::from_secs(6);
/// Longest a change of the members may take: longer than all its steps together, in which it has deadlines.
pub(super) const RECONFIG_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the member that was asked waits to apply what the leader has.
pub(super) const RECONFIG_APPLY: Duration = Duration::from_secs(3);
/// Pause before the next attempt, at a leader or at a new voter.
pub(super) const RECONFIG_RETRY: Duration = Duration::from_millis(100);
/// How long a new voter is asked for a sign of life before its joining is refused.
pub(super) const RECONFIG_PROBE: Duration = Duration::from_secs(3);
/// Longest wait for one such sign.
pub(super) const RECONFIG_ASK: Duration = Duration::from_secs(1);
/// How long a new voter has to get the log, or a snapshot of it, before its joining is refused.
pub(super) const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(15);
/// Entries a member may be behind and still count as caught up.
pub(super) const SYNCED_LAG: u64 = 1000;
/// How long a stopping leader waits for another member to take over.
pub(super) const HANDOVER_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(
    TOUCH_INTERVAL.as_millis() * 2 <= EXPIRY_GRACE.as_millis(),
    "a sign of life given just before a deadline must be known when the session would be expired"
);
const _: () = assert!(
    EXPIRY_GRACE.as_millis() + EXPIRY_INTERVAL.as_millis() < 100,
    "an expiry late by more than a tenth of a second keeps dead endpoints in use"
);
const _: () = assert!(
    EXPIRY_REST.as_millis() <= SESSION_TIMEOUT.start().as_millis(),
    "no session may be due while the leader does not look"
);
