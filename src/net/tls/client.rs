//! The client's side: authorities by which to judge the server, and perhaps a certificate to show.

use super::error::TlsError;
use super::files::{Pair, authorities};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where a client's authorities, certificate and key are, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities of servers' certificates.
    pub ca: PathBuf,
    /// The client's certificate and those between it and its authority, and its key; `None` shows none.
    pub pair: Option<(PathBuf, PathBuf)>,
}

/// TLS as a client that lives shortly: its files are read once.
#[derive(Clone)]
pub struct ClientTls(TlsConnector);

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], for the first thing that is wrong.
    pub fn load(files: &ClientFiles) -> Result<ClientTls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for TLS 1.2 and 1.3")
            .with_root_certificates(authorities(&files.ca)?);
        let config = match &files.pair {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let pair = Pair::load(certificate, key, &provider)?;
                let resolver = SingleCertAndKey::from(pair.certified);
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        Ok(ClientTls(TlsConnector::from(Arc::new(config))))
    }

    /// Does the handshake with a server that must prove that it is `host`, a DNS name or an address.
    ///
    /// # Errors
    /// When the socket fails, `host` is no name, or either side does not like the other's certificate.
    pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: S,
        host: &str,
    ) -> io::Result<TlsStream<S>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, socket).await
    }
}
