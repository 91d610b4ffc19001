//! The one order of changes that all members agree on, as the first of them to apply each told it.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One change, as it shows in events and in the tree behind them. In a transaction that changes a znode twice, both show
/// the last state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Created(Arc<str>, Bytes, i64),
    Data(Arc<str>, Bytes),
    Deleted(Arc<str>),
    Children(Arc<str>),
    Attached(i64),
    Closed(i64),
}

/// What happened to one znode in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub created: bool,
    pub data: bool,
    pub deleted: bool,
    pub children: bool,
    /// Its data afterwards; `None` if it is not there.
    pub state: Option<Bytes>,
    /// The session that owns it, or 0.
    pub owner: i64,
}

/// All changes.
#[derive(Default)]
pub struct Truth {
    pub by_zxid: BTreeMap<u64, Vec<Change>>,
    paths: BTreeMap<Arc<str>, BTreeMap<u64, Step>>,
    /// Transactions that some member did not apply, because a snapshot took it past them.
    jumps: Vec<(u64, u64)>,
}

impl Truth {
    /// Takes what a member applied; it must be what the others did.
    pub fn add(&mut self, zxid: u64, changes: Vec<Change>) -> Result<(), String> {
        if let Some(known) = self.by_zxid.get(&zxid) {
            return match *known == changes {
                true => Ok(()),
                false => Err(format!(
                    "at {zxid} it did {changes:?}, others did {known:?}"
                )),
            };
        }
        for change in &changes {
            let path = match change {
                Change::Created(path, ..)
                | Change::Data(path, _)
                | Change::Deleted(path)
                | Change::Children(path) => path,
                Change::Attached(_) | Change::Closed(_) => continue,
            };
            let before = self
                .state(path, zxid)
                .map(|step| (step.state.clone(), step.owner));
            let step = self.paths.entry(path.clone()).or_default().entry(zxid);
            let step = step.or_insert_with(|| {
                let (state, owner) = before.unwrap_or_default();
                Step {
                    state,
                    owner,
                    ..Step::default()
                }
            });
            match change {
                Change::Created(_, data, owner) => {
                    step.created = true;
                    step.state = Some(data.clone());
                    step.owner = *owner;
                }
                Change::Data(_, data) => {
                    step.data = true;
                    step.state = Some(data.clone());
                }
                Change::Deleted(_) => {
                    step.deleted = true;
                    step.state = None;
                }
                _ => step.children = true,
            }
        }
        self.by_zxid.insert(zxid, changes);
        Ok(())
    }

    /// A member goes from one transaction to another by a snapshot.
    pub fn jumped(&mut self, from: u64, to: u64) {
        self.jumps.push((from, to));
    }

    /// Whether some member may have seen nothing of a transaction.
    pub fn may_be_jumped_over(&self, zxid: u64) -> bool {
        self.jumps
            .iter()
            .any(|(from, to)| *from < zxid && zxid <= *to)
    }

    /// The last thing that happened to a znode up to a transaction.
    pub fn state(&self, path: &str, zxid: u64) -> Option<&Step> {
        let steps = self.paths.get(path)?;
        steps.range(..=zxid).next_back().map(|(_, step)| step)
    }

    /// Whether a znode is there after a transaction, and its data.
    pub fn data(&self, path: &str, zxid: u64) -> Option<&Bytes> {
        self.state(path, zxid)?.state.as_ref()
    }

    /// What happened to a znode after a transaction, in order.
    pub fn since(&self, path: &str, zxid: u64) -> impl Iterator<Item = (u64, &Step)> {
        let steps = self.paths.get(path).into_iter();
        steps.flat_map(move |steps| steps.range(zxid + 1..).map(|(at, step)| (*at, step)))
    }

    /// The znodes below `prefix` that are there after a transaction.
    pub fn below<'a>(&'a self, prefix: &'a str, zxid: u64) -> impl Iterator<Item = &'a Arc<str>> {
        let paths = self
            .paths
            .keys()
            .filter(move |path| path.starts_with(prefix));
        paths.filter(move |path| self.data(path, zxid).is_some())
    }

    /// All znodes that ever were.
    pub fn paths(&self) -> impl Iterator<Item = &Arc<str>> {
        self.paths.keys()
    }
}
