//! What this member hears of its leader: when last, over how many connections, and whether it is gone for good.
//!
//! From the first, and from this member's own [faults](super::fault), follows whether clients may be served. An election changes nothing about it: what was heard
//! before counts until [`SERVING_GRACE`] is over, so clients do not notice a leader that is replaced in time. A leader that is heard and does not hear counts for
//! nothing: it would never know of what clients are answered here, and end their sessions.

use super::fault::{Fault, Faults};
use super::limits::{SERVING_GRACE, SERVING_INTERVAL};
use super::machine::Machine;
use super::types::Types;
use crate::telemetry::Metrics;
use openraft::alias::VoteOf;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, Raft};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What was heard of leaders.
pub(super) struct Contact {
    /// When a leader was last heard, and the highest vote by which one led.
    heard: Mutex<Option<(Instant, VoteOf<Types>)>>,
    /// When the latest report was begun that a leader has taken.
    reported: Mutex<Option<Instant>>,
    /// Until when clients may be answered, by what was known at the last look.
    until: Mutex<Option<Instant>>,
    serving: watch::Sender<bool>,
    faults: Faults,
    /// Set while this member must say nothing to the others.
    silenced: watch::Sender<bool>,
    /// Whether it must not lead.
    unfit: AtomicBool,
    /// The faults have changed.
    faults_changed: Notify,
    /// Append connections by the member that dialled them; only a leader does.
    connections: Mutex<HashMap<u64, usize>>,
    ended: Notify,
    /// The latest leadership this member has proof against.
    over: Mutex<Option<VoteOf<Types>>>,
}

impl Contact {
    /// Nobody was heard yet.
    pub(super) fn new() -> Arc<Contact> {
        Arc::new(Contact {
            heard: Mutex::new(None),
            reported: Mutex::new(None),
            until: Mutex::new(None),
            serving: watch::Sender::new(false),
            faults: Faults::default(),
            silenced: watch::Sender::new(false),
            unfit: AtomicBool::new(false),
            faults_changed: Notify::new(),
            connections: Mutex::default(),
            ended: Notify::new(),
            over: Mutex::new(None),
        })
    }

    /// An append request or heartbeat has arrived from a leader elected by `vote`. One that has been replaced
    /// does not count.
    pub(super) fn heard(&self, vote: VoteOf<Types>) {
        let mut heard = self.heard.lock();
        if heard.is_none_or(|(_, highest)| vote >= highest) {
            *heard = Some((Instant::now(), vote));
        }
    }

    /// How long ago a leader was last heard; `None` before the first time.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.heard.lock().map(|(at, _)| at.elapsed())
    }

    /// A leader has taken all that this member had to report when it began to, `at` that time.
    pub(super) fn reported(&self, at: Instant) {
        *self.reported.lock() = Some(at);
    }

    /// Member `from` has an append connection to this one until the guard is dropped.
    pub(super) fn connected(self: &Arc<Self>, from: u64) -> Connected {
        *self.connections.lock().entry(from).or_default() += 1;
        Connected {
            contact: self.clone(),
            from,
        }
    }

    /// Whether `leader` has an append connection to this member.
    pub(super) fn is_connected(&self, leader: u64) -> bool {
        self.connections.lock().contains_key(&leader)
    }

    /// Waits until an append connection has ended. For one task: an end is told once.
    pub(super) async fn connection_ended(&self) {
        self.ended.notified().await;
    }

    /// There is proof that the leader of `vote` leads no more.
    pub(super) fn prove_over(&self, vote: VoteOf<Types>) {
        *self.over.lock() = Some(vote);
    }

    /// Whether there is proof that the leader of `vote` leads no more.
    pub(super) fn is_proven_over(&self, vote: VoteOf<Types>) -> bool {
        *self.over.lock() == Some(vote)
    }

    /// Notes that this member has a fault. If it forbids serving, clients are sent away at once, even while the
    /// runtime is stuck.
    pub(super) fn set_fault(&self, fault: Fault) {
        let sends_away = !fault.allows_serving();
        if self.faults.set(fault) {
            if sends_away {
                self.serve(|| false);
            }
            self.faults_have_changed();
        }
    }

    /// Notes that the faults that `are_over` are no more.
    pub(super) fn clear_fault(&self, are_over: impl Fn(&Fault) -> bool) {
        if self.faults.clear(are_over) {
            self.faults_have_changed();
        }
    }

    fn faults_have_changed(&self) {
        self.silenced.send_if_modified(|now| {
            let before = std::mem::replace(now, self.faults.silence());
            before != *now
        });
        self.faults_changed.notify_one();
    }

    /// Whether this member has a fault with which it must not speak to others: they would take it for alive.
    pub(super) fn is_silenced(&self) -> bool {
        *self.silenced.borrow()
    }

    /// Resolves once [`is_silenced`](Contact::is_silenced) is true.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn silenced(&self) {
        // The sender lives as long as this.
        let _ = self
            .silenced
            .subscribe()
            .wait_for(|silenced| *silenced)
            .await;
    }

    /// The faults that this member has now.
    pub(super) fn faults(&self) -> Vec<Fault> {
        self.faults.all()
    }

    /// Notes whether this member must not lead: its tree is known to be wrong.
    pub(super) fn set_unfit(&self, unfit: bool) {
        self.unfit.store(unfit, Ordering::Relaxed);
    }

    /// Whether this member must not lead.
    pub(super) fn is_unfit(&self) -> bool {
        self.unfit.load(Ordering::Relaxed)
    }

    /// Whether clients can be served.
    pub(super) fn serving(&self) -> watch::Receiver<bool> {
        self.serving.subscribe()
    }

    /// Keeps [`Contact::serving`] true to the facts, of which one is that this member `is_ready`, until dropped.
    pub(super) async fn watch(
        self: Arc<Self>,
        raft: Raft<Types, Machine>,
        is_ready: impl Fn() -> bool,
        metrics: Arc<Metrics>,
    ) {
        loop {
            let left = self.time_left(&raft).filter(|_| is_ready());
            let serving = self.serve(|| left.is_some() && self.faults.allow_serving());
            metrics.coordination.serving.set(i64::from(serving));
            let rest = left.unwrap_or_default().max(SERVING_INTERVAL);
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.faults_changed.notified() => {}
            }
        }
    }

    /// Serves clients from now on, or not, as `judge` says; that is asked while nobody else can change it.
    fn serve(&self, judge: impl FnOnce() -> bool) -> bool {
        let mut serving = false;
        self.serving.send_if_modified(|now| {
            serving = judge();
            if *now != serving {
                tracing::info!(
                    serving,
                    "ZooKeeper clients are {}served",
                    if serving { "" } else { "not " }
                );
            }
            std::mem::replace(now, serving) != serving
        });
        serving
    }

    /// Whether clients may be answered at this moment. [`Contact::serving`] is a step behind when the process was paused.
    pub(super) fn may_answer(&self, raft: &Raft<Types, Machine>) -> bool {
        let now = Instant::now();
        let is_in_time = |until: Option<Instant>| until.is_some_and(|until| now <= until);
        if is_in_time(*self.until.lock()) {
            return true;
        }
        let until = self.time_left(raft).map(|left| now + left);
        *self.until.lock() = until;
        is_in_time(until)
    }

    /// For how long clients may still be answered, unless there is news.
    fn time_left(&self, raft: &Raft<Types, Machine>) -> Option<Duration> {
        SERVING_GRACE.checked_sub(self.age_of_word(raft)?)
    }

    /// How long ago this member last heard a leader that heard it or, leading, its quorum; `None` before the first time.
    pub(super) fn age_of_word(&self, raft: &Raft<Types, Machine>) -> Option<Duration> {
        let metrics = raft.metrics();
        let now = metrics.borrow_watched();
        let heard = self.silence();
        if now.current_leader != Some(now.id) {
            let reported = self.reported.lock().map(|at| at.elapsed());
            return heard.zip(reported).map(|(heard, told)| heard.max(told));
        }
        if now.membership_config.membership().voter_ids().count() == 1 {
            return Some(Duration::ZERO);
        }
        let acked = now.last_quorum_acked.as_ref().map(|at| at.elapsed());
        [heard, acked].into_iter().flatten().min()
    }
}

/// An append connection from another member.
pub(super) struct Connected {
    contact: Arc<Contact>,
    from: u64,
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut connections = self.contact.connections.lock();
        if let Some(count) = connections.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&self.from);
            }
        }
        drop(connections);
        self.contact.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::alias::LeaderIdOf;

    #[test]
    fn a_member_is_connected_until_its_last_connection_ends() {
        let contact = Contact::new();
        let (first, second) = (contact.connected(1), contact.connected(1));
        drop(first);
        assert!(contact.is_connected(1));
        drop(second);
        assert!(!contact.is_connected(1));
    }

    #[tokio::test]
    async fn an_end_is_told_even_if_nobody_waited_for_it_yet() {
        let contact = Contact::new();
        drop(contact.connected(1));
        contact.connection_ended().await;
    }

    fn vote(term: u64) -> VoteOf<Types> {
        VoteOf::<Types> {
            leader_id: LeaderIdOf::<Types> { term, node_id: 1 },
            committed: true,
        }
    }

    #[tokio::test]
    async fn a_fault_sends_clients_away_at_once_and_a_full_disk_does_not() {
        let contact = Contact::new();
        contact.serving.send_replace(true);
        contact.set_fault(Fault::DiskFull);
        assert!(*contact.serving().borrow());
        contact.set_fault(Fault::Stalled { part: "log" });
        assert!(!*contact.serving().borrow());
        contact.clear_fault(|fault| matches!(fault, Fault::Stalled { .. }));
        assert_eq!(contact.faults(), [Fault::DiskFull]);
        // Whoever decides whether to serve again is told.
        contact.faults_changed.notified().await;
    }

    #[test]
    fn a_leader_that_was_replaced_is_not_heard_any_more() {
        let contact = Contact::new();
        contact.heard(vote(4));
        let at = contact.heard.lock().map(|(at, _)| at);
        contact.heard(vote(3));
        assert_eq!(contact.heard.lock().map(|(at, _)| at), at);
        contact.heard(vote(5));
        assert!(
            contact
                .heard
                .lock()
                .is_some_and(|(_, highest)| highest == vote(5))
        );
    }

    #[test]
    fn proof_is_about_one_leadership_only() {
        let contact = Contact::new();
        contact.prove_over(vote(4));
        assert!(contact.is_proven_over(vote(4)));
        assert!(!contact.is_proven_over(vote(5)));
    }
}
