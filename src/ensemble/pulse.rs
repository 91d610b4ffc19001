//! When Raft's clock ticks and when a leader's heart beats.
//!
//! openraft looks at its timers some hundred times a second, on every member, whether there is anything to
//! do or not. Here it does so only while it has reason to: while this member follows nobody, or has not heard its
//! leader for a while. A leader's heartbeats come from here, one per interval. So an idle ensemble costs its
//! heartbeats and nothing else, and elections are decided by openraft's own timers as ever.
//!
//! A leader that others hear but that does not hear them would lead for ever without being able to do anything. So one that
//! no quorum has answered for [`UNHEARD_BEATS`] falls silent, but for a beat every [`PROBE_BEATS`]: between two of
//! them there is time to elect another, and if no other can be elected, the next one that is answered brings it back.
//! Append requests need no such bound: Raft takes no entry without a lease from its quorum, so there are none to send.

use super::contact::Contact;
use super::limits::{PROBE_BEATS, UNHEARD_BEATS};
use super::machine::Machine;
use super::types::Types;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, Raft, ServerState};
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
    /// Leads, but is not heard: beats now and then.
    Probe,
    /// Has heard its leader lately, or may not elect, or must be silent: rests for so long.
    Rest(Duration),
    /// Has not heard a leader: Raft's timers run.
    Watch,
}

/// What its duty depends on.
#[derive(Clone, Copy)]
struct Situation {
    state: ServerState,
    /// In the ensemble, this one included.
    members: usize,
    /// It has a fault with which it must not be taken for alive.
    is_silenced: bool,
    /// Since a leader was heard, if ever.
    silence: Option<Duration>,
    /// Since a quorum answered this leader, or since it began to lead.
    unheard: Duration,
}

impl Pulse {
    /// Runs until Raft stops.
    pub(super) async fn run(self) {
        let mut facts = self.raft.server_metrics();
        let mut last_beat = None;
        let mut led_since = None;
        loop {
            let (state, members) = {
                let now = facts.borrow_and_update();
                (
                    now.state,
                    now.membership_config.membership().nodes().count(),
                )
            };
            led_since = led_since.filter(|_| state.is_leader());
            let situation = Situation {
                state,
                members,
                is_silenced: self.contact.is_silenced(),
                silence: self.contact.silence(),
                unheard: self.unheard(*led_since.get_or_insert_with(Instant::now)),
            };
            let duty = duty(situation, self.heartbeat);
            self.raft.runtime_config().tick(duty == Duty::Watch);
            let now = Instant::now();
            let next = match duty {
                Duty::Beat | Duty::Probe => {
                    let pause = match duty {
                        Duty::Probe => self.heartbeat * PROBE_BEATS,
                        _ => self.heartbeat,
                    };
                    let due = last_beat.map_or(now, |at| at + pause);
                    if due <= now {
                        last_beat = Some(now);
                        if self.raft.trigger().heartbeat().await.is_err() {
                            return;
                        }
                    }
                    // Not later than a heartbeat from now: an answer may come and end the pause.
                    (last_beat.unwrap_or(now) + pause).min(now + self.heartbeat)
                }
                Duty::Rest(time) => now + time,
                Duty::Watch => now + self.heartbeat,
            };
            if let Ok(Err(_)) = timeout_at(next, facts.changed()).await {
                return;
            }
        }
    }

    /// For how long no quorum has answered this member as its leader, which it has been `since` then.
    fn unheard(&self, since: Instant) -> Duration {
        let facts = self.raft.metrics();
        let facts = facts.borrow_watched();
        if facts.membership_config.membership().voter_ids().count() == 1 {
            return Duration::ZERO;
        }
        let acked = facts.last_quorum_acked;
        let unheard = acked.map(|at| at.elapsed()).unwrap_or(Duration::MAX);
        unheard.min(since.elapsed())
    }
}

/// What a member in this situation does.
fn duty(now: Situation, heartbeat: Duration) -> Duty {
    match now.state {
        _ if now.is_silenced => Duty::Rest(heartbeat),
        // Nobody else is there to hear it.
        ServerState::Leader if now.members < 2 => Duty::Rest(IDLE),
        ServerState::Leader if now.unheard > heartbeat * UNHEARD_BEATS => Duty::Probe,
        ServerState::Leader => Duty::Beat,
        ServerState::Learner | ServerState::Shutdown => Duty::Rest(IDLE),
        ServerState::Candidate => Duty::Watch,
        ServerState::Follower => {
            let left = now
                .silence
                .and_then(|age| (heartbeat * MISSED_BEATS).checked_sub(age));
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

    /// One of three that has heard nobody and leads without an answer for no time.
    fn of(state: ServerState) -> Situation {
        Situation {
            state,
            members: 3,
            is_silenced: false,
            silence: None,
            unheard: Duration::ZERO,
        }
    }

    #[test]
    fn timers_run_only_while_no_leader_is_heard() {
        let follower = |silence| {
            let now = of(ServerState::Follower);
            duty(Situation { silence, ..now }, BEAT)
        };
        assert_eq!(follower(None), Duty::Watch);
        assert_eq!(follower(Some(BEAT)), Duty::Rest(BEAT * 2));
        assert_eq!(follower(Some(BEAT * 3)), Duty::Watch);
        assert_eq!(follower(Some(BEAT * 9)), Duty::Watch);
        let candidate = Situation {
            silence: Some(Duration::ZERO),
            ..of(ServerState::Candidate)
        };
        assert_eq!(duty(candidate, BEAT), Duty::Watch);
    }

    #[test]
    fn only_a_leader_of_others_beats() {
        let leader = of(ServerState::Leader);
        assert_eq!(duty(leader, BEAT), Duty::Beat);
        let alone = Situation {
            members: 1,
            ..leader
        };
        assert_eq!(duty(alone, BEAT), Duty::Rest(IDLE));
        assert_eq!(duty(of(ServerState::Learner), BEAT), Duty::Rest(IDLE));
    }

    #[test]
    fn leader_that_no_quorum_answers_lets_others_elect() {
        let unheard = |beats| {
            let leader = of(ServerState::Leader);
            let unheard = BEAT * beats;
            duty(Situation { unheard, ..leader }, BEAT)
        };
        assert_eq!(unheard(UNHEARD_BEATS), Duty::Beat);
        assert_eq!(unheard(UNHEARD_BEATS + 1), Duty::Probe);
    }

    #[test]
    fn silenced_member_neither_beats_nor_elects() {
        for state in [
            ServerState::Leader,
            ServerState::Follower,
            ServerState::Candidate,
        ] {
            let silenced = Situation {
                is_silenced: true,
                ..of(state)
            };
            assert_eq!(duty(silenced, BEAT), Duty::Rest(BEAT));
        }
    }
}
