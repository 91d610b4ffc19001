//! Both sides of TLS between members: each shows a node's certificate and wants to see one.
//!
//! ```text
//! dialler                                                   acceptor
//!   first byte 0x16 (a handshake record)  ----------------->  anything else is no TLS
//!   judges: chain, validity, a node, *the* node   <---------  shows its certificate
//!   shows its certificate   ------------------------------->  judges: chain, validity, a node; says which
//! ```
//! TLS 1.3 only, and no resumption: a ticket would outlive a change of the authorities. What is agreed on is the
//! protocol [`PROTOCOL`] (ALPN), so that a certificate shown on another port of the node cannot be taken for this one.
//!
//! Source: RFC 8446; RFC 7301 (ALPN).

use super::error::TlsError;
use super::files::{Pair, authorities};
use super::identity::{NotTheNode, node_name};
use super::live::{Files, Live};
use crate::net::TcpStream;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, CommonState, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, PeerIncompatible, RootCertStore, ServerConfig, SignatureScheme,
};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// What is spoken inside.
const PROTOCOL: &[u8] = b"zoogate-members";

/// Where a node's certificate, key and authorities are, and whose they must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerFiles {
    /// The node's certificate, then those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of all members' certificates.
    pub ca: PathBuf,
    /// The trust domain that members' names are in.
    pub trust_domain: String,
    /// This node's name.
    pub name: String,
}

/// TLS between members, as one of them has it.
pub type PeerTls = Live<PeerFiles>;

/// The contents of [`PeerFiles`], ready for use.
pub struct PeerSide {
    server: Arc<ServerConfig>,
    client: ClientConfig,
    judge: Judge,
    expires_at: i64,
}

impl Files for PeerFiles {
    type Loaded = PeerSide;

    fn paths(&self) -> Vec<&PathBuf> {
        vec![&self.certificate, &self.key, &self.ca]
    }

    fn load(&self) -> Result<PeerSide, TlsError> {
        self.read(PeerFiles::check_own)
    }

    fn expires_at(loaded: &PeerSide) -> i64 {
        loaded.expires_at
    }
}

const VERSIONS: &str = "the provider has ciphers for TLS 1.3";

fn server_side(
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
    judge: &Judge,
    resolver: &Arc<SingleCertAndKey>,
) -> ServerConfig {
    let judge = judge.expecting(None);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect(VERSIONS)
        .with_client_cert_verifier(Arc::new(NodesOnly { clients, judge }))
        .with_cert_resolver(resolver.clone());
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn client_side(
    provider: Arc<CryptoProvider>,
    judge: &Judge,
    resolver: Arc<SingleCertAndKey>,
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect(VERSIONS)
        .dangerous() // only in that the judge is ours: it looks at the chain first
        .with_custom_certificate_verifier(Arc::new(judge.clone()))
        .with_client_cert_resolver(resolver);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config
}

/// What a node makes of its own certificate.
type Check = fn(&PeerFiles, &Pair, &Judge) -> Result<(), TlsError>;

impl PeerFiles {
    fn read(&self, check: Check) -> Result<PeerSide, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let pair = Pair::load(&self.certificate, &self.key, &provider)?;
        let roots = Arc::new(authorities(&self.ca)?);
        let judge = Judge {
            roots: roots.clone(),
            domain: self.trust_domain.clone(),
            expected: Some(self.name.clone()),
            algorithms: provider.signature_verification_algorithms,
        };
        check(self, &pair, &judge)?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build();
        let clients = clients.map_err(|error| TlsError::Authorities {
            file: self.ca.clone(),
            why: error.to_string(),
        })?;
        let resolver = Arc::new(SingleCertAndKey::from(pair.certified));
        Ok(PeerSide {
            server: Arc::new(server_side(provider.clone(), clients, &judge, &resolver)),
            client: client_side(provider, &judge, resolver),
            judge,
            expires_at: pair.expires_at,
        })
    }

    /// Refuses what the others would refuse. Only that the certificate's time is over, or yet to come, is no reason:
    /// the node may still be wanted for what it knows, and says so.
    fn check_own(&self, pair: &Pair, judge: &Judge) -> Result<(), TlsError> {
        let wrong = |why: String| TlsError::Node {
            file: self.certificate.clone(),
            why,
        };
        let (first, rest) = match pair.certified.cert.split_first() {
            Some(chain) => chain,
            None => return Err(wrong("it is empty".to_owned())),
        };
        match judge.chain(first, rest, UnixTime::now()) {
            Ok(())
            | Err(Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            )) => {}
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => {
                let ca = self.ca.display();
                return Err(wrong(format!("none of the authorities in {ca} issued it")));
            }
            Err(error) => return Err(wrong(error.to_string())),
        }
        judge
            .name(first)
            .map(|_| ())
            .map_err(|error| wrong(error.to_string()))
    }
}

impl PeerTls {
    /// Does the handshake on a connection that was accepted, and says which node is at the other end.
    ///
    /// # Errors
    /// As for [`super::ServerTls::accept`].
    pub async fn accept(
        &self,
        socket: TcpStream,
    ) -> io::Result<(server::TlsStream<TcpStream>, String)> {
        let (config, judge) = {
            let side = self.in_use();
            (side.server.clone(), side.judge.expecting(None))
        };
        let stream = TlsAcceptor::from(config).accept(socket).await?;
        let name = shown(stream.get_ref().1, &judge)?;
        Ok((stream, name))
    }

    /// Does the handshake on a connection that was dialled, with the node called `expected`, or with any. Says which
    /// node it is.
    ///
    /// # Errors
    /// As for [`super::ServerTls::accept`].
    pub async fn connect(
        &self,
        socket: TcpStream,
        expected: Option<&str>,
    ) -> io::Result<(client::TlsStream<TcpStream>, String)> {
        let (mut config, judge) = {
            let side = self.in_use();
            (side.client.clone(), side.judge.expecting(expected))
        };
        let verifier = Arc::new(judge.clone());
        config.dangerous().set_certificate_verifier(verifier);
        // Names nobody: it is not sent, and the judge asks for the node's name instead.
        let nobody = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        let connecting = TlsConnector::from(Arc::new(config)).connect(nobody, socket);
        let stream = connecting.await?;
        let name = shown(stream.get_ref().1, &judge)?;
        Ok((stream, name))
    }
}

/// The node at the other end of a connection whose handshake is done.
fn shown(connection: &CommonState, judge: &Judge) -> io::Result<String> {
    if connection.alpn_protocol() != Some(PROTOCOL) {
        return Err(refused(Error::NoApplicationProtocol));
    }
    let certificates = connection.peer_certificates();
    let first = certificates.and_then(<[_]>::first);
    let first = first.ok_or_else(|| refused(Error::NoCertificatesPresented))?;
    judge
        .name(first)
        .map_err(|error| refused(not_the_node(error)))
}

fn refused(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn not_the_node(error: NotTheNode) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// Judges certificates of nodes.
#[derive(Clone)]
pub(super) struct Judge {
    roots: Arc<RootCertStore>,
    domain: String,
    expected: Option<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Judge({:?} of {:?})",
            self.expected,
            self.domain.as_str()
        )
    }
}

impl Judge {
    /// The same, for the certificate of one node, or of any.
    fn expecting(&self, name: Option<&str>) -> Judge {
        Judge {
            expected: name.map(str::to_owned),
            ..self.clone()
        }
    }

    /// Whether an authority vouches for the certificate, now.
    fn chain(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let all = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, all)
    }

    /// Whose it is.
    fn name(&self, certificate: &CertificateDer<'_>) -> Result<String, NotTheNode> {
        let found = node_name(certificate, &self.domain)?;
        match &self.expected {
            Some(expected) if *expected != found => Err(NotTheNode::Another {
                found,
                expected: expected.clone(),
            }),
            _ => Ok(found),
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.chain(certificate, between, now)?;
        self.name(certificate).map_err(not_the_node)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Judges dialling members: first as any client, then as a node.
#[derive(Debug)]
struct NodesOnly {
    clients: Arc<dyn ClientCertVerifier>,
    judge: Judge,
}

impl ClientCertVerifier for NodesOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.clients.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.clients.verify_client_cert(certificate, between, now)?;
        self.judge.name(certificate).map_err(not_the_node)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

#[cfg(test)]
impl PeerTls {
    /// As [`Live::load`], with whatever certificate: for tests of what the others do about it.
    pub(super) fn load_unchecked(files: PeerFiles) -> Result<PeerTls, TlsError> {
        let side = files.read(|_, _, _| Ok(()))?;
        Ok(Live::with(files, side))
    }

    /// The judge of whatever node.
    pub(super) fn judge_of_any(&self) -> Arc<Judge> {
        Arc::new(self.in_use().judge.expecting(None))
    }
}
