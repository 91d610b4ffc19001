//! The queue of a service whose endpoints are all full: who waits for a lease to be given back, in which order.
//!
//! ```text
//! enter --> [first] [second] ... [last]          bounded; one queue per service, shared by tables and workers
//!              ^  tries a pick, and leaves when it has its lease, or when it waits no longer
//! lease given back, new table --call--> the first is woken; whoever leaves calls the one behind it
//! ```
//! Only the first tries, so leases go out in the order of arrival, and a change wakes one exchange, not all. A slot
//! that comes free is never lost: whoever gives it back calls *after* it is free, whoever waits tries *after* it stands
//! in the queue, and a place that is dropped passes the call on.
//!
//! One case breaks the order: an exchange that may not go to an endpoint with room, because it failed to connect to it,
//! lets those behind it try ([`Place::pass_on`]).
//!
//! The lock is taken only by those who wait and, while somebody waits, by those who give a lease back.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::task::Waker;

/// Exchanges that wait for an endpoint of one service.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many there are; written under the lock, read without.
    length: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next_ticket: u64,
    /// By ticket, so the first is who came first.
    places: BTreeMap<u64, Waiter>,
}

#[derive(Debug, Default)]
struct Waiter {
    waker: Option<Waker>,
    /// May try though it is not the first.
    is_called: bool,
    /// May not go to every endpoint, so those behind it try beside it.
    is_choosy: bool,
}

impl Waiting {
    /// The next one after `ticket`, or the first, may try; its waker is to be woken once the lock is free.
    fn call(&mut self, after: Option<u64>) -> Option<Waker> {
        let from = after.map_or(Unbounded, Excluded);
        let (_, waiter) = self.places.range_mut((from, Unbounded)).next()?;
        waiter.is_called = true;
        waiter.waker.clone()
    }
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.length.load(Ordering::SeqCst)
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place at the end, unless `bound` wait already. Whoever has it must try once more before it waits: a slot may
    /// have come free meanwhile.
    pub fn enter(self: &Arc<Queue>, bound: usize) -> Option<Place> {
        let mut waiting = self.waiting.lock();
        if waiting.places.len() >= bound {
            return None;
        }
        let ticket = waiting.next_ticket;
        waiting.next_ticket += 1;
        waiting.places.insert(ticket, Waiter::default());
        self.length.store(waiting.places.len(), Ordering::SeqCst);
        Some(Place {
            queue: Arc::clone(self),
            ticket,
        })
    }

    /// A slot has come free, or what there is to pick from has changed: the first in the queue tries again.
    pub fn call(&self) {
        if !self.is_empty() {
            let first = self.waiting.lock().call(None);
            wake(first);
        }
    }
}

/// A place in a [`Queue`]. Dropping it leaves the queue and lets the next one try.
#[derive(Debug)]
pub struct Place {
    queue: Arc<Queue>,
    ticket: u64,
}

impl Place {
    /// Whether it is this one's turn to try a pick; if not, or if the pick finds nothing, `waker` is woken when it is.
    /// A turn that was given out of order is used up by asking.
    pub fn may_try(&self, waker: &Waker) -> bool {
        let mut waiting = self.queue.waiting.lock();
        let mut ahead = waiting.places.range(..self.ticket);
        let is_first = ahead.all(|(_, waiter)| waiter.is_choosy);
        let waiter = waiting.places.get_mut(&self.ticket);
        let waiter = waiter.expect("a place stands in its queue until it is dropped");
        match &mut waiter.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let was_called = std::mem::take(&mut waiter.is_called);
        drop(waiting);
        // The pick that follows must see every slot whose owner did not see this place: see `Lease::drop`.
        fence(Ordering::SeqCst);
        is_first || was_called
    }

    /// Lets those behind this one try as well, now and from now on, because it may not go to every endpoint.
    pub fn pass_on(&self) {
        let mut waiting = self.queue.waiting.lock();
        if let Some(waiter) = waiting.places.get_mut(&self.ticket) {
            waiter.is_choosy = true;
        }
        let next = waiting.call(Some(self.ticket));
        drop(waiting);
        wake(next);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock();
        waiting.places.remove(&self.ticket);
        self.queue
            .length
            .store(waiting.places.len(), Ordering::SeqCst);
        let next = waiting.call(None);
        drop(waiting);
        wake(next);
    }
}

/// Outside the lock: a waker may run anything.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A place whose owner has tried in vain, and how often it was woken since.
    struct Waits {
        place: Place,
        woken: Arc<Count>,
    }

    impl Waits {
        fn new(queue: &Arc<Queue>) -> Waits {
            let waits = Waits {
                place: queue.enter(10).unwrap(),
                woken: Arc::default(),
            };
            waits.may_try();
            waits
        }

        fn may_try(&self) -> bool {
            self.place.may_try(&Waker::from(Arc::clone(&self.woken)))
        }

        fn woken(&self) -> usize {
            self.woken.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn the_first_is_called_and_nobody_else() {
        let queue = Arc::default();
        let waiting = [(); 3].map(|()| Waits::new(&queue));
        queue.call();
        assert_eq!(waiting.each_ref().map(Waits::woken), [1, 0, 0]);
        assert_eq!(waiting.each_ref().map(Waits::may_try), [true, false, false]);
    }

    #[test]
    fn who_leaves_calls_the_next() {
        let queue = Arc::default();
        let [first, second, third] = [(); 3].map(|()| Waits::new(&queue));
        drop(first);
        assert_eq!((second.woken(), third.woken()), (1, 0));
        assert!(second.may_try() && !third.may_try());
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn a_call_that_was_not_used_is_not_lost() {
        let queue = Arc::default();
        let [first, second] = [(); 2].map(|()| Waits::new(&queue));
        queue.call();
        drop(first);
        assert_eq!(second.woken(), 1);
        assert!(second.may_try());
    }

    #[test]
    fn those_behind_a_choosy_one_try_beside_it() {
        let queue = Arc::default();
        let [first, second, third] = [(); 3].map(|()| Waits::new(&queue));
        assert!(first.may_try());
        first.place.pass_on();
        assert_eq!((second.woken(), third.woken()), (1, 0));
        assert!(first.may_try() && second.may_try() && !third.may_try());
        queue.call();
        assert_eq!(
            (first.woken(), second.woken()),
            (1, 1),
            "it is still asked first"
        );
        second.place.pass_on();
        assert!(third.may_try());
        drop(second);
        assert!(Waits::new(&queue).place.queue.len() == 3 && third.may_try());
    }

    #[test]
    fn the_queue_is_bounded_and_has_room_again() {
        let queue: Arc<Queue> = Arc::default();
        assert!(queue.enter(0).is_none());
        let first = queue.enter(1).unwrap();
        assert!(queue.enter(1).is_none());
        drop(first);
        assert!(queue.is_empty() && queue.enter(1).is_some());
    }
}
