//! Who waits for which proposal.
//!
//! A ticket is handed out when a proposal leaves for the leader and torn up when this member applies the
//! entry that carries it. When the way to the leader breaks, every ticket out there is void: its outcome is
//! unknown, and its owner is told so rather than given a guess.

use super::handle::Applied;
use super::types::Origin;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The tickets of this member's process.
pub(super) struct Tickets {
    member: u64,
    run: u64,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiter>>,
}

/// One client that waits, and the room its proposal takes among those under way.
pub(super) struct Waiter {
    /// Where the outcome goes.
    pub(super) tx: oneshot::Sender<Applied>,
    /// Given back when the outcome is known.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Tickets {
    /// No tickets yet. `run` tells this process from earlier ones of the same member.
    pub(super) fn new(member: u64, run: u64) -> Tickets {
        Tickets {
            member,
            run,
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
        }
    }

    /// Hands out a ticket.
    pub(super) fn issue(&self, waiter: Waiter) -> Origin {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert(ticket, waiter);
        Origin {
            member: self.member,
            run: self.run,
            ticket,
        }
    }

    /// Gives the outcome to whoever holds the ticket, if this process issued it and it is still valid.
    pub(super) fn complete(&self, origin: &Origin, applied: Applied) {
        if origin.member != self.member || origin.run != self.run {
            return;
        }
        if let Some(waiter) = self.waiting.lock().remove(&origin.ticket) {
            // A client that has gone does not want its outcome any more.
            let _ = waiter.tx.send(applied);
        }
    }

    /// Voids all tickets: their owners learn that the outcome is unknown.
    pub(super) fn void_all(&self) {
        let gone = std::mem::take(&mut *self.waiting.lock());
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{ErrorCode, Zxid};
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn waiter() -> (Waiter, oneshot::Receiver<Applied>) {
        let (tx, rx) = oneshot::channel();
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Waiter { tx, _room: room }, rx)
    }

    fn applied(zxid: u64) -> Applied {
        Applied {
            zxid: Zxid(zxid),
            result: Err(ErrorCode::NoNode),
        }
    }

    #[test]
    fn outcome_reaches_the_holder_of_the_ticket() {
        let tickets = Tickets::new(1, 7);
        let (waiter, mut rx) = waiter();
        let origin = tickets.issue(waiter);
        tickets.complete(&origin, applied(9));
        assert_eq!(rx.try_recv().unwrap().zxid, Zxid(9));
    }

    #[test]
    fn tickets_of_other_members_and_earlier_runs_are_ignored() {
        let tickets = Tickets::new(1, 7);
        let (waiter, mut rx) = waiter();
        let origin = tickets.issue(waiter);
        tickets.complete(
            &Origin {
                member: 2,
                ..origin
            },
            applied(9),
        );
        tickets.complete(&Origin { run: 6, ..origin }, applied(9));
        assert_eq!(
            rx.try_recv().unwrap_err(),
            oneshot::error::TryRecvError::Empty
        );
    }

    #[test]
    fn voided_tickets_close_their_channel() {
        let tickets = Tickets::new(1, 7);
        let (waiter, mut rx) = waiter();
        tickets.issue(waiter);
        tickets.void_all();
        assert_eq!(
            rx.try_recv().unwrap_err(),
            oneshot::error::TryRecvError::Closed
        );
    }
}
