//! The tree's side of writing a snapshot.

use super::Tree;
use super::capture::Capture;
use super::format::Head;

impl Tree {
    /// Starts a snapshot of the tree as it is now, giving up one that is in progress. Copies the
    /// members, the sessions, 48 bytes each, and no znodes. Changes made later do not show in it.
    pub fn start_snapshot(&mut self) {
        let head = Head {
            last_zxid: self.last_zxid,
            last_time_ms: self.last_time_ms,
            digest: self.digest(),
            sessions: self.sessions.len() as u64,
            znodes: self.store.len() as u64,
            members: self.membership.members.len() as u64,
            clients: self.membership.clients.len() as u64,
            numbers: self.membership.numbers.len() as u64,
        };
        let sessions = self.sessions.iter().map(|(id, s)| (id, *s)).collect();
        let slots = self.store.entries.len();
        let members = self.membership.clone();
        self.store.capture = Some(Capture::new(head, members, sessions, slots));
    }

    /// The next chunk of the snapshot in progress, for [`TreeLoader::chunk`](super::TreeLoader::chunk);
    /// `None` when it is complete, or none was started. Covers at most `limit` znodes and sessions (0 counts
    /// as 1), the first one the members besides, and ends after about 1 MiB. A chunk may be empty.
    pub fn snapshot_chunk(&mut self, limit: usize) -> Option<Vec<u8>> {
        let capture = self.store.capture.as_mut()?;
        let chunk = capture.chunk(&self.store.entries, limit);
        if chunk.is_none() {
            self.store.has_sound_capture = capture.is_sound();
            self.store.capture = None;
        }
        chunk
    }

    /// Whether the last snapshot that was written to its end holds what the digest in its head says. If not, the tree
    /// has changed in memory by itself, and no loader would take the snapshot.
    pub fn is_snapshot_sound(&self) -> bool {
        self.store.has_sound_capture
    }

    /// Gives up the snapshot in progress, if there is one.
    pub fn cancel_snapshot(&mut self) {
        self.store.capture = None;
    }
}
