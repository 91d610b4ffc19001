//! Why the files of a TLS port cannot be used, each reason with the file it is about.

use rustls::pki_types::pem;
use std::io;
use std::path::PathBuf;

/// Longest file of certificates or keys, bytes. All public authorities together take a quarter of it.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is too long to be what it should be.
    #[error("{} is longer than {MAX_FILE} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
    },
    /// A key that others on this machine can read, or change.
    #[error(
        "the key in {} can be read or changed by others (mode {mode:04o}, owner {owner}): chmod 600 it, as a file of the user who runs zoogate; 640 will do for a file of root",
        file.display()
    )]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Its owner's number.
        owner: u32,
    },
    /// A file is not PEM.
    #[error("{} is not PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in a file.
    #[error("{} holds no certificate", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no private key in a file.
    #[error("{} holds no private key that is not encrypted", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// A certificate does not parse.
    #[error("{} holds a malformed certificate", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: x509_cert::der::Error,
    },
    /// The key is of a kind that is not served.
    #[error("the key in {} cannot be used", file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The key is another certificate's.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The authorities cannot be used.
    #[error("the authorities in {} cannot be used: {why}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// A node's own certificate is none that the other members would take.
    #[error("the other members would refuse the certificate in {}: {why}", file.display())]
    Node {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
}
