//! All znodes: a slab of entries, the index over it, and everything that must change along with an entry.
//!
//! ```text
//! entries   [ / | zookeeper | app | - | web1 | ... ]   slots; '-' is vacant and listed in `vacant`
//!             ^      parent     |
//!             +-----------------+  first/prev/next: the children of a znode, a doubly linked list
//! index     (parent, segment) -> slot
//! ```
//! Each change goes through four verbs: `insert`, `remove`, `change` (numbers only) and `replace` (content
//! too). They keep in step, in this order: the slot's image for a snapshot in progress, the entry, links and
//! index, the counts and the digest, the journal of a multi. Nothing else writes to an entry.

use super::acl_table::{AclList, AclTable};
use super::capture::Capture;
use super::index::Index;
use super::journal::Undo;
use super::record::{Content, Entry, Record, ZnodeId};
use super::scrub::Walk;
use super::{Acl, SessionId, Zxid, digest, quota};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The znodes.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) entries: Vec<Option<Entry>>,
    pub(super) vacant: Vec<ZnodeId>,
    pub(super) index: Index,
    pub(super) ephemerals: HashMap<SessionId, BTreeSet<ZnodeId>>,
    /// Containers and TTL znodes, so that the leader finds those whose time is up without a walk.
    pub(super) perishables: BTreeSet<ZnodeId>,
    /// Znodes called as those with the limits of quotas are: without any, no path is governed by a quota.
    pub(super) limits: usize,
    pub(super) acls: AclTable,
    pub(super) totals: Totals,
    pub(super) digest: u64,
    /// How far a walk that recomputes the digest has come.
    pub(super) walk: Walk<u32>,
    pub(super) journal: Option<Vec<Undo>>,
    pub(super) capture: Option<Capture>,
    /// What came of the last one that was complete.
    pub(super) has_sound_capture: bool,
}

/// What is counted as it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// Ephemeral znodes.
    pub(super) ephemerals: usize,
    /// Bytes of all paths and all data.
    pub(super) bytes: u64,
}

impl Store {
    /// A store with nothing but a root.
    pub(super) fn new(root: Content, acls: AclTable) -> Store {
        let root = Entry::new(ZnodeId::ROOT, "", Record::default(), root);
        let mut store = Store::with_entries(vec![Some(root)], acls);
        store.count_in(ZnodeId::ROOT, 1);
        store
    }

    /// A store of these entries, neither indexed nor counted yet.
    pub(super) fn with_entries(entries: Vec<Option<Entry>>, acls: AclTable) -> Store {
        Store {
            index: Index::with_capacity(entries.len()),
            entries,
            vacant: Vec::new(),
            ephemerals: HashMap::new(),
            perishables: BTreeSet::new(),
            limits: 0,
            acls,
            totals: Totals::default(),
            digest: 0,
            walk: Walk::default(),
            journal: None,
            capture: None,
            has_sound_capture: false,
        }
    }

    /// The entry in an occupied slot.
    pub(super) fn entry(&self, id: ZnodeId) -> &Entry {
        self.entries[id.index()]
            .as_ref()
            .expect("the index and the links name occupied slots only")
    }

    pub(super) fn entry_mut(&mut self, id: ZnodeId) -> &mut Entry {
        self.entries[id.index()]
            .as_mut()
            .expect("the index and the links name occupied slots only")
    }

    /// The child of `parent` called `segment`.
    pub(super) fn find(&self, parent: ZnodeId, segment: &str) -> Option<ZnodeId> {
        let is_it = |id| self.entry(id).is(parent, segment);
        self.index.find(parent, segment, is_it)
    }

    /// Puts a znode into the index, unless its name is taken there. Whether it was put.
    pub(super) fn enter(&mut self, id: ZnodeId) -> bool {
        let at = |id: ZnodeId| self.entries[id.index()].as_ref();
        let Some(new) = at(id) else {
            return false;
        };
        let (parent, segment) = (new.parent, &*new.segment);
        let is_namesake = |id| at(id).is_some_and(|old| old.is(parent, segment));
        self.index.insert(parent, segment, id, is_namesake)
    }

    /// The znode at a path; the empty path is the root, as in ZooKeeper. Malformed paths name nothing.
    pub(super) fn resolve(&self, path: &str) -> Option<ZnodeId> {
        if matches!(path, "" | "/") {
            return Some(ZnodeId::ROOT);
        }
        path.strip_prefix('/')?
            .split('/')
            .try_fold(ZnodeId::ROOT, |at, segment| self.find(at, segment))
    }

    /// The path of a znode, put together from the segments above it.
    pub(super) fn path(&self, id: ZnodeId) -> String {
        let mut segments: Vec<&str> = self.lineage(id).map(|entry| &*entry.segment).collect();
        if segments.is_empty() {
            return "/".into();
        }
        segments.push("");
        segments.reverse();
        segments.join("/")
    }

    /// The znode and those above it, without the root.
    fn lineage(&self, id: ZnodeId) -> impl Iterator<Item = &Entry> {
        let mut at = id;
        std::iter::from_fn(move || {
            if at == ZnodeId::ROOT {
                return None;
            }
            let entry = self.entry(at);
            at = entry.parent;
            Some(entry)
        })
    }

    /// The children of a znode, the latest first as long as nothing was loaded from a snapshot.
    pub(super) fn children(&self, id: ZnodeId) -> impl Iterator<Item = (ZnodeId, &Entry)> {
        let mut at = self.entry(id).first;
        std::iter::from_fn(move || {
            if at == ZnodeId::NIL {
                return None;
            }
            let (id, entry) = (at, self.entry(at));
            at = entry.next;
            Some((id, entry))
        })
    }

    /// The ephemerals of a session.
    pub(super) fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = ZnodeId> {
        self.ephemerals.get(&session).into_iter().flatten().copied()
    }

    /// How many znodes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// The shared copy of an ACL list.
    pub(super) fn intern(&mut self, acl: &[Acl]) -> Arc<AclList> {
        self.acls.intern(acl)
    }

    /// Adds a child that is not there yet.
    pub(super) fn insert(
        &mut self,
        parent: ZnodeId,
        segment: &str,
        record: Record,
        content: Content,
    ) -> ZnodeId {
        let above = self.entry(parent);
        let id = self.occupy(Entry {
            path_hash: digest::path(above.path_hash, segment),
            next: above.first,
            ..Entry::new(parent, segment, record, content)
        });
        self.note(|| Undo::Inserted(id));
        self.change(parent, |above| {
            above.creates = above.creates.wrapping_add(1);
            above.children += 1;
            above.pzxid = record.czxid;
        });
        id
    }

    /// Takes out a znode that has no children.
    pub(super) fn remove(&mut self, id: ZnodeId, zxid: Zxid) {
        let entry = self.vacate(id);
        let parent = entry.parent;
        self.note(|| Undo::Removed(id, Box::new(entry)));
        self.change(parent, |above| {
            above.children -= 1;
            above.pzxid = zxid;
        });
    }

    /// Changes the numbers of a znode.
    pub(super) fn change(&mut self, id: ZnodeId, edit: impl FnOnce(&mut Record)) {
        self.preserve(id);
        let entry = self.entry_mut(id);
        let before = entry.record;
        edit(&mut entry.record);
        let (hash, after) = (entry.path_hash, entry.record);
        let terms = (digest::record(hash, &before), digest::record(hash, &after));
        self.account(id, terms.0, terms.1);
        self.note(|| Undo::Changed(id, before));
    }

    /// Changes the numbers and the content of a znode; its owner stays.
    pub(super) fn replace(&mut self, id: ZnodeId, record: Record, content: Content) {
        self.preserve(id);
        let entry = self.entry_mut(id);
        let before = entry.digest();
        let record = std::mem::replace(&mut entry.record, record);
        let content = std::mem::replace(&mut entry.content, content);
        let (after, length) = (entry.digest(), entry.content.length());
        self.account(id, before, after);
        self.totals.bytes -= content.length() as u64;
        self.totals.bytes += length as u64;
        self.note(|| Undo::Replaced(id, record, Box::new(content)));
    }

    /// Puts an entry into a slot and links it between the neighbours it names.
    pub(super) fn occupy(&mut self, entry: Entry) -> ZnodeId {
        let id = self.vacant.pop().unwrap_or_else(|| {
            let id = u32::try_from(self.entries.len());
            self.entries.push(None);
            ZnodeId(id.expect("2^32 znodes need a terabyte of memory"))
        });
        self.preserve(id);
        match entry.prev {
            ZnodeId::NIL => self.entry_mut(entry.parent).first = id,
            prev => self.entry_mut(prev).next = id,
        }
        if entry.next != ZnodeId::NIL {
            self.entry_mut(entry.next).prev = id;
        }
        self.entries[id.index()] = Some(entry);
        assert!(self.enter(id), "a znode was put beside its namesake");
        self.count_in(id, self.path_length(id));
        id
    }

    /// Takes an entry out of its slot and closes the gap among its siblings. The entry keeps its links, so
    /// that `occupy` can put it back as long as later changes have been undone.
    pub(super) fn vacate(&mut self, id: ZnodeId) -> Entry {
        self.preserve(id);
        self.count_out(id, self.path_length(id));
        let entry = self.entries[id.index()]
            .take()
            .expect("only occupied slots are vacated");
        assert!(
            entry.first == ZnodeId::NIL && id != ZnodeId::ROOT,
            "a znode with children, or the root, was about to be removed"
        );
        self.index.remove(entry.parent, &entry.segment, id);
        match entry.prev {
            ZnodeId::NIL => self.entry_mut(entry.parent).first = entry.next,
            prev => self.entry_mut(prev).next = entry.next,
        }
        if entry.next != ZnodeId::NIL {
            self.entry_mut(entry.next).prev = entry.prev;
        }
        self.vacant.push(id);
        entry
    }

    /// Adds an entry's share to all that is counted.
    pub(super) fn count_in(&mut self, id: ZnodeId, path_length: usize) {
        let share = Share::of(self.entry(id), path_length);
        self.account(id, 0, share.digest);
        self.totals.bytes += share.bytes;
        self.limits += usize::from(share.is_limits);
        if share.session != SessionId::NONE {
            self.totals.ephemerals += 1;
            self.ephemerals.entry(share.session).or_default().insert(id);
        } else if share.is_perishable {
            self.perishables.insert(id);
        }
    }

    fn count_out(&mut self, id: ZnodeId, path_length: usize) {
        let share = Share::of(self.entry(id), path_length);
        self.account(id, share.digest, 0);
        self.totals.bytes -= share.bytes;
        self.limits -= usize::from(share.is_limits);
        if share.session != SessionId::NONE {
            self.totals.ephemerals -= 1;
            if let Some(owned) = self.ephemerals.get_mut(&share.session) {
                owned.remove(&id);
                if owned.is_empty() {
                    self.ephemerals.remove(&share.session);
                }
            }
        } else if share.is_perishable {
            self.perishables.remove(&id);
        }
    }

    /// Exchanges a znode's terms of the digest.
    fn account(&mut self, id: ZnodeId, before: u64, after: u64) {
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        self.walk.exchange(&id.0, before, after);
    }

    /// Bytes of a znode's path.
    fn path_length(&self, id: ZnodeId) -> usize {
        match id {
            ZnodeId::ROOT => 1,
            _ => self.lineage(id).map(|above| 1 + above.segment.len()).sum(),
        }
    }

    /// Saves the image of a slot that is about to change, if a snapshot in progress still needs it.
    fn preserve(&mut self, id: ZnodeId) {
        if let Some(capture) = &mut self.capture {
            capture.preserve(id, self.entries[id.index()].as_ref());
        }
    }
}

/// What one entry adds to what is counted.
struct Share {
    digest: u64,
    bytes: u64,
    session: SessionId,
    is_perishable: bool,
    is_limits: bool,
}

impl Share {
    fn of(entry: &Entry, path_length: usize) -> Share {
        Share {
            digest: entry.digest(),
            bytes: (path_length + entry.content.length()) as u64,
            session: entry.record.owner.session(),
            is_perishable: entry.record.is_perishable(),
            is_limits: *entry.segment == *quota::LIMITS,
        }
    }
}
