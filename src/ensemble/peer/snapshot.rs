//! A snapshot file on its way to a member that lags too far behind the log.
//!
//! The file travels as it lies on disk, so its own checksums cover the way too. The receiver verifies it
//! whole before openraft hears of it; if either side dies, nothing but a temporary file is left and the
//! leader starts again.

use super::frame::{FrameReader, FrameWriter, Framed};
use super::hello::{Me, Purpose, dial};
use super::link::LinkError;
use super::message::{SnapshotOffer, SnapshotReply};
use crate::ensemble::limits::{SNAPSHOT_FRAME, SNAPSHOT_RATE, SNAPSHOT_STALL};
use crate::ensemble::snapshot::{SnapshotFile, SnapshotStore};
use crate::ensemble::types::Types;
use crate::net::off_runtime;
use bytes::Bytes;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::raft::SnapshotResponse;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// Sends `snapshot` to member `to` and waits until it is installed there.
///
/// # Errors
/// [`LinkError`] when the member cannot be reached, stops making progress or refuses the file.
pub(super) async fn send_snapshot(
    address: &str,
    me: &Me,
    to: u64,
    vote: VoteOf<Types>,
    snapshot: &SnapshotOf<Types, SnapshotFile>,
) -> Result<SnapshotResponse<Types>, LinkError> {
    let (mut framed, _) = dial(address, me, Some(to), Purpose::Snapshot).await?;
    let file = &snapshot.snapshot;
    let sent = async {
        let offer = SnapshotOffer {
            vote,
            meta: snapshot.meta.clone(),
            bytes: file.bytes,
        };
        progress(framed.writer.send(&offer)).await?;
        send_file(&mut framed.writer, file).await?;
        match progress(framed.reader.message()).await? {
            SnapshotReply::Taken(response) => Ok(response),
            SnapshotReply::Refused(reason) => Err(io::Error::other(reason)),
        }
    };
    sent.await.map_err(|source| LinkError::Io {
        address: address.into(),
        source,
    })
}

/// Receives an offered snapshot into `store`.
///
/// # Errors
/// When the sender stops, or the file is damaged or cannot be stored.
pub(super) async fn receive_snapshot(
    framed: &mut Framed,
    store: &SnapshotStore,
) -> io::Result<(VoteOf<Types>, SnapshotOf<Types, SnapshotFile>)> {
    let offer: SnapshotOffer = progress(framed.reader.message()).await?;
    let file = receive_file(&mut framed.reader, store, offer.bytes).await?;
    if file.meta != offer.meta {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the snapshot is not the one that was offered",
        ));
    }
    Ok((
        offer.vote,
        SnapshotOf::<Types, SnapshotFile> {
            meta: offer.meta,
            snapshot: file,
        },
    ))
}

/// Sends a file as it is on disk, no faster than [`SNAPSHOT_RATE`]. It is the open file that is read: that newer
/// snapshots replace it meanwhile does not matter.
pub(super) async fn send_file(writer: &mut FrameWriter, file: &SnapshotFile) -> io::Result<()> {
    let begun = Instant::now();
    let mut offset = 0;
    while offset < file.bytes {
        let frame = read_frame(file.clone(), offset).await?;
        offset += frame.len() as u64;
        progress(writer.raw(frame)).await?;
        sleep_until(begun + Duration::from_secs_f64(offset as f64 / SNAPSHOT_RATE as f64)).await;
    }
    Ok(())
}

/// Receives a file of `bytes` bytes into `store`, which verifies it and gives it its name. Holds one frame in memory.
pub(super) async fn receive_file(
    reader: &mut FrameReader,
    store: &SnapshotStore,
    bytes: u64,
) -> io::Result<SnapshotFile> {
    let mut incoming = store.incoming().map_err(io::Error::other)?;
    let mut received = 0;
    while received < bytes {
        let frame = progress(reader.raw())
            .await?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        received += frame.len() as u64;
        incoming = off_runtime(move || incoming.write(&frame).map(|()| incoming))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
    }
    off_runtime(move || incoming.finish())
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)
}

/// The next part of the file, off the runtime's threads.
async fn read_frame(file: SnapshotFile, offset: u64) -> io::Result<Bytes> {
    let read = move || {
        let mut buffer = vec![0; SNAPSHOT_FRAME];
        let count = file
            .read_raw(&mut buffer, offset)
            .map_err(io::Error::other)?;
        buffer.truncate(count);
        if count == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(Bytes::from(buffer))
        }
    };
    off_runtime(read).await.map_err(io::Error::other)?
}

/// A step of a transfer: the whole may take as long as each of them is done in time.
pub(super) async fn progress<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(SNAPSHOT_STALL, step).await?
}
