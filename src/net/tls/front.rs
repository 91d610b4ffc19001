//! The server's side for traffic: many certificates, one of which a client's ClientHello chooses.
//!
//! ```text
//! name in the ClientHello --> a certificate for exactly it --> one for *.rest of it --> the first of all
//! ```
//! Which names a certificate is for is read from it (its DNS names; RFC 6125 has no other place for them). Of several
//! for one name the first whose key the client can verify is shown, so an ECDSA and an RSA certificate may stand
//! side by side.
//!
//! Source: RFC 6066, section 3 (SNI); RFC 6125, section 6.4.3 (a wildcard stands for one label).

use super::error::TlsError;
use super::files::Pair;
use super::live::{Files, Live};
use super::server::ClientAuthorities;
use super::subject;
use crate::net::proxy_protocol::ClientCertificateSeen;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, ServerConnection};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// What a listener shows and asks for, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontFiles {
    /// Certificates, each followed by those between it and its authority, and their keys; the first is shown where no
    /// other fits. Not empty.
    pub certificates: Vec<(PathBuf, PathBuf)>,
    /// Whose clients are known; `None` asks no client who it is.
    pub clients: Option<ClientAuthorities>,
    /// The protocols that are offered, best first; none of them leaves the question out.
    pub alpn: Vec<String>,
    /// TLS 1.2 is refused.
    pub only_tls13: bool,
}

/// The contents of [`FrontFiles`], ready for use.
pub struct FrontSide {
    config: Arc<ServerConfig>,
    expires_at: i64,
}

/// TLS as a listener of traffic ends it.
pub type FrontTls = Live<FrontFiles>;

impl Files for FrontFiles {
    type Loaded = FrontSide;

    fn paths(&self) -> Vec<&PathBuf> {
        let pairs = self.certificates.iter();
        let pairs = pairs.flat_map(|(certificate, key)| [certificate, key]);
        let clients = self.clients.as_ref().map(|clients| &clients.file);
        pairs.chain(clients).collect()
    }

    fn load(&self) -> Result<FrontSide, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut by_name = ByName::default();
        let mut expires_at = i64::MAX;
        for (certificate, key) in &self.certificates {
            let pair = Pair::load(certificate, key, &provider)?;
            let names = pair
                .certified
                .cert
                .first()
                .map(|first| subject::dns_names(first));
            let names = names.unwrap_or_else(|| Ok(Vec::new()));
            let names = names.map_err(|source| TlsError::Certificate {
                file: certificate.clone(),
                source,
            })?;
            by_name.add(names, Arc::new(pair.certified));
            expires_at = expires_at.min(pair.expires_at);
        }
        let versions: &[_] = match self.only_tls13 {
            true => &[&TLS13],
            false => &[&TLS13, &TLS12],
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("the provider has ciphers for TLS 1.2 and 1.3");
        let builder = match &self.clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(by_name));
        config.alpn_protocols = self.alpn.iter().map(|name| name.clone().into()).collect();
        Ok(FrontSide {
            config: Arc::new(config),
            expires_at,
        })
    }

    fn expires_at(loaded: &FrontSide) -> i64 {
        loaded.expires_at
    }
}

impl FrontTls {
    /// Begins the handshake on a connection. The caller bounds the time it takes.
    pub fn accept(&self, socket: TcpStream) -> Accept<TcpStream> {
        TlsAcceptor::from(self.in_use().config.clone()).accept(socket)
    }
}

/// Certificates by the names they are for.
#[derive(Debug, Default)]
struct ByName {
    names: HashMap<String, Vec<Arc<CertifiedKey>>>,
    all: Vec<Arc<CertifiedKey>>,
}

impl ByName {
    fn add(&mut self, names: Vec<String>, key: Arc<CertifiedKey>) {
        for name in names {
            let name = name.to_ascii_lowercase();
            self.names.entry(name).or_default().push(key.clone());
        }
        self.all.push(key);
    }

    /// Those for `name`, the best first.
    fn fitting(&self, name: &str) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let exact = self.names.get(name);
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let wildcard = wildcard.and_then(|name| self.names.get(&name));
        exact.into_iter().chain(wildcard).flatten()
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let usable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let name = hello.server_name().unwrap_or_default();
        let fitting = self.fitting(name).find(usable);
        let any = || self.all.iter().find(usable);
        fitting.or_else(any).or(self.all.first()).cloned()
    }
}

/// What a handshake has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The host that the client asked for, lower case, if it named one.
    pub server_name: Option<Box<str>>,
    /// "TLSv1.3" or "TLSv1.2".
    pub version: &'static str,
    /// The cipher suite, as IANA names it.
    pub cipher: String,
    /// The protocol agreed upon.
    pub alpn: Option<Box<[u8]>>,
    /// The client's certificate, which was found valid if there is one.
    pub certificate: ClientCertificateSeen,
    /// The common name in it.
    pub common_name: Option<String>,
}

impl Secured {
    /// What `connection` has come to, whose handshake is done.
    pub fn of(connection: &ServerConnection) -> Secured {
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let certificate = match (shown, connection.handshake_kind()) {
            (None, _) => ClientCertificateSeen::Never,
            (Some(_), Some(HandshakeKind::Resumed)) => ClientCertificateSeen::Earlier,
            (Some(_), _) => ClientCertificateSeen::Now,
        };
        let suite = connection.negotiated_cipher_suite();
        let suite = suite.and_then(|suite| suite.suite().as_str());
        let name = connection.server_name();
        Secured {
            server_name: name.map(|name| name.strip_suffix('.').unwrap_or(name).into()),
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            cipher: suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1),
            alpn: connection.alpn_protocol().map(Into::into),
            certificate,
            common_name: shown.and_then(|shown| subject::common_name(shown)),
        }
    }
}
