//! Making a member of a new ensemble out of a backup.
//!
//! ```text
//! backup --check all of it--> tree --transplant--> tree without sessions --> snapshot \
//!                                                     log that begins behind it        } DIR
//! ```
//! The new member finds on its disk what it would have after a purge: a snapshot, and a log that begins behind it.
//! That is the same, at the same index and term, on every member that is restored from the same file for the same
//! list of members, so any majority of them may elect a leader, and whoever joins later is sent the tree. A member
//! of the list that was *not* restored, or was from another file, cannot pass for one that was: the number of the
//! ensemble is made of a token, the file's digest and zxid, and the list, and members of different ensembles refuse
//! each other. The token is fresh for each new ensemble, so members of the old one are refused as well.
//!
//! The new log begins `bump` behind the backup's last entry. Clients refuse a server that is behind what they have
//! seen, and some have seen what came after the backup; the zxids in between are taken for that.

use super::check::{CheckError, Checked, check_file};
use crate::ensemble::log::disk::{self, DataFile};
use crate::ensemble::log::{DiskError, Identity, Log, OpenError};
use crate::ensemble::machine;
use crate::ensemble::snapshot::{Meta, SnapshotFile, SnapshotFileError, SnapshotStore};
use crate::ensemble::types::{Member, Types};
use crate::telemetry::Metrics;
use crate::tree::{LeftBehind, MemberInfo, Tree, Zxid};
use openraft::alias::{LeaderIdOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::storage::RaftLogStorage;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Znodes taken at once when the tree is written: nobody waits for it here.
const ZNODES_PER_CHUNK: usize = 64 << 10;

/// Largest index that a log may begin behind: zxids are positive numbers of 63 bits, and sessions' ids hold 56.
const MAX_INDEX: u64 = 1 << 55;

/// Members are numbered from 1.
const NOBODY: u64 = 0;

/// What to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The backup.
    pub file: PathBuf,
    /// Where the new member is to keep its log; empty or missing.
    pub data_dir: PathBuf,
    /// The new member's name.
    pub name: String,
    /// The new ensemble's voters by name, this one included, and their addresses for each other; empty for an
    /// ensemble of one.
    pub members: BTreeMap<String, String>,
    /// The same for all members of the new ensemble, and for no other one.
    pub token: u64,
    /// How far behind the backup's last entry the new log begins.
    pub bump: u64,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What was in the backup.
    pub backup: Checked,
    /// Number of the new ensemble.
    pub ensemble: u64,
    /// Number of the member in it.
    pub member: u64,
    /// The last transaction of the restored tree.
    pub zxid: Zxid,
    /// Digest of the restored tree.
    pub digest: u64,
    /// What ended with the old ensemble.
    pub left: LeftBehind,
}

/// Why nothing could be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The directory holds something.
    #[error("{} is not empty: restore into a new directory, so that nothing is lost", .0.display())]
    NotEmpty(PathBuf),
    /// The list of members lacks this one.
    #[error("the list of members does not name {0:?}")]
    NotListed(String),
    /// The zxids would leave their range.
    #[error("a zxid of {0} and a bump of {1} are together beyond what zxids can be")]
    TooFar(u64, u64),
    /// The backup is damaged.
    #[error("{} is not a whole backup, nothing was restored", path.display())]
    Backup {
        /// The backup.
        path: PathBuf,
        /// Where and how it is damaged.
        #[source]
        source: CheckError,
    },
    /// The tree cannot be built.
    #[error("the tree in the backup cannot be built")]
    Tree(#[source] io::Error),
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The snapshot could not be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotFileError),
    /// The log could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log could not be written.
    #[error("the new log cannot be written")]
    Log(#[source] io::Error),
}

/// Checks the whole backup, then makes the member. Blocks, and holds the tree in memory.
///
/// If it fails after something was written, what is in the directory does not open as a member.
///
/// # Errors
/// [`RestoreError`].
pub async fn restore(plan: &Plan) -> Result<Restored, RestoreError> {
    refuse_full(&plan.data_dir)?;
    let voters = voters(plan)?;
    let me = voters.iter().find(|(_, member)| member.name == plan.name);
    let me = me.map(|(id, _)| *id);
    let me = me.ok_or_else(|| RestoreError::NotListed(plan.name.clone()))?;
    let checked = check_file(&plan.file, false, &mut |_| Ok(()));
    let backup = checked.map_err(|source| RestoreError::Backup {
        path: plan.file.clone(),
        source,
    })?;
    let (file, mut tree) = load(&plan.file)?;
    let last = backup.last.map_or(0, |(index, _)| index);
    let base = last.max(backup.contents.zxid.0);
    let index = base.checked_add(plan.bump.max(1));
    let index = index.filter(|index| *index < MAX_INDEX);
    let index = index.ok_or(RestoreError::TooFar(base, plan.bump))?;

    let infos = voters.iter().map(|(id, member)| {
        let info = MemberInfo {
            address: member.address.clone(),
            election: None,
            voter: true,
        };
        (*id, info)
    });
    let left = tree.transplant(Zxid(index), infos.collect());
    let ensemble = number(plan, &backup, &voters);
    let log_id = log_id(&file.meta, index);
    let identity = Identity {
        ensemble,
        member: me,
        name: plan.name.clone(),
    };
    write(plan, &mut tree, identity, voters, log_id).await?;
    Ok(Restored {
        backup,
        ensemble,
        member: me,
        zxid: tree.last_zxid(),
        digest: tree.digest(),
        left,
    })
}

fn refuse_full(dir: &Path) -> Result<(), RestoreError> {
    disk::create_dir(dir)?;
    match disk::names(dir)?.iter().all(|name| name == "lost+found") {
        true => Ok(()),
        false => Err(RestoreError::NotEmpty(dir.to_owned())),
    }
}

/// The voters by number, in the order of their names, as a new ensemble numbers them.
fn voters(plan: &Plan) -> Result<BTreeMap<u64, Member>, RestoreError> {
    let alone = BTreeMap::from([(plan.name.clone(), String::new())]);
    let members = match plan.members.is_empty() {
        true => &alone,
        false => &plan.members,
    };
    let voters = members.iter().map(|(name, address)| Member {
        name: name.clone(),
        address: address.clone(),
        election: None,
    });
    Ok((1..).zip(voters).collect())
}

fn load(path: &Path) -> Result<(SnapshotFile, Tree), RestoreError> {
    let file = SnapshotFile::verify(DataFile::open_to_read(path.to_owned())?)?;
    let replica =
        machine::load(&file).map_err(|error| RestoreError::Tree(io::Error::other(error)))?;
    Ok((file, replica.tree))
}

/// The number of the new ensemble: never that of one that began otherwise.
fn number(plan: &Plan, backup: &Checked, voters: &BTreeMap<u64, Member>) -> u64 {
    let list: Vec<String> = voters.values().map(Member::to_string).collect();
    let text = format!(
        "{:016x} {:016x} {} {} {}\n{}",
        plan.token,
        backup.contents.digest,
        backup.contents.zxid.0,
        backup.last.map_or(0, |(index, _)| index),
        plan.bump,
        list.join("\n")
    );
    xxh3_64(text.as_bytes())
}

/// Where the new log begins: in the term of the backup's last entry, which no member of the new ensemble leads.
fn log_id(meta: &Meta, index: u64) -> LogIdOf<Types> {
    let term = meta.last_log_id.map_or(1, |id| id.leader_id.term.max(1));
    let leader = LeaderIdOf::<Types> {
        term,
        node_id: NOBODY,
    };
    LogIdOf::<Types>::new(leader, index)
}

/// The log first: without the snapshot that covers what it begins behind, it does not open.
async fn write(
    plan: &Plan,
    tree: &mut Tree,
    identity: Identity,
    voters: BTreeMap<u64, Member>,
    log_id: LogIdOf<Types>,
) -> Result<(), RestoreError> {
    let ids: BTreeSet<u64> = voters.keys().copied().collect();
    let membership = openraft::Membership::<u64, Member>::new(vec![ids], voters);
    let membership = membership.map_err(|e| RestoreError::Log(io::Error::other(e)))?;
    let mut log = Log::open(&plan.data_dir, identity, Metrics::new(&plan.name))?;
    // In this term nobody leads but a number that no member has, so the first election opens the next one.
    let vote = VoteOf::<Types>::new(log_id.leader_id.term, NOBODY);
    log.save_vote(&vote).await.map_err(RestoreError::Log)?;
    log.purge(log_id).await.map_err(RestoreError::Log)?;
    let meta = Meta {
        last_log_id: Some(log_id),
        last_membership: StoredMembershipOf::<Types>::new(Some(log_id), membership),
    };
    let mut writer = SnapshotStore::open(&plan.data_dir)?.writer(&meta)?;
    tree.start_snapshot();
    while let Some(chunk) = tree.snapshot_chunk(ZNODES_PER_CHUNK) {
        writer.block(&chunk)?;
    }
    writer.finish()?;
    Ok(())
}
