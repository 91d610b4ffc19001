//! `ensemble.tls`, `zookeeper.tls` and `admin.tls`.

use super::text;
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::words;
use crate::config::{
    AdminTls, ClientCertificate, DEFAULT_TRUST_DOMAIN, DEFAULT_ZOOKEEPER_TLS_LISTEN, EnsembleTls,
    ZookeeperTls,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

/// `tls = { .. }` of `[ensemble]` as written.
#[derive(Default)]
pub(in crate::config) struct EnsembleTlsDraft {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<PathBuf>,
    trust_domain: Option<String>,
}

pub(super) const ENSEMBLE: &[Key<EnsembleTlsDraft>] = &[
    Key::required("certificate", |tls, value| {
        tls.certificate = read_path(value)
    }),
    Key::required("key", |tls, value| tls.key = read_path(value)),
    Key::required("ca", |tls, value| tls.ca = read_path(value)),
    Key::optional("trust_domain", |tls, value| {
        tls.trust_domain = value.parsed(text::trust_domain);
    }),
];

impl EnsembleTlsDraft {
    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<EnsembleTls> {
        let default = || DEFAULT_TRUST_DOMAIN.to_owned();
        Some(EnsembleTls {
            certificate: self.certificate?,
            key: self.key?,
            ca: self.ca?,
            trust_domain: self.trust_domain.unwrap_or_else(default),
        })
    }
}

/// `tls = { .. }` of `[zookeeper]` as written.
#[derive(Default)]
pub(in crate::config) struct TlsDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
    shown: ShownDraft,
}

/// What every port for clients shows and asks for, as written.
#[derive(Default)]
struct ShownDraft {
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
        tls.shown.certificate = read_path(value);
    }),
    Key::required("key", |tls, value| tls.shown.key = read_path(value)),
    Key::optional("client_ca", |tls, value| {
        tls.shown.client_ca = read_path(value);
    }),
    Key::optional("client_certificate", |tls, value| {
        tls.shown.client_certificate = read_client_certificate(value);
    }),
];

/// `tls = { .. }` of `[admin]` as written.
#[derive(Default)]
pub(in crate::config) struct AdminTlsDraft(ShownDraft);

pub(super) const ADMIN: &[Key<AdminTlsDraft>] = &[
    Key::required("certificate", |tls, value| {
        tls.0.certificate = read_path(value)
    }),
    Key::required("key", |tls, value| tls.0.key = read_path(value)),
    Key::optional("client_ca", |tls, value| tls.0.client_ca = read_path(value)),
    Key::optional("client_certificate", |tls, value| {
        tls.0.client_certificate = read_client_certificate(value);
    }),
];

pub(super) fn read_path(value: Value<'_>) -> Option<PathBuf> {
    value.parsed(text::file_path)
}

pub(super) fn read_client_certificate(value: Value<'_>) -> Option<Spanned<ClientCertificate>> {
    let choice = |name: &str| {
        let known = &ClientCertificate::NAMES;
        words::choice("client_certificate", name, known, &[])
    };
    value.spanned(|value| value.parsed(choice))
}

impl ShownDraft {
    /// Checks that a client's certificate can be judged.
    fn check(&self, report: &mut Report) -> Option<()> {
        match &self.client_certificate {
            Some(asked) if self.client_ca.is_none() => {
                let message = "client_certificate needs client_ca, the authorities to judge it by";
                report.fault(asked.span(), message);
                None
            }
            _ => Some(()),
        }
    }

    fn client_certificate(&self) -> ClientCertificate {
        let written = self.client_certificate.as_ref();
        written.map_or_else(ClientCertificate::default, |written| *written.get_ref())
    }
}

impl TlsDraft {
    /// Checks that a client's certificate can be judged.
    pub(super) fn checked(self, report: &mut Report) -> Option<TlsDraft> {
        self.shown.check(report).map(|()| self)
    }

    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<ZookeeperTls> {
        Some(ZookeeperTls {
            listen: self
                .listen
                .map_or(DEFAULT_ZOOKEEPER_TLS_LISTEN, Spanned::into_inner),
            client_certificate: self.shown.client_certificate(),
            certificate: self.shown.certificate?,
            key: self.shown.key?,
            client_ca: self.shown.client_ca,
        })
    }
}

impl AdminTlsDraft {
    /// Checks that a client's certificate can be judged.
    pub(super) fn checked(self, report: &mut Report) -> Option<AdminTlsDraft> {
        self.0.check(report).map(|()| self)
    }

    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<AdminTls> {
        Some(AdminTls {
            client_certificate: self.0.client_certificate(),
            certificate: self.0.certificate?,
            key: self.0.key?,
            client_ca: self.0.client_ca,
        })
    }
}
