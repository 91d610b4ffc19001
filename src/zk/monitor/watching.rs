//! Who watches what.

use super::{TooMany, listable, listable_bytes};
use crate::tree::SessionId;
use crate::zk::port::Port;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Port {
    /// The paths that each session watches.
    ///
    /// # Errors
    /// [`TooMany`]
    pub(in crate::zk) fn watched_by_session(
        &self,
    ) -> Result<BTreeMap<SessionId, BTreeSet<Arc<str>>>, TooMany> {
        listable("watches", self.watches.count())?;
        let sessions = self.watches.by_session();
        let paths = sessions.values().flatten().map(|path| path.len());
        listable_bytes(paths.sum())?;
        Ok(sessions)
    }

    /// The sessions that watch each path.
    ///
    /// # Errors
    /// [`TooMany`]
    pub(in crate::zk) fn watched_by_path(
        &self,
    ) -> Result<BTreeMap<Arc<str>, BTreeSet<SessionId>>, TooMany> {
        listable("watches", self.watches.count())?;
        let paths = self.watches.by_path();
        listable_bytes(paths.keys().map(|path| path.len()).sum())?;
        Ok(paths)
    }
}
