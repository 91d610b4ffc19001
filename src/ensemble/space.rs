//! A full disk: who may still write, and who had better lead.
//!
//! ```text
//!   log --Room--> Space --admits?--> the leader's duties: refuse what a client could as well try later
//!                   |----append?---> the peer listener: take no more entries from the leader
//!                   `----watch-----> fault, and on a leader: hand the leadership to a voter that has room
//! ```
//! A leader needs the room of a quorum, so it asks the voters for theirs. While its own disk is full, or those of so
//! many voters that nothing could be committed, it refuses whatever makes the tree grow, by name; nobody waits for an
//! outcome that cannot come. What frees something, what keeps sessions alive and what Raft itself needs goes on, in
//! what the log has kept back for it ([`Room`]). Nothing has to be done when there is room again.

use super::contact::Contact;
use super::fault::Fault;
use super::limits::{SPACE_ASK, SPACE_INTERVAL, SPACE_PATIENCE};
use super::log::Room;
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::types::Types;
use crate::telemetry::Metrics;
use crate::tree::{Command, Op};
use futures_util::future::join_all;
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::time::timeout;

/// What is known about room for entries, here and among the voters.
pub(super) struct Space {
    /// Of this member's log.
    own: watch::Receiver<Room>,
    /// This member leads, and too few voters have room.
    is_quorum_full: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Space {
    /// What follows from the room of this member's log.
    pub(super) fn new(own: watch::Receiver<Room>, metrics: Arc<Metrics>) -> Arc<Space> {
        Arc::new(Space {
            own,
            is_quorum_full: AtomicBool::new(false),
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
    /// What is known.
    pub(super) space: Arc<Space>,
    /// Is told of the fault.
    pub(super) contact: Arc<Contact>,
}

/// A voter, with how far its log is known to reach.
struct Voter {
    number: u64,
    address: String,
    matched: Option<u64>,
}

impl SpaceWatch {
    /// Runs for ever.
    pub(super) async fn run(self) {
        let mut own = self.space.own.clone();
        let mut links = HashMap::new();
        loop {
            match self.space.has_room() {
                true => self.contact.clear_fault(|fault| *fault == Fault::DiskFull),
                false => self.contact.set_fault(Fault::DiskFull),
            }
            match self.voters() {
                Some(voters) => self.lead(&voters, &mut links).await,
                None => {
                    links.clear();
                    self.tell_quorum(false);
                }
            }
            // The log outlives this task; if not, there is nothing to tell any more.
            if let Ok(Err(_)) = timeout(SPACE_INTERVAL, own.changed()).await {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The other voters, if this member leads.
    fn voters(&self) -> Option<Vec<Voter>> {
        let facts = self.raft.metrics();
        let facts = facts.borrow_watched();
        if facts.current_leader != Some(self.me.member) {
            return None;
        }
        let membership = facts.membership_config.membership();
        let others = membership.voter_ids().filter(|id| *id != self.me.member);
        let voter = |number| {
            let matched = facts.replication.as_ref().and_then(|r| r.get(&number));
            Some(Voter {
                number,
                address: membership.get_node(&number)?.address.clone(),
                matched: matched.and_then(|id| id.map(|id| id.index())),
            })
        };
        Some(others.filter_map(voter).collect())
    }

    /// Asks the voters for their room, and draws the conclusions.
    async fn lead(&self, voters: &[Voter], links: &mut HashMap<u64, (String, Link)>) {
        links.retain(|number, (address, _)| {
            let is_same = |v: &Voter| v.number == *number && v.address == *address;
            voters.iter().any(is_same)
        });
        let mut asked = Vec::new();
        for voter in voters {
            let (address, mut link) = links.remove(&voter.number).unwrap_or_else(|| {
                let link = Link::new(&self.me, Some(voter.number), &voter.address);
                (voter.address.clone(), link)
            });
            asked.push(async move {
                let answer = link.ask(&Ask::HasRoom, SPACE_ASK).await;
                (voter, answer, (address, link))
            });
        }
        let mut roomy = Vec::new();
        let mut is_any_full = !self.space.has_room();
        for (voter, answer, link) in join_all(asked).await {
            links.insert(voter.number, link);
            match answer {
                Ok(Answer::Done) => roomy.push(voter),
                Ok(_) => is_any_full = true,
                // Whoever cannot be asked is another matter: that a quorum is not within reach shows elsewhere.
                Err(_) => {}
            }
        }
        let able = roomy.len() + usize::from(self.space.has_room());
        self.tell_quorum(is_any_full && able <= voters.len().div_ceil(2));
        if !self.space.has_room()
            && let Some(successor) = roomy.iter().max_by_key(|voter| voter.matched)
        {
            tracing::warn!(
                successor = successor.number,
                "this leader's disk is full: it hands its leadership to a member that has room"
            );
            // If it does not come about, the next look tries again.
            let _ = self.raft.trigger().transfer_leader(successor.number).await;
        }
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
}
