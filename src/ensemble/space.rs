//! A full disk: who may still write, and who had better lead.
//!
//! ```text
//!   log --Room--> Space --admits?--> the leader's duties: refuse what a client could as well try later
//!                   |----append?---> the peer listener: take no more entries from the leader
//!                   `----watch-----> fault, and on a leader: hand the leadership to a voter that has room
//! ```
//! A leader needs the room of a quorum, so it asks the voters for theirs: now and then, and after every few MiB. It
//! proposes no more than a few more MiB before a majority has said that it has room, and has nearly all of the log. So
//! whatever it has proposed when it learns of a full disk still fits into what each log has left. While its own disk is full, or those of so
//! many voters that nothing could be committed, it refuses whatever makes the tree grow, by name; nobody waits for an
//! outcome that cannot come. What frees something, what keeps sessions alive and what Raft itself needs goes on, in
//! what the log has kept back for it ([`Room`]). Nothing has to be done when there is room again.

use super::contact::Contact;
use super::fault::Fault;
use super::limits::{
    SPACE_ASK, SPACE_ASK_BYTES, SPACE_ASK_PATIENCE, SPACE_BYTES, SPACE_INTERVAL, SPACE_PATIENCE,
};
use super::log::{Log, Room};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::types::Types;
use crate::telemetry::Metrics;
use crate::tree::{Command, Op};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What is known about room for entries, here and among the voters.
pub(super) struct Space {
    /// Of this member's log.
    own: watch::Receiver<Room>,
    /// This member leads, and too few voters have room.
    is_quorum_full: AtomicBool,
    /// Bytes proposed here since the voters were last asked and answered.
    unasked: watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

impl Space {
    /// What follows from the room of this member's log.
    pub(super) fn new(own: watch::Receiver<Room>, metrics: Arc<Metrics>) -> Arc<Space> {
        Arc::new(Space {
            own,
            is_quorum_full: AtomicBool::new(false),
            unasked: watch::Sender::new(0),
            metrics,
        })
    }

    /// Whether this member's log takes whatever comes.
    pub(super) fn has_room(&self) -> bool {
        *self.own.borrow() == Room::Ample
    }

    /// Whether the leader may propose this. If not, it is counted.
    pub(super) fn admits(&self, command: &Command) -> bool {
        let own = *self.own.borrow();
        let admits = match own {
            Room::Ample if !self.is_quorum_full.load(Ordering::Relaxed) => true,
            Room::Ample | Room::Low => !grows(command),
            Room::Spent => matches!(command, Command::CloseSession { .. }),
        };
        if !admits {
            self.metrics.coordination.disk_refused.inc();
        }
        admits
    }

    /// Waits until what was proposed is little beside the room that a majority had, then counts `bytes` more.
    pub(super) async fn until_known(&self, bytes: usize) {
        let mut unasked = self.unasked.subscribe();
        let taken =
            async { while !self.take(bytes, SPACE_BYTES) && unasked.changed().await.is_ok() {} };
        // If it takes longer there is no quorum, which is another matter.
        if timeout(SPACE_ASK_PATIENCE, taken).await.is_err() {
            self.take(bytes, u64::MAX);
        }
    }

    /// Counts `bytes` if there are fewer than `most` so far.
    fn take(&self, bytes: usize, most: u64) -> bool {
        self.unasked.send_if_modified(|unasked| {
            let takes = *unasked < most;
            *unasked += if takes { bytes as u64 } else { 0 };
            takes
        })
    }

    /// Waits, but not for long, until entries from the leader can be taken. False if they cannot.
    pub(super) async fn append(&self) -> bool {
        let mut own = self.own.clone();
        if *own.borrow() != Room::Spent {
            return true;
        }
        let room = own.wait_for(|room| *room != Room::Spent);
        matches!(timeout(SPACE_PATIENCE, room).await, Ok(Ok(_)))
    }
}

/// Whether a command takes room in the tree, rather than giving some back or keeping something alive.
fn grows(command: &Command) -> bool {
    let op_grows = |op: &Op| match op {
        Op::Create { .. } | Op::SetData { .. } | Op::SetAcl { .. } => true,
        Op::Delete { .. } | Op::Check { .. } | Op::Refuse(_) => false,
    };
    match command {
        Command::One(op) => op_grows(op),
        Command::Multi(ops) => ops.iter().any(op_grows),
        Command::OpenSession { .. } => true,
        Command::AttachSession { .. }
        | Command::CloseSession { .. }
        | Command::Introduce { .. }
        | Command::Admit { .. }
        | Command::Announce { .. }
        | Command::Reap { .. } => false,
    }
}

/// The task that looks after it.
pub(super) struct SpaceWatch {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// This member's log.
    pub(super) log: Log,
    /// What is known.
    pub(super) space: Arc<Space>,
    /// Is told of the fault.
    pub(super) contact: Arc<Contact>,
}

impl SpaceWatch {
    /// Runs for ever.
    pub(super) async fn run(self) {
        let mut own = self.space.own.clone();
        let mut unasked = self.space.unasked.subscribe();
        let mut asking = Asking::default();
        loop {
            match self.space.has_room() {
                true => self.contact.clear_fault(|fault| *fault == Fault::DiskFull),
                false => self.contact.set_fault(Fault::DiskFull),
            }
            let proposed = *self.space.unasked.borrow();
            match self.voters() {
                Some(voters) => {
                    if !self.lead(&voters, &mut asking).await {
                        continue;
                    }
                }
                None => {
                    asking = Asking::default();
                    self.tell_quorum(false);
                }
            }
            let is_over = |unasked: &mut u64| *unasked = unasked.saturating_sub(proposed);
            self.space.unasked.send_modify(is_over);
            let ended = async {
                tokio::select! {
                    changed = own.changed() => changed.is_err(),
                    _ = unasked.wait_for(|bytes| *bytes >= SPACE_ASK_BYTES) => false,
                }
            };
            // The log outlives this task; if not, there is nothing to tell any more.
            if let Ok(true) = timeout(SPACE_INTERVAL, ended).await {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The other voters with their addresses, if this member leads.
    fn voters(&self) -> Option<BTreeMap<u64, String>> {
        let facts = self.raft.metrics();
        let facts = facts.borrow_watched();
        if facts.current_leader != Some(self.me.member) {
            return None;
        }
        let membership = facts.membership_config.membership();
        let others = membership.voter_ids().filter(|id| *id != self.me.member);
        let voter = |number| Some((number, membership.get_node(&number)?.address.clone()));
        Some(others.filter_map(voter).collect())
    }

    /// Asks the voters for their room, and draws the conclusions. False if nobody knows.
    async fn lead(&self, voters: &BTreeMap<u64, String>, asking: &mut Asking) -> bool {
        let has_room = self.space.has_room();
        let is_majority = |able: usize| able + usize::from(has_room) > voters.len().div_ceil(2);
        let mut roomy = Vec::new();
        let begun = Instant::now();
        asking.begin(&self.me, voters);
        while let Some((number, answer)) = asking.next().await {
            // Whoever cannot be asked is as it was: that a quorum is not within reach shows elsewhere.
            match answer {
                Some(true) => {
                    asking.full.remove(&number);
                    roomy.push(number);
                }
                Some(false) => {
                    asking.full.insert(number);
                }
                None => {}
            }
            if has_room && is_majority(roomy.len()) {
                break;
            }
        }
        let are_near = self.wait_until(is_majority, &roomy).await;
        let is_any_full = !has_room || !asking.full.is_empty();
        self.tell_quorum(is_any_full && !are_near);
        if !self.space.has_room()
            && let Some(successor) = roomy.iter().max_by_key(|number| self.matched(**number))
        {
            tracing::warn!(
                successor,
                "this leader's disk is full: it hands its leadership to a member that has room"
            );
            // If it does not come about, the next look tries again.
            let _ = self.raft.trigger().transfer_leader(*successor).await;
        }
        if !are_near && !is_any_full {
            // So that those that refuse at once are not asked without end.
            tokio::time::sleep_until(begun + SPACE_ASK).await;
        }
        are_near || is_any_full
    }

    /// Waits, but not for long, until so many of these voters as `is_enough` have nearly all of the log: what is on its
    /// way to one takes room that it does not know of yet.
    async fn wait_until(&self, is_enough: impl Fn(usize) -> bool, voters: &[u64]) -> bool {
        let lacks = |number: &u64| match self.matched(*number) {
            Some(matched) => self.log.bytes_after(matched),
            None => u64::MAX,
        };
        let near = || voters.iter().filter(|id| lacks(id) < SPACE_BYTES).count();
        if !is_enough(voters.len()) {
            return false;
        }
        let mut facts = self.raft.metrics();
        let waited = async {
            while !is_enough(near()) {
                facts.changed().await.ok()?;
            }
            Some(())
        };
        matches!(timeout(SPACE_ASK, waited).await, Ok(Some(())))
    }

    /// How far a voter's log is known to reach.
    fn matched(&self, number: u64) -> Option<u64> {
        let facts = self.raft.metrics();
        let facts = facts.borrow_watched();
        let matched = facts.replication.as_ref()?.get(&number)?.as_ref()?;
        Some(matched.index())
    }

    fn tell_quorum(&self, is_full: bool) {
        let was_full = self.space.is_quorum_full.swap(is_full, Ordering::Relaxed);
        match (was_full, is_full) {
            (false, true) => tracing::error!(
                "too few members have room on their disks: this leader refuses writes until they have"
            ),
            (true, false) => tracing::info!("a quorum has room again"),
            _ => {}
        }
    }
}

/// Questions to the voters. One that is slow to answer holds up nobody: it is asked again when it has answered.
#[derive(Default)]
struct Asking {
    links: HashMap<u64, (String, Link)>,
    owing: BTreeSet<u64>,
    /// Those that had no room when they last answered.
    full: BTreeSet<u64>,
    under_way: FuturesUnordered<BoxFuture<'static, Asked>>,
    round: u64,
}

/// What became of a question.
struct Asked {
    round: u64,
    number: u64,
    link: (String, Link),
    /// Whether that voter has room; unknown if it did not answer.
    has_room: Option<bool>,
}

impl Asking {
    /// Asks each of the voters that owes no answer.
    fn begin(&mut self, me: &Me, voters: &BTreeMap<u64, String>) {
        self.round += 1;
        let round = self.round;
        self.links
            .retain(|number, (address, _)| voters.get(number) == Some(address));
        self.full.retain(|number| voters.contains_key(number));
        for (&number, address) in voters {
            if !self.owing.insert(number) {
                continue;
            }
            let known = self.links.remove(&number);
            let dial = || (address.clone(), Link::new(me, Some(number), address));
            let mut link = known.unwrap_or_else(dial);
            self.under_way.push(Box::pin(async move {
                let answer = link.1.ask(&Ask::HasRoom, SPACE_ASK).await;
                Asked {
                    round,
                    number,
                    link,
                    has_room: answer.ok().map(|answer| matches!(answer, Answer::Done)),
                }
            }));
        }
    }

    /// The next answer of this round, with who gave it; `None` when there are no more.
    async fn next(&mut self) -> Option<(u64, Option<bool>)> {
        loop {
            let asked = self.under_way.next().await?;
            self.owing.remove(&asked.number);
            self.links.insert(asked.number, asked.link);
            if asked.round == self.round {
                return Some((asked.number, asked.has_room));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{CreateMode, SessionId, Zxid};

    fn create() -> Op {
        Op::Create {
            path: "/a".into(),
            data: None,
            acl: Vec::new(),
            mode: CreateMode::PERSISTENT,
        }
    }

    fn delete() -> Op {
        let path = "/a".into();
        Op::Delete { path, version: -1 }
    }

    #[test]
    fn a_full_disk_takes_what_frees_room_and_in_the_end_only_the_end_of_sessions() {
        let (room, own) = watch::channel(Room::Ample);
        let space = Space::new(own, Metrics::new("n1"));
        let close = Command::CloseSession {
            session: SessionId(1),
            attachment: Some(Zxid(1)),
        };
        let attach = Command::AttachSession {
            session: SessionId(1),
            password: [0; 16].to_vec().into(),
            member: 1,
            timeout_ms: 1000,
        };
        let cases = [
            (Command::One(create()), [true, false, false]),
            (
                Command::Multi(vec![delete(), create()]),
                [true, false, false],
            ),
            (Command::One(delete()), [true, true, false]),
            (Command::Multi(vec![delete()]), [true, true, false]),
            (attach, [true, true, false]),
            (close, [true, true, true]),
        ];
        for (command, expected) in &cases {
            for (now, expected) in [Room::Ample, Room::Low, Room::Spent]
                .into_iter()
                .zip(expected)
            {
                room.send_replace(now);
                assert_eq!(space.admits(command), *expected, "{command:?} {now:?}");
            }
        }
        room.send_replace(Room::Ample);
        space.is_quorum_full.store(true, Ordering::Relaxed);
        assert!(!space.admits(&cases[0].0) && space.admits(&cases[2].0));
        assert_eq!(space.metrics.coordination.disk_refused.get(), 8);
    }

    #[tokio::test]
    async fn entries_are_waited_with_only_when_the_log_is_used_up() {
        let (room, own) = watch::channel(Room::Low);
        let space = Space::new(own, Metrics::new("n1"));
        assert!(space.append().await);
        room.send_replace(Room::Spent);
        assert!(!space.append().await);
        let (taken, ()) = tokio::join!(space.append(), async {
            room.send_replace(Room::Ample);
        });
        assert!(taken);
    }

    #[tokio::test]
    async fn proposals_wait_for_an_answer_when_they_are_much_but_not_for_ever() {
        let (_room, own) = watch::channel(Room::Ample);
        let space = Space::new(own, Metrics::new("n1"));
        let begun = tokio::time::Instant::now();
        space.until_known(SPACE_BYTES as usize - 1).await;
        space.until_known(1).await;
        let asked = async {
            tokio::task::yield_now().await;
            space.unasked.send_replace(0);
        };
        tokio::join!(space.until_known(1), asked);
        assert!(begun.elapsed() < SPACE_ASK_PATIENCE);
        assert_eq!(*space.unasked.borrow(), 1);
        space.until_known(SPACE_BYTES as usize).await;
        space.until_known(1).await;
        assert!(begun.elapsed() >= SPACE_ASK_PATIENCE);
    }
}
