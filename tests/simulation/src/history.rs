//! What happened in a run: the changes that members applied, what clients were told, and the first thing that was wrong.

use crate::check::Checks;
use crate::truth::{Change, Truth};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use zoogate::ensemble::Follower;
use zoogate::simulation as world;
use zoogate::tree::{self, Event, Tree, Zxid};

/// Everything that is known about a run; clones share it.
#[derive(Clone)]
pub struct History(Arc<Mutex<Record>>);

/// What a [`History`] holds.
pub struct Record {
    pub truth: Truth,
    pub checks: Checks,
    pub violation: Option<Violation>,
    /// The highest zxid of a write that some client was told of.
    pub acknowledged: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Clients ask for nothing more.
    pub is_quiet: bool,
    /// Per client, when the last write was sent that was done.
    pub progress: Vec<Duration>,
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Who found it.
    pub checker: &'static str,
    pub what: String,
}

impl History {
    pub fn new(members: usize, clients: usize) -> History {
        History(Arc::new(Mutex::new(Record {
            truth: Truth::default(),
            checks: Checks::new(members),
            violation: None,
            acknowledged: 0,
            reads: 0,
            is_quiet: false,
            progress: vec![Duration::ZERO; clients],
        })))
    }

    /// Looks at the record, or adds to it. Never call it inside itself.
    pub fn with<R>(&self, work: impl FnOnce(&mut Record) -> R) -> R {
        work(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes that something is wrong.
    pub fn violated(&self, checker: &'static str, what: String) {
        self.with(|record| record.violated(checker, what));
    }

    /// As [`History::violated`], from a place where the record may be in use.
    pub fn try_violated(&self, checker: &'static str, what: String) {
        if let Ok(mut record) = self.0.try_lock()
            && record.violation.is_none()
        {
            record.violation = Some(Violation { checker, what });
        }
    }

    pub fn violation(&self) -> Option<Violation> {
        self.with(|record| record.violation.clone())
    }

    /// A member starts.
    pub fn booted(&self, host: usize) {
        self.with(|record| {
            record.checks.pointers.booted(host);
            record.checks.leader.booted(host);
        });
    }

    /// A member's process is gone.
    pub fn gone(&self, host: usize) {
        self.with(|record| record.checks.pointers.booted(host));
    }
}

impl Record {
    /// Notes that something is wrong; only the first is kept, since the rest may follow from it.
    pub fn violated(&mut self, checker: &'static str, what: String) {
        if self.violation.is_none() {
            let what = format!("at {:?}: {what}", world::now());
            self.violation = Some(Violation { checker, what });
        }
    }

    /// A write of a client, sent at this time, was done.
    pub fn progress(&mut self, client: usize, sent: Duration) {
        self.progress[client] = self.progress[client].max(sent);
    }

    /// Takes a checker's verdict.
    pub fn judge(&mut self, checker: &'static str, verdict: Result<(), String>) {
        if let Err(what) = verdict {
            self.violated(checker, what);
        }
    }
}

/// Follows the tree of one member.
pub struct Observer {
    host: usize,
    history: History,
    last: AtomicU64,
}

impl Observer {
    pub fn new(host: usize, history: History) -> Observer {
        let last = AtomicU64::new(0);
        Observer {
            host,
            history,
            last,
        }
    }
}

impl Follower for Observer {
    fn applied(&self, tree: &Tree, zxid: Zxid, events: &[Event]) {
        self.last.store(zxid.0, Ordering::Relaxed);
        let changes = events.iter().map(|event| change(tree, event)).collect();
        self.history.with(|record| {
            let host = self.host;
            let verdict = record.truth.add(zxid.0, changes);
            record.judge(
                "digest",
                verdict.map_err(|e| format!("member {}: {e}", host + 1)),
            );
            let verdict = record.checks.digest.at(host, zxid.0, tree.digest());
            record.judge("digest", verdict);
            let verdict = record.checks.ephemeral.applied(&record.truth, tree, zxid.0);
            record.judge("ephemeral", verdict);
        });
    }

    fn replaced(&self, tree: &Tree) {
        world::count("snapshots installed");
        self.history.with(|record| {
            let last = self.last.swap(tree.last_zxid().0, Ordering::Relaxed);
            record.truth.jumped(last, tree.last_zxid().0);
            let verdict = record
                .checks
                .digest
                .at(self.host, tree.last_zxid().0, tree.digest());
            record.judge("digest", verdict);
            record.judge("ephemeral", record.checks.ephemeral.whole(tree));
        });
    }
}

fn change(tree: &Tree, event: &Event) -> Change {
    match event {
        Event::Znode { change, path, .. } => {
            let znode = tree.get(path);
            let data = znode.map(|znode| znode.data().cloned().unwrap_or_default());
            let owner = znode.map_or(0, |znode| znode.stat().ephemeral_owner.0);
            match change {
                tree::Change::Created => {
                    Change::Created(path.clone(), data.unwrap_or_default(), owner)
                }
                tree::Change::Data => Change::Data(path.clone(), data.unwrap_or_default()),
                tree::Change::Deleted => Change::Deleted(path.clone()),
                tree::Change::Children => Change::Children(path.clone()),
            }
        }
        Event::SessionAttached { session, .. } => Change::Attached(session.0),
        Event::SessionClosed { session, .. } => Change::Closed(session.0),
    }
}
