//! What a reader sees of one znode.

use super::record::{Entry, ZnodeId};
use super::store::Store;
use super::{Acl, Identity, Permission, Stat};
use bytes::Bytes;

/// A znode, looked at in a tree that stays still meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Znode<'a> {
    pub(super) store: &'a Store,
    pub(super) id: ZnodeId,
}

impl<'a> Znode<'a> {
    fn entry(self) -> &'a Entry {
        self.store.entry(self.id)
    }

    /// Its full path. Costs O(depth).
    pub fn path(self) -> String {
        self.store.path(self.id)
    }

    /// What ZooKeeper tells about it besides the data.
    pub fn stat(self) -> Stat {
        let entry = self.entry();
        entry.record.stat(&entry.content.data)
    }

    /// Its data, or null.
    pub fn data(self) -> Option<&'a Bytes> {
        self.entry().content.data.as_ref()
    }

    /// Whether its ACL grants `permission` to one of `identities`.
    pub fn permits(self, permission: Permission, identities: &[Identity]) -> bool {
        self.entry().content.acl.permits(permission, identities)
    }

    /// Its ACL.
    pub fn acl(self) -> &'a [Acl] {
        &self.entry().content.acl.entries
    }

    /// Its ACL as clients with these identities may see it: without [`Permission::Admin`] they see `x` in
    /// place of each password's hash. Whether they may see it at all, for which ZooKeeper wants
    /// [`Permission::Read`] or [`Permission::Admin`], is for the caller to check.
    pub fn acl_shown_to(self, identities: &[Identity]) -> Vec<Acl> {
        self.entry().content.acl.shown_to(identities)
    }

    /// The names of its children, in no particular order, which is the same until one of them changes.
    pub fn children(self) -> impl Iterator<Item = &'a str> {
        self.store
            .children(self.id)
            .map(|(_, child)| &*child.segment)
    }

    /// How many znodes are below it, at any depth. Costs O(that number).
    pub fn descendants(self) -> usize {
        let mut found = 0;
        let mut open = vec![self.id];
        while let Some(id) = open.pop() {
            for (child, entry) in self.store.children(id) {
                found += 1;
                if entry.first != ZnodeId::NIL {
                    open.push(child);
                }
            }
        }
        found
    }
}
