//! Why a node does not start or ends by itself.

use crate::config::ConfigErrors;
use crate::ensemble::{MemberFailed, StartError};
use crate::net::TlsError;
use crate::proxy::BindError;
use crate::telemetry::LogsError;
use std::io;
use std::net::SocketAddr;

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
    /// The certificate of the ZooKeeper port cannot be used.
    #[error("[zookeeper.tls] cannot be set up")]
    Tls(#[from] TlsError),
    /// A traffic listener cannot be bound.
    #[error(transparent)]
    Listener(#[from] BindError),
    /// The ensemble's member does not start.
    #[error("the ensemble's member does not start")]
    Ensemble(#[from] StartError),
    /// A critical part died.
    #[error(transparent)]
    Failed(#[from] MemberFailed),
    /// A task that should run for ever ended.
    #[error("{0} ended by itself")]
    Ended(&'static str),
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
    /// Whether the user's configuration is to blame rather than the machine.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            NodeError::Config(_) | NodeError::Tls(_) | NodeError::Ensemble(StartError::Roster(_))
        )
    }
}
