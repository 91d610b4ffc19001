//! The top level of a settings file, and what must hold between its sections.

use super::admin::{self, AdminDraft};
use super::ensemble::{self, EnsembleDraft};
use super::listener::{self, ListenerDraft};
use super::node::{self, NodeDraft};
use super::zookeeper::{self, ZookeeperDraft};
use super::{as_written, service, text};
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{
    Config, DEFAULT_ADMIN_LISTEN, DEFAULT_ZOOKEEPER_LISTEN, DEFAULT_ZOOKEEPER_TLS_LISTEN,
    ServiceName, ServiceSettings, exposure, limits,
};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use toml::Spanned;

/// The file's sections. One that has a fault is `None`, so that checks between sections pass over it.
pub(super) struct FileDraft {
    node: Option<NodeDraft>,
    ensemble: Option<EnsembleDraft>,
    zookeeper: Option<ZookeeperDraft>,
    admin: Option<AdminDraft>,
    listeners: Vec<ListenerDraft>,
    services: BTreeMap<ServiceName, ServiceSettings>,
}

impl Default for FileDraft {
    /// What an empty file says: each section is there, with all its keys absent.
    fn default() -> FileDraft {
        FileDraft {
            node: Some(NodeDraft::default()),
            ensemble: None,
            zookeeper: Some(ZookeeperDraft::default()),
            admin: Some(AdminDraft::default()),
            listeners: Vec::new(),
            services: BTreeMap::new(),
        }
    }
}

pub(super) const KEYS: &[Key<FileDraft>] = &[
    Key::optional("node", |file, value| {
        file.node = value.section("[node]", node::KEYS, as_written);
    }),
    Key::optional("ensemble", |file, value| {
        file.ensemble = value.section("[ensemble]", ensemble::KEYS, EnsembleDraft::checked);
    }),
    Key::optional("zookeeper", |file, value| {
        file.zookeeper = value.section("[zookeeper]", zookeeper::KEYS, ZookeeperDraft::checked);
    }),
    Key::optional("admin", |file, value| {
        file.admin = value.section("[admin]", admin::KEYS, as_written);
    }),
    Key::optional("listener", |file, value| {
        read_listeners(&mut file.listeners, value)
    }),
    Key::optional("service", |file, value| {
        read_services(&mut file.services, value)
    }),
];

fn read_listeners(listeners: &mut Vec<ListenerDraft>, value: Value<'_>) {
    if value.is_table() {
        value.fail::<()>("listeners are a list: write [[listener]], with a name in it");
        return;
    }
    value.elements(limits::LISTENERS, |listener| {
        listeners.extend(listener.section("[[listener]]", listener::KEYS, ListenerDraft::checked));
        Some(())
    });
}

fn read_services(services: &mut BTreeMap<ServiceName, ServiceSettings>, value: Value<'_>) {
    value.entries(limits::SERVICES, |key, value| {
        let name = match ServiceName::new(key.get_ref()) {
            Ok(name) => name,
            Err(error) => return value.fail_at(key.span(), error.to_string()),
        };
        let label = format!("[service.{}]", text::as_key(key.get_ref()));
        let settings = value.section(&label, service::KEYS, |settings, report| {
            service::checked(settings, key.span(), report)
        })?;
        services.insert(name, settings);
        Some(())
    });
}

impl FileDraft {
    /// Checks what must hold between sections and fills in the defaults. `None` if anything in the file is wrong.
    pub(super) fn finish(self, report: &mut Report) -> Option<Config> {
        self.check_addresses(report);
        self.check_listener_names(report);
        self.check_exposure(report);
        let node = self.node?.finish(report)?;
        if let Some(ensemble) = &self.ensemble {
            ensemble.check_place_of(&node.name, report);
        }
        if report.count() > 0 {
            return None;
        }
        Some(Config {
            node,
            ensemble: match self.ensemble {
                Some(draft) => Some(draft.finish()?),
                None => None,
            },
            zookeeper: self.zookeeper?.finish()?,
            admin: self.admin?.finish()?,
            listeners: self
                .listeners
                .into_iter()
                .map(ListenerDraft::finish)
                .collect::<Option<_>>()?,
            services: self.services,
        })
    }

    /// A control port beyond this machine has TLS, or somebody says that it need not.
    fn check_exposure(&self, report: &mut Report) {
        let zookeeper = self.zookeeper.as_ref().filter(|it| !it.insecure);
        let admin = self.admin.as_ref().filter(|it| !it.insecure);
        let admin = admin.filter(|it| it.tls.is_none());
        let ensemble = self.ensemble.as_ref().filter(|it| !it.insecure);
        let ensemble = ensemble.filter(|it| it.tls.is_none());
        let plain = [
            ("ensemble", ensemble.and_then(|it| it.listen.as_ref())),
            ("zookeeper", zookeeper.and_then(|it| it.listen.as_ref())),
            ("admin", admin.and_then(|it| it.listen.as_ref())),
        ];
        for (section, listen) in plain {
            if let Some(listen) = listen
                && exposure::is_beyond_this_machine(*listen.get_ref())
            {
                let message = exposure::refusal(section, *listen.get_ref());
                report.fault(listen.span(), message);
            }
        }
    }

    fn check_listener_names(&self, report: &mut Report) {
        let mut seen = BTreeSet::new();
        for name in self
            .listeners
            .iter()
            .filter_map(|draft| draft.name.as_ref())
        {
            if !seen.insert(name.get_ref()) {
                let name_text = name.get_ref();
                report.fault(
                    name.span(),
                    format!("another listener is named {name_text:?} already"),
                );
            }
        }
    }

    /// Two sockets cannot have one address. Port 0 asks the kernel for a free one, so it may repeat.
    fn check_addresses(&self, report: &mut Report) {
        let mut owners: BTreeMap<SocketAddr, String> = self.default_addresses().collect();
        for (address, owner) in self.written_addresses() {
            if address.get_ref().port() == 0 {
                continue;
            }
            match owners.entry(*address.get_ref()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(owner);
                }
                Entry::Occupied(taken) => {
                    let (address_text, other) = (address.get_ref(), taken.get());
                    let message = format!("{address_text} is the address of {other} already");
                    report.fault(address.span(), message);
                }
            }
        }
    }

    /// Addresses that stand because nothing is written, and who listens there.
    fn default_addresses(&self) -> impl Iterator<Item = (SocketAddr, String)> {
        let zookeeper = self.zookeeper.as_ref().filter(|it| it.listen.is_none());
        let tls = self.zookeeper.as_ref().and_then(|it| it.tls.as_ref());
        let tls = tls.filter(|it| it.listen.is_none());
        let admin = self.admin.as_ref().filter(|it| it.listen.is_none());
        let zookeeper = zookeeper.map(|_| (DEFAULT_ZOOKEEPER_LISTEN, "[zookeeper], by default,"));
        let tls = tls.map(|_| {
            let owner = "tls of [zookeeper], by default,";
            (DEFAULT_ZOOKEEPER_TLS_LISTEN, owner)
        });
        let admin = admin.map(|_| (DEFAULT_ADMIN_LISTEN, "[admin], by default,"));
        let defaults = zookeeper.into_iter().chain(tls).chain(admin);
        defaults.map(|(address, owner)| (address, owner.to_owned()))
    }

    /// Addresses that are written in valid sections, and who listens there.
    fn written_addresses(&self) -> impl Iterator<Item = (&Spanned<SocketAddr>, String)> {
        let zookeeper = self.zookeeper.as_ref().and_then(|it| it.listen.as_ref());
        let tls = self.zookeeper.as_ref().and_then(|it| it.tls.as_ref());
        let tls = tls.and_then(|it| it.listen.as_ref());
        let admin = self.admin.as_ref().and_then(|it| it.listen.as_ref());
        let ensemble = self.ensemble.as_ref().and_then(|it| it.listen.as_ref());
        let sections = [
            (zookeeper, "[zookeeper]"),
            (tls, "tls of [zookeeper]"),
            (admin, "[admin]"),
            (ensemble, "[ensemble]"),
        ];
        let sections = sections
            .into_iter()
            .filter_map(|(listen, owner)| Some((listen?, owner.to_owned())));
        let listeners = self.listeners.iter().filter_map(|listener| {
            let name = listener.name.as_ref()?.get_ref();
            Some((listener.bind.as_ref()?, format!("listener {name:?}")))
        });
        sections.chain(listeners)
    }
}
