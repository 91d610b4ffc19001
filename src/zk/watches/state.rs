//! What is behind the lock of [`Watches`](super::Watches): tables, connections, and who holds a session.

use super::missed;
use super::table::{Table, Tables, cost};
use super::{ConnectionId, MAX_WATCH_BYTES, TooManyWatches, WatchKind, event_frame, past};
use crate::tree::{Event, Identity, Permission, SessionId, Tree, Zxid};
use crate::zk::outbox::Outbox;
use crate::zk::wire::EventType;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Connections, sessions and watches. Invariants: `sessions` names only connections that are there; so do
/// the tables.
#[derive(Default)]
pub(super) struct State {
    tables: Tables,
    connections: HashMap<ConnectionId, Connection>,
    sessions: HashMap<SessionId, ConnectionId>,
    next: u64,
    /// All changes up to this transaction have been told.
    told: Zxid,
}

struct Connection {
    session: SessionId,
    attachment: Zxid,
    outbox: Arc<Outbox>,
    identities: Arc<[Identity]>,
}

impl State {
    /// Takes a connection in. An older one with the same session is over.
    pub(super) fn attach(
        &mut self,
        session: SessionId,
        attachment: Zxid,
        outbox: Arc<Outbox>,
    ) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next += 1;
        let connection = Connection {
            session,
            attachment,
            outbox,
            identities: Arc::new([]),
        };
        self.connections.insert(id, connection);
        if let Some(older) = self.sessions.insert(session, id) {
            self.hang_up(older);
        }
        id
    }

    /// Notes what a connection has proved by now.
    pub(super) fn identify(&mut self, id: ConnectionId, identities: Arc<[Identity]>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.identities = identities;
        }
    }

    /// Forgets a connection and its watches.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.release_session(id);
        self.connections.remove(&id);
        self.tables.remove_all(id);
    }

    /// Parts a connection from its session: what becomes of the session does not concern it any more.
    pub(super) fn release_session(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id)
            && self.sessions.get(&connection.session) == Some(&id)
        {
            self.sessions.remove(&connection.session);
        }
    }

    /// Carries one event of transaction `zxid` to whom it concerns.
    pub(super) fn apply(&mut self, zxid: Zxid, event: &Event) {
        self.told = zxid;
        match event {
            Event::Znode { change, path, acl } => {
                let kind = EventType::of(*change);
                let due = self.tables.fire(kind, path);
                if !due.is_empty() {
                    let frame = event_frame(zxid.to_wire(), kind, path);
                    self.tell_readers(due, zxid, &frame, |identities| {
                        acl.permits(Permission::Read, identities)
                    });
                }
            }
            Event::SessionAttached {
                session,
                attachment,
                ..
            } => {
                let holder = self.holder(*session);
                if holder.is_some_and(|(_, connection)| connection.attachment < *attachment) {
                    self.end(*session);
                }
            }
            Event::SessionClosed { session, .. } => self.end(*session),
        }
    }

    /// Tells what a snapshot shows to have happened meanwhile, as far as it can be known, and ends the
    /// connections to which it cannot.
    pub(super) fn catch_up(&mut self, tree: &Tree) {
        self.check_sessions(tree);
        for id in self.tables.recursive() {
            self.hang_up(id);
        }
        let (since, now) = (self.told, tree.last_zxid());
        self.told = now;
        for ((path, step), connections) in self.missed(tree, since) {
            let frame = past(missed::ORDER[step], &path);
            match tree.get(&path) {
                Some(znode) => self.tell_readers(connections, now, &frame, |identities| {
                    znode.permits(Permission::Read, identities)
                }),
                // Its last ACL is not known any more; they knew its name, and must not wait for ever.
                None => self.tell_readers(connections, now, &frame, |_| true),
            }
        }
    }

    /// Who has missed what since a transaction, by path and place in [`missed::ORDER`]. Uses up the one-shot
    /// watches among them.
    fn missed(
        &mut self,
        tree: &Tree,
        since: Zxid,
    ) -> BTreeMap<(Arc<str>, usize), BTreeSet<ConnectionId>> {
        let mut all = Vec::new();
        for (table, path, watched) in self.tables.iter() {
            let kinds = missed::since(table, watched.is_present, tree, path, since);
            if !kinds.is_empty() {
                all.push((table, path.clone(), kinds));
            }
        }
        let mut due: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (table, path, kinds) in all {
            let watchers = match table {
                Table::Persistent => self.tables.persistent(&path, tree.get(&path).is_some()),
                one_shot => self.tables.take(one_shot, &path),
            };
            for (step, kind) in missed::ORDER.iter().enumerate() {
                if kinds.contains(kind) {
                    // A set, because several tables may have the same to tell.
                    due.entry((path.clone(), step))
                        .or_default()
                        .extend(&watchers);
                }
            }
        }
        due
    }

    /// Ends the connections whose session, as `tree` has it, is closed or attached elsewhere.
    fn check_sessions(&self, tree: &Tree) {
        for connection in self.connections.values() {
            let session = tree.session(connection.session);
            if session.is_none_or(|session| session.attachment != connection.attachment) {
                connection.outbox.hang_up();
            }
        }
    }

    /// Watches set.
    pub(super) fn watch_count(&self) -> usize {
        self.tables.len()
    }

    /// Connections that watch, paths watched, watches.
    pub(super) fn summary(&self) -> (usize, usize, usize) {
        let paths: HashSet<&Arc<str>> = self.tables.iter().map(|(_, path, _)| path).collect();
        (self.tables.watchers(), paths.len(), self.tables.len())
    }

    /// Each watch's session and path.
    pub(super) fn watches(&self) -> impl Iterator<Item = (SessionId, &Arc<str>)> {
        self.tables.iter().flat_map(|(_, path, watched)| {
            let connections = watched.by.iter().filter_map(|id| self.connections.get(id));
            connections.map(move |connection| (connection.session, path))
        })
    }

    /// Sets a watch for a connection that is still there. Call it while `tree` is held.
    ///
    /// # Errors
    /// [`TooManyWatches`]; the watch is not set.
    pub(super) fn set(
        &mut self,
        id: ConnectionId,
        kind: WatchKind,
        path: &Arc<str>,
        tree: &Tree,
    ) -> Result<(), TooManyWatches> {
        // A member that starts has told nobody of what it begins with.
        self.told = self.told.max(tree.last_zxid());
        if !self.connections.contains_key(&id) {
            return Ok(());
        }
        if self.tables.bytes(id) + cost(path) > MAX_WATCH_BYTES {
            return Err(TooManyWatches);
        }
        let is_present = match kind {
            WatchKind::Absence => false,
            WatchKind::Data | WatchKind::Children | WatchKind::Recursive => true,
            WatchKind::Persistent => tree.get(path).is_some(),
        };
        self.tables.insert(id, Table::of(kind), path, is_present);
        Ok(())
    }

    /// Removes the watches of a connection on a path from these tables; false if there was none.
    pub(super) fn unset(&mut self, id: ConnectionId, tables: &[Table], path: &str) -> bool {
        let mut removed = false;
        for table in tables {
            removed |= self.tables.remove(id, *table, path);
        }
        removed
    }

    /// Whether a connection has a watch on a path in one of these tables.
    pub(super) fn is_set(&self, id: ConnectionId, tables: &[Table], path: &str) -> bool {
        tables
            .iter()
            .any(|table| self.tables.contains(id, *table, path))
    }

    /// Sends one connection an event of what had happened by transaction `zxid`.
    pub(super) fn tell(&self, id: ConnectionId, zxid: Zxid, frame: &Bytes) {
        if let Some(connection) = self.connections.get(&id) {
            connection.outbox.event(zxid, frame);
        }
    }

    /// As [`tell`](State::tell), to those who may read, by what they have proved.
    fn tell_readers(
        &self,
        ids: impl IntoIterator<Item = ConnectionId>,
        zxid: Zxid,
        frame: &Bytes,
        may_read: impl Fn(&[Identity]) -> bool,
    ) {
        let is_public = may_read(&[]);
        for connection in ids.into_iter().filter_map(|id| self.connections.get(&id)) {
            if is_public || may_read(&connection.identities) {
                connection.outbox.event(zxid, frame);
            }
        }
    }

    fn holder(&self, session: SessionId) -> Option<(ConnectionId, &Connection)> {
        let id = self.sessions.get(&session)?;
        self.connections.get(id).map(|connection| (*id, connection))
    }

    fn end(&self, session: SessionId) {
        if let Some((id, _)) = self.holder(session) {
            self.hang_up(id);
        }
    }

    fn hang_up(&self, id: ConnectionId) {
        if let Some(connection) = self.connections.get(&id) {
            connection.outbox.hang_up();
        }
    }
}

#[cfg(test)]
impl State {
    /// Asserts the invariants.
    pub(super) fn check_invariants(&self) {
        self.tables.check_invariants();
        let known = |id: &ConnectionId| self.connections.contains_key(id);
        assert!(self.sessions.values().all(known));
        let mut watchers = self.tables.iter().flat_map(|(_, _, watched)| &watched.by);
        assert!(watchers.all(known));
    }
}
