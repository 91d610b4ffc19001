//! The watch tables: by path for firing, by connection for its end.

use super::{ConnectionId, WatchKind};
use crate::tree::Zxid;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Watches for the znode itself.
    Data,
    /// Watches for its children.
    Children,
}

impl Table {
    fn of(kind: WatchKind) -> Table {
        match kind {
            WatchKind::Data | WatchKind::Absence => Table::Data,
            WatchKind::Children => Table::Children,
        }
    }
}

/// One watch, under its path and connection.
#[derive(Clone, Copy, Debug)]
struct Watch {
    kind: WatchKind,
    /// Everything up to here had been seen when the watch was set.
    since: Zxid,
}

/// Both tables. Invariant: a watch is in `watchers` if and only if its path is in its connection's set.
#[derive(Default)]
pub(super) struct Tables {
    watchers: [HashMap<Arc<str>, BTreeMap<ConnectionId, Watch>>; 2],
    paths: HashMap<ConnectionId, [HashSet<Arc<str>>; 2]>,
    count: usize,
}

impl Tables {
    /// Watches in both tables.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Sets a watch; false if the connection has one on this path in the same table, which then stays.
    pub(super) fn insert(
        &mut self,
        connection: ConnectionId,
        kind: WatchKind,
        path: &Arc<str>,
        since: Zxid,
    ) -> bool {
        let table = Table::of(kind) as usize;
        if !self.paths.entry(connection).or_default()[table].insert(path.clone()) {
            return false;
        }
        let watchers = self.watchers[table].entry(path.clone()).or_default();
        watchers.insert(connection, Watch { kind, since });
        self.count += 1;
        true
    }

    /// Removes one watch; false if there was none.
    pub(super) fn remove(&mut self, connection: ConnectionId, table: Table, path: &str) -> bool {
        let Some(paths) = self.paths.get_mut(&connection) else {
            return false;
        };
        if !paths[table as usize].remove(path) {
            return false;
        }
        self.drop_watcher(connection, table as usize, path);
        true
    }

    /// Takes out all watches on a path, from the tables named: each connection once, with the number of
    /// watches it had.
    pub(super) fn take(&mut self, tables: &[Table], path: &str) -> BTreeMap<ConnectionId, usize> {
        let mut taken = BTreeMap::new();
        for &table in tables {
            let watchers = self.watchers[table as usize].remove(path);
            for connection in watchers.unwrap_or_default().into_keys() {
                if let Some(paths) = self.paths.get_mut(&connection) {
                    paths[table as usize].remove(path);
                }
                self.count -= 1;
                *taken.entry(connection).or_insert(0) += 1;
            }
        }
        taken
    }

    /// Removes all watches of a connection.
    pub(super) fn remove_all(&mut self, connection: ConnectionId) {
        let paths = self.paths.remove(&connection).unwrap_or_default();
        for (table, paths) in paths.into_iter().enumerate() {
            for path in paths {
                self.drop_watcher(connection, table, &path);
            }
        }
    }

    /// All watches: whose, of which kind, on what, and what had been seen when they were set.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, WatchKind, &Arc<str>, Zxid)> {
        self.watchers.iter().flatten().flat_map(|(path, watchers)| {
            watchers
                .iter()
                .map(move |(connection, watch)| (*connection, watch.kind, path, watch.since))
        })
    }

    fn drop_watcher(&mut self, connection: ConnectionId, table: usize, path: &str) {
        let Some(watchers) = self.watchers[table].get_mut(path) else {
            return;
        };
        watchers.remove(&connection);
        if watchers.is_empty() {
            self.watchers[table].remove(path);
        }
        self.count -= 1;
    }
}
