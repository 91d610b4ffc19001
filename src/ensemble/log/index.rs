//! Where the entries are on disk: four bytes per entry.

use super::segment::SegmentFile;
use std::collections::VecDeque;
use std::sync::Arc;

/// Maps a log index to the segment and offset of its frame. The indexes form one range without holes.
#[derive(Debug, Default)]
pub(super) struct Index {
    runs: VecDeque<Run>,
}

/// Entries that follow each other within one segment.
#[derive(Debug)]
struct Run {
    file: Arc<SegmentFile>,
    first: u64,
    /// Never empty.
    offsets: Vec<u32>,
}

impl Run {
    fn next(&self) -> u64 {
        self.first + self.offsets.len() as u64
    }
}

impl Index {
    /// The first index, if there is any.
    pub(super) fn first(&self) -> Option<u64> {
        self.runs.front().map(|run| run.first)
    }

    /// One past the last index, if there is any.
    pub(super) fn next(&self) -> Option<u64> {
        self.runs.back().map(Run::next)
    }

    /// The number of the oldest segment that is still needed for an entry.
    pub(super) fn oldest_segment(&self) -> Option<u64> {
        self.runs.front().map(|run| run.file.number)
    }

    /// Adds the entries from `first` on, which lie in `file`.
    pub(super) fn extend(&mut self, file: &Arc<SegmentFile>, first: u64, offsets: &[u32]) {
        if offsets.is_empty() {
            return;
        }
        assert!(
            self.next().is_none_or(|next| next == first),
            "an entry that does not follow the last one was let into the log"
        );
        match self.runs.back_mut() {
            Some(run) if run.file.number == file.number => run.offsets.extend_from_slice(offsets),
            _ => self.runs.push_back(Run {
                file: file.clone(),
                first,
                offsets: offsets.to_vec(),
            }),
        }
    }

    /// Forgets the entries from `index` on.
    pub(super) fn truncate_from(&mut self, index: u64) {
        while self.runs.back().is_some_and(|run| run.first >= index) {
            self.runs.pop_back();
        }
        if let Some(run) = self.runs.back_mut() {
            run.offsets.truncate((index - run.first) as usize);
        }
    }

    /// Forgets the entries up to and including `index`.
    pub(super) fn purge_to(&mut self, index: u64) {
        while self.runs.front().is_some_and(|run| run.next() <= index + 1) {
            self.runs.pop_front();
        }
        if let Some(run) = self.runs.front_mut()
            && run.first <= index
        {
            run.offsets.drain(..(index + 1 - run.first) as usize);
            run.offsets.shrink_to_fit();
            run.first = index + 1;
        }
    }

    /// About how many bytes the entries from `index` on take, in segments of so many bytes.
    pub(super) fn bytes_from(&self, index: u64, segment_bytes: u64) -> u64 {
        let Some(last) = self.runs.back() else {
            return 0;
        };
        let from = index.max(self.first().unwrap_or(0));
        let end = last.offsets.last().copied().unwrap_or(0);
        self.locate(from).map_or(0, |(file, offset)| {
            let segments = last.file.number - file.number;
            (segments * segment_bytes + u64::from(end)).saturating_sub(u64::from(offset))
        })
    }

    /// The segment and offset of an entry.
    pub(super) fn locate(&self, index: u64) -> Option<(Arc<SegmentFile>, u32)> {
        let after = self.runs.partition_point(|run| run.first <= index);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let offset = run.offsets.get((index - run.first) as usize)?;
        Some((run.file.clone(), *offset))
    }
}
