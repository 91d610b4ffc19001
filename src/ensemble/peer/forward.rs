//! Proposals on their way from a follower to the leader: one ordered stream of batches.

use super::frame::{FrameReader, FrameWriter};
use super::hello::{Me, Purpose, dial};
use super::link::LinkError;
use super::message::{Forwarded, Refused};
use crate::ensemble::types::Proposal;
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
        me: Me,
        to: u64,
    ) -> Result<ForwardLink, LinkError> {
        let framed = dial(address, me, Some(to), Purpose::Forward).await?;
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

    /// Waits until the leader refuses or the connection fails; there is no other end.
    ///
    /// # Cancel safety
    /// Safe: a refusal half read is completed by the next call.
    pub(in crate::ensemble) async fn ended(&mut self) -> ForwardError {
        match self.reader.message::<Refused>().await {
            Ok(Refused) => ForwardError::NotLeader,
            Err(error) => ForwardError::Io(error),
        }
    }
}
