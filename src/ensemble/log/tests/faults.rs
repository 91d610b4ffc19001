//! What a log makes of a disk that fails or is full.

use super::*;
use crate::ensemble::log::headroom::Room;
use crate::ensemble::log::injected::inject;
use crate::ensemble::log::segment::RESERVES;
use rustix::io::Errno;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for what the log's threads do by themselves.
const PATIENCE: Duration = Duration::from_secs(10);

/// Appends entries from `from` on, of 100 bytes each, one at a time.
async fn fill(log: &mut Log, from: u64, count: u64) -> io::Result<()> {
    for index in from..from + count {
        append(log, vec![set_data(1, index, 100)]).await?;
    }
    Ok(())
}

/// Waits until the log has failed, and tells how.
async fn failure(log: &Log) -> String {
    let mut failed = log.failed();
    let failed = timeout(PATIENCE, failed.wait_for(Option::is_some));
    let failure = failed.await.expect("it fails in time").unwrap().clone();
    let failure = failure.unwrap();
    format!("{}", std::error::Error::source(&failure).unwrap())
}

/// Runs `work` on a log with a few entries while `action` fails on files called `part`, and checks that the log ends
/// with that failure, acknowledges nothing from then on, and has forgotten nothing when it is opened again.
async fn ends_when<F>(
    action: &'static str,
    part: &'static str,
    work: impl FnOnce(Log) -> F,
) -> String
where
    F: Future<Output = io::Result<()>>,
{
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    log.save_vote(&vote(1)).await.unwrap();
    fill(&mut log, 1, 3).await.unwrap();
    let before = all(&mut log).await;
    let fault = inject(dir.path(), action, part, Errno::IO);
    let worked = work(log.clone()).await;
    let told = failure(&log).await;
    assert!(worked.is_err(), "acknowledged although {told}");
    drop(fault);
    // The disk works again, but what is on it is not known.
    let entry = vec![set_data(1, 4, 1)];
    assert!(log.append(entry, IOFlushed::<Types>::noop()).await.is_err());
    assert!(log.save_vote(&vote(9)).await.is_err());
    drop(log);
    let mut log = open(dir.path()).unwrap();
    let after = all(&mut log).await;
    assert!(after.starts_with(&before), "{after:?}");
    told
}

#[tokio::test]
async fn failed_write_or_sync_of_a_vote_ends_the_log() {
    for action in ["write", "sync"] {
        let told = ends_when(action, ".wal", async |mut log: Log| {
            log.save_vote(&vote(5)).await
        });
        assert!(told.await.starts_with(&format!("cannot {action} ")));
    }
}

#[tokio::test]
async fn failed_write_or_sync_of_an_entry_ends_the_log() {
    for action in ["write", "sync"] {
        let told = ends_when(action, ".wal", async |mut log: Log| {
            append(&mut log, vec![set_data(1, 4, 10)]).await
        });
        assert!(told.await.starts_with(&format!("cannot {action} ")));
    }
}

#[tokio::test]
async fn failed_purge_or_truncation_ends_the_log() {
    let purge = async |mut log: Log| log.purge(id(1, 2)).await;
    let truncate = async |mut log: Log| log.truncate_after(Some(id(1, 2))).await;
    for is_purge in [true, false] {
        let dir = data_dir();
        let mut log = open(dir.path()).unwrap();
        fill(&mut log, 1, 3).await.unwrap();
        let _fault = inject(dir.path(), "sync", ".wal", Errno::IO);
        let asked = match is_purge {
            true => purge(log.clone()).await,
            false => truncate(log.clone()).await,
        };
        assert!(asked.is_err());
        failure(&log).await;
    }
}

#[tokio::test]
async fn failed_preparation_of_a_segment_ends_the_log_before_it_is_needed() {
    for (action, part) in [("create", ".wal"), ("sync", "")] {
        let dir = data_dir();
        let mut log = open(dir.path()).unwrap();
        fill(&mut log, 1, 2).await.unwrap();
        // The second one is ready; the third is made when that is begun. The directory's name does not end so.
        let name = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let part = if part.is_empty() { name.leak() } else { part };
        let _fault = inject(dir.path(), action, part, Errno::IO);
        let _ = fill(&mut log, 3, 25).await;
        let told = failure(&log).await;
        assert!(told.starts_with(&format!("cannot {action} ")), "{told}");
        assert!(log.save_vote(&vote(9)).await.is_err());
    }
}

#[tokio::test]
async fn failed_removal_of_a_purged_segment_ends_the_log() {
    for action in ["rename", "sync"] {
        let dir = data_dir();
        let mut log = open(dir.path()).unwrap();
        fill(&mut log, 1, 60).await.unwrap();
        let name = dir.path().file_name().unwrap().to_str().unwrap().to_owned();
        let part = if action == "sync" {
            name.leak()
        } else {
            ".wal"
        };
        let _fault = inject(dir.path(), action, part, Errno::IO);
        log.purge(id(1, 50)).await.unwrap();
        let told = failure(&log).await;
        assert!(told.starts_with(&format!("cannot {action} ")), "{told}");
    }
}

#[tokio::test]
async fn full_disk_is_known_before_the_log_is_and_waited_for() {
    for full in [Errno::NOSPC, Errno::DQUOT] {
        let dir = data_dir();
        let mut log = open(dir.path()).unwrap();
        let mut room = log.room();
        let fault = inject(dir.path(), "create", ".wal", full);
        let mut index = 1;
        while *room.borrow_and_update() == Room::Ample {
            fill(&mut log, index, 1).await.unwrap();
            index += 1;
        }
        assert_eq!(*room.borrow(), Room::Low);
        assert!(segments(dir.path()).len() == 2, "two segments were there");
        // What Raft needs still fits, and a good deal of it.
        for term in 2..12 {
            log.save_vote(&vote(term)).await.unwrap();
        }
        while *room.borrow_and_update() != Room::Spent {
            fill(&mut log, index, 1).await.unwrap();
            index += 1;
        }
        log.save_vote(&vote(20)).await.unwrap();
        assert!(log.failed().borrow().is_none());
        drop(fault);
        timeout(PATIENCE, room.wait_for(|room| *room == Room::Ample))
            .await
            .expect("it looks again by itself")
            .unwrap();
        fill(&mut log, index, 60).await.unwrap();
        assert_eq!(all(&mut log).await.len() as u64, index + 59);
    }
}

#[tokio::test]
async fn purge_frees_a_full_log_though_the_disk_stays_full() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    fill(&mut log, 1, 60).await.unwrap();
    let mut room = log.room();
    let _fault = inject(dir.path(), "create", ".wal", Errno::NOSPC);
    let mut index = 61;
    while *room.borrow_and_update() == Room::Ample {
        fill(&mut log, index, 1).await.unwrap();
        index += 1;
    }
    log.purge(id(1, index - 2)).await.unwrap();
    timeout(PATIENCE, room.wait_for(|room| *room == Room::Ample))
        .await
        .expect("purged segments are used again")
        .unwrap();
    fill(&mut log, index, 20).await.unwrap();
}

#[tokio::test]
async fn log_that_ended_on_a_full_disk_opens_on_a_full_disk() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    fill(&mut log, 1, 20).await.unwrap();
    drop(log);
    // The segment that was prepared is taken again.
    let _fault = inject(dir.path(), "create", ".wal", Errno::NOSPC);
    let mut log = open(dir.path()).unwrap();
    assert_eq!(*log.room().borrow(), Room::Ample);
    fill(&mut log, 21, 1).await.unwrap();
    let mut index = 22;
    while *log.room().borrow() == Room::Ample {
        fill(&mut log, index, 1).await.unwrap();
        index += 1;
    }
    drop(log);
    let mut log = open(dir.path()).unwrap();
    assert_ne!(*log.room().borrow(), Room::Ample, "known from the start");
    log.save_vote(&vote(3)).await.unwrap();
    assert_eq!(all(&mut log).await.len() as u64, index - 1);
}

#[tokio::test]
async fn log_in_steady_state_zeroes_nothing() {
    let dir = data_dir();
    let metrics = Metrics::new("n1");
    let mut log = Log::open_with(dir.path(), identity(), metrics.clone(), SMALL).unwrap();
    let mut index = 1;
    // As snapshots do it: about four segments' worth at once.
    let mut round = async || {
        fill(&mut log, index, 70).await.unwrap();
        index += 70;
        log.purge(id(1, index - 20)).await.unwrap();
    };
    for _ in 0..4 {
        round().await;
    }
    let before = metrics.coordination.log_segments_zeroed.get();
    for _ in 0..8 {
        round().await;
    }
    let after = metrics.coordination.log_segments_zeroed.get();
    assert!(after - before <= 1, "{before}, {after}");
    drop(log);
    let files = super::super::disk::names(dir.path()).unwrap();
    let reserve = files.iter().filter(|name| name.ends_with(".recycled"));
    assert!((1..=RESERVES).contains(&reserve.count()), "{files:?}");
}
