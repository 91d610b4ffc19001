//! A watch tells exactly once, of the first change after it was set, and before any reply that shows that change.

use crate::truth::{Step, Truth};
use std::collections::BTreeMap;
use std::sync::Arc;
use zoogate::zk::wire::EventType;

/// What a watch is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Data,
    Children,
}

#[derive(Clone, Copy, Debug)]
struct Set {
    /// Whether the znode was there then.
    is_present: bool,
    /// It was set with the state at this zxid.
    at: u64,
    /// It was set again on another connection, by the state: then an event tells of the last change, not of each.
    is_moved: bool,
}

/// The watches of one session.
#[derive(Clone, Debug, Default)]
pub struct Watches(BTreeMap<(Kind, Arc<str>), Set>);

impl Watches {
    /// A reply says that a watch is set.
    pub fn set(&mut self, kind: Kind, path: &Arc<str>, zxid: u64, is_present: bool) {
        let is_moved = false;
        let set = Set {
            is_present,
            at: zxid,
            is_moved,
        };
        self.0.entry((kind, path.clone())).or_insert(set);
    }

    /// Those that have to be set again, by kind.
    pub fn paths(&self, kind: Kind) -> impl Iterator<Item = Arc<str>> + '_ {
        let of_kind = self.0.keys().filter(move |(of, _)| *of == kind);
        of_kind.map(|(_, path)| path.clone())
    }

    /// Whether the znode of a data watch was there when it was set.
    pub fn was_present(&self, path: &Arc<str>) -> bool {
        let set = self.0.get(&(Kind::Data, path.clone()));
        set.is_some_and(|set| set.is_present)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All are set again on another connection.
    pub fn moved(&mut self) {
        self.0.values_mut().for_each(|set| set.is_moved = true);
    }

    /// An event has come.
    pub fn event(
        &mut self,
        truth: &Truth,
        kind: EventType,
        path: &Arc<str>,
        zxid: i64,
    ) -> Result<(), String> {
        let kinds: &[Kind] = match kind {
            EventType::Created | EventType::DataChanged => &[Kind::Data],
            EventType::ChildrenChanged => &[Kind::Children],
            EventType::Deleted => &[Kind::Data, Kind::Children],
        };
        let mut fired = None;
        for of in kinds {
            fired = self
                .0
                .remove(&(*of, path.clone()))
                .map(|set| (*of, set))
                .or(fired);
        }
        let Some((of, set)) = fired else {
            return Err(format!(
                "an event {kind:?} of {path} at {zxid}, for which no watch was left"
            ));
        };
        let Some((first, step)) = first(truth, of, path, set.at) else {
            return Err(format!(
                "an event {kind:?} of {path} at {zxid}, since {} nothing happened",
                set.at
            ));
        };
        // One that tells of the past, after a snapshot or a move, tells of the state and not of each change.
        if set.is_moved || zxid < 0 {
            return Ok(());
        }
        if first != zxid as u64 {
            return Err(format!(
                "an event {kind:?} of {path} at {zxid}, the first change after {} was at {first}",
                set.at
            ));
        }
        let is_so = match kind {
            EventType::Created => step.created,
            EventType::DataChanged => step.data,
            EventType::Deleted => step.deleted,
            EventType::ChildrenChanged => step.children,
        };
        match is_so {
            true => Ok(()),
            false => Err(format!(
                "an event {kind:?} of {path} at {zxid}, where was {step:?}"
            )),
        }
    }

    /// A reply shows the state at `zxid`: every change up to there must have been told.
    ///
    /// One exception, as with ZooKeeper: who waits for a znode to appear and moves, or whose member gets a snapshot,
    /// is told by the state. One that appeared and went meanwhile leaves no trace.
    pub fn reply(&mut self, truth: &Truth, zxid: u64, is_moving: bool) -> Result<(), String> {
        for ((kind, path), set) in &mut self.0 {
            if let Some((first, _)) = first(truth, *kind, path, set.at)
                && first <= zxid
            {
                let is_absent = !set.is_present && *kind == Kind::Data;
                let is_by_state = is_moving || truth.may_be_jumped_over(first);
                if is_absent && is_by_state && truth.data(path, zxid).is_none() {
                    set.at = zxid;
                    continue;
                }
                let at = set.at;
                return Err(format!(
                    "a reply at {zxid} has come, the {kind:?} watch on {path} set at {at} has not told of {first}"
                ));
            }
        }
        Ok(())
    }
}

/// The first change that a watch has to tell of.
fn first<'a>(truth: &'a Truth, kind: Kind, path: &str, at: u64) -> Option<(u64, &'a Step)> {
    truth.since(path, at).find(|(_, step)| match kind {
        Kind::Data => step.created || step.data || step.deleted,
        Kind::Children => step.children || step.deleted,
    })
}
