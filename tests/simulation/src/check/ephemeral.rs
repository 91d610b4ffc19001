//! An ephemeral znode is there if and only if its session is alive and has not deleted it, at each point on every member.

use crate::truth::{Change, Truth};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zoogate::tree::{SessionId, Tree};

/// Where the clients of a run keep their ephemerals.
pub const EPHEMERALS: &str = "/e";

/// What is known of ephemerals.
#[derive(Default)]
pub struct Ephemerals {
    /// Paths that some client has asked to delete.
    asked: BTreeSet<Arc<str>>,
}

impl Ephemerals {
    /// A client asks to delete a znode.
    pub fn asked_to_delete(&mut self, path: &str) {
        self.asked.insert(path.into());
    }

    /// A member has applied a transaction.
    pub fn applied(&self, truth: &Truth, tree: &Tree, zxid: u64) -> Result<(), String> {
        let changes = truth
            .by_zxid
            .get(&zxid)
            .map_or(&[][..], |changes| &changes[..]);
        let closed = |owner: i64| changes.contains(&Change::Closed(owner));
        let mut concerns = false;
        for change in changes {
            match change {
                Change::Deleted(path) if path.starts_with(EPHEMERALS) => {
                    concerns = true;
                    let owner = truth.state(path, zxid - 1).map_or(0, |step| step.owner);
                    if owner != 0 && !closed(owner) && !self.asked.contains(path) {
                        return Err(format!(
                            "{path} went at {zxid}: nobody deleted it and session {owner:x} lives"
                        ));
                    }
                }
                Change::Created(path, ..) if path.starts_with(EPHEMERALS) => concerns = true,
                Change::Closed(_) => concerns = true,
                _ => {}
            }
        }
        if concerns { self.whole(tree) } else { Ok(()) }
    }

    /// Each ephemeral has a session, and each session knows its ephemerals.
    pub fn whole(&self, tree: &Tree) -> Result<(), String> {
        let mut owned: BTreeMap<SessionId, BTreeSet<String>> = BTreeMap::new();
        if let Some(parent) = tree.get(EPHEMERALS) {
            for name in parent.children() {
                let path = format!("{EPHEMERALS}/{name}");
                let owner = tree
                    .get(&path)
                    .map_or(SessionId::NONE, |z| z.stat().ephemeral_owner);
                if owner != SessionId::NONE {
                    owned.entry(owner).or_default().insert(path);
                }
            }
        }
        for (session, paths) in &owned {
            if tree.session(*session).is_none() {
                let at = tree.last_zxid();
                return Err(format!(
                    "at {at} {paths:?} are there, session {session} is over"
                ));
            }
            let known: BTreeSet<String> = tree.ephemerals(*session).collect();
            if known != *paths {
                return Err(format!(
                    "session {session} owns {paths:?} and knows of {known:?}"
                ));
            }
        }
        Ok(())
    }
}
