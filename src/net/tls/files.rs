//! The files behind a TLS port: what is in them, and what is wrong with them.

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Longest file of certificates or keys, bytes. All public authorities together take a quarter of it.
const MAX_FILE: u64 = 1 << 20;

/// Where certificates and keys are, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Whose clients are known; `None` asks no client who it is.
    pub clients: Option<ClientAuthorities>,
}

/// Who vouches for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuthorities {
    /// The certificates of the authorities.
    pub file: PathBuf,
    /// Whether a client without a certificate is turned away.
    pub required: bool,
}

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
    /// The authorities of clients cannot be used.
    #[error("the authorities in {} cannot be used: {why}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

/// The contents of the files, ready for use.
pub(super) struct Loaded {
    /// For handshakes.
    pub(super) config: Arc<ServerConfig>,
    /// When the server's certificate expires, seconds since the Unix epoch.
    pub(super) expires_at: i64,
}

/// By what a changed file is told: time of change, length and inode of each, `None` for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(i64, i64, u64, u64)>>);

impl TlsFiles {
    /// The files as they are now.
    pub(super) fn stamp(&self) -> Stamp {
        let clients = self.clients.as_ref().map(|clients| &clients.file);
        let files = [&self.certificate, &self.key].into_iter().chain(clients);
        let stamp = |file: &PathBuf| {
            let meta = std::fs::metadata(file).ok()?;
            Some((meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino()))
        };
        Stamp(files.map(stamp).collect())
    }

    /// Reads and checks them all.
    ///
    /// # Errors
    /// [`TlsError`], for the first that is wrong.
    pub(super) fn load(&self) -> Result<Loaded, TlsError> {
        let chain = certificates(&self.certificate)?;
        let expires_at = self.expiry(&chain)?;
        let key = private_key(&self.key)?;
        let provider = Arc::new(ring::default_provider());
        let certified =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                },
                source => TlsError::Key {
                    file: self.key.clone(),
                    source,
                },
            })?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for TLS 1.2 and 1.3");
        let builder = match &self.clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(provider)?),
            None => builder.with_no_client_auth(),
        };
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        let config = Arc::new(builder.with_cert_resolver(Arc::new(resolver)));
        Ok(Loaded { config, expires_at })
    }

    fn expiry(&self, chain: &[CertificateDer<'_>]) -> Result<i64, TlsError> {
        let first = chain.first().ok_or_else(|| TlsError::NoCertificate {
            file: self.certificate.clone(),
        })?;
        let certificate = Certificate::from_der(first);
        let certificate = certificate.map_err(|source| TlsError::Certificate {
            file: self.certificate.clone(),
            source,
        })?;
        let end = certificate.tbs_certificate().validity().not_after;
        Ok(i64::try_from(end.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
    }
}

impl ClientAuthorities {
    fn verifier(
        &self,
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let wrong = |why: String| TlsError::Authorities {
            file: self.file.clone(),
            why,
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.file)? {
            roots
                .add(certificate)
                .map_err(|error| wrong(error.to_string()))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match self.required {
            true => builder,
            false => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| wrong(error.to_string()))
    }
}

/// The certificates in a file, at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
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

/// The first private key in a file.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { file: file.into() },
        source => TlsError::Pem {
            file: file.into(),
            source,
        },
    })
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Read {
        file: file.into(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .map_err(unreadable)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() as u64 > MAX_FILE {
        true => Err(TlsError::TooLong { file: file.into() }),
        false => Ok(bytes),
    }
}
