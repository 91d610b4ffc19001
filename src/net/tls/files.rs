//! Certificates and keys as they lie on disk: bounded, in PEM, and keys for nobody else to read.

use super::error::{MAX_FILE, TlsError};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// By what a changed file is told: time of change, length and inode of each, `None` for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(i64, i64, u64, u64)>>);

impl Stamp {
    /// The files as they are now.
    pub(super) fn of<'f>(files: impl IntoIterator<Item = &'f PathBuf>) -> Stamp {
        let stamp = |file: &PathBuf| {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino()))
        };
        Stamp(files.into_iter().map(stamp).collect())
    }
}

/// A certificate with those that lead to its authority, and its key.
pub(super) struct Pair {
    /// For handshakes.
    pub(super) certified: CertifiedKey,
    /// When the certificate expires, seconds since the Unix epoch.
    pub(super) expires_at: i64,
}

impl Pair {
    /// Reads both files and makes sure that they belong together.
    ///
    /// # Errors
    /// [`TlsError`], for the first thing that is wrong.
    pub(super) fn load(
        certificate: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<Pair, TlsError> {
        let chain = certificates(certificate)?;
        let expires_at = expiry(certificate, &chain)?;
        let certified = CertifiedKey::from_der(chain, private_key(key)?, provider);
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                certificate: certificate.into(),
                key: key.into(),
            },
            source => TlsError::Key {
                file: key.into(),
                source,
            },
        })?;
        Ok(Pair {
            certified,
            expires_at,
        })
    }
}

fn expiry(file: &Path, chain: &[CertificateDer<'_>]) -> Result<i64, TlsError> {
    let first = chain
        .first()
        .ok_or_else(|| TlsError::NoCertificate { file: file.into() })?;
    let certificate = Certificate::from_der(first).map_err(|source| TlsError::Certificate {
        file: file.into(),
        source,
    })?;
    let end = certificate.tbs_certificate().validity().not_after;
    Ok(i64::try_from(end.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

/// The authorities in a file.
///
/// # Errors
/// [`TlsError`], for the first that cannot be one.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Authorities {
                file: file.into(),
                why: error.to_string(),
            })?;
    }
    Ok(roots)
}

/// The certificates in a file, at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(&open(file)?, file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|source| TlsError::Pem {
        file: file.into(),
        source,
    })?;
    match certificates.is_empty() {
        true => Err(TlsError::NoCertificate { file: file.into() }),
        false => Ok(certificates),
    }
}

/// The first private key in a file that only its owner can read, and that belongs to the user of this process or to
/// root; a file of root may be shown to a group besides, as PostgreSQL has it.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let opened = open(file)?;
    let meta = opened.metadata().map_err(unreadable(file))?;
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    let is_private = match owner {
        0 => mode & 0o037 == 0,
        owner => mode & 0o077 == 0 && owner == rustix::process::geteuid().as_raw(),
    };
    if !is_private {
        let file = file.into();
        return Err(TlsError::Exposed { file, mode, owner });
    }
    PrivateKeyDer::from_pem_slice(&read(&opened, file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: file.into() },
        source => TlsError::Pem {
            file: file.into(),
            source,
        },
    })
}

fn unreadable(file: &Path) -> impl Fn(std::io::Error) -> TlsError {
    move |source| TlsError::Read {
        file: file.into(),
        source,
    }
}

fn open(file: &Path) -> Result<std::fs::File, TlsError> {
    std::fs::File::open(file).map_err(unreadable(file))
}

fn read(opened: &std::fs::File, file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    opened
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable(file))?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(TlsError::TooLong { file: file.into() }),
        false => Ok(bytes),
    }
}
