//! Reading a snapshot: from bytes that may be anything to a tree, or to the reason why not.
//!
//! Nothing is believed before it is checked: numbers of items are compared, never used to reserve memory;
//! slots of the writing tree are translated, never used as indexes; and in the end the digest must be that
//! of the tree that was written.

use super::acl_table::{AclList, AclTable};
use super::digest;
use super::format::{Head, Item, ZnodeItem};
use super::membership::Membership;
use super::record::{Content, Entry, ZnodeId};
use super::session::Sessions;
use super::store::Store;
use super::{SessionId, Tree, path};
use bytes::Bytes;
use std::sync::Arc;

/// Why a snapshot cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Written by a version that this one does not know.
    #[error("snapshot format {0} is not known to this version")]
    Version(u8),
    /// A chunk ends in the middle of an item.
    #[error("a chunk of the snapshot is cut off")]
    Truncated,
    /// No item begins with this byte.
    #[error("unknown item {0} in the snapshot")]
    UnknownItem(u8),
    /// A name is not UTF-8.
    #[error("a name in the snapshot is not UTF-8")]
    NotText,
    /// A znode has a lifetime that there is not.
    #[error("a znode in the snapshot has an owner of no known kind")]
    Owner,
    /// A number has a stage that there is not.
    #[error("a member's number in the snapshot has the unknown stage {0}")]
    Stage(u8),
    /// The head is missing, or not the first item, or there twice.
    #[error("the head of the snapshot is missing or out of place")]
    Head,
    /// Fewer or more items than the head says.
    #[error("the snapshot has {found} {what}, but its head says {expected}")]
    Count {
        /// Sessions, znodes, members, clients or numbers.
        what: &'static str,
        /// As the head says.
        expected: u64,
        /// As they came.
        found: u64,
    },
    /// A znode that cannot be one.
    #[error("the znode in slot {slot} of the snapshot {reason}")]
    Znode {
        /// Its slot in the tree that was written.
        slot: u32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A znode that every tree has is missing.
    #[error("the snapshot lacks {0}")]
    Missing(&'static str),
    /// All fits together, but it is not what was written.
    #[error("the snapshot has digest {found:#018x}, but its head says {expected:#018x}")]
    Digest {
        /// As the head says.
        expected: u64,
        /// Of what came.
        found: u64,
    },
}

/// A tree being put together from the chunks of a snapshot.
#[derive(Debug)]
pub struct TreeLoader {
    head: Option<Head>,
    membership: Membership,
    sessions: Sessions,
    acls: AclTable,
    lists: Vec<Arc<AclList>>,
    // The slots that the entries had in the tree that was written, ascending; until `finish`, the parents
    // of the entries are such slots too.
    slots: Vec<u32>,
    entries: Vec<Option<Entry>>,
}

impl Default for TreeLoader {
    fn default() -> TreeLoader {
        TreeLoader::new()
    }
}

impl TreeLoader {
    /// Nothing read yet.
    pub fn new() -> TreeLoader {
        TreeLoader {
            head: None,
            membership: Membership::default(),
            sessions: Sessions::default(),
            acls: AclTable::new(),
            lists: Vec::new(),
            slots: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Reads the next chunk, or several in one piece; a chunk must not be cut.
    ///
    /// # Errors
    /// [`SnapshotError`] when it cannot be a chunk of a snapshot. The loader is of no use afterwards.
    pub fn chunk(&mut self, mut input: &[u8]) -> Result<(), SnapshotError> {
        while !input.is_empty() {
            match (Item::read(&mut input)?, &self.head) {
                (Item::Head(head), None) => self.head = Some(head),
                (Item::Head(_), Some(_)) | (_, None) => return Err(SnapshotError::Head),
                (Item::Session(id, session), _) => self.sessions.put(id, session),
                (Item::Acl(entries), _) => self.lists.push(self.acls.intern(&entries)),
                (Item::Znode(item), _) => self.push(&item)?,
                (Item::Member(id, member), _) => {
                    self.membership.members.insert(id, member);
                }
                (Item::Client(id, client), _) => {
                    self.membership.clients.insert(id, client);
                }
                (Item::Number(id, record), _) => {
                    self.membership.numbers.insert(id, record);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, item: &ZnodeItem<'_>) -> Result<(), SnapshotError> {
        let refuse = |reason| SnapshotError::Znode {
            slot: item.slot,
            reason,
        };
        match self.slots.last() {
            None if (item.slot, item.parent, item.segment) != (0, 0, "") => {
                return Err(refuse("comes first and is not the root"));
            }
            Some(last) if *last >= item.slot => return Err(refuse("is out of order")),
            Some(_) if !path::is_segment(item.segment) => return Err(refuse("has a bad name")),
            _ => {}
        }
        let acl = self.lists.get(item.acl as usize);
        let acl = acl.ok_or_else(|| refuse("has an unknown ACL"))?.clone();
        let owner = item.record.owner.session();
        if owner != SessionId::NONE && self.sessions.find(owner).is_none() {
            return Err(refuse("belongs to an unknown session"));
        }
        let content = Content {
            data: item.data.map(Bytes::copy_from_slice),
            acl,
        };
        let parent = ZnodeId(item.parent);
        let entry = Entry::new(parent, item.segment, item.record, content);
        self.entries.push(Some(entry));
        self.slots.push(item.slot);
        Ok(())
    }

    /// The tree, if the snapshot was complete and correct.
    ///
    /// # Errors
    /// [`SnapshotError`] otherwise.
    pub fn finish(mut self) -> Result<Tree, SnapshotError> {
        let head = self.head.ok_or(SnapshotError::Head)?;
        expect_count("sessions", head.sessions, self.sessions.len())?;
        expect_count("znodes", head.znodes, self.entries.len())?;
        let Membership {
            members,
            clients,
            numbers,
        } = &self.membership;
        expect_count("members", head.members, members.len())?;
        expect_count("clients", head.clients, clients.len())?;
        expect_count("numbers", head.numbers, numbers.len())?;
        if self.entries.is_empty() {
            return Err(SnapshotError::Missing("/"));
        }
        self.link()?;
        let mut store = Store::with_entries(self.entries, self.acls);
        grow(&mut store, &self.slots)?;
        for path in path::PROTECTED {
            if store.resolve(path).is_none() {
                return Err(SnapshotError::Missing(path));
            }
        }
        let tree = Tree {
            membership_digest: self.membership.digest(),
            store,
            sessions: self.sessions,
            membership: self.membership,
            last_zxid: head.last_zxid,
            last_time_ms: head.last_time_ms,
        };
        if tree.digest() != head.digest {
            return Err(SnapshotError::Digest {
                expected: head.digest,
                found: tree.digest(),
            });
        }
        Ok(tree)
    }

    /// Translates the parents from the slots of the tree that was written to those of this one, in which
    /// there are no gaps, and links each znode to its siblings.
    fn link(&mut self) -> Result<(), SnapshotError> {
        for at in 1..self.entries.len() {
            let id = ZnodeId(at as u32);
            let parent = entry(&mut self.entries, id).parent;
            let Ok(above) = self.slots.binary_search(&parent.0) else {
                return Err(SnapshotError::Znode {
                    slot: self.slots[at],
                    reason: "has no parent",
                });
            };
            let parent = ZnodeId(above as u32);
            let next = std::mem::replace(&mut entry(&mut self.entries, parent).first, id);
            if next != ZnodeId::NIL {
                entry(&mut self.entries, next).prev = id;
            }
            let child = entry(&mut self.entries, id);
            child.parent = parent;
            child.next = next;
        }
        Ok(())
    }
}

fn entry(entries: &mut [Option<Entry>], id: ZnodeId) -> &mut Entry {
    entries[id.index()]
        .as_mut()
        .expect("a loader has no vacant slots")
}

fn expect_count(what: &'static str, expected: u64, found: usize) -> Result<(), SnapshotError> {
    let found = found as u64;
    if found == expected {
        Ok(())
    } else {
        Err(SnapshotError::Count {
            what,
            expected,
            found,
        })
    }
}

const NO_SUCH_CHILDREN: &str = "cannot have the children it has";

/// Walks the linked entries from the root and hashes, indexes and counts each one below its parent, which a
/// path hash needs. What is not reached this way hangs in a circle.
fn grow(store: &mut Store, slots: &[u32]) -> Result<(), SnapshotError> {
    let refuse = |id: ZnodeId, reason| SnapshotError::Znode {
        slot: slots[id.index()],
        reason,
    };
    let mut reached = 1;
    let mut open = vec![(ZnodeId::ROOT, 0)];
    store.count_in(ZnodeId::ROOT, 1);
    while let Some((parent, path_length)) = open.pop() {
        let (path_hash, record) = {
            let above = store.entry(parent);
            (above.path_hash, above.record)
        };
        let mut children = 0;
        let mut at = store.entry(parent).first;
        while at != ZnodeId::NIL {
            let child = store.entry_mut(at);
            child.path_hash = digest::path(path_hash, &child.segment);
            let next = child.next;
            let path_length = path_length + 1 + child.segment.len();
            if child.first != ZnodeId::NIL {
                open.push((at, path_length));
            } else if child.record.children > 0 {
                return Err(refuse(at, NO_SUCH_CHILDREN));
            }
            if !store.enter(at) {
                return Err(refuse(at, "exists twice"));
            }
            store.count_in(at, path_length);
            children += 1;
            at = next;
        }
        if children != record.children || (children > 0 && record.is_ephemeral()) {
            return Err(refuse(parent, NO_SUCH_CHILDREN));
        }
        reached += children as usize;
    }
    expect_count("znodes below the root", slots.len() as u64, reached)
}
