//! What watchers have missed while nobody could tell them, judged by the tree as it is now.
//!
//! | watch | znode was | is now | told |
//! |---|---|---|---|
//! | data | there | absent | deleted |
//! | data | there | newer `mzxid` | data changed |
//! | data | absent | there | created |
//! | children | there | absent | deleted |
//! | children | there | newer `pzxid` | children changed |
//! | persistent | there | absent, or newer `czxid` | deleted |
//! | persistent | either | newer `czxid` | created |
//! | persistent | there, or just told as created | newer `mzxid`, `pzxid` | data changed, children changed |
//! | recursive | | | nothing: what was deleted below leaves no trace |
//!
//! Source of the rows for one-shot watches: `DataTree.setWatches` of ZooKeeper 3.9.

use super::WatchKind;
use super::table::Table;
use crate::tree::{Stat, Tree, Zxid};
use crate::zk::wire::EventType;

/// The order in which the things that happened to one znode are told: a deletion before the creation that
/// came after it.
pub(super) const ORDER: [EventType; 4] = [
    EventType::Deleted,
    EventType::Created,
    EventType::DataChanged,
    EventType::ChildrenChanged,
];

/// What a one-shot watch, set when everything up to `since` had been seen, must tell now; `None` if it goes
/// on waiting. Whoever has seen up to `None` has not even seen the tree as it began, with zxid 0.
pub(super) fn once(
    kind: WatchKind,
    tree: &Tree,
    path: &str,
    since: Option<Zxid>,
) -> Option<EventType> {
    let stat = stat(tree, path);
    match (kind, stat) {
        (WatchKind::Absence, Some(_)) => Some(EventType::Created),
        (WatchKind::Data | WatchKind::Children, None) => Some(EventType::Deleted),
        (WatchKind::Data, Some(stat)) => {
            (Some(stat.mzxid) > since).then_some(EventType::DataChanged)
        }
        (WatchKind::Children, Some(stat)) => {
            (Some(stat.pzxid) > since).then_some(EventType::ChildrenChanged)
        }
        (WatchKind::Absence, None) | (WatchKind::Persistent | WatchKind::Recursive, _) => None,
    }
}

/// What the watches in `table` on a path must tell, when everything up to `since` has been told and the
/// znode `was_present` then.
pub(super) fn since(
    table: Table,
    was_present: bool,
    tree: &Tree,
    path: &str,
    since: Zxid,
) -> Vec<EventType> {
    let kind = match table {
        Table::Data if was_present => WatchKind::Data,
        Table::Data => WatchKind::Absence,
        Table::Children => WatchKind::Children,
        Table::Persistent => return persistent(was_present, stat(tree, path), since),
        Table::Recursive => return Vec::new(),
    };
    once(kind, tree, path, Some(since)).into_iter().collect()
}

fn persistent(was_present: bool, now: Option<Stat>, since: Zxid) -> Vec<EventType> {
    let is_new = now.is_some_and(|stat| stat.czxid > since);
    // A new znode begins with all three numbers alike.
    let newer = |zxid: fn(&Stat) -> Zxid| now.is_some_and(|s| zxid(&s) > since.max(s.czxid));
    let happened = [
        was_present && (is_new || now.is_none()),
        is_new,
        newer(|stat| stat.mzxid),
        newer(|stat| stat.pzxid),
    ];
    let told = ORDER.into_iter().zip(happened);
    told.filter_map(|(kind, happened)| happened.then_some(kind))
        .collect()
}

fn stat(tree: &Tree, path: &str) -> Option<Stat> {
    tree.get(path).map(|znode| znode.stat())
}
