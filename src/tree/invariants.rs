//! What must hold between any two transactions, checked from scratch.

use super::record::{Entry, ZnodeId};
use super::store::{Store, Totals};
use super::{SessionId, Tree, digest, path, quota};
use std::collections::{BTreeSet, HashMap};

impl Tree {
    /// Recomputes everything that is kept up to date by increments and compares. For tests: costs
    /// O(the whole tree).
    ///
    /// # Panics
    /// When something does not hold.
    pub fn check_invariants(&self) {
        let store = &self.store;
        assert!(store.journal.is_none(), "a multi was left unfinished");
        check_slots(store);
        check_totals(store);
        for path in path::PROTECTED {
            assert!(store.resolve(path).is_some(), "{path} is gone");
        }
        for session in store.ephemerals.keys() {
            assert!(
                self.sessions.find(*session).is_some(),
                "session {session} is closed and has ephemerals"
            );
        }
        let sessions = self.sessions.iter().fold(0, |sum: u64, (id, session)| {
            sum.wrapping_add(digest::session(id, session))
        });
        assert_eq!(sessions, self.sessions.digest(), "digest of the sessions");
        let members = self.membership.digest();
        assert_eq!(members, self.membership_digest, "digest of the members");
    }
}

fn occupied(store: &Store) -> impl Iterator<Item = (ZnodeId, &Entry)> {
    let slots = store.entries.iter().enumerate();
    slots.filter_map(|(at, entry)| Some((ZnodeId(at as u32), entry.as_ref()?)))
}

fn check_slots(store: &Store) {
    let vacant: BTreeSet<ZnodeId> = store.vacant.iter().copied().collect();
    assert_eq!(vacant.len(), store.vacant.len(), "a slot is listed twice");
    assert_eq!(occupied(store).count(), store.len(), "vacant slots");
    assert_eq!(store.index.len(), store.len() - 1, "indexed znodes");
    for (id, entry) in occupied(store) {
        let path = store.path(id);
        assert!(!vacant.contains(&id), "{path} is in a vacant slot");
        assert_eq!(path::validate(&path), Ok(()), "{path}");
        assert_eq!(store.resolve(&path), Some(id), "index of {path}");
        let mut previous = ZnodeId::NIL;
        let mut children = 0;
        for (child, below) in store.children(id) {
            assert_eq!(below.parent, id, "parent of a child of {path}");
            assert_eq!(below.prev, previous, "links among the children of {path}");
            let hash = digest::path(entry.path_hash, &below.segment);
            assert_eq!(below.path_hash, hash, "path hash of a child of {path}");
            previous = child;
            children += 1;
        }
        assert_eq!(entry.record.children, children, "children of {path}");
        assert!(
            children == 0 || !entry.record.is_ephemeral(),
            "ephemeral {path} has children"
        );
    }
}

fn check_totals(store: &Store) {
    let mut digest = 0u64;
    let mut totals = Totals::default();
    let mut ephemerals: HashMap<SessionId, BTreeSet<ZnodeId>> = HashMap::new();
    let mut perishables = BTreeSet::new();
    for (id, entry) in occupied(store) {
        digest = digest.wrapping_add(entry.digest());
        totals.bytes += (store.path(id).len() + entry.content.length()) as u64;
        if entry.record.is_ephemeral() {
            totals.ephemerals += 1;
            let session = entry.record.owner.session();
            ephemerals.entry(session).or_default().insert(id);
        }
        if entry.record.is_perishable() {
            perishables.insert(id);
        }
    }
    assert_eq!(digest, store.digest, "digest of the znodes");
    assert_eq!(totals, store.totals, "totals");
    assert_eq!(ephemerals, store.ephemerals, "ephemerals by session");
    let limits = occupied(store).filter(|(_, entry)| *entry.segment == *quota::LIMITS);
    assert_eq!(limits.count(), store.limits, "limits of quotas");
    assert_eq!(perishables, store.perishables, "containers and TTL znodes");
}
