//! The log while it is open.

use super::*;
use crate::ensemble::log::segment::RESERVES;
use crate::ensemble::log::{MAX_RECORD_BYTES, MAX_SEGMENT_BYTES};
use futures_util::{FutureExt, TryStreamExt};

#[tokio::test]
async fn appended_entries_are_readable_before_they_are_durable() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries: Vec<_> = (1..=100).map(|i| set_data(1, i, 100)).collect();
    let durable = queue(&mut log, entries.clone()).await;
    assert_eq!(all(&mut log).await, entries);
    durable.await.unwrap().unwrap();
    assert_eq!(all(&mut log).await, entries);
}

#[tokio::test]
async fn entries_come_from_memory_and_disk_as_one_range() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries: Vec<_> = (1..=200).map(|i| set_data(1, i, 100)).collect();
    for part in entries.chunks(7) {
        append(&mut log, part.to_vec()).await.unwrap();
    }
    assert!(segments(dir.path()).len() > 5, "spread over segments");
    let in_memory = log.inner.shared.state.lock().recent.first().unwrap();
    assert!((180..=200).contains(&in_memory), "most are on disk only");
    for (start, end) in [(0, 300), (1, 2), (190, 201), (17, 140), (5, 5), (201, 300)] {
        let expected: Vec<_> = entries
            .iter()
            .filter(|e| (start..end).contains(&e.log_id.index))
            .cloned()
            .collect();
        let got = log.try_get_log_entries(start..end).await.unwrap();
        assert_eq!(got, expected, "{start}..{end}");
        let stream = log.entries_stream(start..end).await;
        let got: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(got, expected, "stream of {start}..{end}");
    }
}

#[tokio::test]
async fn limited_read_stops_early_but_not_before_the_first_entry() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries: Vec<_> = (1..=5).map(|i| set_data(1, i, 900 << 10)).collect();
    append(&mut log, entries.clone()).await.unwrap();
    for start in 1..=5 {
        let got = log.limited_get_log_entries(start, 6).await.unwrap();
        assert!((1..=2).contains(&got.len()), "{} from {start}", got.len());
        let from = start as usize - 1;
        assert_eq!(got, entries[from..from + got.len()]);
    }
    assert_eq!(log.limited_get_log_entries(6, 9).await.unwrap(), []);
}

#[tokio::test]
async fn truncated_entries_are_never_read_again() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let old: Vec<_> = (1..=50).map(|i| set_data(1, i, 100)).collect();
    let new: Vec<_> = (21..=90).map(|i| set_data(2, i, 100)).collect();
    append(&mut log, old.clone()).await.unwrap();
    log.truncate_after(Some(id(1, 20))).await.unwrap();
    assert_eq!(all(&mut log).await, old[..20]);
    append(&mut log, new.clone()).await.unwrap();
    let expected = [&old[..20], &new].concat();
    assert_eq!(all(&mut log).await, expected);
    drop(log);
    assert_eq!(all(&mut open(dir.path()).unwrap()).await, expected);
}

#[tokio::test]
async fn purge_removes_segments_oldest_first_and_keeps_the_rest() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries: Vec<_> = (1..=200).map(|i| set_data(1, i, 100)).collect();
    append(&mut log, entries.clone()).await.unwrap();
    let before = segments(dir.path());
    log.purge(id(1, 150)).await.unwrap();
    log.purge(id(1, 100)).await.unwrap();
    assert_eq!(all(&mut log).await, entries[150..], "no purge goes back");
    drop(log);
    let after = segments(dir.path());
    assert!(after.len() < before.len() / 2, "{before:?} {after:?}");
    let kept = before.iter().position(|name| *name == after[0]).unwrap();
    assert!(after.starts_with(&before[kept..]), "{before:?} {after:?}");
    let mut log = open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, entries[150..]);
    assert_eq!(
        log.get_log_state().await.unwrap().last_purged_log_id,
        Some(id(1, 150))
    );
}

#[tokio::test]
async fn a_read_that_meets_a_purge_leaves_no_hole() {
    for last in [200, 3] {
        let dir = data_dir();
        let mut log = open(dir.path()).unwrap();
        let entries: Vec<_> = (1..=last).map(|i| set_data(1, i, 100)).collect();
        append(&mut log, entries.clone()).await.unwrap();
        let purged = last / 2;
        log.purge(id(1, purged)).await.unwrap();
        let left = &entries[purged as usize..];
        for start in [1, purged] {
            let got = log.limited_get_log_entries(start, last + 1).await.unwrap();
            assert_eq!(got, [], "from {start}, of which it would be taken for");
            let stream = log.entries_stream(start..=last).await;
            let got: io::Result<Vec<_>> = stream.try_collect().await;
            let error = got.expect_err("would be applied with a hole").to_string();
            assert!(error.contains(&format!("entry {start} ")), "{error}");
        }
        let got = log.limited_get_log_entries(purged + 1, last + 1).await;
        assert!(!got.as_ref().unwrap().is_empty() && left.starts_with(&got.unwrap()));
        let stream = log.entries_stream(purged + 1..=last).await;
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap(), left);
        assert_eq!(
            all(&mut log).await,
            left,
            "the beginning may be missing here"
        );
    }
}

#[tokio::test]
async fn purge_behind_the_end_makes_room_for_what_follows_a_snapshot() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, vec![blank(1, 1), blank(1, 2)])
        .await
        .unwrap();
    log.purge(id(3, 900)).await.unwrap();
    append(&mut log, vec![blank(3, 901)]).await.unwrap();
    drop(log);
    let mut log = open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, [blank(3, 901)]);
}

#[tokio::test]
async fn purged_segments_are_used_again() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    for round in 0..20 {
        let first = round * 50 + 1;
        let entries: Vec<_> = (first..first + 50).map(|i| set_data(1, i, 100)).collect();
        append(&mut log, entries.clone()).await.unwrap();
        let last = first + 49;
        log.purge(id(1, last - 1)).await.unwrap();
        assert_eq!(all(&mut log).await, entries[49..]);
    }
    drop(log);
    let names = crate::ensemble::log::disk::names(dir.path()).unwrap();
    assert!(names.len() <= 4 + RESERVES, "{names:?}");
    let mut log = open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, [set_data(1, 1000, 100)]);
}

#[tokio::test]
async fn record_larger_than_a_segment_makes_its_own_longer() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries: Vec<_> = [10, 300_000, 10, 2_000_000, 10]
        .into_iter()
        .zip(1..)
        .map(|(bytes, index)| set_data(1, index, bytes))
        .collect();
    append(&mut log, entries.clone()).await.unwrap();
    assert_eq!(all(&mut log).await, entries);
    drop(log);
    assert_eq!(all(&mut open(dir.path()).unwrap()).await, entries);
}

#[tokio::test]
async fn record_over_the_limit_is_refused_and_leaves_the_log_usable() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries = vec![set_data(1, 1, MAX_RECORD_BYTES)];
    let error = log.append(entries, IOFlushed::noop()).await.unwrap_err();
    assert!(error.to_string().contains("8388608"), "{error}");
    append(&mut log, vec![blank(1, 1)]).await.unwrap();
    assert_eq!(all(&mut log).await, [blank(1, 1)]);
}

#[tokio::test]
async fn hole_is_refused() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, vec![blank(1, 1)]).await.unwrap();
    for entries in [
        vec![blank(1, 3)],
        vec![blank(1, 1)],
        vec![blank(1, 2), blank(1, 4)],
    ] {
        log.append(entries, IOFlushed::noop()).await.unwrap_err();
    }
    assert_eq!(all(&mut log).await, [blank(1, 1)]);
}

#[tokio::test]
async fn appends_under_way_share_syncs_and_are_answered_in_order() {
    let dir = data_dir();
    let metrics = Metrics::new("n1");
    let mut log = Log::open(dir.path(), identity(), metrics.clone()).unwrap();
    let before = metrics.coordination.log_fsync.get_sample_count();
    let mut waiting = Vec::new();
    for index in 1..=200 {
        waiting.push(queue(&mut log, vec![blank(1, index)]).await);
    }
    waiting.pop().unwrap().await.unwrap().unwrap();
    for earlier in &mut waiting {
        let answer = tokio::task::unconstrained(earlier).now_or_never();
        answer
            .expect("answered before a later one")
            .unwrap()
            .unwrap();
    }
    let syncs = metrics.coordination.log_fsync.get_sample_count() - before;
    assert!(syncs < 100, "{syncs} syncs for 200 appends");
    assert!(metrics.coordination.log_bytes.get() > 200 * 13);
}

#[tokio::test]
async fn every_answer_waits_for_a_sync_of_its_own() {
    let dir = data_dir();
    let metrics = Metrics::new("n1");
    let mut log = Log::open_with(dir.path(), identity(), metrics.clone(), SMALL).unwrap();
    let syncs = || metrics.coordination.log_fsync.get_sample_count();
    for round in 1..=10 {
        let before = syncs();
        let index = log
            .get_log_state()
            .await
            .unwrap()
            .last_log_id
            .map_or(1, |id| id.index + 1);
        append(&mut log, vec![blank(1, index), blank(1, index + 1)])
            .await
            .unwrap();
        assert!(syncs() > before, "append");
        let before = syncs();
        log.save_vote(&vote(round)).await.unwrap();
        assert!(syncs() > before, "vote");
        let before = syncs();
        log.truncate_after(Some(id(1, index))).await.unwrap();
        assert!(syncs() > before, "truncate");
        let before = syncs();
        log.purge(id(1, index)).await.unwrap();
        assert!(syncs() > before, "purge");
    }
}

#[tokio::test]
async fn committed_is_not_synced_by_itself() {
    let dir = data_dir();
    let metrics = Metrics::new("n1");
    let mut log = Log::open_with(dir.path(), identity(), metrics.clone(), SMALL).unwrap();
    append(&mut log, vec![blank(1, 1)]).await.unwrap();
    let syncs = metrics.coordination.log_fsync.get_sample_count();
    for _ in 0..50 {
        log.save_committed(Some(id(1, 1))).await.unwrap();
    }
    // Answered behind everything queued before it.
    append(&mut log, Vec::new()).await.unwrap();
    assert_eq!(metrics.coordination.log_fsync.get_sample_count(), syncs);
}

#[tokio::test]
async fn empty_append_is_answered() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn failed_write_is_final() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, vec![blank(1, 1)]).await.unwrap();
    log.save_vote(&vote(1)).await.unwrap();
    let mut failed = log.failed();
    assert!(failed.borrow().is_none());
    // Without its directory the log cannot begin another segment; the second one may be ready already.
    std::fs::remove_dir_all(dir.path()).unwrap();
    let mut index = 2;
    let error = loop {
        match append(&mut log, vec![set_data(1, index, 1000)]).await {
            Ok(()) => index += 1,
            Err(error) => break error,
        }
        assert!(index < 20, "two segments are full long since");
    };
    assert!(
        error.to_string().contains("nothing is acknowledged"),
        "{error}"
    );
    let failure = failed.wait_for(Option::is_some).await.unwrap().clone();
    let cause = std::error::Error::source(&failure.unwrap())
        .unwrap()
        .to_string();
    assert!(cause.contains(".wal"), "{cause}");
    log.append(vec![blank(1, index + 1)], IOFlushed::noop())
        .await
        .unwrap_err();
    log.save_vote(&vote(2)).await.unwrap_err();
    log.save_committed(Some(id(1, 1))).await.unwrap_err();
    log.truncate_after(None).await.unwrap_err();
    log.purge(id(1, 1)).await.unwrap_err();
    assert_eq!(
        log.read_vote().await.unwrap(),
        Some(vote(1)),
        "not the refused one"
    );
}

#[tokio::test]
#[should_panic(expected = "assertion failed")]
async fn segment_size_out_of_range_is_refused() {
    let limits = Limits {
        segment_bytes: MAX_SEGMENT_BYTES + 1,
        ..SMALL
    };
    let _ = Log::open_with(
        Path::new("/nowhere"),
        identity(),
        Metrics::new("n1"),
        limits,
    );
}
