//! Whose log lies in a directory, without opening it.

use super::disk::{self, DataFile};
use super::record::{self, HEADER_BYTES, Kind, Place, Record};
use super::segment::{segment_number, segment_path};
use super::{Identity, OpenError};
use std::path::Path;

/// Bytes of a segment's beginning that hold its checkpoint: a name has at most 255 bytes, all else is numbers.
const BEGINNING: u64 = 4096;

/// Whose log is in `dir`, by the first segment that begins as it should; `None` if there is none. Changes nothing.
///
/// # Errors
/// When a file cannot be opened, or was written by a version that this one does not know. Damage is no error here:
/// it shows when the log is opened.
pub(in crate::ensemble) fn owner(dir: &Path) -> Result<Option<Identity>, OpenError> {
    if !disk::exists(dir)? {
        return Ok(None);
    }
    let names = disk::names(dir)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|n| segment_number(n)).collect();
    numbers.sort_unstable();
    for number in numbers {
        let file = DataFile::open(segment_path(dir, number))?;
        let mut bytes = vec![0; file.bytes()?.min(BEGINNING) as usize];
        match file.read(&mut bytes, 0) {
            Err(error) if error.is_unreadable() => continue,
            read => read?,
        }
        let place = Place {
            segment: number,
            offset: 0,
        };
        let Some(frame) = record::read_frame(place, &bytes) else {
            continue;
        };
        debug_assert!(frame.payload.len() + HEADER_BYTES <= bytes.len());
        if frame.kind != Kind::Checkpoint as u8 {
            continue;
        }
        match Record::decode(&frame) {
            Ok(Record::Checkpoint(checkpoint)) => return Ok(Some(checkpoint.identity)),
            Ok(_) => {}
            Err(super::RecordError::Version(found)) => {
                let path = file.path.clone();
                return Err(OpenError::Version { path, found });
            }
            Err(_) => {}
        }
    }
    Ok(None)
}
