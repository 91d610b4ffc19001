//! What lets connections in to one listener, and counts those that are in: the same from one configuration of the
//! listener to the next, so that a reload neither forgets who is there nor tells anybody to go.

use super::rate::AcceptRate;
use super::sources::Sources;
use crate::config::ListenerConfig;
use crate::telemetry::{ListenerMetrics, Metrics};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

/// What the configurations of one listener share.
pub struct Admission {
    /// Its metrics.
    pub metrics: ListenerMetrics,
    /// Connections by source.
    pub sources: Arc<Sources>,
    /// How many per second.
    pub rate: AcceptRate,
    /// Every connection of it, from when it is taken from the kernel.
    pub connections: TaskTracker,
    seats: Arc<Semaphore>,
    limit: AtomicUsize,
    /// Seats that are to be taken away, and are taken.
    owed: AtomicUsize,
    leaving: AtomicBool,
}

impl Admission {
    /// With the limits that `config` sets, and every seat free.
    pub fn new(config: &ListenerConfig, metrics: &Metrics) -> Arc<Admission> {
        let limit = limit_of(config);
        let admission = Admission {
            metrics: metrics.listener(&config.name),
            sources: Arc::default(),
            rate: AcceptRate::new(config.accept_rate),
            connections: TaskTracker::new(),
            seats: Arc::new(Semaphore::new(limit)),
            limit: AtomicUsize::new(limit),
            owed: AtomicUsize::new(0),
            leaving: AtomicBool::new(false),
        };
        admission.sources.set(config.max_connections_per_source);
        Arc::new(admission)
    }

    /// Goes by the limits of `config` from now on. Nobody is told to go: where there are too many, those that end make
    /// no room until there is. Not to be called by two at once.
    pub fn limit_by(&self, config: &ListenerConfig) {
        self.rate.set(config.accept_rate);
        self.sources.set(config.max_connections_per_source);
        let new = limit_of(config);
        let old = self.limit.swap(new, Ordering::Relaxed);
        if new >= old {
            let paid = self.pay(new - old);
            self.seats.add_permits(new - old - paid);
        } else {
            let taken = self.seats.forget_permits(old - new);
            self.owed.fetch_add(old - new - taken, Ordering::Relaxed);
        }
    }

    /// A seat, once one is free.
    pub async fn seat(self: &Arc<Self>) -> SeatTaken {
        let permit = match self.seats.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.metrics.delayed_by_seats.inc();
                let seats = self.seats.clone();
                let permit = seats.acquire_owned().await;
                permit.expect("the seats of a listener are never closed")
            }
        };
        SeatTaken {
            admission: Arc::clone(self),
            permit: Some(permit),
        }
    }

    /// The listener is no more: its connections end when their exchange does.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        self.connections.close();
    }

    /// Whether the listener is no more.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Pays up to `count` of the seats that are owed; how many those are.
    fn pay(&self, count: usize) -> usize {
        let rest = |owed: usize| Some(owed - owed.min(count));
        let before = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
        before.unwrap_or_else(|owed| owed).min(count)
    }
}

fn limit_of(config: &ListenerConfig) -> usize {
    config.max_connections.min(Semaphore::MAX_PERMITS)
}

/// A seat; dropping it lets the next one in.
pub struct SeatTaken {
    admission: Arc<Admission>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for SeatTaken {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && self.admission.pay(1) == 1
        {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Protocol;
    use futures_util::FutureExt;

    fn config(max_connections: usize) -> ListenerConfig {
        let bind = "127.0.0.1:0".parse().unwrap();
        ListenerConfig {
            max_connections,
            ..ListenerConfig::new("web", bind, Protocol::Tcp)
        }
    }

    fn take(admission: &Arc<Admission>) -> Option<SeatTaken> {
        admission.seat().now_or_never()
    }

    #[tokio::test]
    async fn a_limit_changes_under_those_who_sit() {
        let admission = Admission::new(&config(2), &Metrics::new("n1"));
        let mut taken = vec![take(&admission).unwrap(), take(&admission).unwrap()];
        assert!(take(&admission).is_none());
        admission.limit_by(&config(4));
        taken.push(take(&admission).unwrap());
        taken.push(take(&admission).unwrap());
        assert!(take(&admission).is_none());
        admission.limit_by(&config(1));
        for _ in 0..3 {
            assert!(taken.pop().is_some() && take(&admission).is_none());
        }
        drop(taken);
        let _last = take(&admission).unwrap();
        assert!(take(&admission).is_none());
    }

    #[tokio::test]
    async fn what_is_owed_is_settled_when_the_limit_rises_again() {
        let admission = Admission::new(&config(3), &Metrics::new("n1"));
        let taken: Vec<_> = (0..3).map_while(|_| take(&admission)).collect();
        admission.limit_by(&config(1));
        admission.limit_by(&config(4));
        let fourth = take(&admission).unwrap();
        assert!(take(&admission).is_none());
        drop((taken, fourth));
        let all: Vec<_> = (0..9).map_while(|_| take(&admission)).collect();
        assert_eq!(all.len(), 4);
    }

    #[tokio::test]
    async fn who_waits_for_a_seat_gets_one_when_the_limit_rises() {
        let admission = Admission::new(&config(1), &Metrics::new("n1"));
        let _first = take(&admission).unwrap();
        let waiting = admission.seat();
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        admission.limit_by(&config(2));
        assert!(waiting.now_or_never().is_some());
    }
}
