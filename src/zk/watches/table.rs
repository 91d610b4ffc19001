//! The watch tables: by path for firing, by connection for its end and its bounds.

use super::path_map::PathMap;
use super::{ConnectionId, WATCH_OVERHEAD, WatchKind};
use crate::zk::wire::{EventType, WatcherType};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// One-shot watches for the znode itself.
    Data,
    /// One-shot watches for its children.
    Children,
    /// Persistent watches for both.
    Persistent,
    /// Persistent watches for the znode and everything below it.
    Recursive,
}

impl Table {
    const ALL: [Table; 4] = [
        Table::Data,
        Table::Children,
        Table::Persistent,
        Table::Recursive,
    ];

    /// Where watches of a kind are.
    pub(super) fn of(kind: WatchKind) -> Table {
        match kind {
            WatchKind::Data | WatchKind::Absence => Table::Data,
            WatchKind::Children => Table::Children,
            WatchKind::Persistent => Table::Persistent,
            WatchKind::Recursive => Table::Recursive,
        }
    }

    /// The tables that a client means.
    pub(super) fn named(kind: WatcherType) -> &'static [Table] {
        match kind {
            WatcherType::Children => &[Table::Children],
            WatcherType::Data => &[Table::Data],
            WatcherType::Any => &Table::ALL,
            WatcherType::Persistent => &[Table::Persistent],
            WatcherType::Recursive => &[Table::Recursive],
        }
    }

    /// The tables whose watches an event uses up.
    fn used_up_by(kind: EventType) -> &'static [Table] {
        match kind {
            EventType::Created | EventType::DataChanged => &[Table::Data],
            EventType::ChildrenChanged => &[Table::Children],
            EventType::Deleted => &[Table::Data, Table::Children],
        }
    }
}

/// The watches on one path in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Watched {
    /// Whether the znode was there when it was last heard of; true in [`Table::Recursive`], which is not
    /// about one znode. The same for all, because watches are set while the tree is held.
    pub(super) is_present: bool,
    /// Whose they are; never empty.
    pub(super) by: BTreeSet<ConnectionId>,
}

/// What one connection watches.
#[derive(Default)]
struct Watcher {
    paths: [HashSet<Arc<str>>; 4],
    bytes: usize,
}

/// All tables. Invariants: a watch is in `watched` if and only if its path is in its connection's set;
/// `bytes` of a connection is the cost of its watches.
#[derive(Default)]
pub(super) struct Tables {
    watched: [PathMap<Watched>; 4],
    watchers: HashMap<ConnectionId, Watcher>,
    count: usize,
}

impl Tables {
    /// Watches in all tables.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Connections that have watches.
    pub(super) fn watchers(&self) -> usize {
        let watchers = self.watchers.values();
        watchers.filter(|watcher| watcher.bytes > 0).count()
    }

    /// Memory that the watches of a connection take, bytes.
    pub(super) fn bytes(&self, connection: ConnectionId) -> usize {
        let watcher = self.watchers.get(&connection);
        watcher.map_or(0, |watcher| watcher.bytes)
    }

    /// Whether the connection has a watch on this path in this table.
    pub(super) fn contains(&self, connection: ConnectionId, table: Table, path: &str) -> bool {
        let watcher = self.watchers.get(&connection);
        watcher.is_some_and(|watcher| watcher.paths[table as usize].contains(path))
    }

    /// Sets a watch. One that is there already stays, so that it is one watch still.
    pub(super) fn insert(
        &mut self,
        connection: ConnectionId,
        table: Table,
        path: &Arc<str>,
        is_present: bool,
    ) {
        let watcher = self.watchers.entry(connection).or_default();
        if !watcher.paths[table as usize].insert(path.clone()) {
            return;
        }
        watcher.bytes += cost(path);
        self.count += 1;
        let by = BTreeSet::new();
        let watched =
            self.watched[table as usize].at_or_insert(path, || Watched { is_present, by });
        debug_assert_eq!(
            watched.is_present, is_present,
            "watchers of {path} disagree"
        );
        watched.by.insert(connection);
    }

    /// Removes one watch; false if there was none.
    pub(super) fn remove(&mut self, connection: ConnectionId, table: Table, path: &str) -> bool {
        let removed = self.forget(connection, table, path);
        if removed {
            self.drop_watch(connection, table, path);
        }
        removed
    }

    /// Removes all watches of a connection.
    pub(super) fn remove_all(&mut self, connection: ConnectionId) {
        let watcher = self.watchers.remove(&connection).unwrap_or_default();
        for (table, paths) in Table::ALL.into_iter().zip(watcher.paths) {
            for path in paths {
                self.count -= 1;
                self.drop_watch(connection, table, &path);
            }
        }
    }

    /// The connections that hear of an event, each once and in order. Uses up their one-shot watches.
    pub(super) fn fire(&mut self, kind: EventType, path: &str) -> Vec<ConnectionId> {
        let mut due = Vec::new();
        for table in Table::used_up_by(kind) {
            due.extend(self.take(*table, path));
        }
        if let Some(watched) = self.watched[Table::Persistent as usize].at(path) {
            watched.is_present = kind != EventType::Deleted;
            due.extend(&watched.by);
        }
        let recursive = &self.watched[Table::Recursive as usize];
        if kind != EventType::ChildrenChanged && !recursive.is_empty() {
            due.extend(recursive.along(path).flat_map(|watched| &watched.by));
        }
        due.sort_unstable();
        due.dedup();
        due
    }

    /// Takes out all watches on a path in one table.
    pub(super) fn take(&mut self, table: Table, path: &str) -> BTreeSet<ConnectionId> {
        let taken = self.watched[table as usize].remove(path);
        let by = taken.map(|watched| watched.by).unwrap_or_default();
        for connection in &by {
            self.forget(*connection, table, path);
        }
        by
    }

    /// The persistent watchers of a path, who know from now on whether the znode is there.
    pub(super) fn persistent(&mut self, path: &str, is_present: bool) -> BTreeSet<ConnectionId> {
        let Some(watched) = self.watched[Table::Persistent as usize].at(path) else {
            return BTreeSet::new();
        };
        watched.is_present = is_present;
        watched.by.clone()
    }

    /// The connections that have recursive watches.
    pub(super) fn recursive(&self) -> BTreeSet<ConnectionId> {
        let recursive = self.watched[Table::Recursive as usize].iter();
        recursive
            .flat_map(|(_, watched)| &watched.by)
            .copied()
            .collect()
    }

    /// All watches, by table and path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Table, &Arc<str>, &Watched)> {
        let tables = Table::ALL.into_iter().zip(&self.watched);
        tables.flat_map(|(table, watched)| {
            watched
                .iter()
                .map(move |(path, watched)| (table, path, watched))
        })
    }

    /// Strikes a watch off its connection's list; false if it is not there.
    fn forget(&mut self, connection: ConnectionId, table: Table, path: &str) -> bool {
        let Some(watcher) = self.watchers.get_mut(&connection) else {
            return false;
        };
        if !watcher.paths[table as usize].remove(path) {
            return false;
        }
        watcher.bytes -= cost(path);
        self.count -= 1;
        true
    }

    /// Strikes a watch off its path's list.
    fn drop_watch(&mut self, connection: ConnectionId, table: Table, path: &str) {
        let paths = &mut self.watched[table as usize];
        let Some(watched) = paths.at(path) else {
            return;
        };
        watched.by.remove(&connection);
        if watched.by.is_empty() {
            paths.remove(path);
        }
    }
}

#[cfg(test)]
impl Tables {
    /// Asserts the invariants.
    pub(super) fn check_invariants(&self) {
        let mut costs = HashMap::new();
        let mut count = 0;
        for (table, path, watched) in self.iter() {
            assert!(!watched.by.is_empty(), "nobody watches {path}");
            for connection in &watched.by {
                assert!(self.contains(*connection, table, path));
                *costs.entry(*connection).or_insert(0) += cost(path);
                count += 1;
            }
        }
        assert_eq!(count, self.count);
        for (connection, watcher) in &self.watchers {
            assert_eq!(costs.remove(connection).unwrap_or(0), watcher.bytes);
        }
        assert!(costs.is_empty());
        let listed = |watcher: &Watcher| watcher.paths.iter().map(HashSet::len).sum::<usize>();
        assert_eq!(self.watchers.values().map(listed).sum::<usize>(), count);
    }
}

/// What a watch counts for.
pub(super) fn cost(path: &str) -> usize {
    WATCH_OVERHEAD + path.len()
}
