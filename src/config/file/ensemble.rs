//! `[ensemble]`.

use super::text;
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{DEFAULT_HEARTBEAT, EnsembleConfig, limits};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use toml::Spanned;

/// Addresses of the voting members by name.
type Members = BTreeMap<String, Spanned<String>>;

/// `[ensemble]` as written.
#[derive(Default)]
pub(super) struct EnsembleDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
    members: Option<Spanned<Members>>,
    observer: bool,
    heartbeat: Option<Duration>,
}

pub(super) const KEYS: &[Key<EnsembleDraft>] = &[
    Key::required("listen", |ensemble, value| {
        ensemble.listen = value.spanned(|value| value.parsed(text::socket_address));
    }),
    Key::required("members", |ensemble, value| {
        ensemble.members = value.spanned(read_members);
    }),
    Key::optional("observer", |ensemble, value| {
        ensemble.observer = value.boolean().unwrap_or_default();
    }),
    Key::optional("heartbeat", |ensemble, value| {
        ensemble.heartbeat = value.duration(limits::HEARTBEAT);
    }),
];

fn read_members(value: Value<'_>) -> Option<Members> {
    let members = value.entries(*limits::MEMBERS.end(), |key, value| {
        let name = match text::name(key.get_ref()) {
            Ok(name) => name,
            Err(message) => return value.fail_at(key.span(), message),
        };
        let address = value.spanned(|value| value.parsed(text::host_port))?;
        Some((name, address))
    })?;
    Some(members.into_iter().collect())
}

impl EnsembleDraft {
    /// Checks that there are members, each at an address of its own.
    pub(super) fn checked(self, report: &mut Report) -> Option<EnsembleDraft> {
        let before = report.count();
        let members = self.members.as_ref()?;
        if members.get_ref().is_empty() {
            report.fault(members.span(), "an ensemble has at least one member");
        }
        let mut owners = BTreeMap::new();
        for (name, address) in members.get_ref() {
            if let Some(other) = owners.insert(address.get_ref(), name) {
                let address_text = address.get_ref();
                report.fault(
                    address.span(),
                    format!("{address_text} is the address of member {other:?} already"),
                );
            }
        }
        (report.count() == before).then_some(self)
    }

    /// Checks that the node called `node` has its place among the members, or beside them.
    pub(super) fn check_place_of(&self, node: &str, report: &mut Report) {
        let Some(members) = &self.members else {
            return;
        };
        let message = match (members.get_ref().contains_key(node), self.observer) {
            (true, false) | (false, true) => return,
            (false, false) => format!(
                "this node, {node:?}, is not among the members; add it, or set observer = true"
            ),
            (true, true) => format!(
                "this node, {node:?}, is an observer, so it cannot be among the voting members"
            ),
        };
        report.fault(members.span(), message);
    }

    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<EnsembleConfig> {
        let members = self.members?.into_inner().into_iter();
        Some(EnsembleConfig {
            listen: self.listen?.into_inner(),
            members: members
                .map(|(name, address)| (name, address.into_inner()))
                .collect(),
            observer: self.observer,
            heartbeat: self.heartbeat.unwrap_or(DEFAULT_HEARTBEAT),
        })
    }
}
