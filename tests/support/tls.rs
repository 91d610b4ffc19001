//! An authority that certifies whoever asks, files for a server, and clients that trust it.

use rcgen::{CertificateParams, DnType, DnValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zoogate::net::{ClientAuthorities, PeerFiles, PeerTls, TlsError, TlsFiles, node_uri};

#[cfg(test)]
#[allow(dead_code)] // the crate's own tests use more of it
#[path = "../../src/net/tls/fixture.rs"]
mod fixture;

pub use fixture::Issued;
use fixture::write_private;

/// An authority, and a directory for what it issues.
pub struct Authority {
    issuer: fixture::Authority,
    dir: TempDir,
}

impl Authority {
    /// A new authority.
    pub fn new() -> Authority {
        Authority {
            issuer: fixture::Authority::new(),
            dir: TempDir::new().expect("a temporary directory"),
        }
    }

    /// A certificate for `localhost` with this subject, from the least specific part on.
    pub fn issue(&self, subject: &[(DnType, &str)]) -> Issued {
        self.issue_until(subject, 2099)
    }

    /// As [`Authority::issue`], until the end of `year`.
    pub fn issue_until(&self, subject: &[(DnType, &str)], year: i32) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(1999, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            let value = DnValue::Utf8String((*value).to_owned());
            params.distinguished_name.push(kind.clone(), value);
        }
        self.issuer.issue(&params)
    }

    /// The certificate of a member called `name`.
    pub fn issue_node(&self, name: &str) -> Issued {
        self.issuer.issue(&fixture::node(name))
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes a server's certificate and key, or what shall pass for them, where [`Authority::files`] says.
    pub fn install(&self, issued: &Issued) {
        for (name, text) in [
            ("node.pem", &issued.certificate),
            ("node.key", &issued.key),
            ("ca.pem", &self.issuer.pem()),
        ] {
            write_private(&self.path(name), text);
        }
    }

    /// The files of a server; `required` asks clients for certificates of this authority, as it says.
    pub fn files(&self, required: Option<bool>) -> TlsFiles {
        TlsFiles {
            certificate: self.path("node.pem"),
            key: self.path("node.key"),
            clients: required.map(|required| ClientAuthorities {
                file: self.path("ca.pem"),
                required,
            }),
        }
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Connects as a client that trusts this authority and shows a certificate, or none. A client cannot know
    /// by this that the server accepts its certificate; it learns from the first byte it reads.
    pub async fn connect(
        &self,
        addr: SocketAddr,
        shown: Option<&Issued>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem().as_bytes()).expect("a certificate");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let chain = CertificateDer::pem_slice_iter(shown.certificate.as_bytes());
                let chain = chain.collect::<Result<_, _>>().expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        let socket = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
    }
}

/// The certificate that the server showed on a connection.
pub fn shown_by(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    let shown = stream.get_ref().1.peer_certificates();
    let first = shown.and_then(<[_]>::first).expect("a certificate");
    first.clone().into_owned()
}

/// Writes what a member needs to prove that it is `name` to others of the authorities in `ca`.
pub fn install_node(dir: &Path, name: &str, issued: &Issued, ca: &str) -> PeerFiles {
    std::fs::create_dir_all(dir).expect("a directory");
    fixture::files(dir, name, issued, ca)
}
