//! Backups of running members, and new ensembles made of them.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::{Session, propose};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use zoogate::ensemble::offline::{Check, Checked, check_file};
use zoogate::ensemble::{BackupError, Ensemble};
use zoogate::tree::{Acl, Command, CreateMode, Lifetime, Op};

const LONG: Duration = Duration::from_secs(60);

/// Reads a backup of `member` to its end, in parts of an odd size, into a file.
async fn save(member: &Ensemble, file: &Path) -> Checked {
    let backup = member.backup().await.expect("a backup");
    assert!(backup.is_current);
    let mut check = Check::new(false);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < backup.bytes() {
        let part = backup.read(bytes.len() as u64, 7_777).await.expect("read");
        check.push(&part).expect("whole so far");
        bytes.extend_from_slice(&part);
    }
    fs::write(file, bytes).expect("written");
    check.finish().expect("whole")
}

fn create(path: &str, lifetime: Lifetime) -> Command {
    Command::One(Op::Create {
        path: path.into(),
        data: Some("data".into()),
        acl: vec![Acl {
            perms: 31,
            scheme: "world".into(),
            id: "anyone".into(),
        }],
        mode: CreateMode {
            lifetime,
            sequential: false,
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_any_member_under_load_becomes_a_new_ensemble() {
    let dir = TempDir::new().expect("a directory");
    let members = Members::start(3).await;
    let member = members.member("n1");
    let session = Session::open(&member, LONG).await;
    for (path, lifetime) in [
        ("/kept", Lifetime::Persistent),
        ("/kept/e", Lifetime::Ephemeral),
        ("/kept/c", Lifetime::Container),
        ("/kept/t", Lifetime::Ttl(3_600_000)),
    ] {
        let applied = propose(&member, session.actor(), create(path, lifetime)).await;
        assert!(applied.result.is_ok(), "{path}");
    }
    let writer = {
        let (member, session) = (member.clone(), session.clone());
        tokio::spawn(async move {
            for number in 0.. {
                session
                    .insist_on(&member, &format!("/load-{number}"), false)
                    .await;
            }
        })
    };
    for name in ["n1", "n2", "n3"] {
        let before = members.member(name).read(|tree| tree.last_zxid());
        let file = dir.path().join(name);
        let checked = save(&members.member(name), &file).await;
        assert!(checked.contents.zxid >= before, "{name}");
        let again = check_file(&file, false, &mut |_| Ok(())).expect("whole");
        assert_eq!(again.contents, checked.contents);
        assert_eq!(checked.contents.sessions, 1);
        assert_eq!(checked.contents.ephemerals, 1);

        let restored = Members::restored(3, &file).await;
        let new = restored.member("n2");
        let (zxid, stat) = new.read(|tree| {
            assert!(
                tree.get("/kept/e").is_none(),
                "its session is of another ensemble"
            );
            assert!(tree.get("/kept/c").is_some() && tree.get("/kept/t").is_some());
            assert_eq!(tree.counts().sessions, 0);
            (tree.last_zxid(), tree.get("/kept").expect("kept").stat())
        });
        assert!(zxid.0 >= checked.contents.zxid.0 + 1_000);
        let old = member.read(|tree| tree.get("/kept").expect("there").stat());
        assert_eq!(
            (stat.czxid, stat.mzxid, stat.ctime),
            (old.czxid, old.mzxid, old.ctime)
        );
        // It is an ensemble like any other: it writes, and all members agree.
        let session = Session::open(&new, LONG).await;
        let applied = session.create(&new, "/new", false).await;
        assert!(applied.result.is_ok() && applied.zxid > zxid);
        restored.converge("n2").await;
    }
    writer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backup_is_taken_at_a_time_and_raft_takes_its_own_snapshots_meanwhile() {
    let members = Members::start_with(1, 20).await;
    let member = members.member("n1");
    let held = member.backup().await.expect("a backup");
    assert!(matches!(member.backup().await, Err(BackupError::Busy)));
    let session = Session::open(&member, LONG).await;
    for number in 0..100 {
        session
            .insist_on(&member, &format!("/{number}"), false)
            .await;
    }
    eventually("a snapshot of its own", || members.snapshot_files("n1") > 0).await;
    let mut check = Check::new(false);
    let all = held.read(0, held.bytes() as usize).await.expect("read");
    check.push(&all).expect("whole");
    let contents = check.finish().expect("whole").contents;
    assert!(contents.zxid < member.read(|tree| tree.last_zxid()));
    drop(held);
    assert!(member.backup().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_a_majority_says_that_its_backup_may_be_old() {
    let mut members = Members::start(3).await;
    let session = Session::open(&members.member("n1"), LONG).await;
    session.insist_on(&members.member("n1"), "/a", false).await;
    members.converge("n1").await;
    members.stop("n2").await;
    members.stop("n3").await;
    let backup = members.member("n1").backup().await.expect("a backup");
    assert!(!backup.is_current);
}
