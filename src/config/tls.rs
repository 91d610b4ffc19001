//! What the `tls` sections mean: which files, and who is asked for a certificate.

use super::Config;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `ensemble.tls.trust_domain` when not set.
pub const DEFAULT_TRUST_DOMAIN: &str = "zoogate";

/// `ensemble.tls`: how members prove to each other who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleTls {
    /// PEM file with this node's certificate, first, and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
    /// PEM file with the authorities of all members' certificates.
    pub ca: PathBuf,
    /// The trust domain in the names that certificates give to nodes.
    pub trust_domain: String,
}

/// `zookeeper.tls`: the client port with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZookeeperTls {
    /// Where ZooKeeper clients connect with TLS.
    pub listen: SocketAddr,
    /// PEM file with this node's certificate, first, and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
    /// PEM file with the authorities that clients' certificates must come from; absent: none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether a client must show a certificate. Without `client_ca` none can.
    pub client_certificate: ClientCertificate,
}

/// `admin.tls`: the admin endpoint with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTls {
    /// PEM file with this node's certificate, first, and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
    /// PEM file with the authorities that operators' certificates must come from; absent: none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether an operator must show a certificate. Without `client_ca` none can.
    pub client_certificate: ClientCertificate,
}

/// `[listener.tls]`: how a listener of traffic ends TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// What is shown, by the name that a client asks for; the first where no other fits. Not empty.
    pub certificates: Vec<CertificateFiles>,
    /// The protocols that are offered, best first.
    pub alpn: Vec<String>,
    /// PEM file with the authorities that clients' certificates must come from; absent: none is asked for.
    pub client_ca: Option<PathBuf>,
    /// Whether a client must show a certificate. Without `client_ca` none can.
    pub client_certificate: ClientCertificate,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file with the certificate, first, and those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// Each as it is written.
    pub(super) const NAMES: [(&str, TlsVersion); 2] =
        [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It may; one that it shows must be valid.
    #[default]
    Optional,
    /// It must.
    Required,
}

impl ClientCertificate {
    /// Each as it is written.
    pub(super) const NAMES: [(&str, ClientCertificate); 2] = [
        ("optional", ClientCertificate::Optional),
        ("required", ClientCertificate::Required),
    ];
}

impl Config {
    /// Takes relative paths as relative to `dir`, where the file is that names them.
    pub(super) fn resolve(&mut self, dir: &Path) {
        let mut paths: Vec<&mut PathBuf> = Vec::new();
        if let Some(tls) = &mut self.zookeeper.tls {
            paths.extend([&mut tls.certificate, &mut tls.key]);
            paths.extend(&mut tls.client_ca);
        }
        if let Some(tls) = self.ensemble.as_mut().and_then(|it| it.tls.as_mut()) {
            paths.extend([&mut tls.certificate, &mut tls.key, &mut tls.ca]);
        }
        if let Some(tls) = &mut self.admin.tls {
            paths.extend([&mut tls.certificate, &mut tls.key]);
            paths.extend(&mut tls.client_ca);
        }
        for tls in self.listeners.iter_mut().filter_map(|it| it.tls.as_mut()) {
            for pair in &mut tls.certificates {
                paths.extend([&mut pair.certificate, &mut pair.key]);
            }
            paths.extend(&mut tls.client_ca);
        }
        for path in paths {
            *path = dir.join(&*path);
        }
    }
}
