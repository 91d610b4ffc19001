//! Pipes that bulk passes through without leaving the kernel, shared by the relays of one worker.
//!
//! A relay holds a pipe only while bytes are in it, so streams whose receivers keep up share one or two of them, and
//! each stream whose receiver is slower than its sender keeps one. When no more can be had, relays copy instead: the
//! stream is slower for it, and nothing else happens.
//!
//! Invariant: a free pipe is empty. One with bytes of a broken stream in it is closed, never given back.

use crate::net::{Descriptors, DescriptorsTaken};
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Room in a pipe, in bytes, and so the most a slow receiver's stream holds in one direction. Raising it saves a
/// pair of system calls per megabyte and no more, leaves the cache, and lets fewer pipes exist: all pipes of a user without
/// privileges share 64 MiB (`fs.pipe-user-pages-soft`).
pub const PIPE: usize = 256 * 1024;

/// Pipes of one worker, in use and free. Each takes two descriptors, and up to [`PIPE`] bytes of the kernel's memory
/// while it is in use: 64 MiB at most. More of them only matter to streams with slow receivers, which gain least.
const MOST: usize = 256;

/// A pipe. Neither of its ends ever blocks.
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    open: Rc<Cell<usize>>,
    _descriptors: DescriptorsTaken,
}

impl Pipe {
    fn open(open: &Rc<Cell<usize>>, descriptors: DescriptorsTaken) -> io::Result<Pipe> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused to a user whose pipes have no room left; one of the default size would stall more than it helps.
        fcntl_setpipe_size(&write, PIPE)?;
        open.set(open.get() + 1);
        let open = open.clone();
        Ok(Pipe {
            read,
            write,
            open,
            _descriptors: descriptors,
        })
    }

    /// Moves what `socket` has received into the empty pipe; 0 at its end.
    ///
    /// # Errors
    /// `WouldBlock` when it has received nothing; `InvalidInput` when the kernel cannot splice it.
    pub fn fill(&self, socket: impl AsFd) -> io::Result<usize> {
        Ok(splice(socket, None, &self.write, None, PIPE, FLAGS)?)
    }

    /// Moves up to `bytes` out of the pipe into `socket`.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes no more; `InvalidInput` when the kernel cannot splice to it.
    pub fn drain(&self, socket: impl AsFd, bytes: usize) -> io::Result<usize> {
        Ok(splice(&self.read, None, socket, None, bytes, FLAGS)?)
    }

    /// Takes all out, `bytes` of them, for a socket that cannot be spliced to.
    ///
    /// # Errors
    /// When fewer are there.
    pub fn empty(&self, bytes: usize) -> io::Result<Box<[u8]>> {
        let mut out = vec![0; bytes].into_boxed_slice();
        let mut filled = 0;
        while filled < bytes {
            match rustix::io::read(&self.read, &mut out[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => filled += more,
            }
        }
        Ok(out)
    }
}

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

impl Drop for Pipe {
    fn drop(&mut self) {
        self.open.set(self.open.get() - 1);
    }
}

/// The pipes of one worker.
pub struct Pipes {
    free: RefCell<Vec<Pipe>>,
    /// Fewest free ones since the last sweep: nobody needed these.
    spare: Cell<usize>,
    open: Rc<Cell<usize>>,
    /// The system gave none; it is asked again after the next sweep.
    refused: Cell<bool>,
    descriptors: Arc<Descriptors>,
}

impl Pipes {
    /// None yet; each will take two of `descriptors`, if they can be spared.
    pub fn new(descriptors: Arc<Descriptors>) -> Pipes {
        Pipes {
            free: RefCell::default(),
            spare: Cell::new(0),
            open: Rc::default(),
            refused: Cell::new(false),
            descriptors,
        }
    }

    /// An empty pipe, if there is one to be had.
    pub fn take(&self) -> Option<Pipe> {
        let mut free = self.free.borrow_mut();
        let kept = free.pop();
        self.spare.set(self.spare.get().min(free.len()));
        kept.or_else(|| self.open_another())
    }

    fn open_another(&self) -> Option<Pipe> {
        if self.refused.get() || self.open.get() >= MOST {
            return None;
        }
        let descriptors = self.descriptors.take_spare(2)?;
        let opened = Pipe::open(&self.open, descriptors);
        if let Err(error) = &opened {
            tracing::debug!(%error, "no more pipes, bulk is copied");
            self.refused.set(true);
        }
        opened.ok()
    }

    /// Gives a pipe back, which must be empty.
    pub fn give(&self, pipe: Pipe) {
        self.free.borrow_mut().push(pipe);
    }

    /// Closes the pipes that nobody has needed since the last sweep.
    pub fn sweep(&self) {
        let mut free = self.free.borrow_mut();
        let needed = free.len() - self.spare.get().min(free.len());
        free.truncate(needed);
        self.spare.set(needed);
        self.refused.set(false);
    }

    /// How many are open, and how many of them free.
    #[cfg(test)]
    pub fn counted(&self) -> (usize, usize) {
        (self.open.get(), self.free.borrow().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_are_reused_bounded_and_closed_when_nobody_needs_them() {
        let pipes = Pipes::new(Descriptors::unlimited());
        let first = pipes.take().unwrap();
        pipes.give(first);
        pipes.give(pipes.take().unwrap());
        assert_eq!(pipes.open.get(), 1);

        let all: Vec<_> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(all.len(), MOST);
        all.into_iter().for_each(|pipe| pipes.give(pipe));
        pipes.sweep();
        assert_eq!(
            pipes.open.get(),
            MOST,
            "all were in use since the last sweep"
        );
        pipes.give(pipes.take().unwrap());
        pipes.sweep();
        assert_eq!(pipes.open.get(), 1);
        pipes.sweep();
        assert_eq!(pipes.open.get(), 0);
    }

    #[test]
    fn a_pipe_of_a_broken_stream_is_closed() {
        let pipes = Pipes::new(Descriptors::unlimited());
        drop(pipes.take());
        assert_eq!(pipes.open.get(), 0);
    }

    #[test]
    fn connections_come_before_pipes() {
        let pipes = Pipes::new(Descriptors::new(10));
        let all: Vec<_> = std::iter::from_fn(|| pipes.take()).collect();
        assert_eq!(all.len(), 4, "nine descriptors, the tenth is for others");
    }
}
