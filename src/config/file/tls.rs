//! `zookeeper.tls`.

use super::text;
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::words;
use crate::config::{ClientCertificate, DEFAULT_ZOOKEEPER_TLS_LISTEN, ZookeeperTls};
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

/// `tls = { .. }` as written.
#[derive(Default)]
pub(in crate::config) struct TlsDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    client_certificate: Option<Spanned<ClientCertificate>>,
}

pub(super) const KEYS: &[Key<TlsDraft>] = &[
    Key::optional("listen", |tls, value| {
        tls.listen = value.spanned(|value| value.parsed(text::socket_address));
    }),
    Key::required("certificate", |tls, value| {
        tls.certificate = read_path(value)
    }),
    Key::required("key", |tls, value| tls.key = read_path(value)),
    Key::optional("client_ca", |tls, value| tls.client_ca = read_path(value)),
    Key::optional("client_certificate", |tls, value| {
        let choice = |name: &str| {
            let known = &ClientCertificate::NAMES;
            words::choice("client_certificate", name, known, &[])
        };
        tls.client_certificate = value.spanned(|value| value.parsed(choice));
    }),
];

fn read_path(value: Value<'_>) -> Option<PathBuf> {
    value.parsed(text::file_path)
}

impl TlsDraft {
    /// Checks that a client's certificate can be judged.
    pub(super) fn checked(self, report: &mut Report) -> Option<TlsDraft> {
        match &self.client_certificate {
            Some(asked) if self.client_ca.is_none() => {
                let message = "client_certificate needs client_ca, the authorities to judge it by";
                report.fault(asked.span(), message);
                None
            }
            _ => Some(self),
        }
    }

    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<ZookeeperTls> {
        Some(ZookeeperTls {
            listen: self
                .listen
                .map_or(DEFAULT_ZOOKEEPER_TLS_LISTEN, Spanned::into_inner),
            certificate: self.certificate?,
            key: self.key?,
            client_ca: self.client_ca,
            client_certificate: self
                .client_certificate
                .map_or_else(ClientCertificate::default, Spanned::into_inner),
        })
    }
}
