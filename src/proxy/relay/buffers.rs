//! Buffers shared by the relays of one worker.
//!
//! A relay holds a buffer only while bytes are in it, so a connection that is silent costs none, and a worker
//! with ten thousand quiet connections needs a handful. Only a receiver slower than its sender makes a relay
//! keep one.

use std::cell::RefCell;

/// First size of a buffer, in bytes: covers most messages, and bounds what a slow reader of small messages holds.
pub const SMALL: usize = 16 * 1024;

/// Size for a stream that has shown itself bulk, in bytes. Larger saves system calls but leaves the cache; a slow
/// reader holds up to this much per direction.
pub const LARGE: usize = 64 * 1024;

/// Free buffers kept of each size, per worker: 64 x (16 + 64) KiB = 5 MiB at most.
const KEPT: usize = 64;

/// Free buffers of one worker.
#[derive(Default)]
pub struct Buffers {
    small: RefCell<Vec<Box<[u8]>>>,
    large: RefCell<Vec<Box<[u8]>>>,
}

impl Buffers {
    /// A buffer of [`SMALL`] bytes, or of [`LARGE`] for bulk. What is in it is left over from its last user.
    pub fn take(&self, bulk: bool) -> Box<[u8]> {
        let (free, size) = match bulk {
            false => (&self.small, SMALL),
            true => (&self.large, LARGE),
        };
        let kept = free.borrow_mut().pop();
        kept.unwrap_or_else(|| vec![0; size].into_boxed_slice())
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Box<[u8]>) {
        let free = match buffer.len() {
            SMALL => &self.small,
            LARGE => &self.large,
            _ => return,
        };
        let mut free = free.borrow_mut();
        if free.len() < KEPT {
            free.push(buffer);
        }
    }
}
