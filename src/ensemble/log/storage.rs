//! The log as openraft sees it.
//!
//! openraft calls from one task and waits for each call except `append`, whose entries count as durable when its
//! callback has run. So at most appends are under way when something else is queued, and the queue keeps order.

use super::command::{Answer, Command, Encoded};
use super::handle::Log;
use super::record::{self, HEADER_BYTES, MAX_RECORD_BYTES, Place, Record};
use super::segment::SegmentFile;
use super::shared::Location;
use super::{Entry, LogId, Vote};
use crate::ensemble::types::Types;
#[cfg(feature = "simulation")]
use crate::simulation::{self, Mutant};
use futures_util::{Stream, TryStreamExt, stream};
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use tokio::sync::oneshot;

/// Payload bytes after which a large append is handed to the writer in parts, so that the queue's bound is one
/// of memory too: 256 parts of this size are 64 MiB.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

/// Encoded bytes after which a read that may stop early does. It is about what a follower gets in one message;
/// raising it delays heartbeats behind it.
const READ_BYTES: usize = 1 << 20;

/// Entries after which such a read stops in any case; openraft asks for no more at a time.
const READ_ENTRIES: u64 = 4096;

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let (on_disk, in_memory) = {
            let state = self.inner.shared.state.lock();
            let in_memory = state.recent.range(start, end, usize::MAX);
            (state.on_disk(start, end), in_memory)
        };
        let mut entries = read_all(on_disk, usize::MAX).await?;
        entries.extend(in_memory);
        check_consecutive(&entries)?;
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.inner.shared.state.lock().position.vote)
    }

    /// The entries from `start` on, and none if that one is purged: openraft sends them as those behind
    /// `start - 1`, and takes none as a heartbeat, after which it finds out that a snapshot is due.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let end = end.min(start.saturating_add(READ_ENTRIES));
        let on_disk = {
            let state = self.inner.shared.state.lock();
            if state.first().is_none_or(|first| start < first) {
                return Ok(Vec::new());
            }
            let on_disk = state.on_disk(start, end);
            if on_disk.is_empty() {
                return Ok(state.recent.range(start, end, READ_BYTES));
            }
            on_disk
        };
        let entries = read_all(on_disk, READ_BYTES).await?;
        check_consecutive(&entries)?;
        Ok(entries)
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let parts = stream::try_unfold((self.clone(), start), move |(mut log, next)| async move {
            let next = log.readable_from(next)?;
            if next >= end {
                return Ok(None);
            }
            let entries = log.limited_get_log_entries(next, end).await?;
            let last = entries.last().map(|entry| entry.log_id.index + 1);
            Ok::<_, io::Error>(last.map(|next| {
                let part = stream::iter(entries.into_iter().map(Ok));
                (part, (log, next))
            }))
        });
        parts.try_flatten()
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.inner.shared.state.lock();
        Ok(LogState {
            last_purged_log_id: state.position.purged,
            last_log_id: state.position.last,
        })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.ask(|answer| Command::Vote(*vote, answer)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        // The writer takes it along with its next batch, or when `write_committed` says so: to wake it for each
        // transaction would cost as much as the write of its entry.
        self.inner.shared.check()?;
        self.inner.shared.state.lock().position.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.inner.shared.state.lock().position.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.inner.shared.check()?;
        failpoint!("append-before");
        let mut part = Part::default();
        for entry in entries {
            part.push(entry)?;
            if part.encoded.bytes.len() >= CHUNK_BYTES {
                let full = std::mem::take(&mut part);
                self.queue_part(full, IOFlushed::noop()).await?;
            }
        }
        self.queue_part(part, callback).await?;
        failpoint!("append-after");
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        self.ask(|answer| Command::Truncate(last_log_id, answer))
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        #[cfg(feature = "simulation")]
        let log_id = match simulation::is_mutant(Mutant::PurgeTooFar) {
            true => self
                .inner
                .shared
                .state
                .lock()
                .position
                .last
                .unwrap_or(log_id),
            false => log_id,
        };
        self.ask(|answer| Command::Purge(log_id, answer)).await
    }
}

impl Log {
    /// Queues a command and waits until it is durable.
    async fn ask(&self, command: impl FnOnce(Answer) -> Command) -> io::Result<()> {
        self.inner.shared.check()?;
        let (answer, answered) = oneshot::channel();
        self.inner.room().await?.send(command(answer));
        let ended = |_| Err(io::Error::other("the log's writer has ended"));
        answered.await.unwrap_or_else(ended)
    }

    /// Where a range begins that begins at `start`; an error if entries of it are purged. What is read as a stream
    /// is applied, and nothing is purged before it is applied or in a snapshot that is installed.
    fn readable_from(&self, start: u64) -> io::Result<u64> {
        let state = self.inner.shared.state.lock();
        match state.position.purged {
            Some(purged) if start <= purged.index => {
                let text =
                    format!("entry {start} is to be applied, those up to {purged} are purged");
                Err(io::Error::other(text))
            }
            _ => Ok(start.max(state.first().unwrap_or(start))),
        }
    }

    /// Shows a part to readers and queues it; does both or, if it is cancelled while there is no room, neither.
    async fn queue_part(&self, part: Part, callback: IOFlushed<Types>) -> io::Result<()> {
        let room = self.inner.room().await?;
        let mut state = self.inner.shared.state.lock();
        if !state.append(part.entries) {
            let hole = "the entries do not follow the last one in the log";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, hole));
        }
        self.inner.shared.headroom.queue(part.encoded.frame_bytes());
        room.send(Command::Append(part.encoded, callback));
        Ok(())
    }
}

/// Entries on their way to the writer.
#[derive(Default)]
struct Part {
    /// With their encoded sizes.
    entries: Vec<(Entry, usize)>,
    encoded: Encoded,
}

impl Part {
    fn push(&mut self, entry: Entry) -> io::Result<()> {
        let from = self.encoded.bytes.len();
        self.encoded.bytes = record::extend(std::mem::take(&mut self.encoded.bytes), &entry);
        let size = self.encoded.bytes.len() - from;
        if size > MAX_RECORD_BYTES {
            let text = format!(
                "entry {} takes {size} bytes, more than the {MAX_RECORD_BYTES} a log record may have",
                entry.log_id
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.encoded
            .ends
            .push((entry.log_id, self.encoded.bytes.len()));
        self.entries.push((entry, size));
        Ok(())
    }
}

/// Reads entries from disk until their sizes exceed `budget`; the first one always.
async fn read_all(places: Vec<Location>, budget: usize) -> io::Result<Vec<Entry>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let read = move || {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for place in &places {
            if bytes > budget {
                break;
            }
            let (entry, size) = read_entry(place)?;
            bytes += size;
            entries.push(entry);
        }
        Ok(entries)
    };
    crate::net::off_runtime(read)
        .await
        .map_err(io::Error::other)?
}

fn read_entry(at: &Location) -> io::Result<(Entry, usize)> {
    let Location {
        index,
        file,
        offset,
    } = at;
    let damaged = || {
        let path = file.data.path.display();
        let text = format!("{path} is damaged at byte {offset}: entry {index} cannot be read");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut frame = vec![0; HEADER_BYTES];
    read_at(file, &mut frame, u64::from(*offset))?;
    let header = frame.first_chunk().expect("just made this long");
    let length = record::payload_bytes(header);
    if length > MAX_RECORD_BYTES {
        return Err(damaged());
    }
    frame.resize(HEADER_BYTES + length, 0);
    let rest = u64::from(*offset) + HEADER_BYTES as u64;
    read_at(file, &mut frame[HEADER_BYTES..], rest)?;
    let place = Place {
        segment: file.number,
        offset: *offset,
    };
    let frame = record::read_frame(place, &frame).ok_or_else(damaged)?;
    match Record::decode(&frame) {
        Ok(Record::Entry(entry)) if entry.log_id.index == *index => Ok((entry, frame.bytes())),
        _ => Err(damaged()),
    }
}

fn read_at(file: &SegmentFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.data
        .read(buffer, offset)
        .map_err(|e| io::Error::new(e.source.kind(), e))
}

/// A hole would make openraft apply or send something else than what was agreed on.
fn check_consecutive(entries: &[Entry]) -> io::Result<()> {
    let follows = |pair: &[Entry]| pair[0].log_id.index + 1 == pair[1].log_id.index;
    match entries.windows(2).all(follows) {
        true => Ok(()),
        false => Err(io::Error::other("a range of the log has a hole")),
    }
}

/// First index and one past the last.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}
