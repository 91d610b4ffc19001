//! A znode as it is stored: its place in the tree, what its stat is computed from, its content.
//!
//! The sizes matter: [`Entry`] is 144 bytes, and with the segment, 128 bytes of data and the index a znode
//! takes about 330 bytes of memory.

use super::acl_table::AclList;
use super::owner::Owner;
use super::{Lifetime, SessionId, Stat, Zxid, digest};
use bytes::Bytes;
use std::sync::Arc;

/// Names a slot of the store. Local to one member: never an input to an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ZnodeId(pub(super) u32);

impl ZnodeId {
    /// The slot of `/`, which is never vacated.
    pub(super) const ROOT: ZnodeId = ZnodeId(0);

    /// The end of a list of siblings. The root is nobody's child, so its id is free for this.
    pub(super) const NIL: ZnodeId = ZnodeId::ROOT;

    /// As an index into the slots.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One znode.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Hash of the path, chained from the parent's: see `digest`.
    pub(super) path_hash: u64,
    /// What its stat is computed from.
    pub(super) record: Record,
    /// Data and ACL.
    pub(super) content: Content,
    /// Last segment of the path; empty for the root only.
    pub(super) segment: Box<str>,
    /// The znode above; the root is its own parent.
    pub(super) parent: ZnodeId,
    /// One of its children, the others follow by `next`.
    pub(super) first: ZnodeId,
    /// Neighbours among the children of `parent`, so that one of 100,000 is unlinked in O(1).
    pub(super) prev: ZnodeId,
    /// See `prev`.
    pub(super) next: ZnodeId,
}

impl Entry {
    /// An entry that is not linked to siblings, and not hashed unless it is the root's.
    pub(super) fn new(parent: ZnodeId, segment: &str, record: Record, content: Content) -> Entry {
        Entry {
            path_hash: digest::ROOT_PATH,
            record,
            content,
            segment: segment.into(),
            parent,
            first: ZnodeId::NIL,
            prev: ZnodeId::NIL,
            next: ZnodeId::NIL,
        }
    }

    /// Whether it is the child of `parent` called `segment`.
    pub(super) fn is(&self, parent: ZnodeId, segment: &str) -> bool {
        self.parent == parent && *self.segment == *segment
    }

    /// Its terms of the digest.
    pub(super) fn digest(&self) -> u64 {
        digest::record(self.path_hash, &self.record)
            .wrapping_add(digest::content(self.path_hash, &self.content))
    }
}

/// What a client may store in a znode.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// The data, or null. Never a part of a larger buffer, which it would keep alive.
    pub(super) data: Option<Bytes>,
    /// The ACL, shared among all znodes that have the same.
    pub(super) acl: Arc<AclList>,
}

impl Content {
    /// Bytes of data.
    pub(super) fn length(&self) -> usize {
        self.data.as_ref().map_or(0, Bytes::len)
    }
}

/// The numbers behind a [`Stat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// See [`Stat::czxid`].
    pub(super) czxid: Zxid,
    /// See [`Stat::mzxid`].
    pub(super) mzxid: Zxid,
    /// See [`Stat::pzxid`].
    pub(super) pzxid: Zxid,
    /// See [`Stat::ctime`].
    pub(super) ctime: i64,
    /// See [`Stat::mtime`].
    pub(super) mtime: i64,
    /// See [`Stat::version`].
    pub(super) version: i32,
    /// See [`Stat::aversion`].
    pub(super) aversion: i32,
    /// Children ever created; the suffix of the next sequential child. Wraps.
    pub(super) creates: i32,
    /// Children now.
    pub(super) children: u32,
    /// How long it lives.
    pub(super) owner: Owner,
}

impl Record {
    /// Of a znode created just now.
    pub(super) fn new(zxid: Zxid, time_ms: i64, owner: Owner) -> Record {
        Record {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time_ms,
            mtime: time_ms,
            owner,
            ..Record::default()
        }
    }

    /// As clients see it. Children deleted are those created and not there any more, hence
    /// cversion = creates + deletes = 2 creates - children. The children that exist from the start were
    /// never created, so that `/` starts with -1, as in ZooKeeper.
    pub(super) fn stat(&self, data: &Option<Bytes>) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self
                .creates
                .wrapping_mul(2)
                .wrapping_sub(self.children as i32),
            aversion: self.aversion,
            ephemeral_owner: self.owner.session(),
            data_length: data.as_ref().map_or(0, Bytes::len) as i32,
            num_children: self.children as i32,
            pzxid: self.pzxid,
        }
    }

    /// Whether the znode lives as long as a session.
    pub(super) fn is_ephemeral(&self) -> bool {
        self.owner.session() != SessionId::NONE
    }

    /// Whether the leader deletes the znode once its time is up.
    pub(super) fn is_perishable(&self) -> bool {
        matches!(
            self.owner.lifetime(),
            Lifetime::Container | Lifetime::Ttl(_)
        )
    }

    /// Whether its time is up: of a container once its last child is gone, of a TTL znode when it has no
    /// children and its data was set longer ago than it may live.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        self.children == 0
            && match self.owner.lifetime() {
                Lifetime::Container => self.creates != 0,
                Lifetime::Ttl(ms) => now_ms.saturating_sub(self.mtime) > ms as i64,
                Lifetime::Persistent | Lifetime::Ephemeral => false,
            }
    }
}

/// The version after `version`. It wraps, and steps over -1, which means "any" in requests.
pub(super) fn next_version(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_wrap_and_step_over_minus_one() {
        for (version, next) in [(0, 1), (i32::MAX, i32::MIN), (-3, -2), (-2, 0), (-1, 0)] {
            assert_eq!(next_version(version), next);
        }
    }

    #[test]
    fn an_entry_keeps_its_size() {
        assert_eq!(size_of::<Entry>(), 144);
        assert_eq!(size_of::<Option<Entry>>(), 144);
    }

    #[test]
    fn cversion_counts_creates_and_deletes() {
        let record = Record {
            creates: 5,
            children: 2,
            ..Record::default()
        };
        assert_eq!(record.stat(&None).cversion, 8);
    }
}
