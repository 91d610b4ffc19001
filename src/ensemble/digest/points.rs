//! What this member's digest was at the log indexes it has applied lately.
//!
//! ```text
//! sparse   ... 97000 98000 99000 100000      each multiple of DIGEST_EVERY: for members far apart
//! recent            ... 100311 100312        every index: for members that are level
//! ```

use crate::ensemble::limits::{DIGEST_EVERY, DIGEST_RECENT, DIGEST_SPARSE};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The digest of the tree after the entry of this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestPoint {
    /// The entry's index.
    pub index: u64,
    /// The digest.
    pub digest: u64,
}

/// The points of the latest past. Bounded: 16 bytes each.
#[derive(Debug, Default)]
pub(in crate::ensemble) struct Points {
    recent: VecDeque<DigestPoint>,
    sparse: VecDeque<DigestPoint>,
}

impl Points {
    /// Adds a point, of a greater index than all before. True at every index that all members compare.
    pub(in crate::ensemble) fn record(&mut self, index: u64, digest: u64) -> bool {
        let point = DigestPoint { index, digest };
        keep(&mut self.recent, DIGEST_RECENT, point);
        let is_milestone = index.is_multiple_of(DIGEST_EVERY);
        if is_milestone {
            keep(&mut self.sparse, DIGEST_SPARSE, point);
        }
        is_milestone
    }

    /// The digest at an index, unless that is forgotten or still to come.
    pub(in crate::ensemble) fn at(&self, index: u64) -> Option<u64> {
        let find = |points: &VecDeque<DigestPoint>| {
            let at = points.binary_search_by_key(&index, |point| point.index);
            at.ok().map(|at| points[at].digest)
        };
        find(&self.recent).or_else(|| find(&self.sparse))
    }

    /// The latest point.
    pub(in crate::ensemble) fn latest(&self) -> Option<DigestPoint> {
        self.recent.back().copied()
    }

    /// The point to compare next, if what was compared before reaches up to `compared`: the latest of those that
    /// every member keeps for long, or else the latest.
    pub(in crate::ensemble) fn after(&self, compared: Option<u64>) -> Option<DigestPoint> {
        let is_new = |point: &&DigestPoint| Some(point.index) > compared;
        let milestone = self.sparse.back().filter(is_new);
        milestone
            .or_else(|| self.recent.back().filter(is_new))
            .copied()
    }
}

fn keep(points: &mut VecDeque<DigestPoint>, limit: usize, point: DigestPoint) {
    if points.len() == limit {
        points.pop_front();
    }
    points.push_back(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(last: u64) -> Points {
        let mut points = Points::default();
        for index in 1..=last {
            let is_milestone = points.record(index, index * 7);
            assert_eq!(is_milestone, index.is_multiple_of(DIGEST_EVERY));
        }
        points
    }

    #[test]
    fn milestones_are_known_long_after_their_neighbours() {
        let last = 20 * DIGEST_EVERY + 5;
        let points = points(last);
        assert_eq!(points.at(last), Some(last * 7));
        assert_eq!(points.at(last + 1), None);
        assert_eq!(points.at(DIGEST_EVERY), Some(DIGEST_EVERY * 7));
        assert_eq!(points.at(DIGEST_EVERY + 1), None);
    }

    #[test]
    fn memory_is_bounded() {
        let points = points(DIGEST_EVERY * (DIGEST_SPARSE as u64 + 10));
        assert_eq!(points.recent.len(), DIGEST_RECENT);
        assert_eq!(points.sparse.len(), DIGEST_SPARSE);
        assert_eq!(points.at(DIGEST_EVERY), None);
    }

    #[test]
    fn milestones_are_compared_before_what_came_after_them() {
        let points = points(2 * DIGEST_EVERY + 5);
        let next = |compared| points.after(compared).map(|point| point.index);
        assert_eq!(next(None), Some(2 * DIGEST_EVERY));
        assert_eq!(next(Some(2 * DIGEST_EVERY)), Some(2 * DIGEST_EVERY + 5));
        assert_eq!(next(Some(2 * DIGEST_EVERY + 5)), None);
        assert_eq!(Points::default().after(None), None);
    }
}
