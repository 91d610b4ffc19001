//! Writing a snapshot while the tree goes on changing.
//!
//! A cursor walks the slots. Before a slot ahead of the cursor changes, its image is saved, vacant slots
//! included; when the cursor arrives it takes the image instead of what is there now. So the snapshot shows
//! the tree as it was at the start, starting costs only a copy of the sessions, and memory is needed for
//! those znodes only that are written to while the cursor is behind them.
//!
//! What is written is hashed on the way. A tree of which a byte has changed by itself does not become a snapshot: the
//! sum differs from the running digest in the head.
//!
//! ```text
//! slots     0 ............ next ............ end ...........
//!           written already | image saved    | not there at
//!           change freely   | before change  | the start
//! ```

use super::acl_table::AclList;
use super::format::{self, Head, ZnodeItem};
use super::membership::Membership;
use super::record::{Content, Entry, Record, ZnodeId};
use super::{Session, SessionId, digest};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes after which a chunk ends, whatever the number of znodes: it is written while the tree is held. One
/// znode may exceed it by its own data. Raising it lengthens the pause of `apply`, by 1.5 ms per MiB if the
/// znodes are small.
const CHUNK_BYTES: usize = 1 << 20;

/// Tables that hold the images. One that has 1,000 moves them within 0.1 ms, so this is good for 64,000 znodes that
/// change while a snapshot is written.
const PARTS: usize = 64;

/// A snapshot in progress.
#[derive(Debug)]
pub(super) struct Capture {
    head: Option<(Head, Membership)>,
    sessions: std::vec::IntoIter<(SessionId, Session)>,
    next: u32,
    end: u32,
    /// In parts, by the slot: a table that grows moves all it has while `apply` waits.
    saved: [HashMap<ZnodeId, Option<Box<Image>>>; PARTS],
    acls: HashMap<Arc<AclList>, u32>,
    /// The digest that what is left to write must come to.
    owed: u64,
    is_sound: bool,
}

/// What the snapshot is to say of a slot.
#[derive(Debug)]
struct Image {
    path_hash: u64,
    parent: ZnodeId,
    segment: Box<str>,
    record: Record,
    content: Content,
}

impl Capture {
    /// Starts: `head`, `members` and `sessions` as they are now, the znodes in the first `slots` slots to
    /// follow.
    pub(super) fn new(
        head: Head,
        members: Membership,
        sessions: Vec<(SessionId, Session)>,
        slots: usize,
    ) -> Capture {
        Capture {
            owed: head.digest.wrapping_sub(members.digest()),
            is_sound: true,
            head: Some((head, members)),
            sessions: sessions.into_iter(),
            next: 0,
            end: u32::try_from(slots).expect("slots are numbered by 32 bits"),
            saved: std::array::from_fn(|_| HashMap::new()),
            acls: HashMap::new(),
        }
    }

    /// Saves a slot as it is, before its first change, if the cursor has still to come to it.
    pub(super) fn preserve(&mut self, id: ZnodeId, entry: Option<&Entry>) {
        if id.0 < self.next || id.0 >= self.end {
            return;
        }
        self.saved[id.index() % PARTS].entry(id).or_insert_with(|| {
            entry.map(|entry| {
                Box::new(Image {
                    path_hash: entry.path_hash,
                    parent: entry.parent,
                    segment: entry.segment.clone(),
                    record: entry.record,
                    content: entry.content.clone(),
                })
            })
        });
    }

    /// Writes the next chunk: at most `limit` sessions or slots. `None` when all is written.
    pub(super) fn chunk(&mut self, entries: &[Option<Entry>], limit: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(CHUNK_BYTES / 8);
        if let Some((head, members)) = self.head.take() {
            head.write(&mut out);
            format::write_members(&members, &mut out);
        } else if self.sessions.len() == 0 && self.next == self.end {
            return None;
        }
        let mut left = limit.max(1);
        for (id, session) in self.sessions.by_ref().take(left) {
            self.owed = self.owed.wrapping_sub(digest::session(id, &session));
            format::write_session(id, &session, &mut out);
            left -= 1;
        }
        while left > 0 && self.next < self.end && out.len() < CHUNK_BYTES {
            self.write_slot(entries, &mut out);
            left -= 1;
        }
        Some(out)
    }

    /// Once all is written: whether it was what the digest in the head says.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound && self.owed == 0
    }

    fn write_slot(&mut self, entries: &[Option<Entry>], out: &mut Vec<u8>) {
        let id = ZnodeId(self.next);
        self.next += 1;
        let saved = self.saved[id.index() % PARTS].remove(&id);
        let (hash, parent, segment, record, content) = match (&saved, &entries[id.index()]) {
            (Some(Some(i)), _) => (i.path_hash, i.parent, &i.segment, i.record, &i.content),
            (None, Some(e)) => (e.path_hash, e.parent, &e.segment, e.record, &e.content),
            (Some(None), _) | (None, None) => return,
        };
        self.owed = self
            .owed
            .wrapping_sub(digest::record(hash, &record))
            .wrapping_sub(digest::content(hash, content));
        let acl = self.number(&content.acl, out);
        ZnodeItem {
            slot: id.0,
            parent: parent.0,
            acl,
            record,
            segment,
            data: content.data.as_deref(),
        }
        .write(out);
    }

    /// The number of an ACL list, which is written first if it is new.
    fn number(&mut self, list: &Arc<AclList>, out: &mut Vec<u8>) -> u32 {
        let next = self.acls.len() as u32;
        *self.acls.entry(list.clone()).or_insert_with(|| {
            self.is_sound &= digest::acl(&list.entries) == list.hash;
            format::write_acl(&list.entries, out);
            next
        })
    }
}
