//! The ensemble's bounds on time and size, each with its reason.

use crate::config::limits::SESSION_TIMEOUT;
use std::time::Duration;

/// Longest wait for a greeting between members: several times a loaded loopback or LAN round trip.
pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for the answer to a request between members, votes included.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest question of the rooms above, bytes: two names and some words.
pub(super) const QUESTION_BYTES: usize = 4 << 10;
/// Longest answer to one, bytes. Each member's is held while the others are waited for.
pub(super) const ANSWER_BYTES: usize = 64 << 10;
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
/// First pause before a snapshot that could not be written is tried again; doubles from there.
pub(super) const SNAPSHOT_RETRY_MIN: Duration = Duration::from_millis(500);
/// Longest such pause: how late a disk that works again is noticed, while each attempt writes up to the whole tree.
pub(super) const SNAPSHOT_RETRY_MAX: Duration = Duration::from_secs(60);
/// First pause before a member that could not be reached is tried again; doubles from there.
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest such pause: how late a returning member may be noticed.
pub(super) const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// Bytes sent per snapshot frame.
pub(super) const SNAPSHOT_FRAME: usize = 256 << 10;
/// Bytes of a snapshot sent per second, at most: a quarter of a slow disk's and of a 10 Gbit/s network's, so that the
/// entries that go the same ways are not held up. A million small znodes take 2 s.
pub(super) const SNAPSHOT_RATE: u64 = 128 << 20;
/// Batches of entries, of some 100 bytes here, that wait to be applied while a snapshot is loaded: 10 s of them at
/// 6,000 a second.
pub(super) const STATE_MACHINE_QUEUE: u64 = 64 << 10;
/// While a snapshot is being sent, the next one waits until there are this many times [`USUAL_ENTRIES`] since the last:
/// that many the receiver may be behind when it has it. Costs as much log on disk.
pub(super) const HELD_BACK_FACTOR: u64 = 8;
/// Entries that may lie between two snapshots where only entries are counted: a quarter of [`LOG_BYTES`], if they are
/// small.
pub(super) const USUAL_ENTRIES: u64 = 100_000;
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
/// How often a member tells its leader that it is there, if its clients give no signs of life. Several fit into
/// [`SERVING_GRACE`].
pub(super) const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// A member that has not reported for this long is not asked about overdue sessions: it would hold up the others' ends.
pub(super) const SILENT: Duration = Duration::from_secs(1);
/// Longest wait for a member's answer about overdue sessions: a round trip, on a loaded machine.
pub(super) const EXPIRY_ASK: Duration = Duration::from_millis(200);
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
/// Clients are served this long after the last word from a leader that has heard this member too or, on the leader, from its
/// quorum: long enough for an election, short enough that a member cut off does not answer from the past for long.
pub(super) const SERVING_GRACE: Duration = Duration::from_millis(1500);
/// How often a member that does not serve looks whether it may. One that serves looks when its time is up.
pub(super) const SERVING_INTERVAL: Duration = Duration::from_millis(50);
/// Log entries between snapshots: more than ever come, since their bytes decide (`LOG_BYTES`). Tests set fewer.
pub const SNAPSHOT_ENTRIES: u64 = 1 << 40;
/// Bytes of log after a snapshot at which the next one is due: half a second of a disk's time, and of a restart's. If
/// the last one was larger, as many as it had, so that snapshots never cost the disk more than the log does. As much
/// again is kept behind a snapshot.
pub(super) const LOG_BYTES: u64 = 64 << 20;
/// The most they are, however large the snapshots: what a restart replays, and what the disk holds four times at most.
pub(super) const MOST_LOG_BYTES: u64 = 1 << 30;
/// How often the log is measured: at 100 MB/s it is longer than it should be by one and a half times [`LOG_BYTES`].
pub(super) const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);
/// How often a leader asks the voters for room on their disks, and how late it notices that its own is full.
pub(super) const SPACE_INTERVAL: Duration = Duration::from_secs(1);
/// After so many bytes of proposals it asks at once. A round trip is short beside the time that they take.
pub(super) const SPACE_ASK_BYTES: u64 = 1 << 20;
/// So many bytes it proposes at most while it does not know that a majority had room and lacked no more than as many.
/// Twice this, a batch and an oversize entry fit into what a segment has left when its member first says that it is
/// full: [`super::log::Room::Low`].
pub(super) const SPACE_BYTES: u64 = 3 << 20;
/// Longest wait of a batch for such an answer: longer than a leader without a quorum leads.
pub(super) const SPACE_ASK_PATIENCE: Duration = Duration::from_secs(3);
/// Longest wait for such an answer; who is slower counts as unknown.
pub(super) const SPACE_ASK: Duration = Duration::from_millis(500);
/// How long a member whose log is used up lets its leader wait before it refuses the entries. Longer than a retry of
/// the preparation, shorter than [`APPEND_STALL`].
pub(super) const SPACE_PATIENCE: Duration = Duration::from_secs(1);
/// Behind a snapshot as many entries are kept as lie between two, and one part in this many more for those that came
/// while it was written: back to the one before, which will do if the newer one turns out to be damaged. A follower that lags by less need
/// not get all of the tree.
pub(super) const KEPT_PART: u64 = 4;
/// Members compare digests at each index that is a multiple of this: every 10 ms at 100,000 writes a second, of which
/// one comparison costs nothing that can be measured.
pub(super) const DIGEST_EVERY: u64 = 1000;
/// Digests kept of the latest indexes, 16 bytes each: members apply the same entry within a few ms of each other, in
/// which there are no more than so many.
pub(super) const DIGEST_RECENT: usize = 4096;
/// Digests kept of multiples of [`DIGEST_EVERY`], 16 bytes each: a million entries back, further than a member may lag
/// before it gets a snapshot.
pub(super) const DIGEST_SPARSE: usize = 1024;
/// How often digests are compared at least, if there were writes.
pub(super) const DIGEST_INTERVAL: Duration = Duration::from_secs(2);
/// Shortest time between two comparisons, and between two questions to a voter that could not answer.
pub(super) const DIGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long voters are asked before it counts as undecided who is right: a few round trips, and a member that is a
/// little behind. Meanwhile nobody is known to be wrong.
pub(super) const DIGEST_PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two looks at the own tree. Each is at most [`SCRUB_STEPS`] times [`SCRUB_ZNODES`]: a million znodes
/// take two minutes and 0.2 % of one core.
pub(super) const SCRUB_INTERVAL: Duration = Duration::from_millis(250);
/// See [`SCRUB_INTERVAL`].
pub(super) const SCRUB_STEPS: usize = 8;
/// Znodes looked at while the tree is held: 0.1 ms.
pub(super) const SCRUB_ZNODES: usize = 256;
/// How long a member that rebuilds waits for its log to get on to the snapshot it has received.
pub(super) const REBUILD_CATCH_UP: Duration = Duration::from_secs(10);
/// Longest wait of a leader for a snapshot that it makes for a member that rebuilds. Shorter than
/// [`SNAPSHOT_STALL`], so that the member hears why it gets none.
pub(super) const SUPPLY_TIMEOUT: Duration = Duration::from_secs(25);
/// Connections accepted from members at once: five purposes, several instances each, at most a few dozen
/// members and observers.
pub(super) const PEER_CONNECTIONS: usize = 1024;
/// Connections from members at once that were not greeted yet, each of which ends within [`HELLO_TIMEOUT`]; more are
/// refused, and dialled again. Members that all restart at once have a few dozen; each costs a handshake.
pub(super) const PEER_GREETINGS: usize = 256;
/// A refused connection is told about in the log, but of one address not more often than this.
pub(super) const STRANGER_INTERVAL: Duration = Duration::from_secs(10);
/// Addresses remembered for that.
pub(super) const STRANGERS: usize = 256;
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
/// Longest wait for the answer to a request for admission: longer than the leader takes over it.
pub(super) const ADMISSION_ASK: Duration = Duration::from_secs(35);
/// Pause before the members are asked again, all of them.
pub(super) const ADMISSION_RETRY: Duration = Duration::from_millis(500);
/// How long a member that has given up its number asks for another one before it stops: longer than its peers take to
/// elect and to let go of the old number. Whoever watches over the process sees by its end that something is wrong.
pub(super) const READMISSION_PATIENCE: Duration = Duration::from_secs(120);
/// How often it is told that a node still waits for the same reason.
pub(super) const ADMISSION_NEWS: Duration = Duration::from_secs(60);
/// Longest wait for what a node says of itself: a round trip, on a loaded machine.
pub(super) const LOBBY_ASK: Duration = Duration::from_secs(1);
/// Pause before all are asked again. Nodes that are started together find each other this late.
pub(super) const LOBBY_RETRY: Duration = Duration::from_millis(100);
/// Longest conversation with a node that is no member yet; it asks again if it has more to say.
pub(super) const LOBBY_TALK: Duration = Duration::from_secs(5);
/// Pause when there are too many of them.
pub(super) const LOBBY_PAUSE: Duration = Duration::from_millis(50);
/// How often the leader looks whether a member that is to vote has caught up.
pub(super) const PROMOTION_INTERVAL: Duration = Duration::from_millis(200);
/// How often it looks whether there is one.
pub(super) const PROMOTION_REST: Duration = Duration::from_secs(1);
/// How long a member that starts waits for others to object to it. One that answers does so within a round trip.
pub(super) const OBJECTION_PATIENCE: Duration = Duration::from_millis(500);
/// How long a member hears no leader before it asks the others whether it may still take part, and the pause before it
/// asks again.
pub(super) const STANDING_INTERVAL: Duration = Duration::from_secs(2);
/// Longest wait for the leader to note an address: it commits a membership entry meanwhile.
pub(super) const MOVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before the leader is told an address again.
pub(super) const MOVE_RETRY: Duration = Duration::from_millis(500);
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
/// How long a leader that was asked to hand over waits until another one leads: an election, on a loaded machine.
pub(super) const TRANSFER_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the watchdog looks at each critical part.
pub(super) const WATCH_ROUND: Duration = Duration::from_millis(100);
/// Rounds without a step after which a part has stalled: 2 s, several times what a busy disk or a loaded machine takes, and
/// early enough that another member leads within 5 s.
pub(super) const STALLED_ROUNDS: u32 = 20;
/// Rounds without a step after which the process ends: 4.5 s, so that it has ended within 5 s.
pub(super) const ENDED_ROUNDS: u32 = 45;
/// How often the runtime tells that it runs. An idle member wakes up as often for it, and a stall is noticed late by as much.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// How often Raft's core is asked whether it answers.
pub(super) const CORE_ASK: Duration = Duration::from_millis(250);
/// Heartbeats without an answer from a quorum after which a leader beats no more: its followers may hear it and not be
/// heard, and while they hear it they do not elect. Four times what an election takes to begin, so that a slow
/// moment costs no leader.
pub(super) const UNHEARD_BEATS: u32 = 20;
/// Heartbeats left out before such a leader tries one: time for two elections. It must try, since it may be the only
/// one that can be elected.
pub(super) const PROBE_BEATS: u32 = 25;
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
const _: () = assert!(
    REPORT_INTERVAL.as_millis() * 4 <= SILENT.as_millis()
        && SILENT.as_millis() < SERVING_GRACE.as_millis(),
    "a report or two may be late before a member counts as silent or sends its clients away"
);
