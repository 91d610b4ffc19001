//! The newest entries, kept in memory: followers that keep up, and `apply`, never wait for the disk.

use super::Entry;
use std::collections::VecDeque;

/// A window over the end of the log, bounded by bytes.
#[derive(Debug)]
pub(super) struct Recent {
    entries: VecDeque<Held>,
    /// Sum of the entries' sizes.
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Held {
    entry: Entry,
    bytes: usize,
}

/// What an entry costs beyond its encoded bytes: its struct, its allocations' headers, its path's counter.
const OVERHEAD_BYTES: usize = 256;

impl Recent {
    /// A window of at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Recent {
        Recent {
            entries: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    /// The index of the first entry in memory.
    pub(super) fn first(&self) -> Option<u64> {
        self.entries.front().map(|held| held.entry.log_id.index)
    }

    /// Adds the next entry, which takes `encoded` bytes on disk.
    pub(super) fn push(&mut self, entry: Entry, encoded: usize) {
        let bytes = encoded + OVERHEAD_BYTES;
        self.bytes += bytes;
        self.entries.push_back(Held { entry, bytes });
    }

    /// Brings the window within its limit, oldest first, but keeps every entry from `unwritten` on: those are
    /// nowhere else yet.
    pub(super) fn evict(&mut self, unwritten: u64) {
        while self.bytes > self.limit && self.first().is_some_and(|first| first < unwritten) {
            self.drop_front();
        }
    }

    /// Forgets the entries from `index` on.
    pub(super) fn truncate_from(&mut self, index: u64) {
        while let Some(held) = self.entries.back()
            && held.entry.log_id.index >= index
        {
            self.bytes -= held.bytes;
            self.entries.pop_back();
        }
    }

    /// Forgets the entries up to and including `index`.
    pub(super) fn purge_to(&mut self, index: u64) {
        while self.first().is_some_and(|first| first <= index) {
            self.drop_front();
        }
    }

    /// The entries from `start` up to `end`, as far as they are here, until their sizes exceed `budget`;
    /// the first one always.
    pub(super) fn range(&self, start: u64, end: u64, budget: usize) -> Vec<Entry> {
        let Some(first) = self.first() else {
            return Vec::new();
        };
        let mut left = budget;
        let skip = start.saturating_sub(first) as usize;
        let take = end.saturating_sub(start.max(first)) as usize;
        let fits = |held: &&Held| {
            let fits = left > 0;
            left = left.saturating_sub(held.bytes);
            fits
        };
        let wanted = self.entries.iter().skip(skip).take(take);
        wanted
            .take_while(fits)
            .map(|held| held.entry.clone())
            .collect()
    }

    fn drop_front(&mut self) {
        if let Some(held) = self.entries.pop_front() {
            self.bytes -= held.bytes;
        }
    }
}
