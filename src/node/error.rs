//! Why a node does not start or ends by itself.

use crate::config::ConfigErrors;
use crate::ensemble::{MemberFailed, StartError};
use crate::net::{SecretError, TlsError};
use crate::proxy::BindError;
use crate::telemetry::LogsError;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Why a node does not start or ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration is invalid.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// Logs cannot be set up.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// An address cannot be bound.
    #[error("[{section}] listen: cannot bind {addr}")]
    Bind {
        /// The section that asks for it.
        section: &'static str,
        /// The address.
        addr: SocketAddr,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A certificate cannot be used.
    #[error("[{section}] cannot be set up")]
    Tls {
        /// The section that names it.
        section: &'static str,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The token of the admin port cannot be used.
    #[error("[admin] token_file cannot be used")]
    Token(#[from] SecretError),
    /// A traffic listener cannot be bound.
    #[error(transparent)]
    Listener(#[from] BindError),
    /// Connections to endpoints cannot come from where they should.
    #[error("[node] source_addresses: no connection can come from {address}")]
    Source {
        /// The address.
        address: IpAddr,
        /// The kernel's reason.
        #[source]
        reason: io::Error,
    },
    /// Everything is reserved.
    #[error(
        "[node] reserved_descriptors leaves traffic none of the {limit} files this process may open"
    )]
    Descriptors {
        /// The limit of open files.
        limit: usize,
    },
    /// The ensemble's member does not start.
    #[error("the ensemble's member does not start")]
    Ensemble(#[from] StartError),
    /// A critical part died.
    #[error(transparent)]
    Failed(#[from] MemberFailed),
    /// A task that should run for ever ended.
    #[error("{0} ended by itself")]
    Ended(&'static str),
    /// A task that is not of one connection panicked.
    #[error("a critical task has panicked; the log says where")]
    Panicked,
    /// The operating system refused something.
    #[error("cannot {action}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// Its reason.
        #[source]
        source: io::Error,
    },
}

impl NodeError {
    /// Whether the ensemble does not want this node any more: to start it again as it is changes nothing.
    pub fn is_dismissal(&self) -> bool {
        match self {
            NodeError::Failed(failed) => failed.is_dismissal(),
            NodeError::Ensemble(StartError::Arrival(error)) => error.is_dismissal(),
            _ => false,
        }
    }

    /// Whether the user's configuration is to blame rather than the machine.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            NodeError::Config(_)
                | NodeError::Tls { .. }
                | NodeError::Token(_)
                | NodeError::Listener(BindError::Tls { .. })
                | NodeError::Source { .. }
                | NodeError::Descriptors { .. }
        ) || matches!(self, NodeError::Ensemble(StartError::Arrival(error)) if error.is_usage())
    }
}
