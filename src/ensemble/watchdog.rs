//! Notices that a critical part of the member stands still, and sees to it that the member does not look alive.
//!
//! ```text
//!   runtime  a task that ticks                          |   every 0.1 s, on a thread of its own:
//!   raft     answers a small request, again and again   |-- no step though there is work?
//!   log      writes and syncs, while there is a batch   |     2 s:   a fault: silent towards the other members,
//!   apply    entries, while any is committed            |            which elect; clients are sent away
//!                                                             4.5 s: the process ends
//! ```
//! Time is counted in rounds of this thread, not by a clock. A process that was stopped, or a machine that was suspended,
//! lost one round, not its life; and where so many threads want the processor that this one comes late, the parts
//! are given as much more time.
//!
//! A thread that waits for a disk that hangs cannot be ended, and while it lives the kernel keeps the process's
//! sockets open. So the first step already makes them useless to others, and the second closes what it can before
//! it ends the process.

use super::contact::Contact;
use super::fault::Fault;
use super::limits::{CORE_ASK, ENDED_ROUNDS, STALLED_ROUNDS, TICK, WATCH_ROUND};
use super::machine::Machine;
use super::progress::{Look, Progress};
use super::running::MemberFailed;
use super::types::Types;
use openraft::Raft;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
#[cfg(not(feature = "simulation"))]
use std::thread;
use tokio::sync::watch;
use tokio::time::sleep;

/// What ends the process.
pub(super) type Ending = Arc<dyn Fn(&MemberFailed) + Send + Sync>;

/// A part that is watched: its name, and how to look at it.
pub(super) type Part = (&'static str, Box<dyn Fn() -> Look + Send>);

/// The thread that watches, as its owner sees it. Dropping this ends it.
pub(super) struct Watchdog {
    _alive: SyncSender<()>,
    /// Nobody watches in virtual time, which does not wait for threads.
    #[cfg(feature = "simulation")]
    _watch: Mutex<Watch>,
    failed: watch::Receiver<Option<MemberFailed>>,
    ending: Arc<Mutex<Option<Ending>>>,
}

impl Watchdog {
    /// Starts to watch `parts`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(super) fn start(parts: Vec<Part>, contact: Arc<Contact>) -> io::Result<Watchdog> {
        let (alive, owner) = sync_channel(0);
        let (fail, failed) = watch::channel(None);
        let ending = Arc::new(Mutex::new(None));
        let watch = Watch {
            judges: parts.into_iter().map(Judge::new).collect(),
            contact,
            owner,
            fail,
            ending: ending.clone(),
        };
        #[cfg(not(feature = "simulation"))]
        thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watch.run())?;
        Ok(Watchdog {
            _alive: alive,
            #[cfg(feature = "simulation")]
            _watch: Mutex::new(watch),
            failed,
            ending,
        })
    }

    /// `ending` is called, on the watchdog's thread, for a part that stands still for too long.
    pub(super) fn end_by(&self, ending: Ending) {
        *self.ending.lock() = Some(ending);
    }

    /// Becomes `Some` when a part has stood still for too long.
    pub(super) fn failed(&self) -> watch::Receiver<Option<MemberFailed>> {
        self.failed.clone()
    }
}

/// The thread.
struct Watch {
    judges: Vec<Judge>,
    contact: Arc<Contact>,
    owner: Receiver<()>,
    fail: watch::Sender<Option<MemberFailed>>,
    ending: Arc<Mutex<Option<Ending>>>,
}

impl Watch {
    fn run(mut self) {
        while self.owner.recv_timeout(WATCH_ROUND) == Err(RecvTimeoutError::Timeout) {
            self.round();
        }
    }

    fn round(&mut self) {
        for judge in &mut self.judges {
            let part = judge.name;
            match judge.round() {
                Verdict::Works => {}
                Verdict::Stalls => self.contact.set_fault(Fault::Stalled { part }),
                Verdict::GoesOn => self
                    .contact
                    .clear_fault(|fault| *fault == Fault::Stalled { part }),
                Verdict::IsLost => {
                    let failed = MemberFailed::new(part, "it makes no progress");
                    tracing::error!(
                        part,
                        "a critical part makes no progress; ending the process"
                    );
                    self.fail.send_replace(Some(failed.clone()));
                    let ending = self.ending.lock().clone();
                    if let Some(end) = ending {
                        end(&failed);
                    }
                }
            }
        }
    }
}

/// Tells that the runtime runs, for ever.
pub(super) async fn tick(progress: Arc<Progress>) {
    progress.begin();
    loop {
        progress.step();
        failpoint!("runtime");
        sleep(TICK).await;
    }
}

/// Asks Raft's core for an answer, until it has stopped.
pub(super) async fn ask(raft: Raft<Types, Machine>, progress: Arc<Progress>) {
    progress.begin();
    while raft.with_raft_state(|_| answer()).await.is_ok() {
        progress.step();
        sleep(CORE_ASK).await;
    }
}

/// In Raft's core.
fn answer() {
    failpoint!("raft");
}

/// What is thought of one part.
struct Judge {
    name: &'static str,
    look: Box<dyn Fn() -> Look + Send>,
    steps: u64,
    /// Rounds in which it had work and did no step.
    idle: u32,
}

/// What a round says about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing new.
    Works,
    /// It has just been still for too long.
    Stalls,
    /// It had been, and goes on.
    GoesOn,
    /// It was given time, in vain.
    IsLost,
}

impl Judge {
    fn new((name, look): Part) -> Judge {
        Judge {
            name,
            look,
            steps: 0,
            idle: 0,
        }
    }

    fn round(&mut self) -> Verdict {
        let now = (self.look)();
        let is_still = now.is_busy && now.steps == self.steps;
        self.steps = now.steps;
        if !is_still {
            let had_stalled = std::mem::take(&mut self.idle) >= STALLED_ROUNDS;
            return if had_stalled {
                Verdict::GoesOn
            } else {
                Verdict::Works
            };
        }
        self.idle = self.idle.saturating_add(1);
        match self.idle {
            STALLED_ROUNDS => Verdict::Stalls,
            ENDED_ROUNDS => Verdict::IsLost,
            _ => Verdict::Works,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn judge() -> (Arc<Progress>, Judge) {
        let progress = Arc::new(Progress::default());
        let seen = progress.clone();
        (progress, Judge::new(("log", Box::new(move || seen.look()))))
    }

    fn rounds(judge: &mut Judge, count: u32) -> Vec<Verdict> {
        let verdicts = (0..count).map(|_| judge.round());
        verdicts.filter(|v| *v != Verdict::Works).collect()
    }

    #[test]
    fn idle_part_is_never_judged() {
        let (progress, mut judge) = judge();
        assert_eq!(rounds(&mut judge, ENDED_ROUNDS * 2), []);
        progress.begin();
        progress.end();
        assert_eq!(rounds(&mut judge, ENDED_ROUNDS * 2), []);
    }

    #[test]
    fn slow_part_that_goes_on_in_time_is_left_alone() {
        let (progress, mut judge) = judge();
        progress.begin();
        for _ in 0..5 {
            progress.step();
            assert_eq!(rounds(&mut judge, STALLED_ROUNDS), []);
        }
    }

    #[test]
    fn part_that_stands_still_has_a_fault_and_is_then_lost_once() {
        let (progress, mut judge) = judge();
        progress.begin();
        assert_eq!(rounds(&mut judge, STALLED_ROUNDS - 1), []);
        assert_eq!(rounds(&mut judge, 1), [Verdict::Stalls]);
        assert_eq!(rounds(&mut judge, ENDED_ROUNDS - STALLED_ROUNDS - 1), []);
        assert_eq!(rounds(&mut judge, 1), [Verdict::IsLost]);
        assert_eq!(rounds(&mut judge, ENDED_ROUNDS), []);
    }

    #[test]
    fn part_that_goes_on_loses_its_fault() {
        let (progress, mut judge) = judge();
        progress.begin();
        assert_eq!(rounds(&mut judge, STALLED_ROUNDS), [Verdict::Stalls]);
        progress.step();
        assert_eq!(rounds(&mut judge, 1), [Verdict::GoesOn]);
        progress.end();
        assert_eq!(rounds(&mut judge, ENDED_ROUNDS), []);
    }

    #[test]
    fn the_thread_tells_faults_and_calls_the_end() {
        let progress = Arc::new(Progress::default());
        progress.begin();
        let contact = Contact::new();
        let seen = progress.clone();
        let parts: Vec<Part> = vec![("log", Box::new(move || seen.look()))];
        let watchdog = Watchdog::start(parts, contact.clone()).expect("a thread");
        let (tell, told) = sync_channel(1);
        watchdog.end_by(Arc::new(move |failed: &MemberFailed| {
            // A second call would find no room, and be noticed below.
            tell.try_send(failed.to_string()).expect("called once");
        }));
        let text = told.recv_timeout(Duration::from_secs(30)).expect("an end");
        assert_eq!(text, "log failed: it makes no progress");
        assert_eq!(contact.faults(), [Fault::Stalled { part: "log" }]);
        assert!(watchdog.failed().borrow().is_some());
    }
}
