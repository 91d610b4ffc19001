//! The server's side for clients: a certificate to show, and perhaps authorities by which to judge theirs.

use super::error::TlsError;
use super::files::{Pair, authorities};
use super::live::{Files, Live};
use super::subject;
use crate::net::TcpStream;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

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

/// The contents of [`TlsFiles`], ready for use.
pub struct ServerSide {
    config: Arc<ServerConfig>,
    expires_at: i64,
}

/// The server's side of TLS on one port.
pub type ServerTls = Live<TlsFiles>;

/// A connection whose handshake is done.
pub struct AcceptedTls {
    /// What is spoken inside.
    pub stream: TlsStream<TcpStream>,
    /// The subject of the certificate that the client has shown, and that was found valid: a distinguished name
    /// as RFC 2253 writes it, most specific part first.
    pub subject: Option<String>,
}

impl Files for TlsFiles {
    type Loaded = ServerSide;

    fn paths(&self) -> Vec<&PathBuf> {
        let clients = self.clients.as_ref().map(|clients| &clients.file);
        let own = [&self.certificate, &self.key];
        own.into_iter().chain(clients).collect()
    }

    fn load(&self) -> Result<ServerSide, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = Pair::load(&self.certificate, &self.key, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for TLS 1.2 and 1.3");
        let builder = match &self.clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(provider)?),
            None => builder.with_no_client_auth(),
        };
        let resolver = rustls::sign::SingleCertAndKey::from(pair.certified);
        Ok(ServerSide {
            config: Arc::new(builder.with_cert_resolver(Arc::new(resolver))),
            expires_at: pair.expires_at,
        })
    }

    fn expires_at(loaded: &ServerSide) -> i64 {
        loaded.expires_at
    }
}

impl ClientAuthorities {
    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = Arc::new(authorities(&self.file)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = match self.required {
            true => builder,
            false => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| TlsError::Authorities {
            file: self.file.clone(),
            why: error.to_string(),
        })
    }
}

impl ServerTls {
    /// Does the handshake on a connection. The caller bounds the time it takes.
    ///
    /// # Errors
    /// When the socket fails, the client does not speak TLS, it does not like our certificate, or we do not like
    /// its one: [`super::TlsFailure`] says which.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<AcceptedTls> {
        let config = self.in_use().config.clone();
        let stream = TlsAcceptor::from(config).accept(socket).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let subject = match shown.and_then(<[_]>::first) {
            Some(certificate) => Some(subject::of(certificate).map_err(io::Error::other)?),
            None => None,
        };
        Ok(AcceptedTls { stream, subject })
    }
}
