//! The requests that are about watches and nothing else.

use super::table::Table;
use super::{Attached, TooManyWatches, WatchKind, missed, past};
use crate::tree::{ErrorCode, Tree, Zxid};
use crate::zk::wire::{
    AddWatchMode, AddWatchRequest, ErrorResponse, SetWatches2Request, SetWatchesRequest,
    WatchesRequest, Wire,
};
use bytes::BytesMut;

/// A request about watches.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::zk) enum WatchRequest {
    /// `addWatch`
    Add(AddWatchRequest),
    /// `removeWatches`
    Remove(WatchesRequest),
    /// `checkWatches`
    Check(WatchesRequest),
    /// `setWatches` and `setWatches2`
    Set(SetWatches2Request),
}

/// The answer to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zk) enum WatchAnswer {
    /// No body.
    Done,
    /// `addWatch` alone has a body.
    Added,
    /// There is no such watch.
    NoWatcher,
}

impl WatchAnswer {
    /// For the reply's header.
    ///
    /// # Errors
    /// [`ErrorCode::NoWatcher`]
    pub(in crate::zk) fn result(self) -> Result<(), ErrorCode> {
        match self {
            WatchAnswer::Done | WatchAnswer::Added => Ok(()),
            WatchAnswer::NoWatcher => Err(ErrorCode::NoWatcher),
        }
    }

    /// Appends the reply's body.
    pub(in crate::zk) fn encode(self, out: &mut BytesMut) {
        if self == WatchAnswer::Added {
            ErrorResponse { error: 0 }.encode(out);
        }
    }

    fn found(found: bool) -> WatchAnswer {
        match found {
            true => WatchAnswer::Done,
            false => WatchAnswer::NoWatcher,
        }
    }
}

impl Attached {
    /// Carries out a request. Call it while `tree` is held. None needs a permission, or a znode that is there.
    ///
    /// # Errors
    /// [`TooManyWatches`]; some may be set.
    pub(in crate::zk) fn carry_out(
        &self,
        request: &WatchRequest,
        tree: &Tree,
    ) -> Result<WatchAnswer, TooManyWatches> {
        match request {
            WatchRequest::Add(AddWatchRequest { path, mode }) => {
                self.watch(kind_of(*mode), path, tree)?;
                Ok(WatchAnswer::Added)
            }
            WatchRequest::Remove(WatchesRequest { path, kind }) => {
                let tables = Table::named(*kind);
                let removed = self.with(|state| state.unset(self.id, tables, path));
                Ok(WatchAnswer::found(removed))
            }
            WatchRequest::Check(WatchesRequest { path, kind }) => {
                let tables = Table::named(*kind);
                let is_set = self.with(|state| state.is_set(self.id, tables, path));
                Ok(WatchAnswer::found(is_set))
            }
            WatchRequest::Set(request) => self.restore(request, tree).map(|()| WatchAnswer::Done),
        }
    }

    /// Sets the watches that a client had on another connection, when it had seen everything up to
    /// `relative_zxid`. What its one-shot watches have missed is told at once, to whoever asks, as ZooKeeper
    /// does; whoever has persistent ones knows that its connection was lost and reads again.
    fn restore(&self, request: &SetWatches2Request, tree: &Tree) -> Result<(), TooManyWatches> {
        let SetWatchesRequest {
            relative_zxid,
            data,
            exist,
            child,
        } = &request.one_shot;
        let since = u64::try_from(*relative_zxid).ok().map(Zxid);
        let lists = [
            (WatchKind::Data, data),
            (WatchKind::Absence, exist),
            (WatchKind::Children, child),
            (WatchKind::Persistent, &request.persistent),
            (WatchKind::Recursive, &request.recursive),
        ];
        self.with(|state| {
            for (kind, paths) in lists {
                for path in paths {
                    match missed::once(kind, tree, path, since) {
                        Some(missed) => state.tell(self.id, tree.last_zxid(), &past(missed, path)),
                        None => state.set(self.id, kind, path, tree)?,
                    }
                }
            }
            Ok(())
        })
    }
}

fn kind_of(mode: AddWatchMode) -> WatchKind {
    match mode {
        AddWatchMode::Persistent => WatchKind::Persistent,
        AddWatchMode::Recursive => WatchKind::Recursive,
    }
}
