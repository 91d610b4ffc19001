//! Why a connection ended.

use super::incoming::ReceiveError;
use crate::ensemble::{OutcomeUnknown, ProposeError};
use crate::zk::watches::TooManyWatches;
use std::io;

/// Why a connection ended. None of these is the server's trouble: they are for the debug log.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The client closed, and everything it asked for is answered.
    #[error("the client closed the connection")]
    Client,
    /// The client closed its session; the reply is queued.
    #[error("the client closed its session")]
    SessionClosed,
    /// The session asked for is gone; the client is told.
    #[error("the session is expired or unknown, or its password is wrong")]
    SessionGone,
    /// The reply that is queued is the last one.
    #[error("the client asked for what closes the connection")]
    Refused,
    /// A four-letter word was answered.
    #[error("a four-letter word was answered")]
    Word,
    /// The session is attached to another connection now, or over; or the client stopped reading.
    #[error("the session moved or ended, or the client does not read")]
    HungUp,
    /// The client did not finish its handshake.
    #[error("no handshake in time")]
    NoHandshake,
    /// The first frame is no handshake, or a later one no request.
    #[error("the client sent what is no request")]
    Malformed,
    /// The client has seen transactions that this member does not have.
    #[error("the client has seen a newer transaction than this member")]
    FromTheFuture,
    /// The client's handshake of TLS failed: it shows no certificate, or a wrong one, or speaks no TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// No leader is within reach.
    #[error("no leader is within reach")]
    NotServing,
    /// The session was for reading only, and a leader is within reach again.
    #[error("a leader is within reach again")]
    Led,
    /// The client of a session that no leader watches over gave no sign of life.
    #[error("no sign of life within the session's timeout")]
    Silent,
    /// The node stops.
    #[error("the node stops")]
    Stopping,
    /// See [`ReceiveError`].
    #[error("receiving failed")]
    Receive(#[from] ReceiveError),
    /// The client cannot be written to.
    #[error("sending failed")]
    Send(#[source] io::Error),
    /// See [`ProposeError`].
    #[error("a write could not be proposed")]
    Propose(#[from] ProposeError),
    /// See [`OutcomeUnknown`]; the client must find out.
    #[error("the outcome of a write is unknown")]
    Outcome(#[from] OutcomeUnknown),
    /// See [`TooManyWatches`].
    #[error("too many watches")]
    Watches(#[from] TooManyWatches),
}

impl End {
    /// Whether the client is still to be sent what is queued for it.
    pub(super) fn sends_the_rest(&self) -> bool {
        matches!(
            self,
            End::Client | End::SessionClosed | End::SessionGone | End::Refused | End::Word
        )
    }
}
