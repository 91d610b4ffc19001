//! `[admin]`.

use super::text;
use crate::config::walk::Key;
use crate::config::{AdminConfig, DEFAULT_ADMIN_LISTEN};
use std::net::SocketAddr;
use toml::Spanned;

/// `[admin]` as written.
#[derive(Default)]
pub(super) struct AdminDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
}

pub(super) const KEYS: &[Key<AdminDraft>] = &[Key::optional("listen", |admin, value| {
    admin.listen = value.spanned(|value| value.parsed(text::socket_address));
})];

impl AdminDraft {
    /// Fills in the defaults.
    pub(super) fn finish(self) -> AdminConfig {
        AdminConfig {
            listen: self
                .listen
                .map_or(DEFAULT_ADMIN_LISTEN, Spanned::into_inner),
        }
    }
}
