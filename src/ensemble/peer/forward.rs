//! Proposals on their way from a follower to the leader: one ordered stream of batches.

use super::frame::{FrameReader, FrameWriter};
use super::hello::{Me, Purpose, dial};
use super::link::LinkError;
use super::message::{ForwardReply, Forwarded};
use crate::ensemble::types::{Origin, Proposal};
use std::io;

/// The connection on which this member forwards its clients' proposals to one leader.
pub(in crate::ensemble) struct ForwardLink {
    reader: FrameReader,
    writer: FrameWriter,
}

/// Why forwarding ended. Whatever was under way has an unknown outcome.
#[derive(Debug, thiserror::Error)]
pub(in crate::ensemble) enum ForwardError {
    /// The member is not the leader (any more).
    #[error("the member is not the leader any more")]
    NotLeader,
    /// The connection failed.
    #[error("the connection to the leader failed")]
    Io(#[source] io::Error),
}

impl ForwardLink {
    /// Connects to the leader, member `to` at `address`.
    ///
    /// # Errors
    /// [`LinkError`] when it cannot be reached.
    pub(in crate::ensemble) async fn dial(
        address: &str,
        me: &Me,
        to: u64,
    ) -> Result<ForwardLink, LinkError> {
        let (framed, _) = dial(address, me, Some(to), Purpose::Forward).await?;
        Ok(ForwardLink {
            reader: framed.reader,
            writer: framed.writer,
        })
    }

    /// Sends one batch.
    ///
    /// # Errors
    /// [`ForwardError::Io`].
    pub(in crate::ensemble) async fn send(
        &mut self,
        batch: Vec<Proposal>,
    ) -> Result<(), ForwardError> {
        self.writer
            .send(&Forwarded(batch))
            .await
            .map_err(ForwardError::Io)
    }

    /// Waits until the leader refuses proposals that were sent for want of room, and tells which.
    ///
    /// # Errors
    /// [`ForwardError`] when it refuses everything or the connection fails.
    ///
    /// # Cancel safety
    /// Safe: what was half read is completed by the next call.
    pub(in crate::ensemble) async fn news(&mut self) -> Result<Vec<Origin>, ForwardError> {
        match self.reader.message::<ForwardReply>().await {
            Ok(ForwardReply::Full(refused)) => Ok(refused),
            Ok(ForwardReply::Refused) => Err(ForwardError::NotLeader),
            Err(error) => Err(ForwardError::Io(error)),
        }
    }
}
