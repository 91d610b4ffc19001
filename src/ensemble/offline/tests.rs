//! Backups and logs by example: every damage is noticed and named, and what is restored opens.

use super::*;
use crate::ensemble::log::owner;
use crate::ensemble::log::{Identity, Log};
use crate::ensemble::machine;
use crate::ensemble::snapshot::{Meta, SnapshotStore};
use crate::ensemble::types::{Member, Types};
use crate::telemetry::Metrics;
use crate::tree::{Acl, Actor, Command, CreateMode, Op, Transaction, Tree, Zxid};
use openraft::alias::{LeaderIdOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::storage::RaftLogStorage;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn log_id(term: u64, index: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new(LeaderIdOf::<Types> { term, node_id: 1 }, index)
}

fn apply(tree: &mut Tree, zxid: u64, command: Command) {
    let transaction = Transaction {
        time_ms: 1_000,
        actor: Actor::Ensemble,
        command,
    };
    tree.apply(Zxid(zxid), &transaction)
        .result
        .expect("applied");
}

fn tree(znodes: u64) -> Tree {
    let mut tree = Tree::new();
    for nth in 0..znodes {
        let op = Op::Create {
            path: format!("/{nth}").into(),
            data: Some(vec![nth as u8; 100].into()),
            acl: Acl::open(),
            mode: CreateMode::PERSISTENT,
        };
        apply(&mut tree, nth + 10, Command::One(op));
    }
    tree
}

/// A backup as a node makes it.
fn backup(dir: &Path, tree: &mut Tree, last: LogIdOf<Types>) -> PathBuf {
    let nodes = BTreeMap::from([(1, Member::default())]);
    let membership = openraft::Membership::new(vec![BTreeSet::from([1])], nodes).unwrap();
    let meta = Meta {
        last_log_id: Some(last),
        last_membership: StoredMembershipOf::<Types>::new(Some(last), membership),
    };
    let mut writer = SnapshotStore::open(dir).unwrap().writer(&meta).unwrap();
    tree.start_snapshot();
    while let Some(chunk) = tree.snapshot_chunk(20) {
        writer.block(&chunk).unwrap();
    }
    let file = writer.finish().unwrap();
    file.path().to_owned()
}

fn plan(file: &Path, dir: &Path, name: &str) -> Plan {
    let members = ["a", "b", "c"].map(|name| (name.to_owned(), format!("{name}:1")));
    Plan {
        file: file.to_owned(),
        data_dir: dir.join(name),
        name: name.to_owned(),
        members: members.into(),
        token: 5,
        bump: 1_000,
    }
}

fn check(path: &Path) -> Result<Checked, CheckError> {
    check_file(path, false, &mut |_| Ok(()))
}

#[test]
fn every_changed_or_missing_byte_of_a_backup_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = backup(dir.path(), &mut tree(50), log_id(3, 70));
    let whole = fs::read(&file).unwrap();
    let checked = check(&file).unwrap();
    assert_eq!(checked.last, Some((70, 3)));
    assert_eq!(checked.bytes, whole.len() as u64);
    assert_eq!(checked.contents.znodes, 54);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&file, &bytes).unwrap();
        match check(&file) {
            Err(CheckError::Damaged { offset, .. }) => assert!(offset <= at as u64, "{at}"),
            other => panic!("byte {at}: {other:?}"),
        }
    }
    for length in (0..whole.len()).step_by(7) {
        fs::write(&file, &whole[..length]).unwrap();
        assert!(check(&file).is_err(), "{length} bytes");
    }
    fs::write(&file, [&whole[..], b"x"].concat()).unwrap();
    assert!(check(&file).is_err(), "a byte too many");
}

#[tokio::test]
async fn a_restored_member_opens_with_the_tree_and_its_own_number() {
    let dir = tempfile::tempdir().unwrap();
    let mut old = tree(20);
    let session = Command::OpenSession {
        member: 1,
        password: [1; 16],
        timeout_ms: 5_000,
    };
    apply(&mut old, 100, session);
    let file = backup(dir.path(), &mut old, log_id(4, 120));
    let mut made = Vec::new();
    for name in ["a", "b"] {
        let plan = plan(&file, dir.path(), name);
        let restored = restore(&plan).await.unwrap();
        assert_eq!(restored.left.sessions, 1);
        assert_eq!(restored.zxid, Zxid(1_120));
        let identity = owner(&plan.data_dir).unwrap().unwrap();
        assert_eq!(identity.member, made.len() as u64 + 1);
        assert_eq!(identity.ensemble, restored.ensemble);
        let metrics = Metrics::new(name);
        let mut log = Log::open(&plan.data_dir, identity, metrics).unwrap();
        let state = log.get_log_state().await.unwrap();
        assert_eq!(
            state.last_log_id.map(|id| (id.leader_id.term, id.index)),
            Some((4, 1_120))
        );
        assert_eq!(state.last_purged_log_id, state.last_log_id);
        let snapshots = SnapshotStore::open(&plan.data_dir).unwrap();
        let replica = machine::restore(&snapshots, Some(1_120)).unwrap().replica;
        assert_eq!(replica.last_applied, state.last_log_id);
        assert_eq!(replica.membership.membership().voter_ids().count(), 3);
        assert_eq!(replica.tree.digest(), restored.digest);
        assert!(replica.tree.get("/19").is_some());
        made.push((restored.ensemble, restored.digest));
        let again = restore(&plan).await;
        assert!(matches!(again, Err(RestoreError::NotEmpty(_))));
    }
    assert_eq!(made[0], made[1], "members of one ensemble, with one tree");
    let others = [
        Plan {
            token: 6,
            ..plan(&file, dir.path(), "c")
        },
        Plan {
            bump: 2_000,
            ..plan(&file, dir.path(), "c")
        },
        Plan {
            file: backup(dir.path(), &mut tree(21), log_id(4, 120)),
            ..plan(&file, dir.path(), "c")
        },
    ];
    for (nth, other) in others.into_iter().enumerate() {
        let other = Plan {
            data_dir: dir.path().join(format!("other-{nth}")),
            ..other
        };
        let restored = restore(&other).await.unwrap();
        assert_ne!(restored.ensemble, made[0].0, "{nth}");
    }
}

#[tokio::test]
async fn a_damaged_backup_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = backup(dir.path(), &mut tree(20), log_id(4, 120));
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    let plan = plan(&file, dir.path(), "a");
    let refused = restore(&plan).await;
    assert!(
        matches!(refused, Err(RestoreError::Backup { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(&plan.data_dir).unwrap().count(), 0);
}

/// A log with a vote and what was found in it.
async fn log(dir: &Path) -> u64 {
    let identity = Identity {
        ensemble: 9,
        member: 1,
        name: "a".into(),
    };
    let mut log = Log::open(dir, identity, Metrics::new("a")).unwrap();
    for term in 1..20 {
        log.save_vote(&VoteOf::<Types>::new(term, 1)).await.unwrap();
    }
    19
}

fn look(dir: &Path) -> (u64, Vec<Finding>) {
    let mut found = Vec::new();
    let damages = inspect_log(dir, None, &mut |finding| {
        found.push(finding);
        Ok(())
    });
    (damages.unwrap(), found)
}

#[tokio::test]
async fn damage_in_a_log_is_named_with_its_place_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let votes = log(dir.path()).await;
    let (damages, found) = look(dir.path());
    assert_eq!(damages, 0);
    let places: Vec<u64> = found
        .iter()
        .filter_map(|finding| match finding {
            Finding::Record { offset, fact, .. } if matches!(**fact, Fact::Vote(_)) => {
                Some(*offset)
            }
            _ => None,
        })
        .collect();
    assert_eq!(places.len() as u64, votes);
    let segment = dir.path().join("0000000000000001.wal");
    let whole = fs::read(&segment).unwrap();
    let at = places[5];
    let mut bytes = whole.clone();
    bytes[at as usize + 14] ^= 4;
    fs::write(&segment, &bytes).unwrap();
    let (damages, found) = look(dir.path());
    assert_eq!(damages, 1);
    let damaged = found.iter().find_map(|finding| match finding {
        Finding::Damage { path, offset, .. } => Some((path.clone(), *offset)),
        _ => None,
    });
    assert_eq!(damaged, Some((segment.clone(), at)));
    let shown = found
        .iter()
        .filter(|f| matches!(f, Finding::Record { fact, .. } if matches!(**fact, Fact::Vote(_))));
    assert_eq!(shown.count() as u64, votes - 1, "all but the damaged one");
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was written");
    // What was cut off in the middle of a write is no damage.
    let mut bytes = whole;
    let last = *places.last().unwrap() as usize;
    bytes[last + 13..].fill(0);
    fs::write(&segment, &bytes).unwrap();
    let (damages, found) = look(dir.path());
    assert_eq!(damages, 0);
    let is_torn = |f: &Finding| {
        matches!(
            f,
            Finding::End {
                ending: Ending::Open { is_torn: true },
                ..
            }
        )
    };
    assert!(found.iter().any(is_torn));
}
