//! The tables against a list of watches.

use super::super::table::{Table, Tables, cost};
use super::fixture::*;
use proptest::collection::vec;
use proptest::prelude::*;

const PATHS: [&str; 7] = ["/", "/a", "/ab", "/a/b", "/a/b/c", "/a/bc", "/b"];
const CONNECTIONS: u64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Watch(u64, WatchKind, &'static str),
    Happen(EventType, &'static str),
    Remove(u64, WatcherType, &'static str),
    End(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let path = || proptest::sample::select(&PATHS[..]);
    let connection = || 0..CONNECTIONS;
    // Absence is asked for as data: which of the two it is depends on the znode.
    let kind = proptest::sample::select(&[Data, Children, Persistent, Recursive][..]);
    let happen = proptest::sample::select(&[Created, Deleted, DataChanged, ChildrenChanged][..]);
    let named = proptest::sample::select(
        &[
            WatcherType::Children,
            WatcherType::Data,
            WatcherType::Any,
            WatcherType::Persistent,
            WatcherType::Recursive,
        ][..],
    );
    prop_oneof![
        6 => (connection(), kind, path()).prop_map(|(c, k, p)| Step::Watch(c, k, p)),
        6 => (happen, path()).prop_map(|(k, p)| Step::Happen(k, p)),
        2 => (connection(), named, path()).prop_map(|(c, k, p)| Step::Remove(c, k, p)),
        1 => connection().prop_map(Step::End),
    ]
}

/// All watches as a list, and which znodes there are.
#[derive(Default)]
struct Model {
    watches: Vec<(u64, WatchKind, &'static str)>,
    present: BTreeSet<&'static str>,
}

impl Model {
    fn watch(&mut self, watch: (u64, WatchKind, &'static str)) {
        if !self.watches.contains(&watch) {
            self.watches.push(watch);
        }
    }

    /// Whether this can happen to a znode now; if so, it does.
    fn happen(&mut self, kind: EventType, path: &'static str) -> bool {
        match kind {
            Created => self.present.insert(path),
            Deleted => self.present.remove(path),
            DataChanged | ChildrenChanged => self.present.contains(path),
        }
    }

    /// Who hears of an event; what is used up goes.
    fn fire(&mut self, kind: EventType, path: &str) -> Vec<u64> {
        let is_concerned = |watch: &(u64, WatchKind, &'static str)| match watch.1 {
            Data | Absence => watch.2 == path && kind != ChildrenChanged,
            Children => watch.2 == path && matches!(kind, ChildrenChanged | Deleted),
            Persistent => watch.2 == path,
            Recursive => is_at_or_below(path, watch.2) && kind != ChildrenChanged,
        };
        let due: BTreeSet<u64> = self
            .watches
            .iter()
            .filter(|watch| is_concerned(watch))
            .map(|watch| watch.0)
            .collect();
        self.watches
            .retain(|watch| !is_concerned(watch) || matches!(watch.1, Persistent | Recursive));
        due.into_iter().collect()
    }

    fn matching(&self, connection: u64, named: WatcherType, path: &str) -> Vec<usize> {
        let names = |kind| match named {
            WatcherType::Children => kind == Children,
            WatcherType::Data => kind == Data,
            WatcherType::Any => true,
            WatcherType::Persistent => kind == Persistent,
            WatcherType::Recursive => kind == Recursive,
        };
        let watches = self.watches.iter().enumerate();
        watches
            .filter(|(_, watch)| watch.0 == connection && names(watch.1) && watch.2 == path)
            .map(|(index, _)| index)
            .collect()
    }
}

fn is_at_or_below(path: &str, root: &str) -> bool {
    root == "/" || path == root || path.starts_with(&format!("{root}/"))
}

fn carry_out(step: &Step, tables: &mut Tables, model: &mut Model) {
    match *step {
        Step::Watch(connection, kind, path) => {
            let is_present = kind == Recursive || model.present.contains(path);
            if kind == Children && !is_present {
                return; // getChildren fails and leaves none
            }
            tables.insert(
                ConnectionId(connection),
                Table::of(kind),
                &path.into(),
                is_present,
            );
            model.watch((connection, kind, path));
        }
        Step::Happen(kind, path) => {
            if model.happen(kind, path) {
                let due = tables.fire(kind, path);
                let due: Vec<u64> = due.into_iter().map(|id| id.0).collect();
                assert_eq!(due, model.fire(kind, path), "{step:?}");
            }
        }
        Step::Remove(connection, named, path) => {
            let id = ConnectionId(connection);
            let found = model.matching(connection, named, path);
            let named = Table::named(named).iter();
            let removed = named.filter(|table| tables.contains(id, **table, path));
            let removed: Vec<Table> = removed.copied().collect();
            assert_eq!(removed.len(), found.len(), "{step:?}");
            assert!(removed.iter().all(|table| tables.remove(id, *table, path)));
            for index in found.into_iter().rev() {
                model.watches.remove(index);
            }
        }
        Step::End(connection) => {
            tables.remove_all(ConnectionId(connection));
            model.watches.retain(|watch| watch.0 != connection);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_tables_do_what_a_list_of_watches_does(steps in vec(step(), 1..60)) {
        let mut tables = Tables::default();
        let mut model = Model::default();
        for step in &steps {
            carry_out(step, &mut tables, &mut model);
            tables.check_invariants();
            prop_assert_eq!(tables.len(), model.watches.len());
            for connection in 0..CONNECTIONS {
                let own = model.watches.iter().filter(|watch| watch.0 == connection);
                let bytes: usize = own.map(|watch| cost(watch.2)).sum();
                prop_assert_eq!(tables.bytes(ConnectionId(connection)), bytes);
            }
        }
    }
}
