//! What can go wrong between a caller and an ensemble.

use crate::tree::ErrorCode;
use crate::zk::wire::{FrameError, WireError};
use std::fmt;
use std::io;
use std::time::Duration;

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with an error; nothing was changed.
    #[error("{path}: {refusal}")]
    Refused {
        /// The path asked for.
        path: String,
        /// The server's reason.
        refusal: Refusal,
    },
    /// The connection was lost before the answer came: a write may or may not have happened.
    #[error("connection lost before the answer came")]
    ConnectionLoss,
    /// The server is there but did not answer in time: a write may still happen.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The session is over, and its ephemerals with it.
    #[error("the session expired")]
    Expired,
    /// The session was closed by this client.
    #[error("the session is closed")]
    Closed,
    /// The request is longer than servers accept.
    #[error("{path}: a request of {length} bytes, where servers accept {limit}")]
    TooLong {
        /// The path asked for.
        path: String,
        /// Bytes of the request.
        length: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The answer does not read as what was asked for.
    #[error("{path}: the server's answer does not parse")]
    Malformed {
        /// The path asked for.
        path: String,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
}

impl ClientError {
    /// The server's error code, if the server answered with one that is known.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { refusal, .. } => refusal.code(),
            _ => None,
        }
    }
}

/// A server's reason to refuse, by its number: servers may know more reasons than we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refusal(pub i32);

impl Refusal {
    /// The reason, if it is one that Zoogate's own tree can give.
    pub fn code(self) -> Option<ErrorCode> {
        use ErrorCode::*;
        [
            RuntimeInconsistency,
            MarshallingError,
            Unimplemented,
            OperationTimeout,
            BadArguments,
            NoNode,
            NoAuth,
            BadVersion,
            NoChildrenForEphemerals,
            NodeExists,
            NotEmpty,
            SessionExpired,
            InvalidAcl,
            AuthFailed,
            SessionMoved,
            QuotaExceeded,
        ]
        .into_iter()
        .find(|code| code.to_wire() == self.0)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code() {
            return code.fmt(f);
        }
        // Reasons only other servers give. Source: `KeeperException.Code`.
        match self.0 {
            -1 => f.write_str("system error"),
            -119 => f.write_str("the server is read-only"),
            -122 => f.write_str("the request timed out in the server"),
            -124 => f.write_str("the server requires SASL authentication"),
            -127 => f.write_str("the server is overloaded or its disks are full, so it did nothing; try again later"),
            code => write!(f, "refused with code {code}"),
        }
    }
}

/// No server of the list could be used.
#[derive(Debug, thiserror::Error)]
#[error("no ZooKeeper server can be used: {}", list(.attempts))]
pub struct ConnectError {
    /// Each server tried, in order, and why it did not do.
    pub attempts: Vec<(String, AttemptError)>,
}

fn list(attempts: &[(String, AttemptError)]) -> String {
    let attempts: Vec<String> = attempts
        .iter()
        .map(|(server, error)| format!("{server}: {error}"))
        .collect();
    attempts.join("; ")
}

/// Why one server could not be used, or why its connection ended.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The name does not resolve, the connection is refused or broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It did not answer within the time for one attempt, or a session's connection went silent.
    #[error("silent for {}", humantime::format_duration(*.0))]
    Silent(Duration),
    /// It closed the connection: it has no quorum, or is behind what this session has seen.
    #[error("closed the connection (no quorum, or not up to date)")]
    Closed,
    /// It does not take the login.
    #[error("refused the login: {0}")]
    Login(Refusal),
    /// It does not know the session, or not with this password.
    #[error("the session is gone")]
    SessionGone,
    /// What it sends is no ZooKeeper frame.
    #[error("does not speak ZooKeeper's protocol: {0}")]
    Frame(#[from] FrameError),
    /// What it sends is no ZooKeeper record.
    #[error("does not speak ZooKeeper's protocol: {0}")]
    Record(#[from] WireError),
    /// A reply that no request waits for.
    #[error("answered request {got} where {expected} was next")]
    OutOfOrder {
        /// The xid of the reply.
        got: i32,
        /// The xid of the oldest request without a reply; 0 when there is none.
        expected: i32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_words_for_every_code_of_the_protocol() {
        for code in [
            -2, -5, -6, -7, -8, -101, -102, -103, -108, -110, -111, -112, -114, -115, -118, -125,
        ] {
            assert_eq!(Refusal(code).code().map(ErrorCode::to_wire), Some(code));
        }
        assert_eq!(Refusal(-119).to_string(), "the server is read-only");
        assert_eq!(Refusal(-999).to_string(), "refused with code -999");
    }
}
