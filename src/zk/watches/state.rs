//! What is behind the lock of [`Watches`](super::Watches): tables, connections, and who holds a session.

use super::table::{Table, Tables};
use super::{
    ConnectionId, MAX_WATCH_BYTES, TooManyWatches, WATCH_OVERHEAD, WatchKind, event_frame,
};
use crate::tree::{Event, SessionId, Tree, Zxid};
use crate::zk::outbox::Outbox;
use crate::zk::wire::EventType;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// Connections, sessions and watches. Invariant: `sessions` names only connections that are there, and a
/// connection's `watch_bytes` is the cost of its watches in `tables`.
#[derive(Default)]
pub(super) struct State {
    tables: Tables,
    connections: HashMap<ConnectionId, Connection>,
    sessions: HashMap<SessionId, ConnectionId>,
    next: u64,
}

struct Connection {
    session: SessionId,
    attachment: Zxid,
    outbox: Arc<Outbox>,
    watch_bytes: usize,
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
            watch_bytes: 0,
        };
        self.connections.insert(id, connection);
        if let Some(older) = self.sessions.insert(session, id) {
            self.hang_up(older);
        }
        id
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
        match event {
            Event::Created(path) => self.fire(zxid, EventType::Created, path),
            Event::Deleted(path) => self.fire(zxid, EventType::Deleted, path),
            Event::DataChanged(path) => self.fire(zxid, EventType::DataChanged, path),
            Event::ChildrenChanged(path) => self.fire(zxid, EventType::ChildrenChanged, path),
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
            Event::SessionClosed(session) => self.end(*session),
        }
    }

    /// Ends the connections whose session, as `tree` has it, is closed or attached elsewhere.
    pub(super) fn check_sessions(&self, tree: &Tree) {
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

    /// All watches: whose, of which kind, on what, and what had been seen when they were set.
    pub(super) fn watches(
        &self,
    ) -> impl Iterator<Item = (ConnectionId, WatchKind, &Arc<str>, Zxid)> {
        self.tables.iter()
    }

    /// Sets a watch for a connection that is still there.
    ///
    /// # Errors
    /// [`TooManyWatches`]; the watch is not set.
    pub(super) fn set(
        &mut self,
        id: ConnectionId,
        kind: WatchKind,
        path: &Arc<str>,
        since: Zxid,
    ) -> Result<(), TooManyWatches> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        if connection.watch_bytes + cost(path) > MAX_WATCH_BYTES {
            return Err(TooManyWatches);
        }
        if self.tables.insert(id, kind, path, since) {
            connection.watch_bytes += cost(path);
        }
        Ok(())
    }

    /// Removes the watches of one connection that an event of this kind uses up.
    pub(super) fn unset(&mut self, id: ConnectionId, kind: EventType, path: &str) {
        for table in tables_of(kind) {
            if self.tables.remove(id, *table, path)
                && let Some(connection) = self.connections.get_mut(&id)
            {
                connection.watch_bytes -= cost(path);
            }
        }
    }

    /// Sends one connection an event of what had happened by transaction `zxid`.
    pub(super) fn tell(&self, id: ConnectionId, zxid: Zxid, frame: &Bytes) {
        if let Some(connection) = self.connections.get(&id) {
            connection.outbox.event(zxid, frame);
        }
    }

    fn fire(&mut self, zxid: Zxid, kind: EventType, path: &Arc<str>) {
        let watchers = self.tables.take(tables_of(kind), path);
        if watchers.is_empty() {
            return;
        }
        let frame = event_frame(zxid.to_wire(), kind, path);
        for (connection, watches) in watchers {
            if let Some(connection) = self.connections.get_mut(&connection) {
                connection.watch_bytes -= watches * cost(path);
                connection.outbox.event(zxid, &frame);
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

/// The tables whose watches an event uses up.
fn tables_of(kind: EventType) -> &'static [Table] {
    match kind {
        EventType::Created | EventType::DataChanged => &[Table::Data],
        EventType::ChildrenChanged => &[Table::Children],
        EventType::Deleted => &[Table::Data, Table::Children],
    }
}

fn cost(path: &str) -> usize {
    WATCH_OVERHEAD + path.len()
}
