//! Recomputing the digest from what there is, a little at a time, while the tree goes on changing.
//!
//! The running digest follows every change, so it does not see a byte that changes by itself: memory that flips a
//! bit, a stray write. A walk over all znodes and sessions does.
//!
//! ```text
//! slots     0 ............... next ...............
//!           in the sum: a     | still to come: their terms
//!           change moves it   | are taken as they are then
//! ```
//! At the end the sum is the digest, unless something changed past [`Store`]'s verbs. No image of the tree is kept
//! for it. Path hashes, the index and the shared ACL lists are checked on the way, which the terms rely on.

use super::record::{Entry, ZnodeId};
use super::store::Store;
use super::{Tree, access, digest};
use std::sync::Arc;

/// Bytes of data and ACLs after which a step ends, however few znodes they were: 0.1 ms of hashing.
const STEP_BYTES: usize = 1 << 20;

/// What a step has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrub {
    /// Nothing yet: there is more to see.
    UnderWay,
    /// All was seen and adds up; the next step begins again.
    Sound,
    /// This is not as it was written.
    Damaged(&'static str),
}

/// A walk over things in the order of `K`: what the terms of those before `next` add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk<K> {
    /// Where it goes on.
    pub(super) next: K,
    sum: u64,
}

impl<K: Default + PartialOrd> Walk<K> {
    /// The terms of one thing have changed; they count if the walk has passed it.
    pub(super) fn exchange(&mut self, at: &K, before: u64, after: u64) {
        if *at < self.next {
            self.add(after.wrapping_sub(before));
        }
    }

    /// Adds a term.
    pub(super) fn add(&mut self, term: u64) {
        self.sum = self.sum.wrapping_add(term);
    }

    /// The sum; the walk begins again.
    pub(super) fn end(&mut self) -> u64 {
        std::mem::take(self).sum
    }
}

impl Tree {
    /// Checks the next part of the tree against what it should be: at most `limit` znodes and sessions, and about
    /// 1 MiB. Costs about 0.2 us per znode.
    pub fn scrub(&mut self, limit: usize) -> Scrub {
        let limit = limit.max(1);
        if !self.sessions.is_their_turn {
            let found = self.store.scrub(limit);
            self.sessions.is_their_turn = found == Scrub::Sound;
            return match found {
                Scrub::Sound if self.membership.digest() != self.membership_digest => {
                    Scrub::Damaged("the membership")
                }
                Scrub::Sound => Scrub::UnderWay,
                other => other,
            };
        }
        match self.sessions.scrub(limit) {
            None => Scrub::UnderWay,
            Some(true) => Scrub::Sound,
            Some(false) => Scrub::Damaged("a session"),
        }
    }
}

impl Store {
    fn scrub(&mut self, limit: usize) -> Scrub {
        let (mut bytes, mut checked) = (0, None);
        for _ in 0..limit {
            if bytes >= STEP_BYTES {
                return Scrub::UnderWay;
            }
            let id = ZnodeId(self.walk.next);
            let Some(slot) = self.entries.get(id.index()) else {
                return match self.walk.end() == self.digest {
                    true => Scrub::Sound,
                    false => Scrub::Damaged("a znode"),
                };
            };
            let mut term = 0;
            if let Some(entry) = slot {
                if !self.is_in_place(id, entry) {
                    self.walk.end();
                    return Scrub::Damaged("the place of a znode");
                }
                let list = &entry.content.acl;
                if checked.is_none_or(|seen| !Arc::ptr_eq(seen, list)) {
                    let entries = &list.entries;
                    if digest::acl(entries) != list.hash
                        || access::of_the_world(entries) != list.world
                    {
                        self.walk.end();
                        return Scrub::Damaged("an ACL");
                    }
                    bytes += entries.iter().map(|e| e.id.len()).sum::<usize>();
                    checked = Some(list);
                }
                bytes += entry.content.length();
                term = entry.digest();
            }
            self.walk.next += 1;
            self.walk.add(term);
        }
        Scrub::UnderWay
    }

    /// Whether a znode is where its parent, its name and the index say.
    fn is_in_place(&self, id: ZnodeId, entry: &Entry) -> bool {
        if id == ZnodeId::ROOT {
            return entry.path_hash == digest::ROOT_PATH;
        }
        let Some(Some(above)) = self.entries.get(entry.parent.index()) else {
            return false;
        };
        entry.path_hash == digest::path(above.path_hash, &entry.segment)
            && self.find(entry.parent, &entry.segment) == Some(id)
    }
}
