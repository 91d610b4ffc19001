//! Looking through a snapshot without building its tree: what is in it, and whether it is whole.
//!
//! ```text
//! chunk --> items --> hash of the path --> terms of the digest, counts, and the visitor
//!                     | unknown, because the parent comes later
//!                     `--> waits for the parent
//! ```
//! A znode's terms need the hash of its path, hence its parent's. Parents nearly always come first: a child comes
//! earlier only where it took the slot of a znode deleted before. So what is kept is a hash per znode, 20 bytes,
//! and with paths wanted its name, instead of the 330 bytes that a znode takes in a tree.
//!
//! The digest covers everything that [`TreeLoader`](super::TreeLoader) checks besides: a snapshot with a right
//! digest is the one that was written, and what was written was a tree.

use super::acl_table::{AclList, AclTable};
use super::format::{Head, Item, ZnodeItem};
use super::membership::Membership;
use super::record::{Content, Record};
use super::session::Sessions;
use super::{Acl, Lifetime, Session, SessionId, SnapshotError, Stat, Zxid, digest};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// What a snapshot holds, as its items say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The last transaction in it.
    pub zxid: Zxid,
    /// The latest time seen, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Digest of the tree.
    pub digest: u64,
    /// Znodes, those included that every tree has.
    pub znodes: u64,
    /// Of them ephemeral.
    pub ephemerals: u64,
    /// Of them containers.
    pub containers: u64,
    /// Of them with a time to live.
    pub ttls: u64,
    /// Bytes of data.
    pub data_bytes: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Members of the ensemble.
    pub members: u64,
}

/// One thing in a snapshot.
#[derive(Debug)]
pub enum Surveyed<'a> {
    /// A session.
    Session(SessionId, &'a Session),
    /// A znode.
    Znode {
        /// Its path; empty unless paths are wanted.
        path: String,
        /// Its stat.
        stat: Stat,
        /// How long it lives.
        lifetime: Lifetime,
        /// Its ACL.
        acl: &'a [Acl],
    },
}

/// A snapshot being looked through.
#[derive(Debug)]
pub struct Survey {
    wants_paths: bool,
    head: Option<Head>,
    acls: AclTable,
    lists: Vec<Arc<AclList>>,
    members: Membership,
    sessions: Sessions,
    /// By slot.
    placed: HashMap<u32, Placed>,
    /// By the slot of the parent that has still to come.
    waiting: HashMap<u32, Vec<Waiting>>,
    last_slot: Option<u32>,
    /// Digest of the znodes so far.
    digest: u64,
    found: Contents,
}

/// A znode whose path is known.
#[derive(Debug)]
struct Placed {
    path_hash: u64,
    /// Parent's slot and own name, if paths are wanted.
    name: Option<(u32, Box<str>)>,
}

/// A znode as it came.
#[derive(Debug)]
struct Waiting {
    slot: u32,
    parent: u32,
    record: Record,
    segment: Box<str>,
    content: Content,
}

impl Survey {
    /// Nothing read yet. Paths cost the memory of all names.
    pub fn new(wants_paths: bool) -> Survey {
        Survey {
            wants_paths,
            head: None,
            acls: AclTable::new(),
            lists: Vec::new(),
            members: Membership::default(),
            sessions: Sessions::default(),
            placed: HashMap::new(),
            waiting: HashMap::new(),
            last_slot: None,
            digest: 0,
            found: Contents::default(),
        }
    }

    /// Reads the next chunk, or several in one piece; shows what is in it.
    ///
    /// # Errors
    /// [`SnapshotError`] when it cannot be a chunk of a snapshot, or what `visit` says. The survey is of no use
    /// afterwards.
    pub fn chunk<E: From<SnapshotError>>(
        &mut self,
        mut input: &[u8],
        visit: &mut impl FnMut(Surveyed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !input.is_empty() {
            match (Item::read(&mut input)?, &self.head) {
                (Item::Head(head), None) => self.head = Some(head),
                (Item::Head(_), Some(_)) | (_, None) => return Err(SnapshotError::Head.into()),
                (Item::Session(id, session), _) => {
                    self.sessions.put(id, session);
                    visit(Surveyed::Session(id, &session))?;
                }
                (Item::Acl(entries), _) => self.lists.push(self.acls.intern(&entries)),
                (Item::Znode(item), _) => {
                    let znode = self.check(&item)?;
                    self.place_all(znode, visit)?;
                }
                (Item::Member(id, member), _) => {
                    self.members.members.insert(id, member);
                }
                (Item::Client(id, client), _) => {
                    self.members.clients.insert(id, client);
                }
                (Item::Number(id, record), _) => {
                    self.members.numbers.insert(id, record);
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, item: &ZnodeItem<'_>) -> Result<Waiting, SnapshotError> {
        let refuse = |reason| SnapshotError::Znode {
            slot: item.slot,
            reason,
        };
        match self.last_slot {
            None if (item.slot, item.parent, item.segment) != (0, 0, "") => {
                return Err(refuse("comes first and is not the root"));
            }
            Some(last) if last >= item.slot => return Err(refuse("is out of order")),
            _ => self.last_slot = Some(item.slot),
        }
        let acl = self.lists.get(item.acl as usize);
        let acl = acl.ok_or_else(|| refuse("has an unknown ACL"))?.clone();
        self.found.znodes += 1;
        Ok(Waiting {
            slot: item.slot,
            parent: item.parent,
            record: item.record,
            segment: item.segment.into(),
            content: Content {
                data: item.data.map(Bytes::copy_from_slice),
                acl,
            },
        })
    }

    /// Places a znode, and those that waited for it, or has it wait.
    fn place_all<E>(
        &mut self,
        znode: Waiting,
        visit: &mut impl FnMut(Surveyed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut ready = vec![znode];
        while let Some(znode) = ready.pop() {
            let path_hash = match (znode.slot, self.placed.get(&znode.parent)) {
                (0, _) => digest::ROOT_PATH,
                (_, Some(parent)) => digest::path(parent.path_hash, &znode.segment),
                (_, None) => {
                    self.waiting.entry(znode.parent).or_default().push(znode);
                    continue;
                }
            };
            ready.extend(self.waiting.remove(&znode.slot).into_iter().flatten());
            self.place(znode, path_hash, visit)?;
        }
        Ok(())
    }

    fn place<E>(
        &mut self,
        znode: Waiting,
        path_hash: u64,
        visit: &mut impl FnMut(Surveyed<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Waiting {
            slot,
            parent,
            record,
            segment,
            content,
        } = znode;
        let terms =
            digest::record(path_hash, &record).wrapping_add(digest::content(path_hash, &content));
        self.digest = self.digest.wrapping_add(terms);
        let lifetime = record.owner.lifetime();
        match lifetime {
            Lifetime::Persistent => {}
            Lifetime::Ephemeral => self.found.ephemerals += 1,
            Lifetime::Container => self.found.containers += 1,
            Lifetime::Ttl(_) => self.found.ttls += 1,
        }
        self.found.data_bytes += content.length() as u64;
        let name = self.wants_paths.then_some((parent, segment));
        self.placed.insert(slot, Placed { path_hash, name });
        visit(Surveyed::Znode {
            path: self.path(slot),
            stat: record.stat(&content.data),
            lifetime,
            acl: &content.acl.entries,
        })
    }

    /// The path of a znode that was placed; empty if paths are not wanted.
    fn path(&self, slot: u32) -> String {
        let mut segments = Vec::new();
        let mut at = slot;
        while at != 0
            && let Some((parent, segment)) = self.placed.get(&at).and_then(|p| p.name.as_ref())
        {
            segments.push(&**segment);
            at = *parent;
        }
        match (segments.is_empty(), self.wants_paths) {
            (true, true) => "/".to_owned(),
            (true, false) => String::new(),
            (false, _) => {
                segments.push("");
                segments.reverse();
                segments.join("/")
            }
        }
    }

    /// What was found, if the snapshot was complete and correct.
    ///
    /// # Errors
    /// [`SnapshotError`] otherwise.
    pub fn finish(mut self) -> Result<Contents, SnapshotError> {
        let head = self.head.ok_or(SnapshotError::Head)?;
        let Membership {
            members,
            clients,
            numbers,
        } = &self.members;
        for (what, expected, found) in [
            ("sessions", head.sessions, self.sessions.len() as u64),
            ("znodes", head.znodes, self.found.znodes),
            ("members", head.members, members.len() as u64),
            ("clients", head.clients, clients.len() as u64),
            ("numbers", head.numbers, numbers.len() as u64),
        ] {
            if expected != found {
                return Err(SnapshotError::Count {
                    what,
                    expected,
                    found,
                });
            }
        }
        if let Some(orphan) = self.waiting.values().flatten().next() {
            return Err(SnapshotError::Znode {
                slot: orphan.slot,
                reason: "has no parent",
            });
        }
        let found = self
            .digest
            .wrapping_add(self.sessions.digest())
            .wrapping_add(self.members.digest());
        if found != head.digest {
            return Err(SnapshotError::Digest {
                expected: head.digest,
                found,
            });
        }
        self.found.zxid = head.last_zxid;
        self.found.time_ms = head.last_time_ms;
        self.found.digest = head.digest;
        self.found.sessions = head.sessions;
        self.found.members = head.members;
        Ok(self.found)
    }
}
