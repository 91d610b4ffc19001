//! Quotas: how many znodes and bytes of data there may be below a path.
//!
//! A quota of `/a/b` is a znode `/zookeeper/quota/a/b/zookeeper_limits`, which clients write; what there is,
//! is kept beside it in `zookeeper_stats`, by whoever applies the changes. The data of both is text, numbers
//! below 0 stand for none:
//!
//! ```text
//! limits   count=SOFT,bytes=SOFT=;byteHardLimit=HARD;countHardLimit=HARD
//! stats    count=ZNODES,bytes=BYTES
//! ```
//! Of several quotas above a path, the one with the longest path governs it, alone. Hard limits refuse
//! creations and new data that would leave more than they allow. ZooKeeper does so only if `enforceQuota` is
//! set; here every member must decide alike, and who writes a hard limit wants it. Soft limits refuse nothing:
//! [`Tree::quotas`] tells who is over them.
//!
//! The subtree is counted once, when the stats are created, and changes are added from then on, in place:
//! no version and no zxid moves and no watch fires. The numbers are data like any other, so a snapshot needs
//! nothing more; a client that overwrites them gets what it wrote plus the changes after. Finding the quota of
//! a path walks down `/zookeeper/quota` along it: O(depth), and one comparison as long as no quota exists.
//!
//! Source: `DataTree`, `Quotas`, `StatsTrack` and `ZooKeeperServer.checkQuota` of ZooKeeper 3.9.

use super::record::{Content, ZnodeId};
use super::store::Store;
use super::{ErrorCode, Tree};
use bytes::Bytes;

const QUOTAS: &str = "/zookeeper/quota";

/// Name of the znode with the limits.
pub(super) const LIMITS: &str = "zookeeper_limits";

/// Name of the znode with what there is.
pub(super) const STATS: &str = "zookeeper_stats";

/// A quota, and what there is below its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The path at the top of what it governs.
    pub path: String,
    /// Znodes, the one at the path included.
    pub count: Usage,
    /// Bytes of data.
    pub bytes: Usage,
}

/// An amount and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What there is; -1 if a client has overwritten it with something else than a number.
    pub used: i64,
    /// What there should be at most.
    pub soft: Option<i64>,
    /// What there can be at most.
    pub hard: Option<i64>,
}

impl Tree {
    /// The quotas there are, in order of their paths. Costs O(znodes below `/zookeeper/quota`).
    pub fn quotas(&self) -> Vec<Quota> {
        let store = &self.store;
        let mut found = Vec::new();
        let below = |at| store.children(at).map(|(child, _)| child);
        let mut open: Vec<ZnodeId> = match store.resolve(QUOTAS) {
            Some(top) if store.limits > 0 => below(top).collect(),
            _ => vec![],
        };
        while let Some(at) = open.pop() {
            open.extend(below(at));
            let (Some(limits), Some(stats)) = (store.find(at, LIMITS), store.find(at, STATS))
            else {
                continue;
            };
            let (limits, stats) = (store.track(limits), store.track(stats));
            found.push(Quota {
                path: store.path(at).split_off(QUOTAS.len()),
                count: Usage {
                    used: stats.count,
                    soft: limit(limits.count),
                    hard: limit(limits.count_hard),
                },
                bytes: Usage {
                    used: stats.bytes,
                    soft: limit(limits.bytes),
                    hard: limit(limits.bytes_hard),
                },
            });
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }
}

impl Store {
    /// Whether the quota over a path allows so many more znodes and bytes there.
    ///
    /// # Errors
    /// [`ErrorCode::QuotaExceeded`] when there would be more than a hard limit. What does not change is not
    /// looked at.
    pub(super) fn afford(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let Some((limits, stats)) = self.quota_over(path) else {
            return Ok(());
        };
        let (limits, stats) = (self.track(limits), self.track(stats));
        let exceeds = |change: i64, used: i64, hard: i64| {
            change != 0 && limit(hard).is_some_and(|hard| used.saturating_add(change) > hard)
        };
        if exceeds(count, stats.count, limits.count_hard)
            || exceeds(bytes, stats.bytes, limits.bytes_hard)
        {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }

    /// Adds a change to the stats of the quota over a path.
    pub(super) fn charge(&mut self, path: &str, count: i64, bytes: i64) {
        if let Some((_, stats)) = self.quota_over(path) {
            let before = self.track(stats);
            let count = before.count.saturating_add(count);
            self.write_stats(stats, count, before.bytes.saturating_add(bytes));
        }
    }

    /// Counts what a quota governs, if `path` is that of its stats and they were just created, as `id`.
    pub(super) fn fill_stats(&mut self, path: &str, id: ZnodeId) {
        let subject = path
            .strip_prefix(QUOTAS)
            .and_then(|rest| rest.strip_suffix(STATS)?.strip_suffix('/'));
        let Some(subject) = subject else { return };
        let (mut count, mut bytes) = (0, 0);
        let mut open: Vec<ZnodeId> = self.resolve(subject).into_iter().collect();
        while let Some(at) = open.pop() {
            count += 1;
            bytes += self.entry(at).content.length() as i64;
            open.extend(self.children(at).map(|(child, _)| child));
        }
        self.write_stats(id, count, bytes);
    }

    /// Limits and stats of the quota that governs a path, if it has both.
    fn quota_over(&self, path: &str) -> Option<(ZnodeId, ZnodeId)> {
        if self.limits == 0 {
            return None;
        }
        let mut at = self.resolve(QUOTAS)?;
        let mut longest = None;
        for segment in path.strip_prefix('/')?.split('/') {
            let Some(below) = self.find(at, segment) else {
                break;
            };
            at = below;
            longest = self.find(at, LIMITS).map(|limits| (at, limits)).or(longest);
        }
        let (at, limits) = longest?;
        Some((limits, self.find(at, STATS)?))
    }

    fn track(&self, id: ZnodeId) -> Track {
        Track::parse(self.entry(id).content.data.as_deref().unwrap_or_default())
    }

    fn write_stats(&mut self, id: ZnodeId, count: i64, bytes: i64) {
        let entry = self.entry(id);
        let content = Content {
            data: Some(Bytes::from(format!("count={count},bytes={bytes}"))),
            acl: entry.content.acl.clone(),
        };
        let record = entry.record;
        self.replace(id, record, content);
    }
}

/// The numbers in limits or stats, -1 for those that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    /// Reads what it can. What cannot be read counts as none: the data is a client's, and must not stop the
    /// tree.
    fn parse(data: &[u8]) -> Track {
        let mut track = Track {
            count: -1,
            bytes: -1,
            count_hard: -1,
            bytes_hard: -1,
        };
        let text = std::str::from_utf8(data).unwrap_or_default();
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let place = match parts.next() {
                Some("count") => &mut track.count,
                Some("bytes") => &mut track.bytes,
                Some("countHardLimit") => &mut track.count_hard,
                Some("byteHardLimit") => &mut track.bytes_hard,
                _ => continue,
            };
            *place = parts.next().and_then(|n| n.parse().ok()).unwrap_or(-1);
        }
        track
    }
}

fn limit(number: i64) -> Option<i64> {
    (number > -1).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_zookeeper_writes_them() {
        for (text, count, bytes, count_hard, bytes_hard) in [
            ("", -1, -1, -1, -1),
            ("count=5,bytes=10", 5, 10, -1, -1),
            ("count=5;bytes=10", 5, 10, -1, -1),
            (
                "count=1,bytes=2=;byteHardLimit=4;countHardLimit=3",
                1,
                2,
                3,
                4,
            ),
            ("countHardLimit=3,,;bytes=0", -1, 0, 3, -1),
            ("count=-1,bytes=-1", -1, -1, -1, -1),
            ("count=,bytes=7", -1, 7, -1, -1),
            ("count,bytes=x", -1, -1, -1, -1),
            (
                "count=99999999999999999999,bytes=9223372036854775807",
                -1,
                i64::MAX,
                -1,
                -1,
            ),
            ("other=1,count=2", 2, -1, -1, -1),
        ] {
            let expected = Track {
                count,
                bytes,
                count_hard,
                bytes_hard,
            };
            assert_eq!(Track::parse(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(Track::parse(b"count=5\xff"), Track::parse(b""));
    }
}
