//! Records: how the log's facts look as bytes.
//!
//! A segment is a row of frames without gaps. All integers are little-endian.
//!
//! ```text
//! offset size
//!      0    4  length    bytes of payload, at most MAX_RECORD_BYTES
//!      4    4  checksum  CRC-32C, see below
//!      8    4  durable   how many bytes of this segment were known to be durable when this frame was made
//!     12    1  kind      1 checkpoint, 2 entry, 3 vote, 4 committed, 5 truncate, 6 purge, 7 mark
//!     13    n  payload   postcard of the value named below
//!
//! kind        payload
//! checkpoint  "ZGATELOG", version (1 byte, now 2), Checkpoint; always and only the first frame of a segment
//! entry       openraft's Entry: log id, payload
//! vote        openraft's Vote
//! committed   Option<LogId>
//! truncate    Option<LogId>: the last log id that stays
//! purge       LogId: the last log id that goes
//! mark        nothing; exists for its `durable`
//! ```
//!
//! The checksum covers the segment's number (8 bytes), the frame's offset (4 bytes), then `length`, `durable`,
//! `kind` and `payload`. Number and offset are not stored. They chain a frame to its place, so a frame is valid
//! at one place of one segment only: what an earlier life of a recycled file left behind never passes (CRC-32C
//! finds every error burst of up to 32 bits, and segment numbers that differ do so in their low 32 bits).
//! A chain from frame to frame would give the same, but then nothing after a damaged frame could be checked.
//!
//! `durable` is what tells a torn write from a damaged one. Power loss may keep the end of a write and lose
//! its beginning, so a bad frame before a good one proves nothing. A good frame whose `durable` lies *behind*
//! the bad one does: those bytes had been synced, hence may have been acknowledged, and are gone.

use super::{Entry, Identity, LogId, Vote};
use serde::{Deserialize, Serialize};
use std::mem::size_of;

/// Bytes in front of every payload.
pub(super) const HEADER_BYTES: usize = 13;

/// Most bytes of one payload. A client's request is at most `jute.maxbuffer`, 1 MiB unless raised, and its
/// record is about as long; eight times that leaves room for an operator who raised it and for what the
/// ensemble adds (identities, origin: below 4 KiB). Raising it raises what a corrupt length may claim
/// and how far a segment may exceed its size.
pub const MAX_RECORD_BYTES: usize = 8 << 20;

const MAGIC: &[u8; 8] = b"ZGATELOG";
const VERSION: u8 = 2;

/// What a frame holds; the number on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Checkpoint = 1,
    Entry = 2,
    Vote = 3,
    Committed = 4,
    Truncate = 5,
    Purge = 6,
    Mark = 7,
}

/// Everything the earlier segments would have said except their entries, so that they can be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// Whose log this is.
    pub(super) identity: Identity,
    /// Bytes used in the segment before; zero in the first.
    pub(super) previous_end: u32,
    /// The facts so far.
    pub(super) position: Position,
}

/// What a log says besides its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The last vote.
    pub(super) vote: Option<Vote>,
    /// The last log id known to be committed; may lag.
    pub(super) committed: Option<LogId>,
    /// The last log id removed from the front.
    pub(super) purged: Option<LogId>,
    /// The last log id, or `purged` if there is no entry.
    pub(super) last: Option<LogId>,
}

impl Position {
    /// Takes one more entry; false, and no change, if it does not follow the last one. A log that never had
    /// an entry may start anywhere.
    #[must_use]
    pub(super) fn append(&mut self, id: LogId) -> bool {
        let follows = self.last.is_none_or(|last| last.index + 1 == id.index);
        if follows {
            self.last = Some(id);
        }
        follows
    }

    /// Forgets the entries after `after`.
    pub(super) fn truncate(&mut self, after: Option<LogId>) {
        let index = |id: Option<LogId>| id.map(|id| id.index);
        if index(after) < index(self.last) {
            self.last = match index(after) < index(self.purged) {
                true => self.purged,
                false => after,
            };
        }
    }

    /// Forgets the entries up to `upto`, which may lie behind the last one: a snapshot replaced them all.
    pub(super) fn purge(&mut self, upto: LogId) {
        if self.purged.is_none_or(|purged| purged.index < upto.index) {
            self.purged = Some(upto);
        }
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.last = Some(upto);
        }
    }

    /// The index the next entry must have; `None` if any may come.
    pub(super) fn next_index(&self) -> Option<u64> {
        self.last.map(|id| id.index + 1)
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Record {
    Checkpoint(Checkpoint),
    Entry(Entry),
    Vote(Vote),
    Committed(Option<LogId>),
    Truncate(Option<LogId>),
    Purge(LogId),
    Mark,
}

/// A frame whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) durable: u32,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes on disk.
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The segment's number.
    pub(super) segment: u64,
    /// First byte within it.
    pub(super) offset: u32,
}

/// A payload with a right checksum that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("it has the unknown kind {0}")]
    Kind(u8),
    #[error("its payload cannot be read")]
    Payload(#[from] postcard::Error),
    #[error("{0} bytes follow its payload")]
    Trailing(usize),
    #[error("the checkpoint does not begin as one")]
    Magic,
    #[error("the log has format version {0}, this program knows version {VERSION}")]
    Version(u8),
}

/// Appends to `out` the frame for `place`.
pub(super) fn put_frame(out: &mut Vec<u8>, place: Place, durable: u32, kind: Kind, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    let durable = durable.to_le_bytes();
    let kind = kind as u8;
    let checksum = checksum(place, length, durable, kind, payload);
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&durable);
    out.push(kind);
    out.extend_from_slice(payload);
}

/// The frame at the beginning of `bytes`, which were read at `place`; `None` if there is no valid one.
pub(super) fn read_frame(place: Place, bytes: &[u8]) -> Option<Frame<'_>> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let length = payload_bytes(header);
    let payload = rest.get(..length).filter(|_| length <= MAX_RECORD_BYTES)?;
    let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    let kind = header[12];
    let stored = u32::from_le_bytes(word(4));
    (checksum(place, word(0), word(8), kind, payload) == stored).then_some(Frame {
        kind,
        durable: u32::from_le_bytes(word(8)),
        payload,
    })
}

/// How long a payload claims to be.
pub(super) fn payload_bytes(header: &[u8; HEADER_BYTES]) -> usize {
    u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize
}

/// Where the first valid frame at or after `from` lies whose `durable` is at least `least`. `bytes` is a whole
/// segment. Looks at every offset, because after damage nothing tells where frames begin.
pub(super) fn find_frame(segment: u64, bytes: &[u8], from: u32, least: u32) -> Option<u32> {
    let last = bytes.len().checked_sub(HEADER_BYTES)?;
    (from as usize..=last).find_map(|at| {
        let offset = at as u32;
        let header = &bytes[at..];
        // What the checksum is worth computing for; zeroes, the usual case, end here.
        let known = (Kind::Checkpoint as u8..=Kind::Mark as u8).contains(&header[12]);
        let durable = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let plausible = known && (least..=offset).contains(&durable);
        (plausible && read_frame(Place { segment, offset }, header).is_some()).then_some(offset)
    })
}

impl Record {
    /// Reads a frame's payload.
    pub(super) fn decode(frame: &Frame<'_>) -> Result<Record, RecordError> {
        let payload = frame.payload;
        const CHECKPOINT: u8 = Kind::Checkpoint as u8;
        const ENTRY: u8 = Kind::Entry as u8;
        const VOTE: u8 = Kind::Vote as u8;
        const COMMITTED: u8 = Kind::Committed as u8;
        const TRUNCATE: u8 = Kind::Truncate as u8;
        const PURGE: u8 = Kind::Purge as u8;
        const MARK: u8 = Kind::Mark as u8;
        Ok(match frame.kind {
            CHECKPOINT => {
                let rest = payload.strip_prefix(MAGIC).ok_or(RecordError::Magic)?;
                let (version, rest) = rest.split_first().ok_or(RecordError::Magic)?;
                if *version != VERSION {
                    return Err(RecordError::Version(*version));
                }
                Record::Checkpoint(exactly(rest)?)
            }
            ENTRY => Record::Entry(exactly(payload)?),
            VOTE => Record::Vote(exactly(payload)?),
            COMMITTED => Record::Committed(exactly(payload)?),
            TRUNCATE => Record::Truncate(exactly(payload)?),
            PURGE => Record::Purge(exactly(payload)?),
            MARK => exactly(payload).map(|()| Record::Mark)?,
            unknown => return Err(RecordError::Kind(unknown)),
        })
    }
}

/// The payload of a checkpoint.
pub(super) fn checkpoint_payload(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    extend(out, checkpoint)
}

/// The payload of any other record.
pub(super) fn payload<T: Serialize>(value: &T) -> Vec<u8> {
    extend(Vec::new(), value)
}

/// Appends `value` to `out`.
pub(super) fn extend<T: Serialize>(out: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, out).expect("a growing buffer takes every type that the log stores")
}

fn exactly<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, RecordError> {
    match postcard::take_from_bytes(payload)? {
        (value, []) => Ok(value),
        (_, rest) => Err(RecordError::Trailing(rest.len())),
    }
}

fn checksum(place: Place, length: [u8; 4], durable: [u8; 4], kind: u8, payload: &[u8]) -> u32 {
    const PLACE_BYTES: usize = size_of::<u64>() + size_of::<u32>();
    let mut head = [0; PLACE_BYTES + 9];
    head[..8].copy_from_slice(&place.segment.to_le_bytes());
    head[8..12].copy_from_slice(&place.offset.to_le_bytes());
    head[12..16].copy_from_slice(&length);
    head[16..20].copy_from_slice(&durable);
    head[20] = kind;
    crc32c::crc32c_append(crc32c::crc32c(&head), payload)
}
