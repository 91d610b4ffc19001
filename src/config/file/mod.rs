//! From the text of a settings file to a [`Config`], and from a service's settings in the tree to a layer.
//!
//! Each section has a file of its own: its keys, their readers, and what must hold within it. A new key is one line
//! in its section's list, one field, and one commented line in `config/example.toml` (a test compares them).

mod admin;
mod draft;
mod ensemble;
mod front;
mod health;
mod listener;
mod node;
mod service;
mod socket;
mod syntax;
mod text;
mod tls;
mod zookeeper;

use super::report::Report;
use super::walk;
#[cfg(test)]
use super::walk::Key;
use super::{Config, ConfigErrors, ServiceSettings, limits};
use std::io::Read;
use std::path::Path;

#[cfg(test)]
pub(super) use node::host_name;

impl Config {
    /// Reads and checks the file at `path`. Paths of certificates, keys and tokens in it are relative to its directory.
    ///
    /// # Errors
    /// [`ConfigErrors`] if it cannot be read, is longer than [`limits::TEXT_BYTES`], is not UTF-8, or says anything
    /// that is wrong.
    pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
        let source = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            ConfigErrors::whole(&source, format!("cannot be read: {error}"))
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(limits::TEXT_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        let mut config = Config::parse(text::decoded(&bytes, &source)?, &source)?;
        if let Some(dir) = path.parent() {
            config.resolve(dir);
            let ensemble = config.ensemble.as_mut();
            let tokens = [
                ensemble.and_then(|ensemble| ensemble.token_file.as_mut()),
                config.admin.token_file.as_mut(),
            ];
            for path in tokens.into_iter().flatten() {
                *path = dir.join(&*path);
            }
        }
        Ok(config)
    }

    /// Checks `text`. Errors call it `source`.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong with it.
    pub fn parse(text: &str, source: &str) -> Result<Config, ConfigErrors> {
        let document = syntax::parse(text, source)?;
        let mut report = Report::default();
        let root = document.get_ref();
        let config = walk::keys(root, 0..0, "", draft::KEYS, &mut report).finish(&mut report);
        report.verdict(text, source)?;
        Ok(config.expect("a file without faults has a configuration"))
    }
}

impl ServiceSettings {
    /// Checks the settings of one service as the tree keeps them: the keys of `[service.<service>]` at the top
    /// level. Errors call the text `source`, the path of its znode. An empty text sets nothing.
    ///
    /// # Errors
    /// [`ConfigErrors`] with everything that is wrong with it.
    pub fn parse(text: &str, source: &str) -> Result<ServiceSettings, ConfigErrors> {
        let document = syntax::parse(text, source)?;
        let mut report = Report::default();
        let settings = walk::keys(document.get_ref(), 0..0, "", service::KEYS, &mut report);
        let settings = service::checked(settings, 0..0, &mut report);
        report.verdict(text, source)?;
        Ok(settings.expect("settings without faults are settings"))
    }
}

/// Accepts a section whose keys have nothing to do with each other.
fn as_written<D>(draft: D, _: &mut Report) -> Option<D> {
    Some(draft)
}

/// Every key the readers know, with its section.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<(&'static str, &'static str)> {
    fn named<D>(
        section: &'static str,
        keys: &'static [Key<D>],
    ) -> Vec<(&'static str, &'static str)> {
        keys.iter().map(|key| (section, key.name)).collect()
    }
    [
        named("", draft::KEYS),
        named("node", node::KEYS),
        named("ensemble", ensemble::KEYS),
        named("zookeeper", zookeeper::KEYS),
        named("zookeeper.session_timeout", zookeeper::SESSION_TIMEOUT),
        named("ensemble.tls", tls::ENSEMBLE),
        named("zookeeper.tls", tls::KEYS),
        named("admin.tls", tls::ADMIN),
        named("admin", admin::KEYS),
        named("listener", listener::KEYS),
        named("listener.rules", listener::RULE),
        named("listener.tls", front::KEYS),
        named("listener.tls.certificates", front::CERTIFICATE),
        named("listener.keepalive", socket::KEEPALIVE),
        named("service", service::KEYS),
        named("service.keepalive", socket::KEEPALIVE),
        named("service.endpoints", service::ENDPOINT),
        named("service.check", health::CHECK),
        named("service.outlier", health::OUTLIER),
    ]
    .concat()
}
