//! Damage to plant, for tests: what a bad memory module or a bug would do.

use super::acl_table::AclList;
use super::{Acl, Tree};
use bytes::Bytes;
use std::sync::Arc;

/// What to damage. All but [`Flip::Applied`] go past the running digest, as a flipped bit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flip {
    /// A byte of a znode's data.
    Data,
    /// A number of a znode's stat.
    Stat,
    /// A session.
    Session,
    /// An entry of an ACL list.
    Acl,
    /// A byte of data, as an `apply` that errs would write it: the digest follows.
    Applied,
}

impl Flip {
    /// All of them.
    pub(crate) const ALL: [Flip; 5] = [
        Flip::Data,
        Flip::Stat,
        Flip::Session,
        Flip::Acl,
        Flip::Applied,
    ];
}

impl Tree {
    /// Plants damage at the znode `path`, or in the first session.
    ///
    /// # Panics
    /// When there is no such znode with data, or no session.
    pub(crate) fn flip(&mut self, flip: Flip, path: &str) {
        if flip == Flip::Session {
            let session = self.sessions.any_mut().expect("a session");
            session.timeout_ms ^= 1;
            return;
        }
        let id = self.store.resolve(path).expect("the znode is there");
        let entry = self.store.entry_mut(id);
        let mut content = entry.content.clone();
        match flip {
            Flip::Stat => entry.record.mtime ^= 1,
            Flip::Acl => {
                let old = &entry.content.acl;
                let mut entries: Vec<Acl> = old.entries.to_vec();
                entries[0].perms ^= 1;
                entry.content.acl = Arc::new(AclList {
                    entries: entries.into(),
                    hash: old.hash,
                    world: old.world,
                });
            }
            Flip::Data | Flip::Applied | Flip::Session => {
                let mut data = content.data.as_deref().expect("it has data").to_vec();
                data[0] ^= 1;
                content.data = Some(Bytes::from(data));
                match flip {
                    Flip::Applied => {
                        let record = entry.record;
                        self.store.replace(id, record, content);
                    }
                    _ => entry.content = content,
                }
            }
        }
    }
}
