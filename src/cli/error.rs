//! Why a verb failed, and the exit code that says so.

use super::Exit;
use super::cert::CertError;
use crate::client::{ClientError, ConnectError};
use crate::node::NodeError;
use crate::tree::{ErrorCode, SessionId};
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments parse but make no sense.
    #[error("{0}")]
    Usage(String),
    /// No server could be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The ensemble refused, or went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The time given with `--timeout` or `--wait-ready` is over.
    #[error("{what} took longer than {}", humantime::format_duration(*.limit))]
    TimedOut {
        /// What did not come.
        what: String,
        /// The time given.
        limit: Duration,
    },
    /// Not registered within `--give-up-after`.
    #[error("not registered within {}", humantime::format_duration(*.0))]
    NotRegistered(Duration),
    /// Somebody else holds the instance's znode.
    #[error("{path} is held by {}", holder(*.owner))]
    Held {
        /// The instance's znode.
        path: String,
        /// The session that owns it; none when it is persistent.
        owner: SessionId,
    },
    /// The wrapped command could not be started.
    #[error("cannot run {command}")]
    Spawn {
        /// Its name.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The wrapped command's end could not be awaited, or a signal not be sent or caught.
    #[error("cannot supervise the command")]
    Supervise(#[source] io::Error),
    /// The runtime could not be started.
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    /// The data could not be written.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    /// The data could not be read.
    #[error("cannot read stdin")]
    Stdin(#[source] io::Error),
    /// A certificate could not be made or read.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// A verb that has errors of its own.
    #[error(transparent)]
    Failed(Failure),
    /// The node could not run.
    #[error(transparent)]
    Node(Box<NodeError>),
}

/// An error of one verb, and the exit code it ends with.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Boxed, because it is several times the size of the others and every verb returns this enum.
impl From<NodeError> for CliError {
    fn from(error: NodeError) -> CliError {
        CliError::Node(Box::new(error))
    }
}

impl CliError {
    /// An error of a verb of its own.
    pub(super) fn failed(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> CliError {
        CliError::Failed(Failure {
            exit,
            error: error.into(),
        })
    }

    /// Whether whoever read our output has stopped reading, which is their right.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, CliError::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Usage(_) => Exit::Usage,
            CliError::Node(error) if error.is_usage() => Exit::Usage,
            CliError::Node(error) if error.is_dismissal() => Exit::Dismissed,
            CliError::Connect(_) | CliError::NotRegistered(_) => Exit::Unreachable,
            CliError::Client(error) => client_exit(error),
            CliError::Cert(error) => error.exit(),
            CliError::TimedOut { .. } => Exit::TimedOut,
            CliError::Held { .. } => Exit::Conflict,
            CliError::Failed(failure) => failure.exit,
            CliError::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Exit::Command(127)
            }
            CliError::Spawn { .. } => Exit::Command(126),
            CliError::Supervise(_)
            | CliError::Runtime(_)
            | CliError::Stdout(_)
            | CliError::Stdin(_)
            | CliError::Node(_) => Exit::Failed,
        }
    }
}

fn client_exit(error: &ClientError) -> Exit {
    match error {
        ClientError::Refused { refusal, .. } => match refusal.code() {
            Some(ErrorCode::NoNode) => Exit::NotFound,
            Some(ErrorCode::BadVersion | ErrorCode::NodeExists) => Exit::Conflict,
            Some(ErrorCode::NoAuth | ErrorCode::AuthFailed) => Exit::NotPermitted,
            Some(ErrorCode::OperationTimeout) => Exit::TimedOut,
            Some(ErrorCode::BadArguments) => Exit::Usage,
            Some(ErrorCode::SessionExpired | ErrorCode::SessionMoved) => Exit::Unreachable,
            _ => Exit::Failed,
        },
        ClientError::ConnectionLoss | ClientError::Expired => Exit::Unreachable,
        ClientError::Timeout(_) => Exit::TimedOut,
        ClientError::Closed | ClientError::TooLong { .. } | ClientError::Malformed { .. } => {
            Exit::Failed
        }
    }
}

fn holder(owner: SessionId) -> String {
    if owner == SessionId::NONE {
        "a persistent znode, which does not go by itself".into()
    } else {
        format!("session {owner}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Refusal;

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        let refused = |code: i32| {
            CliError::Client(ClientError::Refused {
                path: "/a".into(),
                refusal: Refusal(code),
            })
        };
        let spawn = |kind: io::ErrorKind| CliError::Spawn {
            command: "x".into(),
            source: kind.into(),
        };
        let second = Duration::from_secs(1);
        let table = [
            (refused(-8), 2),
            (refused(-101), 3),
            (refused(-103), 4),
            (refused(-110), 4),
            (refused(-102), 6),
            (refused(-7), 7),
            (refused(-111), 1),
            (refused(-125), 1),
            (ClientError::ConnectionLoss.into(), 5),
            (ClientError::Expired.into(), 5),
            (ClientError::Timeout(second).into(), 7),
            (ConnectError { attempts: vec![] }.into(), 5),
            (CliError::Usage("no".into()), 2),
            (CliError::NotRegistered(second), 5),
            (spawn(io::ErrorKind::NotFound), 127),
            (spawn(io::ErrorKind::PermissionDenied), 126),
        ];
        for (error, code) in table {
            assert_eq!(error.exit().code(), code, "{error}");
        }
    }

    #[test]
    fn only_a_closed_stdout_is_a_closed_pipe() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(CliError::Stdout(broken()).is_closed_pipe());
        assert!(!CliError::Stdin(broken()).is_closed_pipe());
    }
}
