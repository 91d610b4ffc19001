//! When Raft's clock ticks and when a leader's heart beats.
//!
//! openraft looks at its timers some hundred times a second, on every member, whether there is anything to
//! do or not. Here it does so only while it has reason to: while this member follows nobody, or has not heard its
//! leader for a while. A leader's heartbeats come from here, one per interval. So an idle ensemble costs its
//! heartbeats and nothing else, and elections are decided by openraft's own timers as ever.

use super::contact::Contact;
use super::machine::Machine;
use super::types::Types;
use openraft::async_runtime::WatchReceiver;
use openraft::{Raft, ServerState};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The task that keeps the beat.
pub(super) struct Pulse {
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// Knows when the leader was last heard.
    pub(super) contact: Arc<Contact>,
    /// Time between two heartbeats.
    pub(super) heartbeat: Duration,
}

/// What a member has to do until a certain time, or until its state changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    /// Leads: beats.
    Beat,
    /// Has heard its leader lately, or may not elect: rests for so long.
    Rest(Duration),
    /// Has not heard a leader: Raft's timers run.
    Watch,
}

impl Pulse {
    /// Runs until Raft stops.
    pub(super) async fn run(self) {
        let mut facts = self.raft.server_metrics();
        let mut last_beat = None;
        loop {
            let duty = {
                let now = facts.borrow_and_update();
                let members = now.membership_config.membership().nodes().count();
                duty(now.state, members, self.contact.silence(), self.heartbeat)
            };
            self.raft.runtime_config().tick(duty == Duty::Watch);
            let now = Instant::now();
            let next = match duty {
                Duty::Beat => {
                    let due = last_beat.map_or(now, |at| at + self.heartbeat);
                    if due <= now {
                        last_beat = Some(now);
                        if self.raft.trigger().heartbeat().await.is_err() {
                            return;
                        }
                    }
                    last_beat.unwrap_or(now) + self.heartbeat
                }
                Duty::Rest(time) => now + time,
                Duty::Watch => now + self.heartbeat,
            };
            if let Ok(Err(_)) = timeout_at(next, facts.changed()).await {
                return;
            }
        }
    }
}

/// What a member in this state does, one of so many, that has not heard a leader for this long, if ever.
fn duty(
    state: ServerState,
    members: usize,
    silence: Option<Duration>,
    heartbeat: Duration,
) -> Duty {
    match state {
        // Nobody else is there to hear it.
        ServerState::Leader if members < 2 => Duty::Rest(IDLE),
        ServerState::Leader => Duty::Beat,
        ServerState::Learner | ServerState::Shutdown => Duty::Rest(IDLE),
        ServerState::Candidate => Duty::Watch,
        ServerState::Follower => {
            let left = silence.and_then(|age| (heartbeat * MISSED_BEATS).checked_sub(age));
            match left {
                Some(left) if !left.is_zero() => Duty::Rest(left),
                _ => Duty::Watch,
            }
        }
    }
}

/// Heartbeats a leader may miss before Raft's timers run: fewer than its lease lasts, so that no election is late.
const MISSED_BEATS: u32 = 3;
/// How long a member rests that has nothing to wait for but a change, which wakes it.
const IDLE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_millis(50);

    #[test]
    fn timers_run_only_while_no_leader_is_heard() {
        let follower = |silence| duty(ServerState::Follower, 3, silence, BEAT);
        assert_eq!(follower(None), Duty::Watch);
        assert_eq!(follower(Some(BEAT)), Duty::Rest(BEAT * 2));
        assert_eq!(follower(Some(BEAT * 3)), Duty::Watch);
        assert_eq!(follower(Some(BEAT * 9)), Duty::Watch);
        let candidate = duty(ServerState::Candidate, 3, Some(Duration::ZERO), BEAT);
        assert_eq!(candidate, Duty::Watch);
    }

    #[test]
    fn only_a_leader_of_others_beats() {
        assert_eq!(duty(ServerState::Leader, 3, None, BEAT), Duty::Beat);
        assert_eq!(duty(ServerState::Leader, 1, None, BEAT), Duty::Rest(IDLE));
        assert_eq!(duty(ServerState::Learner, 3, None, BEAT), Duty::Rest(IDLE));
    }
}
