//! `[ensemble]`.

use super::tls::{self, EnsembleTlsDraft};
use super::{as_written, text};
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{DEFAULT_HEARTBEAT, EnsembleConfig, limits};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// Addresses of the voting members by name.
type Members = BTreeMap<String, Spanned<String>>;

/// `[ensemble]` as written.
#[derive(Default)]
pub(super) struct EnsembleDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
    members: Option<Spanned<Members>>,
    join: Option<Spanned<Vec<String>>>,
    /// Whether one of the two is there, right or wrong.
    is_written: bool,
    token_file: Option<PathBuf>,
    advertise: Option<String>,
    observer: bool,
    heartbeat: Option<Duration>,
    pub(super) tls: Option<EnsembleTlsDraft>,
    pub(super) insecure: bool,
}

pub(super) const KEYS: &[Key<EnsembleDraft>] = &[
    Key::required("listen", |ensemble, value| {
        ensemble.listen = value.spanned(|value| value.parsed(text::socket_address));
    }),
    Key::optional("members", |ensemble, value| {
        ensemble.is_written = true;
        ensemble.members = value.spanned(read_members);
    }),
    Key::optional("join", |ensemble, value| {
        ensemble.is_written = true;
        ensemble.join = value.spanned(read_contacts);
    }),
    Key::optional("token_file", |ensemble, value| {
        ensemble.token_file = value.parsed(text::file_path);
    }),
    Key::optional("advertise", |ensemble, value| {
        ensemble.advertise = value.parsed(text::host_port);
    }),
    Key::optional("observer", |ensemble, value| {
        ensemble.observer = value.boolean().unwrap_or_default();
    }),
    Key::optional("heartbeat", |ensemble, value| {
        ensemble.heartbeat = value.duration(limits::HEARTBEAT);
    }),
    Key::optional("tls", |ensemble, value| {
        ensemble.tls = value.section("tls of [ensemble]", tls::ENSEMBLE, as_written);
    }),
    Key::optional("insecure", |ensemble, value| {
        ensemble.insecure = value.boolean().unwrap_or_default();
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

fn read_contacts(value: Value<'_>) -> Option<Vec<String>> {
    value.elements(limits::JOIN_CONTACTS, |contact| {
        contact.parsed(text::host_port)
    })
}

impl EnsembleDraft {
    /// Checks that there are members, each at an address of its own.
    pub(super) fn checked(self, report: &mut Report) -> Option<EnsembleDraft> {
        let before = report.count();
        match (&self.members, &self.join) {
            (Some(_), None) | (None, Some(_)) => {}
            (Some(_), Some(join)) => {
                let message =
                    "members founds an ensemble, join enters one that is there: give one of them";
                report.fault(join.span(), message);
            }
            (None, None) if self.is_written => {}
            (None, None) => {
                let span = self.listen.as_ref().map_or(0..0, Spanned::span);
                let message =
                    "[ensemble] needs members, to found an ensemble, or join, to enter one";
                report.fault(span, message);
            }
        }
        if let Some(join) = self.join.as_ref().filter(|join| join.get_ref().is_empty()) {
            report.fault(join.span(), "join names at least one member");
        }
        let wildcard = self.listen.as_ref();
        let wildcard = wildcard.filter(|listen| listen.get_ref().ip().is_unspecified());
        if let Some(listen) = wildcard
            && self.join.is_some()
            && self.advertise.is_none()
        {
            let message = "others cannot reach a wildcard: set advertise to this node's address";
            report.fault(listen.span(), message);
        }
        let Some(members) = &self.members else {
            return (report.count() == before).then_some(self);
        };
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
        let members = self.members.map(Spanned::into_inner).unwrap_or_default();
        let members = members.into_iter();
        Some(EnsembleConfig {
            listen: self.listen?.into_inner(),
            members: members
                .map(|(name, address)| (name, address.into_inner()))
                .collect(),
            join: self.join.map(Spanned::into_inner).unwrap_or_default(),
            token_file: self.token_file,
            advertise: self.advertise,
            observer: self.observer,
            heartbeat: self.heartbeat.unwrap_or(DEFAULT_HEARTBEAT),
            tls: match self.tls {
                Some(tls) => Some(tls.finish()?),
                None => None,
            },
            insecure: self.insecure,
        })
    }
}
