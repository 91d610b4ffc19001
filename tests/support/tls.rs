//! An authority that certifies whoever asks, files for a server, and clients that trust it.

use rcgen::{CertificateParams, DnType, DnValue};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
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

    /// Writes a file of the directory that nobody else can read, as keys must be.
    pub fn write(&self, name: &str, text: &str) {
        write_private(&self.path(name), text);
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate for these hosts.
    pub fn issue_for(&self, hosts: &[&str]) -> Issued {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        self.issuer.issue(&params)
    }

    /// What a client is like that trusts this authority and shows a certificate, or none.
    pub fn client(&self, shown: Option<&Issued>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem().as_bytes()).expect("a certificate");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let (chain, key) = parts(shown);
                builder.with_client_auth_cert(chain, key).expect("a pair")
            }
        }
    }

    /// Connects as such a client. It cannot know by this that the server accepts its certificate; it learns from the
    /// first byte it reads.
    pub async fn connect(
        &self,
        addr: SocketAddr,
        shown: Option<&Issued>,
    ) -> io::Result<TlsStream<TcpStream>> {
        connect_to("localhost", addr, self.client(shown)).await
    }
}

/// Connects as `client` to `addr`, asking for `host`.
pub async fn connect_to(
    host: &str,
    addr: SocketAddr,
    client: impl Into<Arc<ClientConfig>>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(addr).await?;
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    TlsConnector::from(client.into())
        .connect(name, socket)
        .await
}

fn parts(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
    (chain, key)
}

/// What a server is like that shows `issued` to everybody.
pub fn server(issued: &Issued) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (chain, key) = parts(issued);
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair")
}

/// An endpoint with TLS that says `greeting` to each client, and then what it hears.
pub async fn echo(server: ServerConfig, greeting: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(socket).await?;
                stream.write_all(greeting.as_bytes()).await?;
                stream.flush().await?;
                let (mut from, mut to) = tokio::io::split(stream);
                tokio::io::copy(&mut from, &mut to).await?;
                to.shutdown().await
            });
        }
    });
    addr
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
