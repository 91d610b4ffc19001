//! What handles ask of the writer, and how they hear of it.

use super::record::HEADER_BYTES;
use super::{Failure, LogId, Vote};
use crate::ensemble::types::Types;
use openraft::storage::IOFlushed;
use std::io;
use tokio::sync::oneshot;

/// Something to be written.
pub(super) enum Command {
    /// Entries, and whom to tell when they are durable.
    Append(Encoded, IOFlushed<Types>),
    /// A vote.
    Vote(Vote, Answer),
    /// Nothing of its own: what has been committed is written with every batch. Nobody waits for this, and it is
    /// not synced by itself.
    Committed,
    /// Removes the entries after this one.
    Truncate(Option<LogId>, Answer),
    /// Removes the entries up to this one.
    Purge(LogId, Answer),
}

/// Told when a command is durable.
pub(super) type Answer = oneshot::Sender<io::Result<()>>;

/// Entries as payloads, one after the other.
#[derive(Default)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// Per entry its log id and where its payload ends in `bytes`.
    pub(super) ends: Vec<(LogId, usize)>,
}

impl Encoded {
    /// Bytes that the entries take on disk.
    pub(super) fn frame_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * HEADER_BYTES
    }
}

impl Command {
    /// Whether somebody relies on it once it is answered.
    pub(super) fn needs_sync(&self) -> bool {
        match self {
            Command::Append(encoded, _) => !encoded.ends.is_empty(),
            Command::Vote(..) | Command::Truncate(..) | Command::Purge(..) => true,
            Command::Committed => false,
        }
    }

    /// Bytes of entries that it brings along, as they will be on disk.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Command::Append(encoded, _) => encoded.frame_bytes(),
            _ => 0,
        }
    }

    /// Whom to tell.
    pub(super) fn into_waiter(self) -> Option<Waiter> {
        match self {
            Command::Append(_, flushed) => Some(Waiter::Flush(flushed)),
            Command::Vote(_, answer) | Command::Truncate(_, answer) | Command::Purge(_, answer) => {
                Some(Waiter::Answer(answer))
            }
            Command::Committed => None,
        }
    }
}

/// Someone to be told.
pub(super) enum Waiter {
    Flush(IOFlushed<Types>),
    Answer(Answer),
}

/// Tells each of them, in order.
pub(super) fn answer(waiters: impl IntoIterator<Item = Waiter>, failure: Option<&Failure>) {
    for waiter in waiters {
        let result = failure.map_or(Ok(()), |failure| Err(failure.clone().into()));
        match waiter {
            Waiter::Flush(flushed) => flushed.io_completed(result),
            // Whoever asked may have stopped waiting.
            Waiter::Answer(answer) => drop(answer.send(result)),
        }
    }
}
