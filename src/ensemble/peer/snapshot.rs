//! A snapshot file on its way to a member that lags too far behind the log.
//!
//! The file travels as it lies on disk, so its own checksums cover the way too. The receiver verifies it
//! whole before openraft hears of it; if either side dies, nothing but a temporary file is left and the
//! leader starts again.

use super::frame::Framed;
use super::hello::{Me, Purpose, dial};
use super::link::LinkError;
use super::message::{SnapshotOffer, SnapshotReply};
use crate::ensemble::limits::{SNAPSHOT_FRAME, SNAPSHOT_STALL};
use crate::ensemble::snapshot::{SnapshotFile, SnapshotStore};
use crate::ensemble::types::Types;
use bytes::Bytes;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::raft::SnapshotResponse;
use std::io;
use tokio::time::timeout;

/// Sends `snapshot` to member `to` and waits until it is installed there.
///
/// # Errors
/// [`LinkError`] when the member cannot be reached, stops making progress or refuses the file.
pub(super) async fn send_snapshot(
    address: &str,
    me: Me,
    to: u64,
    vote: VoteOf<Types>,
    snapshot: &SnapshotOf<Types, SnapshotFile>,
) -> Result<SnapshotResponse<Types>, LinkError> {
    let mut framed = dial(address, me, Some(to), Purpose::Snapshot).await?;
    let file = &snapshot.snapshot;
    let sent = async {
        let offer = SnapshotOffer {
            vote,
            meta: snapshot.meta.clone(),
            bytes: file.bytes,
        };
        progress(framed.writer.send(&offer)).await?;
        let mut offset = 0;
        while offset < file.bytes {
            let frame = read_frame(file.clone(), offset).await?;
            offset += frame.len() as u64;
            progress(framed.writer.raw(frame)).await?;
        }
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
    let mut incoming = store.incoming().map_err(io::Error::other)?;
    let mut received = 0;
    while received < offer.bytes {
        let frame = progress(framed.reader.raw())
            .await?
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        received += frame.len() as u64;
        incoming = tokio::task::spawn_blocking(move || incoming.write(&frame).map(|()| incoming))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
    }
    let file = tokio::task::spawn_blocking(move || incoming.finish())
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)?;
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
    tokio::task::spawn_blocking(read)
        .await
        .map_err(io::Error::other)?
}

async fn progress<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(SNAPSHOT_STALL, step).await?
}
