//! Who watches what on this member, and which connection holds which session.
//!
//! Watches belong to connections and are not replicated. They live in four tables, by path:
//!
//! | table | set by | fired by | lasts |
//! |---|---|---|---|
//! | data | `getData`; `exists`, also on an absent znode | created, data set, deleted | until it fires |
//! | children | `getChildren` | child created or deleted, deleted | until it fires |
//! | persistent | `addWatch` 0 | created, data set, deleted, child created or deleted | until removed |
//! | recursive | `addWatch` 1 | created, data set, deleted: the znode or any below it | until removed |
//!
//! Setting a watch twice, or by two kinds of read, is one watch. A connection hears of one change once, in
//! however many tables it waits for it. Whether the znode may be read is asked when the event is sent, of
//! what the connection has proved by then; one that may not hear it has its one-shot watch used up all the
//! same. Setting, checking and removing watches asks for no permission, and a client that sets its watches
//! again is told what they missed without being asked for one, as in ZooKeeper.
//!
//! ```text
//! apply    --(holds the tree)--> Watches::applied  --> tables --> may read? --> Outbox of each watcher
//! snapshot --(holds the tree)--> Watches::replaced --> missed --/
//! read, addWatch ... --(holds the tree)--> Attached::watch, carry_out
//! ```
//! Locks are taken in this order: the tree, these tables, an outbox. Reads register and events fire while
//! the tree is held, so a change falls either before a read, which then shows it, or behind its watch,
//! which then fires.
//!
//! A snapshot from the leader stands for transactions whose events never come. What a watch on one znode
//! missed is worked out from the znode's numbers; the file `missed` has the rules. A recursive watch cannot
//! be helped so: what was deleted below it leaves no trace. Its connection is ended instead, which tells the
//! client what it must know: that it may have missed something and has to look again.
//!
//! A change costs a look-up of its path in each table; the path's ancestors are looked up only while there
//! is any recursive watch, in one pass over the path. An event is encoded once for all who hear it.
//!
//! Source: `WatchManager`, `DataTree.setWatches`, `removeWatch` and `containsWatcher` of ZooKeeper 3.9.

mod missed;
mod path_map;
mod request;
mod state;
mod table;
#[cfg(test)]
mod tests;

use super::identity::Identities;
use super::outbox::Outbox;
use super::wire::{
    EventType, ReplyHeader, STATE_SYNC_CONNECTED, WatcherEvent, XID_EVENT, put_frame,
};
use crate::ensemble::Follower;
use crate::telemetry::Metrics;
use crate::tree::{Event, SessionId, Tree, Zxid};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) use request::WatchRequest;

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
    /// All of these, again and again.
    Persistent,
    /// The same but for children, of the znode and all below it.
    Recursive,
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

    /// Watches set. One that is set in two tables counts twice.
    pub fn count(&self) -> usize {
        self.with(|state| state.watch_count())
    }

    /// How many connections watch, how many paths are watched, and how many watches that makes.
    pub fn summary(&self) -> (usize, usize, usize) {
        self.with(|state| state.summary())
    }

    /// The paths that each session watches. Costs a copy of the list of all watches while nothing can be
    /// applied, so ask seldom.
    pub fn by_session(&self) -> BTreeMap<SessionId, BTreeSet<Arc<str>>> {
        let mut listing: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (session, path) in self.list() {
            listing.entry(session).or_default().insert(path);
        }
        listing
    }

    /// The sessions that watch each path. As dear as [`by_session`](Watches::by_session).
    pub fn by_path(&self) -> BTreeMap<Arc<str>, BTreeSet<SessionId>> {
        let mut listing: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (session, path) in self.list() {
            listing.entry(path).or_default().insert(session);
        }
        listing
    }

    /// Each watch's session and path. Sorting is left to the caller, who does not hold the lock.
    fn list(&self) -> Vec<(SessionId, Arc<str>)> {
        self.with(|state| {
            let watches = state.watches();
            watches
                .map(|(session, path)| (session, path.clone()))
                .collect()
        })
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
        self.with(|state| state.set(self.id, kind, path, tree))
    }

    /// Says what the connection has proved about its client by now: what it may hear depends on that.
    pub(super) fn identify(&self, identities: &Identities) {
        let identities = identities.all().clone();
        self.with(|state| state.identify(self.id, identities));
    }

    /// Says that the client itself ends the session: the session's end shall not cut the connection off
    /// before the reply.
    pub(super) fn leave(&self) {
        self.with(|state| state.release_session(self.id));
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        self.watches.with(act)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.with(|state| state.remove(self.id));
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

    fn replaced(&self, tree: &Tree) {
        self.with(|state| state.catch_up(tree));
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
