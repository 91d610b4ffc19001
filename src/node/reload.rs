//! Another configuration for a node that runs: all of it, or nothing and the reason.
//!
//! ```text
//! conflicts? -> bind what is new -> a table with the rules of old and new listeners -> switch -> old rules go
//!      |              |                           |                                               when their last
//!      refused       refused                     refused, the old file is back                    connection ended
//! ```
//! In this order no connection meets a listener without rules: a new one accepts only once its rules are in use, and
//! those of an old one stay for who has come by it.

use super::running::Node;
use crate::config::{Config, ListenerConfig};
use crate::net::off_runtime;
use crate::proxy::{Leaving, ReloadError};
use crate::registry::FileLayer;
use crate::telemetry::chain;
use tokio::task::{JoinError, JoinSet};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// It changes what needs a restart.
    #[error("{}", .0.join("; "))]
    Conflicts(Vec<String>),
    /// Listeners cannot be as it says.
    #[error(transparent)]
    Listeners(#[from] ReloadError),
    /// No table could be made of it.
    #[error("no routing table could be assembled")]
    Table,
}

/// Listeners that are no more and have connections yet.
#[derive(Default)]
pub(super) struct LeavingListeners {
    configs: Vec<ListenerConfig>,
    draining: JoinSet<ListenerConfig>,
}

impl LeavingListeners {
    fn add(&mut self, leaving: Leaving) {
        self.configs.push(leaving.config.clone());
        self.draining.spawn(leaving.drained());
    }

    /// The next one whose last connection has ended; `None` while there is none to wait for.
    pub(super) async fn drained(&mut self) -> Option<Result<ListenerConfig, JoinError>> {
        self.draining.join_next().await
    }
}

/// What the registry takes from the file, with the rules of listeners that are `leaving`.
pub(super) fn file_layer(config: &Config, leaving: &[ListenerConfig]) -> FileLayer {
    let is_new = |old: &&ListenerConfig| config.listeners.iter().all(|new| new.name != old.name);
    let old = leaving.iter().filter(is_new).cloned();
    FileLayer {
        services: config.services.clone(),
        listeners: old.chain(config.listeners.iter().cloned()).collect(),
    }
}

impl Node {
    /// Takes a new configuration into use: listeners, rules and services change, whole; anything that cannot change
    /// while running refuses the configuration and is named.
    pub async fn reload(&mut self, new: Config) {
        match self.try_reload(new).await {
            Ok(()) => {
                let coordination = &self.metrics.coordination;
                coordination.settings_reloads.inc();
                coordination
                    .settings_ok
                    .set(i64::from(self.registry.refused_settings().is_empty()));
                tracing::info!(listeners = ?self.addrs.listeners, "configuration reloaded");
            }
            Err(refusal) => self.refuse_reload(&chain(&refusal).to_string()),
        }
    }

    async fn try_reload(&mut self, new: Config) -> Result<(), Refusal> {
        let conflicts = self.config.reload_conflicts(&new);
        if !conflicts.is_empty() {
            return Err(Refusal::Conflicts(conflicts));
        }
        let prepared = self.proxy.prepare(&new.listeners).await?;
        let old = [&self.leaving.configs[..], &self.config.listeners].concat();
        if !self.use_file(file_layer(&new, &old)).await {
            let before = file_layer(&self.config, &self.leaving.configs);
            self.registry.reload(before);
            return Err(Refusal::Table);
        }
        for leaving in self.proxy.switch(prepared).await {
            self.leaving.add(leaving);
        }
        self.addrs.listeners = self.proxy.local_addrs();
        self.follow_fronts();
        self.config = new;
        Ok(())
    }

    /// Whether a table that goes by this file is in use.
    async fn use_file(&self, layer: FileLayer) -> bool {
        self.registry.reload(layer);
        let (registry, ensemble) = (self.registry.clone(), self.ensemble.clone());
        // Off this thread: a large table takes milliseconds, and heartbeats must not wait for it.
        let caught_up = off_runtime(move || registry.catch_up(&ensemble)).await;
        caught_up.unwrap_or(false)
    }

    /// The last connection of a listener has ended: its rules go.
    pub(super) fn forget(&mut self, gone: &ListenerConfig) {
        let configs = &mut self.leaving.configs;
        if let Some(at) = configs.iter().position(|config| config == gone) {
            configs.remove(at);
        }
        tracing::info!(
            listener = gone.name,
            "the last connection of a removed listener has ended"
        );
        self.registry
            .reload(file_layer(&self.config, &self.leaving.configs));
    }

    /// Notes that a new configuration was refused; the old one stays.
    pub fn refuse_reload(&self, why: &str) {
        self.metrics.coordination.settings_refused.inc();
        self.metrics.coordination.settings_ok.set(0);
        tracing::error!(%why, "configuration refused, the old one stays in force");
    }
}
