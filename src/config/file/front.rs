//! `[listener.tls]`: how a listener of traffic ends TLS.

use super::tls::{read_client_certificate, read_path};
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{CertificateFiles, ClientCertificate, ListenerTls, TlsVersion, limits, words};
use std::path::PathBuf;
use toml::Spanned;

/// `[listener.tls]` as written.
#[derive(Default)]
pub(in crate::config) struct ListenerTlsDraft {
    certificates: Option<Spanned<Vec<CertificateFiles>>>,
    alpn: Option<Spanned<Vec<String>>>,
    client_ca: Option<PathBuf>,
    client_certificate: Option<Spanned<ClientCertificate>>,
    min_version: TlsVersion,
}

/// One of its certificates as written.
#[derive(Default)]
pub(in crate::config) struct CertificateDraft {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

pub(super) const KEYS: &[Key<ListenerTlsDraft>] = &[
    Key::required("certificates", |tls, value| {
        tls.certificates = read_certificates(value);
    }),
    Key::optional("alpn", |tls, value| tls.alpn = read_alpn(value)),
    Key::optional("client_ca", |tls, value| tls.client_ca = read_path(value)),
    Key::optional("client_certificate", |tls, value| {
        tls.client_certificate = read_client_certificate(value);
    }),
    Key::optional("min_version", |tls, value| {
        let choice = |name: &str| words::choice("min_version", name, &TlsVersion::NAMES, &[]);
        tls.min_version = value.parsed(choice).unwrap_or_default();
    }),
];

pub(super) const CERTIFICATE: &[Key<CertificateDraft>] = &[
    Key::required("certificate", |pair, value| {
        pair.certificate = read_path(value);
    }),
    Key::required("key", |pair, value| pair.key = read_path(value)),
];

fn read_certificates(value: Value<'_>) -> Option<Spanned<Vec<CertificateFiles>>> {
    let certificate = |pair: Value<'_>| {
        pair.section("a certificate", CERTIFICATE, |draft, _| {
            Some(CertificateFiles {
                certificate: draft.certificate?,
                key: draft.key?,
            })
        })
    };
    value.spanned(|value| value.elements(limits::CERTIFICATES, certificate))
}

/// The names of protocols, best first.
pub(super) fn read_alpn(value: Value<'_>) -> Option<Spanned<Vec<String>>> {
    let protocol = |value: Value<'_>| {
        value.parsed(|text| match text.len() {
            // An empty name has no place in the list, a longer one no length (RFC 7301, section 3.1).
            1..=limits::ALPN_BYTES => Ok(text.to_owned()),
            length => Err(format!(
                "a protocol's name has 1 to {} bytes, this one has {length}",
                limits::ALPN_BYTES
            )),
        })
    };
    value.spanned(|value| value.elements(limits::ALPN, protocol))
}

impl ListenerTlsDraft {
    /// Checks that there is something to show, and that a client's certificate can be judged.
    pub(super) fn checked(self, report: &mut Report) -> Option<ListenerTlsDraft> {
        if let Some(certificates) = &self.certificates
            && certificates.get_ref().is_empty()
        {
            let message = "certificates is empty, so nothing could be shown to clients";
            report.fault(certificates.span(), message);
            return None;
        }
        match &self.client_certificate {
            Some(asked) if self.client_ca.is_none() => {
                let message = "client_certificate needs client_ca, the authorities to judge it by";
                report.fault(asked.span(), message);
                None
            }
            _ => Some(self),
        }
    }

    /// Checks that HTTP/1.1 is all that is offered, since it is all that is spoken.
    pub(super) fn check_http(&self, report: &mut Report) {
        if let Some(alpn) = &self.alpn
            && alpn.get_ref().iter().any(|name| name != HTTP)
        {
            report.fault(
                alpn.span(),
                "with protocol \"http\" only \"http/1.1\" can be offered in alpn",
            );
        }
    }

    /// Fills in the defaults; `is_http` offers what is spoken. `None` if a required key is missing.
    pub(super) fn finish(self, is_http: bool) -> Option<ListenerTls> {
        let default = || match is_http {
            true => vec![HTTP.to_owned()],
            false => Vec::new(),
        };
        Some(ListenerTls {
            certificates: self.certificates?.into_inner(),
            alpn: self.alpn.map_or_else(default, Spanned::into_inner),
            client_ca: self.client_ca,
            client_certificate: self
                .client_certificate
                .map_or_else(ClientCertificate::default, Spanned::into_inner),
            min_version: self.min_version,
        })
    }
}

const HTTP: &str = "http/1.1";
