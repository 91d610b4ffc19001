//! Closing and opening a log, in order and otherwise.

use super::*;
use std::fs;

/// What a log holds.
async fn contents(log: &mut Log) -> (Option<Vote>, Option<LogId>, Option<LogId>, Vec<Entry>) {
    let state = log.get_log_state().await.unwrap();
    (
        log.read_vote().await.unwrap(),
        log.read_committed().await.unwrap(),
        state.last_purged_log_id,
        all(log).await,
    )
}

/// Copies the files as they are now: what a new process would find if this one were killed.
fn copy(dir: &Path) -> tempfile::TempDir {
    let to = data_dir();
    for name in crate::ensemble::log::disk::names(dir).unwrap() {
        fs::copy(dir.join(&name), to.path().join(&name)).unwrap();
    }
    to
}

#[tokio::test]
async fn everything_survives_reopening() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, (1..=60).map(|i| set_data(1, i, 200)).collect())
        .await
        .unwrap();
    log.save_vote(&vote(2)).await.unwrap();
    log.truncate_after(Some(id(1, 50))).await.unwrap();
    append(&mut log, (51..=99).map(|i| set_data(2, i, 200)).collect())
        .await
        .unwrap();
    log.purge(id(1, 30)).await.unwrap();
    log.save_committed(Some(id(2, 70))).await.unwrap();
    let before = contents(&mut log).await;
    for _ in 0..3 {
        drop(log);
        log = open(dir.path()).unwrap();
        assert_eq!(contents(&mut log).await, before);
    }
    assert_eq!(before.3.len(), 69);
    append(&mut log, vec![blank(2, 100)]).await.unwrap();
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    for index in 1..=40 {
        append(&mut log, vec![set_data(1, index, 150)])
            .await
            .unwrap();
        if index % 8 == 0 {
            log.save_vote(&vote(index)).await.unwrap();
            let image = copy(dir.path());
            let mut survivor = open(image.path()).unwrap();
            let expected: Vec<_> = (1..=index).map(|i| set_data(1, i, 150)).collect();
            assert_eq!(all(&mut survivor).await, expected);
            assert_eq!(survivor.read_vote().await.unwrap(), Some(vote(index)));
        }
    }
}

#[tokio::test]
async fn second_opening_is_refused_while_the_first_lasts() {
    let dir = data_dir();
    let log = open(dir.path()).unwrap();
    let clone = log.clone();
    drop(log);
    assert!(matches!(open(dir.path()), Err(OpenError::InUse { .. })));
    drop(clone);
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn log_of_another_member_is_refused() {
    let dir = data_dir();
    drop(open(dir.path()).unwrap());
    let others = [
        Identity {
            ensemble: 1,
            ..identity()
        },
        Identity {
            member: 2,
            ..identity()
        },
        Identity {
            name: "n2".into(),
            ..identity()
        },
    ];
    for other in others {
        let error = Log::open_with(dir.path(), other, Metrics::new("n1"), SMALL)
            .err()
            .unwrap();
        assert!(matches!(error, OpenError::WrongMember { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("member 1 (n1) of ensemble 0000000000000e5e")
        );
    }
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn missing_segments_are_noticed() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, (1..=100).map(|i| set_data(1, i, 200)).collect())
        .await
        .unwrap();
    drop(log);
    let names = segments(dir.path());
    let begun = names.len() - 1;
    for gone in [0..1, 2..3, 1..begun - 1, 0..begun] {
        let image = copy(dir.path());
        for name in &names[gone.clone()] {
            fs::remove_file(image.path().join(name)).unwrap();
        }
        let error = open(image.path()).err().unwrap();
        assert!(
            matches!(error, OpenError::Missing { .. }),
            "{gone:?}: {error}"
        );
    }
}

#[tokio::test]
async fn lost_log_is_not_taken_for_a_new_member() {
    for trace in [
        "snap-0000000000000009-0000000000000001",
        "reserve-0.recycled",
    ] {
        let dir = data_dir();
        fs::write(dir.path().join(trace), b"").unwrap();
        let error = open(dir.path()).err().unwrap();
        assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    }
}

#[tokio::test]
async fn restarts_leave_nothing_behind() {
    let dir = data_dir();
    drop(open(dir.path()).unwrap());
    let once = segments(dir.path());
    for _ in 0..20 {
        drop(open(dir.path()).unwrap());
    }
    assert_eq!(segments(dir.path()), once);
}

#[tokio::test]
async fn limits_may_change_between_openings() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, (1..=50).map(|i| set_data(1, i, 200)).collect())
        .await
        .unwrap();
    drop(log);
    let limits = Limits {
        segment_bytes: 1 << 20,
        recent_bytes: 1 << 20,
    };
    let mut log = Log::open_with(dir.path(), identity(), Metrics::new("n1"), limits).unwrap();
    append(&mut log, (51..=100).map(|i| set_data(1, i, 200)).collect())
        .await
        .unwrap();
    drop(log);
    let expected: Vec<_> = (1..=100).map(|i| set_data(1, i, 200)).collect();
    assert_eq!(all(&mut open(dir.path()).unwrap()).await, expected);
}
