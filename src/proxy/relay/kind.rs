//! What a stream has shown itself to be: chatty or bulk.
//!
//! ```text
//!          FULL_TO_BULK reads in a row fill a small buffer
//! Chatty ---------------------------------------------------> Bulk
//!        <---------------------------------------------------
//!          SHORT_TO_CHATTY takes in a row would have fitted one
//! ```
//! Splice saves the two copies of each byte, but costs more per call than a short read and write, and a stream that
//! sends little at a time has nothing to save. Both thresholds need a row, so that one large message among small
//! ones, or one small one at the end of a large file's piece, changes nothing.

use super::buffers::SMALL;

/// Reads in a row that fill a small buffer before a stream counts as bulk: 64 KiB without a pause.
const FULL_TO_BULK: u8 = 4;

/// Takes in a row of less than a small buffer before a bulk stream counts as chatty again.
const SHORT_TO_CHATTY: u8 = 8;

/// What a stream has shown itself to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small messages, or nothing yet; so many full reads in a row so far.
    Chatty(u8),
    /// More than small buffers carry well; so many short takes in a row so far.
    Bulk(u8),
}

impl Kind {
    /// Judges by the next `bytes` that were taken at once.
    pub fn took(&mut self, bytes: usize) {
        *self = match *self {
            Kind::Chatty(_) if bytes < SMALL => Kind::Chatty(0),
            Kind::Chatty(full) if full + 1 < FULL_TO_BULK => Kind::Chatty(full + 1),
            Kind::Chatty(_) => Kind::Bulk(0),
            Kind::Bulk(_) if bytes >= SMALL => Kind::Bulk(0),
            Kind::Bulk(short) if short + 1 < SHORT_TO_CHATTY => Kind::Bulk(short + 1),
            Kind::Bulk(_) => Kind::Chatty(0),
        };
    }

    /// Whether it is worth a pipe or a large buffer.
    pub fn is_bulk(self) -> bool {
        matches!(self, Kind::Bulk(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(takes: &[(usize, usize)]) -> Kind {
        let mut kind = Kind::Chatty(0);
        for (times, bytes) in takes {
            (0..*times).for_each(|_| kind.took(*bytes));
        }
        kind
    }

    #[test]
    fn a_row_of_full_reads_makes_bulk_and_a_row_of_short_takes_unmakes_it() {
        for (takes, bulk) in [
            (vec![], false),
            (vec![(1000, 64)], false),
            (vec![(3, SMALL)], false),
            (vec![(3, SMALL), (1, 64), (3, SMALL)], false),
            (vec![(4, SMALL)], true),
            (vec![(4, SMALL), (7, 64)], true),
            (vec![(4, SMALL), (7, 64), (1, SMALL), (7, 64)], true),
            (vec![(4, SMALL), (8, 64)], false),
            (vec![(4, SMALL), (8, 64), (4, SMALL)], true),
        ] {
            assert_eq!(after(&takes).is_bulk(), bulk, "{takes:?}");
        }
    }
}
