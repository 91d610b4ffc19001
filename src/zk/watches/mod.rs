//! Who watches what on this member, and which connection holds which session.
//!
//! Watches belong to connections and are not replicated. They live in two tables, by path:
//!
//! | table | set by | fired by |
//! |---|---|---|
//! | data | `getData`; `exists`, also on an absent znode | created, data set, deleted |
//! | children | `getChildren` | child created or deleted, deleted |
//!
//! A watch fires once. Setting it twice, or by two kinds of read, is one watch; a connection that is in
//! both tables of a znode hears of its deletion once.
//!
//! ```text
//! apply --(holds the tree)--> Watches::applied --> Outbox of each watcher
//! read  --(holds the tree)--> Attached::watch
//! ```
//! Locks are taken in this order: the tree, these tables, an outbox. Reads register and events fire while
//! the tree is held, so a change falls either before a read, which then shows it, or behind its watch,
//! which then fires.
//!
//! Source: `WatchManager` and `DataTree.setWatches` of ZooKeeper 3.9.

mod state;
mod table;
#[cfg(test)]
mod tests;

use super::outbox::Outbox;
use super::wire::{
    EventType, ReplyHeader, STATE_SYNC_CONNECTED, SetWatchesRequest, WatcherEvent, XID_EVENT,
    put_frame,
};
use crate::ensemble::Follower;
use crate::telemetry::Metrics;
use crate::tree::{Event, SessionId, Tree, Zxid};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use state::State;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Memory that the watches of one connection may take, bytes, each counted as its path and
/// [`WATCH_OVERHEAD`]. Room for 100,000 watches on paths of 400 characters; raising it raises what one
/// client can make a member hold.
const MAX_WATCH_BYTES: usize = 64 << 20;

/// What a watch takes besides its path: its places in a table and in its connection's index.
const WATCH_OVERHEAD: usize = 256;

/// The zxid of events that tell of the past: which transaction it was is not known any more.
const NO_ZXID: i64 = -1;

/// All watches and connections of one member's ZooKeeper port.
pub struct Watches {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
}

/// Names a connection within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(u64);

/// What a watch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchKind {
    /// The znode's data to be set, or the znode to go.
    Data,
    /// The znode to appear.
    Absence,
    /// A child to appear or go, or the znode to go.
    Children,
}

/// The connection has as many watches as one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_WATCH_BYTES} bytes of watches on one connection")]
pub(super) struct TooManyWatches;

impl Watches {
    /// No watches yet; `metrics` counts them.
    pub fn new(metrics: Arc<Metrics>) -> Arc<Watches> {
        let state = Mutex::new(State::default());
        Arc::new(Watches { state, metrics })
    }

    /// Takes a connection in, as the one that holds `session` by `attachment`. Call it while the tree is
    /// held and shows that attachment.
    pub(super) fn attach(
        self: &Arc<Watches>,
        session: SessionId,
        attachment: Zxid,
        outbox: Arc<Outbox>,
    ) -> Attached {
        let id = self.with(|state| state.attach(session, attachment, outbox));
        let watches = self.clone();
        Attached { watches, id }
    }

    /// Watches set.
    pub(super) fn count(&self) -> usize {
        self.with(|state| state.watch_count())
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = act(&mut state);
        let count = state.watch_count() as i64;
        self.metrics.coordination.watches.set(count);
        result
    }
}

/// A connection's place among the watchers. Dropping it removes the connection and its watches.
pub(super) struct Attached {
    watches: Arc<Watches>,
    id: ConnectionId,
}

impl Attached {
    /// Sets a watch. Call it while `tree`, in which the read was done, is held.
    ///
    /// # Errors
    /// [`TooManyWatches`]; the watch is not set.
    pub(super) fn watch(
        &self,
        kind: WatchKind,
        path: &Arc<str>,
        tree: &Tree,
    ) -> Result<(), TooManyWatches> {
        let since = tree.last_zxid();
        self.watches
            .with(|state| state.set(self.id, kind, path, since))
    }

    /// Sets the watches that a client had on another connection, when it had seen everything up to
    /// `request.relative_zxid`; what they have missed is told at once. Call it while `tree` is held.
    ///
    /// # Errors
    /// [`TooManyWatches`]; some are set.
    pub(super) fn restore(
        &self,
        request: &SetWatchesRequest,
        tree: &Tree,
    ) -> Result<(), TooManyWatches> {
        let since = Zxid(u64::try_from(request.relative_zxid).unwrap_or(0));
        let lists = [
            (WatchKind::Data, &request.data),
            (WatchKind::Absence, &request.exist),
            (WatchKind::Children, &request.child),
        ];
        self.watches.with(|state| {
            for (kind, paths) in lists {
                for path in paths {
                    match missed(kind, tree, path, since) {
                        Some(missed) => state.tell(self.id, tree.last_zxid(), &past(missed, path)),
                        None => state.set(self.id, kind, path, since)?,
                    }
                }
            }
            Ok(())
        })
    }

    /// Says that the client itself ends the session: the session's end shall not cut the connection off
    /// before the reply.
    pub(super) fn leave(&self) {
        self.watches.with(|state| state.release_session(self.id));
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.watches.with(|state| state.remove(self.id));
    }
}

impl Follower for Watches {
    fn applied(&self, _: &Tree, zxid: Zxid, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        self.with(|state| {
            for event in events {
                state.apply(zxid, event);
            }
        });
    }

    /// Events of the transactions that the snapshot stands for will never come, so each watch is compared
    /// with the tree as on a reconnect.
    fn replaced(&self, tree: &Tree) {
        self.with(|state| {
            state.check_sessions(tree);
            // A set, because both tables of a znode that is gone have a watch to tell of it.
            let mut due = BTreeSet::new();
            for (connection, kind, path, since) in state.watches() {
                if let Some(missed) = missed(kind, tree, path, since) {
                    due.insert((path.clone(), missed, connection));
                }
            }
            for (path, missed, connection) in due {
                state.unset(connection, missed, &path);
                state.tell(connection, tree.last_zxid(), &past(missed, &path));
            }
        });
    }
}

/// What a watch set when everything up to `since` had been seen must tell now; `None` if it goes on waiting.
fn missed(kind: WatchKind, tree: &Tree, path: &str, since: Zxid) -> Option<EventType> {
    let stat = tree.get(path).map(|znode| znode.stat());
    match (kind, stat) {
        (WatchKind::Absence, None) => None,
        (WatchKind::Absence, Some(_)) => Some(EventType::Created),
        (WatchKind::Data | WatchKind::Children, None) => Some(EventType::Deleted),
        (WatchKind::Data, Some(stat)) => (stat.mzxid > since).then_some(EventType::DataChanged),
        (WatchKind::Children, Some(stat)) => {
            (stat.pzxid > since).then_some(EventType::ChildrenChanged)
        }
    }
}

fn past(kind: EventType, path: &Arc<str>) -> Bytes {
    event_frame(NO_ZXID, kind, path)
}

fn event_frame(zxid: i64, kind: EventType, path: &Arc<str>) -> Bytes {
    let header = ReplyHeader {
        xid: XID_EVENT,
        zxid,
        error: 0,
    };
    let event = WatcherEvent {
        kind: kind as i32,
        state: STATE_SYNC_CONNECTED,
        path: path.clone(),
    };
    let mut frame = BytesMut::new();
    put_frame(&mut frame, &header, &event);
    frame.freeze()
}
