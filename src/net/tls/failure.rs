//! Why a handshake failed: a closed list, for metrics and for the reader of a log.

use super::identity::NotTheNode;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::io;

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The other side does not speak TLS.
    NotTls,
    /// The other side speaks TLS, and this one does not.
    Tls,
    /// The other side shows no certificate, and must.
    NoCertificate,
    /// Its certificate comes from an authority that is not known here.
    UnknownAuthority,
    /// Its certificate is not valid at this time.
    Expired,
    /// Its certificate is a node's, but another one's than is meant.
    WrongNode,
    /// Its certificate is no node's: it lacks the name or the usages of one.
    NotANode,
    /// Its certificate is wrong in another way.
    BadCertificate,
    /// It refused ours, or what we speak.
    Refused,
    /// There is no version, cipher or protocol that both sides speak.
    Incompatible,
    /// It closed the connection.
    Closed,
    /// It took too long.
    TimedOut,
    /// Too many handshakes were under way.
    Crowded,
    /// Something else.
    Other,
}

impl TlsFailure {
    /// Each, as metrics have it.
    pub const ALL: [TlsFailure; 14] = [
        TlsFailure::NotTls,
        TlsFailure::Tls,
        TlsFailure::NoCertificate,
        TlsFailure::UnknownAuthority,
        TlsFailure::Expired,
        TlsFailure::WrongNode,
        TlsFailure::NotANode,
        TlsFailure::BadCertificate,
        TlsFailure::Refused,
        TlsFailure::Incompatible,
        TlsFailure::Closed,
        TlsFailure::TimedOut,
        TlsFailure::Crowded,
        TlsFailure::Other,
    ];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            TlsFailure::NotTls => "not_tls",
            TlsFailure::Tls => "tls",
            TlsFailure::NoCertificate => "no_certificate",
            TlsFailure::UnknownAuthority => "unknown_authority",
            TlsFailure::Expired => "expired",
            TlsFailure::WrongNode => "wrong_node",
            TlsFailure::NotANode => "not_a_node",
            TlsFailure::BadCertificate => "bad_certificate",
            TlsFailure::Refused => "refused",
            TlsFailure::Incompatible => "incompatible",
            TlsFailure::Closed => "closed",
            TlsFailure::TimedOut => "timed_out",
            TlsFailure::Crowded => "crowded",
            TlsFailure::Other => "other",
        }
    }

    /// What `error`, with which a handshake ended, comes down to.
    pub fn of(error: &io::Error) -> TlsFailure {
        if let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
            return TlsFailure::of_tls(error);
        }
        match error.kind() {
            io::ErrorKind::TimedOut => TlsFailure::TimedOut,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => TlsFailure::Closed,
            _ => TlsFailure::Other,
        }
    }

    fn of_tls(error: &Error) -> TlsFailure {
        match error {
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsFailure::NotTls,
            Error::NoCertificatesPresented => TlsFailure::NoCertificate,
            Error::InvalidCertificate(error) => TlsFailure::of_certificate(error),
            Error::AlertReceived(AlertDescription::ProtocolVersion)
            | Error::AlertReceived(AlertDescription::NoApplicationProtocol)
            | Error::PeerIncompatible(_)
            | Error::NoApplicationProtocol => TlsFailure::Incompatible,
            Error::AlertReceived(_) => TlsFailure::Refused,
            _ => TlsFailure::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> TlsFailure {
        match error {
            // The latter from one of the same name as a known one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                TlsFailure::UnknownAuthority
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFailure::Expired,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                TlsFailure::NotANode
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<NotTheNode>() {
                Some(NotTheNode::Another { .. }) => TlsFailure::WrongNode,
                Some(_) => TlsFailure::NotANode,
                None => TlsFailure::BadCertificate,
            },
            _ => TlsFailure::BadCertificate,
        }
    }
}
