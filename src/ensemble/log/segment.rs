//! Segments: the files the log consists of, and their names.

use super::disk::{self, DataFile, DiskError};
use std::path::{Path, PathBuf};

/// One file of the log.
#[derive(Debug)]
pub(super) struct SegmentFile {
    /// Counts up by one from segment to segment. A number is not used again for something else that was begun.
    pub(super) number: u64,
    /// The file.
    pub(super) data: DataFile,
}

impl SegmentFile {
    /// Makes a segment of `bytes` zeroes.
    pub(super) fn create(dir: &Path, number: u64, bytes: u64) -> Result<SegmentFile, DiskError> {
        let data = DataFile::create(segment_path(dir, number))?;
        data.zero(0, bytes)?;
        Ok(SegmentFile { number, data })
    }
}

/// The path of a segment: its number in sixteen hexadecimal digits.
pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.wal"))
}

/// The number of the segment that is called `name`, if one can be.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|d| d.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

/// Whether a file of this name belongs to the log.
pub(in crate::ensemble) fn is_of_the_log(name: &str) -> bool {
    segment_number(name).is_some() || is_reserve(name)
}

/// Files that wait in reserve: as many as a purge after a snapshot frees at once and the log needs until the next,
/// about, so that in steady state nothing is zeroed. Each costs a segment's size of disk.
pub(super) const RESERVES: usize = 4;

/// The name under which a file waits that was a segment and can become one again.
pub(super) fn reserve_path(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("reserve-{number}.recycled"))
}

/// A name that no file of the reserve has; `None` if it is full.
pub(super) fn unused_reserve(dir: &Path) -> Result<Option<PathBuf>, DiskError> {
    for number in 0..RESERVES {
        let path = reserve_path(dir, number);
        if !disk::exists(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Whether a file of this name waits to become a segment again.
pub(super) fn is_reserve(name: &str) -> bool {
    name.starts_with("reserve") && name.ends_with(".recycled")
}
