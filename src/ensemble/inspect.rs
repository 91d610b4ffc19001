//! What operators may want to know of a member beyond its [`Status`](super::Status): nothing here is needed to
//! serve clients, so all of it is found out only when somebody asks.

use super::digest::{Condition, DigestPoint};
use super::handle::Ensemble;
use super::limits::SERVING_GRACE;
use super::limits::SYNCED_LAG;
use super::log::is_of_the_log;
use super::snapshot::snapshot_index;
use super::types::Types;
use crate::tree::{SessionId, Zxid};
#[cfg(feature = "simulation")]
use openraft::alias::LogIdOf;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, RaftMetrics};
use std::fs::{self, DirEntry};
use std::io;
use std::time::{Duration, UNIX_EPOCH};

/// Who follows this member, as the leader knows it; all zero elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Following {
    /// Members within reach, voters or not.
    pub in_reach: usize,
    /// Voters within reach whose log is known to end near the leader's.
    pub synced_followers: usize,
    /// The same of members without a vote.
    pub synced_observers: usize,
}

/// What a member has on its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Bytes of its snapshots.
    pub snapshot_bytes: u64,
    /// Bytes of its log, counted as allocated: a segment has its full size from the start.
    pub log_bytes: u64,
    /// Its newest snapshot.
    pub last_snapshot: Option<Saved>,
}

/// A snapshot on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Saved {
    /// The last transaction in it.
    pub zxid: Zxid,
    /// When it was written, Unix time; 0 if the file does not tell.
    pub unix_seconds: i64,
}

impl Ensemble {
    /// Who follows this member.
    pub fn following(&self) -> Following {
        following(&self.inner().raft.metrics().borrow_watched())
    }

    /// Whether member `id` has answered this member, which leads, a moment ago. Always false on others.
    pub(super) fn is_in_reach(&self, id: u64) -> bool {
        let facts = self.inner().raft.metrics();
        let facts = facts.borrow_watched();
        let mut heard = facts.heartbeat.iter().flatten();
        facts.id == id && facts.current_leader == Some(id)
            || heard.any(|(peer, at)| {
                let age = at.as_ref().map(|at| at.elapsed());
                *peer == id && age.is_some_and(|age| age <= SERVING_GRACE)
            })
    }

    /// What is left of each session's time unless it gives another sign of life, in no particular order; `None`
    /// on a member that does not lead, because only the leader knows.
    pub fn session_time_left(&self) -> Option<Vec<(SessionId, Duration)>> {
        self.inner().sessions.remaining()
    }

    /// Last, smallest and largest size of a transaction appended to this member's log, bytes; `None` before the
    /// first since the start or [`Ensemble::reset_proposal_sizes`].
    pub fn proposal_sizes(&self) -> Option<[u64; 3]> {
        self.inner().entry_sizes.read()
    }

    /// Forgets the sizes so far.
    pub fn reset_proposal_sizes(&self) {
        self.inner().entry_sizes.reset();
    }

    /// The last index applied here and the digest of the tree there; `None` before the first. Members that have
    /// applied the same index have the same digest.
    pub fn digest(&self) -> Option<DigestPoint> {
        self.inner().shared.points(|points| points.latest())
    }

    /// Whether reads may be answered from this member's tree, as far as it knows: not while it differs from the
    /// other members'.
    pub fn is_sound(&self) -> bool {
        self.inner().shared.soundness.condition() == Condition::Sound
    }

    /// Resolves when this member is found not to be [sound](Ensemble::is_sound).
    pub async fn doubted(&self) {
        self.inner().shared.soundness.doubted().await;
    }

    /// Purged, saved in a snapshot, applied, committed, last: the indexes that follow each other, as Raft has them.
    #[cfg(feature = "simulation")]
    pub fn pointers(&self) -> [u64; 5] {
        let facts = self.inner().raft.metrics();
        let facts = facts.borrow_watched();
        let index = |id: Option<LogIdOf<Types>>| id.map_or(0, |id| id.index);
        [
            index(facts.purged),
            index(facts.snapshot),
            index(facts.last_applied),
            index(facts.local_committed),
            facts.last_log_index.unwrap_or(0),
        ]
    }

    /// What is on this member's disk. Reads the directory, so it blocks.
    ///
    /// # Errors
    /// The disk's. Files that come and go meanwhile are no error.
    pub fn storage(&self) -> io::Result<Storage> {
        let mut storage = Storage::default();
        for entry in fs::read_dir(&self.inner().data_dir)? {
            storage.count(&entry?);
        }
        Ok(storage)
    }
}

impl Storage {
    /// Adds a file; one that is gone meanwhile adds nothing.
    fn count(&mut self, entry: &DirEntry) {
        let name = entry.file_name();
        let (Some(name), Ok(metadata)) = (name.to_str(), entry.metadata()) else {
            return;
        };
        if is_of_the_log(name) {
            self.log_bytes += metadata.len();
        } else if let Some(index) = snapshot_index(name) {
            self.snapshot_bytes += metadata.len();
            let modified = metadata.modified().ok();
            let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let saved = Saved {
                zxid: Zxid(index),
                unix_seconds: since.map_or(0, |since| since.as_secs() as i64),
            };
            self.last_snapshot = self.last_snapshot.max(Some(saved));
        }
    }
}

/// Who follows the member that `facts` are of.
pub(super) fn following(facts: &RaftMetrics<Types>) -> Following {
    let last = facts.last_log_index.unwrap_or(0);
    let membership = facts.membership_config.membership();
    let mut following = Following::default();
    for (id, acknowledged) in facts.heartbeat.iter().flatten() {
        let age = acknowledged.as_ref().map(|at| at.elapsed());
        if *id == facts.id || age.is_none_or(|age| age > SERVING_GRACE) {
            continue;
        }
        following.in_reach += 1;
        let replicated = facts.replication.iter().flatten();
        let matched = replicated.filter(|(peer, _)| *peer == id);
        let mut matched = matched.filter_map(|(_, log_id)| log_id.as_ref());
        if matched.any(|log_id| log_id.index() + SYNCED_LAG >= last) {
            match membership.voter_ids().any(|voter| voter == *id) {
                true => following.synced_followers += 1,
                false => following.synced_observers += 1,
            }
        }
    }
    following
}
