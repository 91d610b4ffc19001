//! The one thread that writes to the log.
//!
//! ```text
//!  queue ->  take all that waits  ->  write  ->  fdatasync  ->  publish in State  ->  answer, in order
//!            `------------------------ again, as long as there is a handle ------------------------'
//! ```
//! The batch grows by itself: what arrives during one sync is the next batch. A lone append waits for nobody.
//!
//! Invariants: nothing is answered before it is durable; answers leave in the order of the queue; after the first
//! failed write or sync everything is answered with that failure, and nothing is written any more.

use super::command::{self, Command, Encoded, Waiter};
use super::disk::DiskError;
use super::preparer::Preparer;
use super::record::{self, Checkpoint, HEADER_BYTES, Kind, Place, Position};
use super::segment::SegmentFile;
use super::shared::{Shared, State};
use super::{Failure, Identity, LogId, Vote};
#[cfg(feature = "simulation")]
use crate::simulation::{Fact, Mutant, note};
use crate::telemetry::Metrics;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes staged before they are written. One write call takes as many; a larger batch makes more calls, but
/// still only one sync. Raising it costs that much memory.
const STAGED_BYTES: usize = 1 << 20;

/// Commands taken into one batch. The queue holds fewer, so this only ends a batch that fills while it is taken.
const BATCH_COMMANDS: usize = 1024;

/// What to change in [`State`] once it is durable.
enum Effect {
    Entries(Arc<SegmentFile>, u64, Vec<u32>),
    Vote(Vote),
    Truncate(Option<LogId>),
    Purge(LogId),
}

/// A batch that was written, or was not.
struct Written {
    result: Result<(), DiskError>,
    waiters: Vec<Waiter>,
    /// Bytes of its entries.
    appended: usize,
    needs_sync: bool,
    has_vote: bool,
}

/// The state of the thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    identity: Identity,
    preparer: Preparer,
    /// Bytes after which a segment is left for the next one.
    capacity: usize,
    /// All segments, oldest first; the last one is written to.
    segments: VecDeque<Arc<SegmentFile>>,
    /// Bytes of the last segment's checkpoint, if this process made it.
    checkpoint: usize,
    /// Bytes written to the last segment.
    written: usize,
    /// Bytes known to be durable in the last segment.
    durable: usize,
    /// Frames to be written at `written`.
    staged: Vec<u8>,
    /// The log's facts including what is staged.
    position: Position,
    effects: Vec<Effect>,
}

/// Where a writer begins.
pub(super) struct Start {
    pub(super) segments: VecDeque<Arc<SegmentFile>>,
    /// Bytes used in the last segment, all durable; zero if it has just been made.
    pub(super) end: u32,
    pub(super) position: Position,
    pub(super) capacity: usize,
}

impl Writer {
    /// Prepares a writer: a new segment gets its checkpoint, an old one a mark, so that damage to anything
    /// that was read back will be told from a torn write.
    pub(super) fn new(
        start: Start,
        identity: Identity,
        preparer: Preparer,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
    ) -> Result<Writer, DiskError> {
        let mut writer = Writer {
            shared,
            metrics,
            identity,
            preparer,
            capacity: start.capacity,
            segments: start.segments,
            checkpoint: 0,
            written: start.end as usize,
            durable: start.end as usize,
            staged: Vec::new(),
            position: start.position,
            effects: Vec::new(),
        };
        match start.end {
            0 => {
                writer.stage_checkpoint(0);
                writer.flush()?;
                writer.sync()?;
            }
            _ => writer.mark()?,
        }
        writer.tell_room(0);
        Ok(writer)
    }

    /// Works until the last handle is gone.
    #[cfg(not(feature = "simulation"))]
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut failure = None;
        while let Some(first) = queue.blocking_recv() {
            let batch = gather(first, &mut queue);
            if failure.is_none() {
                self.shared.progress.begin();
                let written = self.write(batch);
                failure = self.settle(written).err();
                self.shared.progress.end();
            } else {
                refuse(batch, failure.as_ref());
            }
        }
        self.close(failure.as_ref());
    }

    /// As `run`, with a moment between writing and syncing in which power may be cut.
    #[cfg(feature = "simulation")]
    pub(super) async fn run_simulated(mut self, mut queue: mpsc::Receiver<Command>) {
        use crate::simulation::sync_delay;
        let mut failure = None;
        loop {
            let first = tokio::select! {
                first = queue.recv() => first,
                () = tokio::time::sleep(super::preparer::FULL_RETRY) => {
                    self.preparer.try_again();
                    continue;
                }
            };
            let Some(first) = first else { break };
            let batch = gather(first, &mut queue);
            if failure.is_none() {
                self.shared.progress.begin();
                let written = self.write(batch);
                tokio::time::sleep(sync_delay()).await;
                failure = self.settle(written).err();
                self.shared.progress.end();
            } else {
                refuse(batch, failure.as_ref());
            }
        }
        self.close(failure.as_ref());
    }

    fn close(&mut self, failure: Option<&Failure>) {
        if failure.is_none() {
            // Whatever was written before is durable, so a failure here loses nothing.
            let staged = self.stage_committed();
            let _ = staged.and_then(|()| self.mark()).and_then(|()| self.sync());
        }
    }

    /// Writes a batch.
    fn write(&mut self, batch: Vec<Command>) -> Written {
        let needs_sync = batch.iter().any(Command::needs_sync);
        let has_vote = batch.iter().any(|c| matches!(c, Command::Vote(..)));
        let appended = batch.iter().map(Command::bytes).sum();
        if has_vote {
            failpoint!("vote-before-save");
        } else {
            failpoint!("log-before-write");
        }
        let mut written = self.stage_committed();
        let mut waiters = Vec::with_capacity(batch.len());
        for command in batch {
            if written.is_ok() {
                written = self.stage_command(&command);
            }
            waiters.extend(command.into_waiter());
        }
        Written {
            result: written.and_then(|()| self.flush()),
            waiters,
            appended,
            needs_sync,
            has_vote,
        }
    }

    /// Makes what was written durable and answers it.
    fn settle(&mut self, written: Written) -> Result<(), Failure> {
        let Written {
            result,
            waiters,
            appended,
            needs_sync,
            has_vote,
        } = written;
        #[cfg(feature = "simulation")]
        let needs_sync = needs_sync && !crate::simulation::is_mutant(Mutant::AckBeforeSync);
        let written = result.and_then(|()| {
            if needs_sync {
                failpoint!("log-before-sync");
                self.sync()?;
                failpoint!("log-after-sync");
            }
            // A vote may stay the last record for long, with nothing after it to prove that it was durable.
            if has_vote { self.mark() } else { Ok(()) }
        });
        if has_vote {
            failpoint!("vote-after-save");
        }
        // Something else may have failed meanwhile, and then nothing is acknowledged any more.
        let failure = match written {
            Ok(()) => self.shared.check().err(),
            Err(error) => Some(self.shared.fail(error)),
        };
        if failure.is_none() {
            self.publish();
            self.tell_room(appended);
        }
        command::answer(waiters, failure.as_ref());
        failure.map_or(Ok(()), Err)
    }

    fn stage_command(&mut self, command: &Command) -> Result<(), DiskError> {
        match command {
            Command::Append(encoded, _) => self.stage_entries(encoded)?,
            Command::Vote(vote, _) => {
                self.stage(Kind::Vote, &record::payload(vote))?;
                self.position.vote = Some(*vote);
                self.effects.push(Effect::Vote(*vote));
            }
            Command::Committed => {}
            Command::Truncate(after, _) => {
                self.stage(Kind::Truncate, &record::payload(after))?;
                self.position.truncate(*after);
                self.effects.push(Effect::Truncate(*after));
            }
            Command::Purge(upto, _) => {
                failpoint!("purge-before-write");
                self.stage(Kind::Purge, &record::payload(upto))?;
                self.position.purge(*upto);
                self.effects.push(Effect::Purge(*upto));
            }
        }
        Ok(())
    }

    /// Stages how far the log is committed, if that has changed and the entry is staged before it.
    fn stage_committed(&mut self) -> Result<(), DiskError> {
        let committed = {
            let mut state = self.shared.state.lock();
            let committed = state.position.committed;
            let is_news = committed != state.committed_written;
            let index = |id: Option<LogId>| id.map(|id| id.index);
            if !is_news || index(committed) > index(self.position.last) {
                return Ok(());
            }
            state.committed_written = committed;
            committed
        };
        self.stage(Kind::Committed, &record::payload(&committed))?;
        self.position.committed = committed;
        Ok(())
    }

    fn stage_entries(&mut self, encoded: &Encoded) -> Result<(), DiskError> {
        let mut from = 0;
        for (id, to) in &encoded.ends {
            let offset = self.stage(Kind::Entry, &encoded.bytes[from..*to])?;
            from = *to;
            let follows = self.position.append(*id);
            assert!(follows, "handles queue only entries that follow each other");
            let number = self.current().number;
            if let Some(Effect::Entries(file, _, offsets)) = self.effects.last_mut()
                && file.number == number
            {
                offsets.push(offset);
            } else {
                let file = self.current().clone();
                let entries = Effect::Entries(file, id.index, vec![offset]);
                self.effects.push(entries);
            }
        }
        Ok(())
    }

    /// Stages one frame, in the next segment if it does not fit into this one, and tells its offset. A frame that
    /// fits into no segment makes its own longer.
    fn stage(&mut self, kind: Kind, payload: &[u8]) -> Result<u32, DiskError> {
        let used = self.written + self.staged.len();
        let is_full = used + HEADER_BYTES + payload.len() > self.capacity;
        if is_full && used > self.checkpoint {
            self.rotate()?;
        } else if self.staged.len() >= STAGED_BYTES {
            self.flush()?;
        }
        Ok(self.put(kind, payload))
    }

    fn put(&mut self, kind: Kind, payload: &[u8]) -> u32 {
        let place = Place {
            segment: self.current().number,
            offset: (self.written + self.staged.len()) as u32,
        };
        record::put_frame(&mut self.staged, place, self.durable as u32, kind, payload);
        place.offset
    }

    fn stage_checkpoint(&mut self, previous_end: u32) {
        let checkpoint = Checkpoint {
            identity: self.identity.clone(),
            previous_end,
            position: self.position.clone(),
        };
        self.put(Kind::Checkpoint, &record::checkpoint_payload(&checkpoint));
        self.checkpoint = self.staged.len();
    }

    /// Goes on in the next segment, once this one is durable.
    fn rotate(&mut self) -> Result<(), DiskError> {
        self.flush()?;
        self.sync()?;
        let next = self.current().number + 1;
        let file = self.preparer.take()?;
        self.preparer.prepare(next + 1);
        let previous_end = self.written as u32;
        self.segments.push_back(Arc::new(file));
        self.written = 0;
        self.durable = 0;
        self.stage_checkpoint(previous_end);
        Ok(())
    }

    /// Tells how much is left, now that so many bytes of entries have arrived.
    fn tell_room(&self, arrived: usize) {
        let left = self.capacity.saturating_sub(self.written);
        self.shared.headroom.arrive(arrived, left);
    }

    /// Leaves a frame that proves that everything before it had been durable. Not synced: it is of use once it
    /// reaches the disk, and harmless if it does not.
    fn mark(&mut self) -> Result<(), DiskError> {
        self.put(Kind::Mark, &[]);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        if !self.staged.is_empty() {
            self.current()
                .data
                .write(&self.staged, self.written as u64)?;
            self.shared.progress.step();
            self.written += self.staged.len();
            let bytes = self.staged.len() as u64;
            self.metrics.coordination.log_bytes.inc_by(bytes);
            self.staged.clear();
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        let timer = self.metrics.coordination.log_fsync.start_timer();
        self.current().data.sync()?;
        timer.observe_duration();
        self.shared.progress.step();
        self.durable = self.written;
        Ok(())
    }

    /// Shows what is durable now, and lets go of segments that a purge has made useless.
    fn publish(&mut self) {
        let mut purged = false;
        let mut state = self.shared.state.lock();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Entries(file, first, offsets) => state.locate(&file, first, &offsets),
                Effect::Vote(vote) => {
                    #[cfg(feature = "simulation")]
                    note(Fact::Voted {
                        term: vote.leader_id.term,
                        candidate: vote.leader_id.node_id,
                    });
                    state.position.vote = Some(vote);
                }
                Effect::Truncate(after) => state.truncate(after),
                Effect::Purge(upto) => {
                    failpoint!("purge-after-sync");
                    #[cfg(feature = "simulation")]
                    note(Fact::Purged { index: upto.index });
                    state.purge(upto);
                    purged = true;
                }
            }
        }
        let needed = oldest_needed(&state, self.segments.back());
        drop(state);
        if purged {
            let useless = self.segments.partition_point(|s| s.number < needed);
            if useless > 0 {
                self.preparer
                    .retire(self.segments.drain(..useless).collect());
            }
        }
    }

    fn current(&self) -> &Arc<SegmentFile> {
        self.segments.back().expect("there is always a segment")
    }
}

/// A command and all that waits behind it.
fn gather(first: Command, queue: &mut mpsc::Receiver<Command>) -> Vec<Command> {
    let mut batch = vec![first];
    while batch.len() < BATCH_COMMANDS
        && let Ok(next) = queue.try_recv()
    {
        batch.push(next);
    }
    batch
}

/// Answers a batch that is not written.
fn refuse(batch: Vec<Command>, failure: Option<&Failure>) {
    let waiters = batch.into_iter().filter_map(Command::into_waiter);
    command::answer(waiters, failure);
}

/// The number of the oldest segment that holds an entry, or else of the current one.
fn oldest_needed(state: &State, current: Option<&Arc<SegmentFile>>) -> u64 {
    let current = current.map_or(0, |segment| segment.number);
    state.index.oldest_segment().unwrap_or(current).min(current)
}
