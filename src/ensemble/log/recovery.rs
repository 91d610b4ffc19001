//! Reading the log back: what survived, or why nothing may be trusted.
//!
//! ```text
//! 1.wal            2.wal            3.wal                    4.wal
//! [C e e v e c]    [C e e t e]      [C e e | torn, zeroes]   [zeroes or old frames]
//!  |            `---|- its C says    |     `- cut here        `- prepared, never begun
//!  |                `  where 1 ended `- the last segment that begins with a checkpoint
//!  `- purged segments are gone; C says what they would have said
//! ```
//!
//! A bad frame ends a segment. In the last segment it is a torn write, and is cut, unless some frame proves that
//! those bytes had been durable (`record` says how). In an earlier segment it is always damage, for
//! a segment is begun only when the one before is durable. Damage is never skipped and never repaired here.

use super::disk::{self, DataFile};
use super::index::Index;
use super::recent::Recent;
use super::record::{self, Checkpoint, Kind, MAX_RECORD_BYTES, Place, Position, Record};
use super::segment::{SegmentFile, is_reserve, segment_number, segment_path, unused_reserve};
use super::{Entry, Identity, OpenError, RecordError};
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Longest file that can be a segment: the largest size that can be chosen, plus one record that did not fit.
/// Read whole when the log is opened.
pub(super) const MAX_FILE_BYTES: u64 = (super::MAX_SEGMENT_BYTES + 2 * MAX_RECORD_BYTES) as u64;

/// Segments at the end that a crash may leave without a valid beginning: the one that was begun last, if its first write
/// never became durable, and the one prepared behind it.
pub(super) const MOST_UNBEGUN: usize = 2;

const _: () = assert!(MAX_FILE_BYTES < u32::MAX as u64, "offsets are 32 bits wide");

/// How damage shows, to whoever opens the log and to whoever only looks.
pub(super) const NO_CHECKPOINT: &str = "no checkpoint at the beginning";

/// See [`NO_CHECKPOINT`].
pub(super) fn proven(proof: usize) -> String {
    format!("no valid record, but the record at byte {proof} proves that there was one")
}

/// See [`NO_CHECKPOINT`].
pub(super) fn misplaced(of: u64) -> String {
    format!("it holds records of the segment {of:016x}")
}

/// A log read back.
pub(super) struct Recovered {
    /// What it says besides its entries.
    pub(super) position: Position,
    /// Where its entries are.
    pub(super) index: Index,
    /// The newest of them.
    pub(super) recent: Recent,
    /// Its segments, oldest first; the last one can be written to from `end` on. Empty if there is no log.
    pub(super) segments: VecDeque<Arc<SegmentFile>>,
    /// Bytes used in the last segment, all durable.
    pub(super) end: u32,
}

/// Reads the log in `dir`, cuts its torn end and makes the rest durable.
pub(super) fn recover(
    dir: &Path,
    expected: &Identity,
    recent: Recent,
) -> Result<Recovered, OpenError> {
    let mut files = list(dir)?;
    let first = files.front().map_or(1, |file| file.number);
    drop_unbegun(dir, &mut files)?;
    if files.is_empty() && (first != 1 || had_log(dir)?) {
        return Err(missing(dir, "the log, of which there are traces"));
    }
    let mut replay = Replay {
        expected,
        recovered: Recovered {
            position: Position::default(),
            index: Index::default(),
            recent,
            segments: VecDeque::new(),
            end: 0,
        },
    };
    let count = files.len();
    for (at, file) in files.into_iter().enumerate() {
        replay.segment(Arc::new(file), at + 1 == count)?;
    }
    replay.check_complete(dir, first)?;
    Ok(replay.recovered)
}

/// The segments in `dir`, in order.
fn list(dir: &Path) -> Result<VecDeque<SegmentFile>, OpenError> {
    let names = disk::names(dir)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| segment_number(n)).collect();
    numbers.sort_unstable();
    if let Some(gap) = numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        let what = format!("the segments between {:016x} and {:016x}", gap[0], gap[1]);
        return Err(missing(dir, &what));
    }
    let open = |number| {
        let data = DataFile::open(segment_path(dir, number))?;
        Ok(SegmentFile { number, data })
    };
    numbers.into_iter().map(open).collect()
}

/// Takes segments from the end that were prepared, but whose first write never became durable. They go into the
/// reserve: on a full disk there may be no room to make others. Where there is no log, they leave no trace of one.
///
/// Refuses if they hold what had been durable, under their own number or another one's: files that changed places would
/// else be a shorter log, and come to life again when the reserve gives one its old number back.
fn drop_unbegun(dir: &Path, files: &mut VecDeque<SegmentFile>) -> Result<(), OpenError> {
    let mut unbegun = Vec::new();
    while let Some(file) = files.pop_back() {
        let bytes = read(&file)?;
        let begin = Place {
            segment: file.number,
            offset: 0,
        };
        match record::read_frame(begin, &bytes) {
            Some(frame) if frame.kind == Kind::Checkpoint as u8 => {
                files.push_back(file);
                break;
            }
            _ => refuse_if_durable(&file, &bytes, 0)?,
        }
        if unbegun.len() == MOST_UNBEGUN {
            return Err(damaged(&file, 0, NO_CHECKPOINT));
        }
        unbegun.push((file, bytes));
    }
    refuse_if_misplaced(&unbegun)?;
    let is_dropped = !unbegun.is_empty();
    for (file, bytes) in unbegun {
        match unused_reserve(dir)?.filter(|_| !files.is_empty()) {
            Some(path) => {
                // A frame of its own could come to life again behind new ones.
                if record::find_frame(file.number, &bytes, 0, 0).is_some() {
                    file.data.zero(0, bytes.len() as u64)?;
                }
                disk::rename(&file.data.path, &path)?;
            }
            None => disk::remove(&file.data.path)?,
        }
    }
    if is_dropped {
        disk::sync_dir(dir)?;
    }
    Ok(())
}

fn refuse_if_misplaced(unbegun: &[(SegmentFile, Vec<u8>)]) -> Result<(), OpenError> {
    let numbers: Vec<u64> = unbegun.iter().map(|(file, _)| file.number).collect();
    for (file, bytes) in unbegun {
        if let Some(of) = holds_records_of(&numbers, file.number, bytes) {
            return Err(damaged(file, 0, &misplaced(of)));
        }
    }
    Ok(())
}

/// Which other segment of `numbers` a segment holds records of.
pub(super) fn holds_records_of(numbers: &[u64], own: u64, bytes: &[u8]) -> Option<u64> {
    let others = numbers.iter().copied().filter(|number| *number != own);
    let mut others = others.filter(|number| record::find_frame(*number, bytes, 0, 0).is_some());
    others.next()
}

/// Whether there was a log in `dir`. The first segment is durable before anything else is written there; a member
/// that has lost it has forgotten its vote, and must not come back under its number.
fn had_log(dir: &Path) -> Result<bool, OpenError> {
    let is_trace = |name: &String| name.starts_with("snap-") || is_reserve(name);
    Ok(disk::names(dir)?.iter().any(is_trace))
}

struct Replay<'a> {
    expected: &'a Identity,
    recovered: Recovered,
}

impl Replay<'_> {
    /// Replays one segment.
    fn segment(&mut self, file: Arc<SegmentFile>, is_last: bool) -> Result<(), OpenError> {
        let bytes = read(&file)?;
        let mut end = 0;
        let mut durable = 0;
        while let Some(frame) = record::read_frame(place(&file, end), &bytes[end..]) {
            let record = Record::decode(&frame).map_err(|e| unreadable(&file, end, e))?;
            match (record, end) {
                (Record::Checkpoint(checkpoint), 0) => self.begin(&file, checkpoint)?,
                (Record::Checkpoint(_), _) => {
                    return Err(damaged(&file, end, "a checkpoint inside the segment"));
                }
                (_, 0) => return Err(damaged(&file, end, NO_CHECKPOINT)),
                (Record::Entry(entry), _) => {
                    let size = frame.payload.len();
                    self.entry(&file, end as u32, entry, size)?;
                }
                (record, _) => self.fact(record),
            }
            end += frame.bytes();
            durable = frame.durable as usize;
        }
        if end == 0 {
            return Err(damaged(&file, 0, NO_CHECKPOINT));
        }
        if is_last {
            refuse_if_durable(&file, &bytes, end)?;
            cut(&file, &bytes, durable..end)?;
        }
        self.recovered.end = end as u32;
        self.recovered.segments.push_back(file);
        Ok(())
    }

    /// Checks a segment's checkpoint against the segments before it; the first one is taken as it is.
    fn begin(&mut self, file: &SegmentFile, checkpoint: Checkpoint) -> Result<(), OpenError> {
        if checkpoint.identity != *self.expected {
            return Err(OpenError::WrongMember {
                path: file.data.path.clone(),
                found: checkpoint.identity,
                expected: self.expected.clone(),
            });
        }
        let Some(previous) = self.recovered.segments.back() else {
            self.recovered.position = checkpoint.position;
            return Ok(());
        };
        if checkpoint.previous_end != self.recovered.end {
            let offset = checkpoint.previous_end.min(self.recovered.end) as usize;
            let reason = format!(
                "{} says that it ends at byte {}, but valid records end at byte {}",
                file.data.path.display(),
                checkpoint.previous_end,
                self.recovered.end,
            );
            return Err(damaged(previous, offset, &reason));
        }
        if checkpoint.position != self.recovered.position {
            return Err(damaged(
                file,
                0,
                "its checkpoint contradicts what came before",
            ));
        }
        Ok(())
    }

    fn entry(
        &mut self,
        file: &Arc<SegmentFile>,
        offset: u32,
        entry: Entry,
        size: usize,
    ) -> Result<(), OpenError> {
        let r = &mut self.recovered;
        let id = entry.log_id;
        if !r.position.append(id) {
            let reason = format!("entry {id} does not follow entry {:?}", r.position.last);
            return Err(damaged(file, offset as usize, &reason));
        }
        r.index.extend(file, id.index, &[offset]);
        r.recent.push(entry, size);
        r.recent.evict(id.index + 1);
        Ok(())
    }

    fn fact(&mut self, record: Record) {
        let r = &mut self.recovered;
        match record {
            Record::Vote(vote) => r.position.vote = Some(vote),
            Record::Committed(id) => r.position.committed = id,
            Record::Truncate(after) => {
                r.position.truncate(after);
                let next = r.position.next_index().unwrap_or(0);
                r.index.truncate_from(next);
                r.recent.truncate_from(next);
            }
            Record::Purge(upto) => {
                r.position.purge(upto);
                r.index.purge_to(upto.index);
                r.recent.purge_to(upto.index);
            }
            Record::Mark => {}
            Record::Checkpoint(_) | Record::Entry(_) => unreachable!("taken by the caller"),
        }
    }

    /// Whether all entries that were not purged are here. Only segments whose entries were all purged may be
    /// gone; if number 1 is still here, nothing is.
    fn check_complete(&self, dir: &Path, first_segment: u64) -> Result<(), OpenError> {
        let Recovered {
            position, index, ..
        } = &self.recovered;
        let index_of = |id: Option<super::LogId>| id.map(|id| id.index);
        let complete = match index.first() {
            _ if first_segment == 1 => true,
            Some(first) => index_of(position.purged).is_some_and(|purged| first <= purged + 1),
            None => index_of(position.purged) == index_of(position.last),
        };
        match complete {
            true => Ok(()),
            false => Err(missing(dir, "the segments with its oldest entries")),
        }
    }
}

/// Refuses a segment whose valid frames end at `end` although bytes behind `end` had been durable.
fn refuse_if_durable(file: &SegmentFile, bytes: &[u8], end: usize) -> Result<(), OpenError> {
    match record::find_frame(file.number, bytes, end as u32, end as u32 + 1) {
        None => Ok(()),
        Some(proof) => Err(damaged(file, end, &proven(proof as usize))),
    }
}

/// Makes `unsure`, the valid frames that no later one proves durable, durable, and zeroes what follows them.
///
/// They are written once more, not only synced: if a sync failed in the process before, the system may hold pages
/// for clean that never reached the disk. And a frame that a torn write left behind them must not come back to life
/// when new ones end just before it.
fn cut(file: &SegmentFile, bytes: &[u8], unsure: Range<usize>) -> Result<(), OpenError> {
    let end = unsure.end;
    file.data
        .write(&bytes[unsure.clone()], unsure.start as u64)?;
    match bytes[end..].iter().all(|byte| *byte == 0) {
        true => file.data.sync()?,
        false => file.data.zero(end as u64, bytes.len() as u64)?,
    }
    Ok(())
}

fn read(file: &SegmentFile) -> Result<Vec<u8>, OpenError> {
    let length = file.data.bytes()?;
    if length > MAX_FILE_BYTES {
        return Err(damaged(file, 0, "longer than any segment"));
    }
    let mut bytes = vec![0; length as usize];
    file.data.read(&mut bytes, 0)?;
    Ok(bytes)
}

fn place(file: &SegmentFile, offset: usize) -> Place {
    Place {
        segment: file.number,
        offset: offset as u32,
    }
}

fn unreadable(file: &SegmentFile, offset: usize, error: RecordError) -> OpenError {
    match error {
        RecordError::Version(found) => OpenError::Version {
            path: file.data.path.clone(),
            found,
        },
        error => {
            let reason = format!("a record has the right checksum, but {error}");
            damaged(file, offset, &reason)
        }
    }
}

fn damaged(file: &SegmentFile, offset: usize, reason: &str) -> OpenError {
    OpenError::Damaged {
        path: file.data.path.clone(),
        offset: offset as u64,
        reason: reason.to_owned(),
    }
}

fn missing(dir: &Path, what: &str) -> OpenError {
    OpenError::Missing {
        path: dir.to_owned(),
        what: what.to_owned(),
    }
}
