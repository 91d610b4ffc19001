//! Why a certificate could not be made or read.

use crate::cli::Exit;
use crate::net::TlsError;
use std::io;
use std::path::PathBuf;

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file is there already.
    #[error("{} exists; --force overwrites it", .0.display())]
    Exists(PathBuf),
    /// A file or directory cannot be made or read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authority was made by another program.
    #[error("the authority in {} cannot be used here: {why}; issue with what made it", dir.display())]
    Foreign {
        /// Where it is.
        dir: PathBuf,
        /// What is different.
        why: &'static str,
    },
    /// The authority's time is over.
    #[error("the authority in {} has expired; make another one", .0.display())]
    Expired(PathBuf),
    /// A certificate cannot be put together.
    #[error("cannot make the certificate")]
    Make(#[from] rcgen::Error),
}

impl CertError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            CertError::Exists(_) => Exit::Conflict,
            CertError::Io { source, .. } | CertError::Tls(TlsError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Exit::NotFound
            }
            _ => Exit::Failed,
        }
    }
}
