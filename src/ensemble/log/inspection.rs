//! Looking at a log without opening it: every record with its place, and every damage.
//!
//! Takes no lock and writes nothing, so the log may be in use meanwhile. Then its end is in motion: what looks like
//! damage is read again before it is called so, a segment is read on when a later one shows that more was written,
//! and one that was purged meanwhile is passed over.
//!
//! The rules are those of `recovery`, but damage does not end it: after the damaged bytes the next valid record is
//! looked for. One segment is held at a time.

use super::RecordError;
use super::disk::{self, DataFile, DiskError};
use super::finding::{Ending, Finding, fact};
use super::record::{self, Checkpoint, Kind, Place, Position, Record};
use super::recovery::{
    MAX_FILE_BYTES, MOST_UNBEGUN, NO_CHECKPOINT, holds_records_of, misplaced, proven,
};
use super::segment::{segment_number, segment_path};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often something that looks like damage is read again, and the pause before: a batch is written in less.
const LOOKS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(25);

/// Bytes read to see whether a segment is begun. A checkpoint is far smaller.
const FIRST_BYTES: u64 = 64 << 10;

/// Looks at the log in `dir`, or at one segment of it, and reports everything in order. Tells how many damages
/// there were.
///
/// # Errors
/// [`DiskError`] as an I/O error, or what `report` says.
pub fn inspect_log(
    dir: &Path,
    only: Option<&Path>,
    report: &mut dyn FnMut(Finding) -> io::Result<()>,
) -> io::Result<u64> {
    let mut numbers = match only {
        Some(path) => {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(segment_number).into_iter().collect()
        }
        None => numbers(dir).map_err(as_io)?,
    };
    let mut inspection = Inspection {
        dir,
        report,
        position: None,
        previous: None,
        damages: 0,
    };
    let mut unbegun = Vec::new();
    while let Some(last) = numbers.last().copied()
        && !inspection.is_begun(last)?
    {
        unbegun.push(last);
        numbers.pop();
    }
    for (at, number) in numbers.iter().enumerate() {
        inspection.segment(*number, at + 1 == numbers.len())?;
    }
    unbegun.reverse();
    let most = unbegun.len().saturating_sub(MOST_UNBEGUN);
    for (at, number) in unbegun.iter().enumerate() {
        inspection.unbegun(*number, &unbegun, at < most)?;
    }
    Ok(inspection.damages)
}

/// The numbers of the segments in `dir`, in order.
fn numbers(dir: &Path) -> Result<Vec<u64>, DiskError> {
    let names = disk::names(dir)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| segment_number(n)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

struct Inspection<'a> {
    dir: &'a Path,
    report: &'a mut dyn FnMut(Finding) -> io::Result<()>,
    /// What the log says so far; unknown at first and after damage.
    position: Option<Position>,
    /// The segment before, and where its records end.
    previous: Option<(u64, u32)>,
    damages: u64,
}

/// A segment in memory.
struct Segment {
    number: u64,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Segment {
    /// Reads it; `None` if it is gone.
    fn read(dir: &Path, number: u64, limit: u64) -> io::Result<Option<Segment>> {
        let path = segment_path(dir, number);
        let read = || {
            let file = DataFile::open_to_read(path.clone())?;
            let mut bytes = vec![0; file.bytes()?.min(limit) as usize];
            file.read(&mut bytes, 0)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(Segment {
                number,
                path,
                bytes,
            })),
            Err(DiskError { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(as_io(error)),
        }
    }

    /// The valid frame at `offset`.
    fn frame(&self, offset: usize) -> Option<record::Frame<'_>> {
        let place = Place {
            segment: self.number,
            offset: offset as u32,
        };
        record::read_frame(place, self.bytes.get(offset..)?)
    }

    /// Where the frames from `offset` on end.
    fn end_from(&self, offset: usize) -> usize {
        let mut end = offset;
        while let Some(frame) = self.frame(end) {
            end += frame.bytes();
        }
        end
    }

    /// A record at or behind `from` that was made when more than `durable` bytes had been durable.
    fn proof(&self, from: usize, durable: usize) -> Option<usize> {
        let found = record::find_frame(self.number, &self.bytes, from as u32, durable as u32);
        found.map(|at| at as usize)
    }
}

impl Inspection<'_> {
    fn is_begun(&self, number: u64) -> io::Result<bool> {
        let segment = Segment::read(self.dir, number, FIRST_BYTES)?;
        Ok(segment.is_some_and(|segment| {
            let first = segment.frame(0);
            first.is_some_and(|frame| frame.kind == Kind::Checkpoint as u8)
        }))
    }

    /// A segment behind the last one that has a checkpoint, one of `all` such.
    fn unbegun(&mut self, number: u64, all: &[u64], is_one_too_many: bool) -> io::Result<()> {
        let Some(segment) = self.settled(number, true)? else {
            return Ok(());
        };
        self.begins(&segment)?;
        if let Some(proof) = segment.proof(0, 1) {
            self.damage(&segment.path, 0, &proven(proof))
        } else if let Some(of) = holds_records_of(all, number, &segment.bytes) {
            self.damage(&segment.path, 0, &misplaced(of))
        } else if is_one_too_many {
            self.damage(&segment.path, 0, NO_CHECKPOINT)
        } else {
            self.end(&segment, 0, Ending::Unbegun)
        }
    }

    fn segment(&mut self, number: u64, is_last: bool) -> io::Result<()> {
        let Some(segment) = self.settled(number, is_last)? else {
            return Ok(());
        };
        if let Some((previous, _)) = self.previous
            && previous + 1 != number
        {
            let reason =
                format!("the segments between {previous:016x} and {number:016x} are missing");
            let dir = self.dir.to_owned();
            self.damage(&dir, 0, &reason)?;
        }
        if let Some(Ok(Record::Checkpoint(checkpoint))) =
            segment.frame(0).map(|f| Record::decode(&f))
        {
            self.join(number, &checkpoint)?;
        }
        self.begins(&segment)?;
        let end = self.records_until_end(&segment, 0, is_last)?;
        self.previous = Some((number, end as u32));
        let is_torn = segment.bytes[end.min(segment.bytes.len())..]
            .iter()
            .any(|byte| *byte != 0);
        let ending = match is_last {
            true => Ending::Open { is_torn },
            false => Ending::Continued,
        };
        self.end(&segment, end, ending)
    }

    /// A segment as it is once nothing in it looks damaged any more, or has done so for a while.
    fn settled(&self, number: u64, is_last: bool) -> io::Result<Option<Segment>> {
        for look in 1.. {
            let Some(segment) = Segment::read(self.dir, number, MAX_FILE_BYTES + 1)? else {
                return Ok(None);
            };
            let end = segment.end_from(0);
            let is_sound = !is_last || segment.proof(end, end + 1).is_none();
            if is_sound || look == LOOKS {
                return Ok(Some(segment));
            }
            sleep(PAUSE);
        }
        Ok(None)
    }

    /// Checks that the segment before ends where this one says, and reads it on if it did not when it was read.
    fn join(&mut self, number: u64, checkpoint: &Checkpoint) -> io::Result<()> {
        let Some((previous, mut end)) = self.previous else {
            return Ok(());
        };
        if previous + 1 != number {
            self.position = None;
            return Ok(());
        }
        if checkpoint.previous_end > end
            && let Some(segment) = Segment::read(self.dir, previous, MAX_FILE_BYTES + 1)?
        {
            end = self.records_until_end(&segment, end as usize, true)? as u32;
        }
        let path = segment_path(self.dir, previous);
        if checkpoint.previous_end != end {
            let at = checkpoint.previous_end.min(end);
            let reason = format!(
                "the next segment says that it ends at byte {}, but valid records end at byte {end}",
                checkpoint.previous_end
            );
            self.damage(&path, at.into(), &reason)?;
        } else if self
            .position
            .as_ref()
            .is_some_and(|p| *p != checkpoint.position)
        {
            let reason = "its checkpoint contradicts what came before";
            self.damage(&segment_path(self.dir, number), 0, reason)?;
        }
        Ok(())
    }

    /// Reports the records from `offset` on, beyond damage too, and tells where they end.
    fn records_until_end(
        &mut self,
        segment: &Segment,
        offset: usize,
        is_last: bool,
    ) -> io::Result<usize> {
        if segment.bytes.len() as u64 > MAX_FILE_BYTES {
            self.damage(&segment.path, 0, "longer than any segment")?;
            return Ok(offset);
        }
        let mut end = offset;
        loop {
            while let Some(frame) = segment.frame(end) {
                self.record(segment, end, &frame)?;
                end += frame.bytes();
            }
            // In the last segment only bytes that had been durable are missed; behind it all were.
            let least = if is_last { end + 1 } else { 0 };
            let Some(next) = segment.proof(end + 1, least) else {
                return Ok(end);
            };
            self.damage(&segment.path, end as u64, &proven(next))?;
            self.position = None;
            end = next;
        }
    }

    fn record(
        &mut self,
        segment: &Segment,
        offset: usize,
        frame: &record::Frame<'_>,
    ) -> io::Result<()> {
        let record = match Record::decode(frame) {
            Ok(record) => record,
            Err(RecordError::Version(found)) => {
                let reason = format!("log format version {found} is not known to this program");
                return self.damage(&segment.path, offset as u64, &reason);
            }
            Err(error) => {
                let reason = format!("a record has the right checksum, but {error}");
                return self.damage(&segment.path, offset as u64, &reason);
            }
        };
        if matches!(record, Record::Checkpoint(_)) != (offset == 0) {
            let reason = "a checkpoint inside the segment, or none at its beginning";
            self.damage(&segment.path, offset as u64, reason)?;
        }
        self.follow(segment, offset, &record)?;
        (self.report)(Finding::Record {
            offset: offset as u64,
            bytes: frame.bytes() as u64,
            fact: Box::new(fact(record)),
        })
    }

    /// Keeps up with what the log says, and checks that an entry follows the one before.
    fn follow(&mut self, segment: &Segment, offset: usize, record: &Record) -> io::Result<()> {
        if let Record::Checkpoint(checkpoint) = record {
            self.position = Some(checkpoint.position.clone());
            return Ok(());
        }
        let Some(position) = &mut self.position else {
            return Ok(());
        };
        match record {
            Record::Entry(entry) => {
                let last = position.last;
                if !position.append(entry.log_id) {
                    let reason = format!("entry {} does not follow entry {last:?}", entry.log_id);
                    self.position = None;
                    return self.damage(&segment.path, offset as u64, &reason);
                }
            }
            Record::Vote(vote) => position.vote = Some(*vote),
            Record::Committed(id) => position.committed = *id,
            Record::Truncate(after) => position.truncate(*after),
            Record::Purge(upto) => position.purge(*upto),
            Record::Mark | Record::Checkpoint(_) => {}
        }
        Ok(())
    }

    fn begins(&mut self, segment: &Segment) -> io::Result<()> {
        (self.report)(Finding::Segment {
            path: segment.path.clone(),
            bytes: segment.bytes.len() as u64,
        })
    }

    fn end(&mut self, segment: &Segment, offset: usize, ending: Ending) -> io::Result<()> {
        (self.report)(Finding::End {
            path: segment.path.clone(),
            offset: offset as u64,
            ending,
        })
    }

    fn damage(&mut self, path: &Path, offset: u64, reason: &str) -> io::Result<()> {
        self.damages += 1;
        (self.report)(Finding::Damage {
            path: path.to_owned(),
            offset,
            reason: reason.to_owned(),
        })
    }
}

fn as_io(error: DiskError) -> io::Error {
    io::Error::new(error.source.kind(), error)
}
