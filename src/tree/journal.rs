//! How a multi that fails is taken back: each change notes its inverse, and the notes are run in reverse.
//!
//! Undoing costs what was done, whatever the size of the tree. It restores everything but the numbers of
//! vacant slots, which no outcome depends on.

use super::record::{Content, Entry, Record, ZnodeId};
use super::store::Store;

/// The inverse of one change of the store.
#[derive(Debug)]
pub(super) enum Undo {
    /// A znode was put there.
    Inserted(ZnodeId),
    /// A znode was taken from there.
    Removed(ZnodeId, Box<Entry>),
    /// The numbers were these.
    Changed(ZnodeId, Record),
    /// The numbers and the content were these.
    Replaced(ZnodeId, Record, Box<Content>),
}

impl Store {
    /// From here on, until `commit` or `roll_back`, changes can be taken back.
    pub(super) fn begin(&mut self) {
        self.journal = Some(Vec::new());
    }

    /// What was changed since `begin` stays.
    pub(super) fn commit(&mut self) {
        self.journal = None;
    }

    /// Takes back what was changed since `begin`.
    pub(super) fn roll_back(&mut self) {
        let steps = self.journal.take().unwrap_or_default();
        for step in steps.into_iter().rev() {
            match step {
                Undo::Inserted(id) => drop(self.vacate(id)),
                Undo::Removed(id, entry) => {
                    // Slots are vacated and occupied last in, first out, so this finds its own again; the
                    // links of other entries and of other steps name it.
                    let again = self.occupy(*entry);
                    assert_eq!(again, id, "undo found another slot vacant");
                }
                Undo::Changed(id, record) => self.change(id, |now| *now = record),
                Undo::Replaced(id, record, content) => self.replace(id, record, *content),
            }
        }
    }

    /// Notes the inverse of a change just made, if it may be taken back.
    pub(super) fn note(&mut self, step: impl FnOnce() -> Undo) {
        if let Some(journal) = &mut self.journal {
            journal.push(step());
        }
    }
}
