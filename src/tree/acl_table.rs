//! Every distinct ACL list, stored once: most znodes have the same one.
//!
//! A list stays while a znode, an undo step or a snapshot in progress refers to it. Lists that nobody
//! refers to any more are swept out when the table has doubled, so that the sweep costs O(1) per insertion
//! and a client that makes up a new list per request does not fill the memory.

use super::{Acl, access, digest};
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Below this many lists, sweeping is not worth the walk.
const SWEEP_FLOOR: usize = 64;

/// An ACL list, valid and normalised.
#[derive(Debug, PartialEq, Eq)]
pub struct AclList {
    /// The entries, in the order given.
    pub(super) entries: Box<[Acl]>,
    /// Its share of a znode's digest.
    pub(super) hash: u64,
    /// The permissions that everybody has, so that the common case needs no look at the entries.
    pub(super) world: i32,
}

impl AclList {
    /// The list of these entries.
    pub(super) fn new(entries: &[Acl]) -> AclList {
        AclList {
            entries: entries.into(),
            hash: digest::acl(entries),
            world: access::of_the_world(entries),
        }
    }
}

impl std::hash::Hash for AclList {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// The lists in use.
#[derive(Debug)]
pub(super) struct AclTable {
    lists: HashTable<Arc<AclList>>,
    // Seeded at random, against clients that craft collisions. No outcome depends on it.
    hasher: RandomState,
    sweep_at: usize,
}

impl AclTable {
    /// An empty table.
    pub(super) fn new() -> AclTable {
        AclTable {
            lists: HashTable::new(),
            hasher: RandomState::new(),
            sweep_at: SWEEP_FLOOR,
        }
    }

    /// The shared copy of a list.
    pub(super) fn intern(&mut self, entries: &[Acl]) -> Arc<AclList> {
        let hash = self.hasher.hash_one(entries);
        if let Some(list) = self.lists.find(hash, |list| *list.entries == *entries) {
            return list.clone();
        }
        if self.lists.len() >= self.sweep_at {
            self.lists.retain(|list| Arc::strong_count(list) > 1);
            self.sweep_at = SWEEP_FLOOR.max(self.lists.len() * 2);
        }
        let list = Arc::new(AclList::new(entries));
        self.lists.insert_unique(hash, list.clone(), |list| {
            self.hasher.hash_one(&*list.entries)
        });
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(id: &str) -> Vec<Acl> {
        vec![Acl {
            perms: 1,
            scheme: "digest".into(),
            id: id.into(),
        }]
    }

    #[test]
    fn equal_lists_are_shared() {
        let mut table = AclTable::new();
        let first = table.intern(&Acl::open());
        assert!(Arc::ptr_eq(&first, &table.intern(&Acl::open())));
        assert!(!Arc::ptr_eq(&first, &table.intern(&list("a:b"))));
    }

    #[test]
    fn lists_out_of_use_are_swept() {
        let mut table = AclTable::new();
        let kept = table.intern(&list("kept:x"));
        for i in 0..10_000 {
            table.intern(&list(&format!("{i}:x")));
        }
        assert!(table.lists.len() <= 2 * SWEEP_FLOOR);
        assert!(Arc::ptr_eq(&kept, &table.intern(&list("kept:x"))));
    }
}
