//! From (parent, segment) to znode, without a second copy of either.

use super::record::ZnodeId;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use std::hash::{BuildHasher, RandomState};

/// Finds children by name. Knows ids only; the names are compared by the caller, who has them.
#[derive(Debug)]
pub(super) struct Index {
    table: HashTable<Place>,
    // Seeded at random, against clients that craft names to collide. No outcome depends on it.
    hasher: RandomState,
}

/// The half of the hash that is kept saves a look at the znode: nearly always when names differ, and
/// always when the table grows, which would otherwise visit a million znodes in random order.
#[derive(Debug)]
struct Place {
    tag: u32,
    id: ZnodeId,
}

/// The table wants 64 bits with entropy at both ends. An odd factor spreads the tag without collisions.
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Index {
    /// An index with room for `capacity` znodes.
    pub(super) fn with_capacity(capacity: usize) -> Index {
        Index {
            table: HashTable::with_capacity(capacity),
            hasher: RandomState::new(),
        }
    }

    fn tag(&self, parent: ZnodeId, segment: &str) -> u32 {
        self.hasher.hash_one((parent, segment)) as u32
    }

    /// The child of `parent` called `segment`, if `is_it` says so of a candidate.
    pub(super) fn find(
        &self,
        parent: ZnodeId,
        segment: &str,
        is_it: impl Fn(ZnodeId) -> bool,
    ) -> Option<ZnodeId> {
        let tag = self.tag(parent, segment);
        self.table
            .find(spread(tag), |place| place.tag == tag && is_it(place.id))
            .map(|place| place.id)
    }

    /// Adds a child, unless `is_it` says of one that is there that it has the same parent and name. Whether
    /// it was added.
    pub(super) fn insert(
        &mut self,
        parent: ZnodeId,
        segment: &str,
        id: ZnodeId,
        is_it: impl Fn(ZnodeId) -> bool,
    ) -> bool {
        let tag = self.tag(parent, segment);
        let found = self.table.entry(
            spread(tag),
            |place| place.tag == tag && is_it(place.id),
            |place| spread(place.tag),
        );
        match found {
            TableEntry::Occupied(_) => false,
            TableEntry::Vacant(vacant) => {
                vacant.insert(Place { tag, id });
                true
            }
        }
    }

    /// Takes a child out again.
    pub(super) fn remove(&mut self, parent: ZnodeId, segment: &str, id: ZnodeId) {
        let tag = self.tag(parent, segment);
        if let Ok(place) = self.table.find_entry(spread(tag), |place| place.id == id) {
            place.remove();
        }
    }

    /// How many children it knows.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}
