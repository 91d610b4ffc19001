//! `/v1/snapshot`: a backup of the tree, as a download.
//!
//! The reader sets the pace, within bounds: one that takes nothing for [`STALL`] is cut off, and so is one that is
//! not done after [`LONGEST`]. What it holds meanwhile is a file on this node's disk and the turn of the next
//! reader, and nothing of the tree. A backup shows everything, passwords of sessions included, so it asks for what
//! changing the ensemble asks for.

use super::AdminState;
use super::asked::{Asked, Pace};
use super::routes::{Page, TEXT, page};
use crate::ensemble::{Backup, BackupError};
use crate::telemetry::{Metrics, unix_seconds};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{Either, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where it is.
pub(super) const PATH: &str = "/v1/snapshot";

/// Longest time a reader may take nothing: as long as members wait for each other's snapshots.
const STALL: Duration = Duration::from_secs(30);

/// Longest time a download may take. At 64 GiB, more than any tree in memory makes, that is 18 MiB/s; a tree of
/// 1 GiB may come at 300 KiB/s.
const LONGEST: Duration = Duration::from_secs(3600);

/// Bytes read from the disk at once, and held per download, twice.
const PART: usize = 256 << 10;

/// Seconds after which asking again makes sense: a tree of usual size is through by then.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// What kind of bytes it is.
const KIND: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// The last log entry in the backup.
const INDEX: HeaderName = HeaderName::from_static("zoogate-index");
/// Whether the member could ask the leader how far the log is.
const CURRENT: HeaderName = HeaderName::from_static("zoogate-current");

/// The body of a download.
pub(super) type Parts = StreamBody<Pin<Box<dyn Steps>>>;

/// What a body is made of.
pub(super) trait Steps:
    futures_util::Stream<Item = io::Result<Frame<Bytes>>> + Send
{
}
impl<S: futures_util::Stream<Item = io::Result<Frame<Bytes>>> + Send> Steps for S {}

/// Takes a backup and begins to send it.
pub(super) async fn answer(state: &AdminState, asked: &Asked) -> Page {
    let mut account = Account::new(Arc::clone(&state.metrics));
    match state.ensemble.backup().await {
        Ok(backup) => {
            tracing::info!(
                peer = %asked.peer, index = backup.index, bytes = backup.bytes(), "sending a backup"
            );
            download(backup, asked.pace.clone(), account)
        }
        Err(error @ BackupError::Busy) => {
            // Not this one is at fault: another one is on its way.
            account.is_over = true;
            let text = format!("{error}; ask again in a few seconds\n");
            let mut page = page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text);
            page.headers_mut().insert(RETRY_AFTER, AGAIN);
            page
        }
        Err(error @ (BackupError::Wrong(_) | BackupError::Unsound | BackupError::Overtaken)) => {
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{error}\n"))
        }
        Err(error @ BackupError::Disk(_)) => {
            tracing::error!(%error, "no backup");
            page(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                format!("{error}\n"),
            )
        }
    }
}

/// Counts a backup: as one that failed, unless all of it was sent.
struct Account {
    metrics: Arc<Metrics>,
    is_over: bool,
}

impl Account {
    fn new(metrics: Arc<Metrics>) -> Account {
        Account {
            metrics,
            is_over: false,
        }
    }

    fn sent(&mut self, backup: &Backup) {
        self.is_over = true;
        let metrics = &self.metrics.coordination;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.last_backup_at.set(unix_seconds());
        metrics.last_backup_bytes.set(number(backup.bytes()));
        metrics.last_backup_zxid.set(number(backup.index));
        metrics.backups.inc();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.is_over {
            self.metrics.coordination.backup_failures.inc();
        }
    }
}

fn download(backup: Backup, pace: Pace, account: Account) -> Page {
    let current = match backup.is_current {
        true => "yes",
        false => "no",
    };
    let headers = [
        (CONTENT_TYPE, KIND),
        (CONTENT_LENGTH, backup.bytes().into()),
        (INDEX, backup.index.into()),
        (CURRENT, HeaderValue::from_static(current)),
    ];
    let last = Instant::now() + LONGEST;
    let usual_end = pace.move_to(Instant::now() + STALL);
    let begin = (backup, account, 0);
    let parts = stream::try_unfold(begin, move |(backup, mut account, offset)| {
        let pace = pace.clone();
        async move {
            if offset >= backup.bytes() {
                pace.move_to(usual_end.max(Instant::now() + STALL));
                return Ok(None);
            }
            pace.move_to(last.min(Instant::now() + STALL));
            let part = backup.read(offset, PART).await?;
            let next = offset + part.len() as u64;
            if next >= backup.bytes() {
                account.sent(&backup);
            }
            Ok::<_, io::Error>(Some((Frame::data(part), (backup, account, next))))
        }
    });
    let parts: Pin<Box<dyn Steps>> = Box::pin(parts);
    let mut page = Response::new(Either::Right(StreamBody::new(parts)));
    page.headers_mut().extend(headers);
    page
}
