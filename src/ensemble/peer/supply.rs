//! The leader's tree for a member whose own is wrong, and that has said so.

use super::frame::Framed;
use super::hello::{Me, Purpose, dial};
use super::link::LinkError;
use super::message::{SnapshotSupply, SnapshotWanted};
use super::server::PeerServer;
use super::snapshot::{progress, receive_file, send_file};
use crate::ensemble::digest::Condition;
use crate::ensemble::limits::SUPPLY_TIMEOUT;
use crate::ensemble::snapshot::{SnapshotFile, SnapshotStore};
use openraft::async_runtime::WatchReceiver;
use std::io;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How often the leader asks Raft for a snapshot while there is none that will do: one may be under way already that
/// is too old.
const TRIGGER_INTERVAL: Duration = Duration::from_millis(200);

/// Gets a snapshot that covers at least index `at_least` from member `from`, verified and stored under its name.
///
/// # Errors
/// [`LinkError`] when the member cannot be reached, has none, or stops making progress.
pub(in crate::ensemble) async fn fetch_snapshot(
    address: &str,
    me: &Me,
    from: u64,
    at_least: u64,
    store: &SnapshotStore,
) -> Result<SnapshotFile, LinkError> {
    let (mut framed, _) = dial(address, me, Some(from), Purpose::Supply).await?;
    let fetched = async {
        progress(framed.writer.send(&SnapshotWanted { at_least })).await?;
        match progress(framed.reader.message()).await? {
            SnapshotSupply::Follows(bytes) => receive_file(&mut framed.reader, store, bytes).await,
            SnapshotSupply::Refused(why) => Err(io::Error::other(why)),
        }
    };
    fetched.await.map_err(|source| LinkError::Io {
        address: address.into(),
        source,
    })
}

impl PeerServer {
    /// Answers one such request.
    pub(super) async fn supply(&self, mut framed: Framed) -> io::Result<()> {
        let wanted: SnapshotWanted = progress(framed.reader.message()).await?;
        let found = timeout(SUPPLY_TIMEOUT, self.snapshot_at_least(wanted.at_least)).await;
        match found {
            Ok(Ok(file)) => {
                let follows = SnapshotSupply::Follows(file.bytes);
                progress(framed.writer.send(&follows)).await?;
                send_file(&mut framed.writer, &file).await
            }
            Ok(Err(why)) => framed.writer.send(&SnapshotSupply::Refused(why)).await,
            Err(_) => {
                let why = "no snapshot was written in time".to_owned();
                framed.writer.send(&SnapshotSupply::Refused(why)).await
            }
        }
    }

    async fn snapshot_at_least(&self, index: u64) -> Result<SnapshotFile, String> {
        if self.ensemble.inner().shared.soundness.condition() != Condition::Sound {
            return Err("this member's tree is doubted too".into());
        }
        loop {
            let newest = self.raft.get_snapshot().await;
            let newest = newest.map_err(|fatal| fatal.to_string())?;
            if let Some(snapshot) = newest
                && snapshot
                    .meta
                    .last_log_id
                    .is_some_and(|id| id.index >= index)
            {
                return Ok(snapshot.snapshot);
            }
            let triggered = self.raft.trigger().snapshot().await;
            triggered.map_err(|fatal| fatal.to_string())?;
            let mut facts = self.raft.metrics();
            let deadline = Instant::now() + TRIGGER_INTERVAL;
            let covers = |last: u64| last >= index;
            while !facts
                .borrow_and_update()
                .snapshot
                .is_some_and(|id| covers(id.index))
            {
                let changed = tokio::time::timeout_at(deadline, facts.changed()).await;
                if !matches!(changed, Ok(Ok(()))) {
                    break;
                }
            }
        }
    }
}
