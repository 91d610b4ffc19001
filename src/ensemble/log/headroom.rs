//! How much more fits into the log for certain, so that nobody is promised what the disk has no room for.
//!
//! ```text
//!   |==== written ====|-- queued --|............ left ............|   next segment: prepared, or the disk is full
//! ```
//! The next segment is made, with all its blocks, when the one before it is begun. While it is there, there is room.
//! When it cannot be made, what is left of the current one is all there is, as a rule nearly a whole one. It is for what
//! is under way already, here and at a leader that has not heard of it yet, and for what Raft itself needs
//! ([`Room::Low`]); the last eighth is for votes, blanks and changes of the members ([`Room::Spent`]).

use parking_lot::Mutex;
use tokio::sync::watch;

/// How much more fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Whatever comes.
    Ample,
    /// The disk is full: nothing may come that could as well be refused.
    Low,
    /// As [`Room::Low`], and nearly used up: only what elects a leader and ends sessions may come.
    Spent,
}

/// One part in this many of a segment is left when it is nearly used up: 2 MiB of 16, some ten thousand small entries.
const SPENT_PART: u64 = 8;

/// What is known about it.
pub(super) struct Headroom {
    /// Bytes of a segment.
    capacity: u64,
    state: Mutex<State>,
    room: watch::Sender<Room>,
}

#[derive(Default)]
struct State {
    /// Bytes free in the current segment.
    left: u64,
    /// Bytes on their way to it.
    queued: u64,
    /// The next one cannot be made.
    is_short: bool,
}

impl Headroom {
    /// As long as nobody says otherwise there is room.
    pub(super) fn new(capacity: u64) -> Headroom {
        Headroom {
            capacity,
            state: Mutex::default(),
            room: watch::Sender::new(Room::Ample),
        }
    }

    /// Bytes of a segment.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Who wants to know.
    pub(super) fn watch(&self) -> watch::Receiver<Room> {
        self.room.subscribe()
    }

    /// So many bytes are on their way.
    pub(super) fn queue(&self, bytes: usize) {
        self.change(|state| state.queued += bytes as u64);
    }

    /// So many bytes have arrived, and so many are left now in the current segment.
    pub(super) fn arrive(&self, bytes: usize, left: usize) {
        self.change(|state| {
            state.queued = state.queued.saturating_sub(bytes as u64);
            state.left = left as u64;
        });
    }

    /// Whether the next segment cannot be made.
    pub(super) fn tell_short(&self, is_short: bool) {
        self.change(|state| state.is_short = is_short);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let left = state.left.saturating_sub(state.queued);
        let room = match state.is_short {
            true if left < self.capacity / SPENT_PART => Room::Spent,
            true => Room::Low,
            false => Room::Ample,
        };
        // Under the lock, so that the last change is the last one told.
        self.room
            .send_if_modified(|now| std::mem::replace(now, room) != room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_in_steps_once_the_next_segment_cannot_be_made() {
        let headroom = Headroom::new(800);
        let room = headroom.watch();
        headroom.arrive(0, 50);
        assert_eq!(*room.borrow(), Room::Ample);
        headroom.arrive(0, 800);
        headroom.tell_short(true);
        for (queued, expected) in [(0, Room::Low), (700, Room::Low), (1, Room::Spent)] {
            headroom.queue(queued);
            assert_eq!(*room.borrow(), expected);
        }
        headroom.arrive(701, 500);
        assert_eq!(*room.borrow(), Room::Low);
        headroom.arrive(0, 0);
        assert_eq!(*room.borrow(), Room::Spent);
        headroom.tell_short(false);
        assert_eq!(*room.borrow(), Room::Ample);
    }
}
