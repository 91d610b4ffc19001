//! `[admin]`.

use super::text;
use super::tls::{self, AdminTlsDraft};
use crate::config::walk::Key;
use crate::config::{AdminConfig, DEFAULT_ADMIN_LISTEN};
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Spanned;

/// `[admin]` as written.
#[derive(Default)]
pub(super) struct AdminDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
    token_file: Option<PathBuf>,
    pub(super) tls: Option<AdminTlsDraft>,
    pub(super) insecure: bool,
}

pub(super) const KEYS: &[Key<AdminDraft>] = &[
    Key::optional("listen", |admin, value| {
        admin.listen = value.spanned(|value| value.parsed(text::socket_address));
    }),
    Key::optional("token_file", |admin, value| {
        admin.token_file = value.parsed(text::file_path);
    }),
    Key::optional("tls", |admin, value| {
        admin.tls = value.section("tls of [admin]", tls::ADMIN, AdminTlsDraft::checked);
    }),
    Key::optional("insecure", |admin, value| {
        admin.insecure = value.boolean().unwrap_or_default();
    }),
];

impl AdminDraft {
    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<AdminConfig> {
        Some(AdminConfig {
            listen: self
                .listen
                .map_or(DEFAULT_ADMIN_LISTEN, Spanned::into_inner),
            token_file: self.token_file,
            tls: match self.tls {
                Some(tls) => Some(tls.finish()?),
                None => None,
            },
            insecure: self.insecure,
        })
    }
}
