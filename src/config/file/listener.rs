//! `[[listener]]` and its rules.

use super::front::{self, ListenerTlsDraft};
use super::{socket, text};
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{
    ListenerConfig, ListenerSocket, Protocol, RuleConfig, ServiceName, limits, words,
};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use toml::Spanned;

/// `[[listener]]` as written.
#[derive(Default)]
pub(super) struct ListenerDraft {
    pub(super) name: Option<Spanned<String>>,
    pub(super) bind: Option<Spanned<SocketAddr>>,
    protocol: Option<Protocol>,
    service: Option<Spanned<ServiceName>>,
    rules: Option<Spanned<Vec<Spanned<RuleConfig>>>>,
    max_connections: Option<usize>,
    max_connections_per_source: Option<u32>,
    accept_rate: Option<u32>,
    accept_proxy: Option<Spanned<Vec<IpNet>>>,
    handshake_timeout: Option<Duration>,
    tls: Option<Spanned<ListenerTlsDraft>>,
    socket: ListenerSocket,
}

/// One of a listener's rules as written.
#[derive(Default)]
pub(in crate::config) struct RuleDraft {
    sni: Option<String>,
    host: Option<String>,
    path: Option<String>,
    service: Option<ServiceName>,
}

pub(super) const KEYS: &[Key<ListenerDraft>] = &[
    Key::required("name", |listener, value| {
        listener.name = value.spanned(|value| value.parsed(text::name));
    }),
    Key::required("bind", |listener, value| {
        listener.bind = value.spanned(|value| value.parsed(text::socket_address));
    }),
    Key::required("protocol", |listener, value| {
        listener.protocol = value.parsed(protocol);
    }),
    Key::optional("service", |listener, value| {
        listener.service = value.spanned(|value| value.parsed(text::service_name));
    }),
    Key::optional("rules", |listener, value| {
        listener.rules = value.spanned(read_rules);
    }),
    Key::optional("max_connections", |listener, value| {
        let max = value.integer(limits::MAX_CONNECTIONS);
        listener.max_connections = max.map(|max| max as usize);
    }),
    Key::optional("max_connections_per_source", |listener, value| {
        listener.max_connections_per_source = limit(value.integer(limits::PER_SOURCE));
    }),
    Key::optional("accept_rate", |listener, value| {
        listener.accept_rate = limit(value.integer(limits::ACCEPT_RATE));
    }),
    Key::optional("accept_proxy", |listener, value| {
        listener.accept_proxy = read_networks(value);
    }),
    Key::optional("handshake_timeout", |listener, value| {
        listener.handshake_timeout = value.duration(limits::HANDSHAKE_TIMEOUT);
    }),
    Key::optional("tls", |listener, value| {
        let checked = ListenerTlsDraft::checked;
        let read = |value: Value<'_>| value.section("[listener.tls]", front::KEYS, checked);
        listener.tls = value.spanned(read);
    }),
    Key::optional("backlog", |listener, value| {
        if let Some(backlog) = value.integer(limits::BACKLOG) {
            listener.socket.backlog = backlog as u32;
        }
    }),
    Key::optional("keepalive", |listener, value| {
        if let Some(keepalive) = socket::keepalive(value) {
            listener.socket.keepalive = keepalive;
        }
    }),
    Key::optional("user_timeout", |listener, value| {
        if let Some(timeout) = value.duration(limits::USER_TIMEOUT) {
            listener.socket.user_timeout = timeout;
        }
    }),
    Key::optional("receive_buffer", |listener, value| {
        if let Some(bytes) = socket::buffer(value) {
            listener.socket.receive_buffer = bytes;
        }
    }),
    Key::optional("send_buffer", |listener, value| {
        if let Some(bytes) = socket::buffer(value) {
            listener.socket.send_buffer = bytes;
        }
    }),
];

pub(super) const RULE: &[Key<RuleDraft>] = &[
    Key::optional("sni", |rule, value| rule.sni = value.parsed(sni)),
    Key::optional("host", |rule, value| rule.host = value.parsed(host)),
    Key::optional("path", |rule, value| rule.path = value.parsed(path)),
    Key::required("service", |rule, value| {
        rule.service = value.parsed(text::service_name);
    }),
];

/// A limit as it is written: 0 is none.
fn limit(written: Option<u64>) -> Option<u32> {
    written.filter(|limit| *limit > 0).map(|limit| limit as u32)
}

fn read_rules(value: Value<'_>) -> Option<Vec<Spanned<RuleConfig>>> {
    value.elements(limits::RULES, |rule| {
        rule.spanned(|rule| rule.section("a rule", RULE, RuleDraft::finish))
    })
}

fn read_networks(value: Value<'_>) -> Option<Spanned<Vec<IpNet>>> {
    let network = |value: Value<'_>| value.parsed(text::network);
    value.spanned(|value| value.elements(limits::NETWORKS, network))
}

impl RuleDraft {
    fn finish(self, _: &mut Report) -> Option<RuleConfig> {
        Some(RuleConfig {
            sni: self.sni,
            host: self.host,
            path: self.path,
            service: self.service?,
        })
    }
}

impl ListenerDraft {
    /// Checks that its traffic goes somewhere, by rules that its protocol can match.
    pub(super) fn checked(self, report: &mut Report) -> Option<ListenerDraft> {
        let before = report.count();
        let name = self.name.as_ref()?;
        match (&self.service, &self.rules) {
            (Some(_), None) => {}
            (None, Some(rules)) if rules.get_ref().is_empty() => {
                report.fault(rules.span(), "rules is empty, so nothing would be served");
            }
            (None, Some(rules)) => self.check_rules(rules.get_ref(), report),
            (Some(service), Some(_)) => report.fault(
                service.span(),
                "service and rules exclude each other: add a last rule without host and path instead",
            ),
            (None, None) => {
                let name_text = name.get_ref();
                report.fault(
                    name.span(),
                    format!("listener {name_text:?} leads nowhere: it needs service or rules"),
                );
            }
        }
        if let Some(networks) = &self.accept_proxy
            && networks.get_ref().is_empty()
        {
            report.fault(
                networks.span(),
                "accept_proxy is empty, so nobody could connect; name the proxies' networks, or leave it out",
            );
        }
        if let Some(tls) = &self.tls {
            match self.protocol {
                Some(Protocol::Tls) => report.fault(
                    tls.span(),
                    "protocol \"tls\" passes TLS on as it is; to end it here, say \"tcp\" or \"http\"",
                ),
                Some(Protocol::Http) => tls.get_ref().check_http(report),
                Some(Protocol::Tcp) | None => {}
            }
        }
        (report.count() == before).then_some(self)
    }

    fn check_rules(&self, rules: &[Spanned<RuleConfig>], report: &mut Report) {
        let Some(protocol) = self.protocol else {
            return;
        };
        let is_http = protocol == Protocol::Http;
        let is_tls = protocol == Protocol::Tls || self.tls.is_some();
        for rule in rules {
            let RuleConfig {
                sni, host, path, ..
            } = rule.get_ref();
            if !is_http && (host.is_some() || path.is_some()) {
                report.fault(
                    rule.span(),
                    "host and path are known with protocol \"http\" only",
                );
            }
            if !is_tls && sni.is_some() {
                report.fault(
                    rule.span(),
                    "sni is known with protocol \"tls\" or with [listener.tls] only",
                );
            }
        }
    }

    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<ListenerConfig> {
        let rules = match (self.service, self.rules) {
            (Some(service), _) => vec![RuleConfig {
                sni: None,
                host: None,
                path: None,
                service: service.into_inner(),
            }],
            (None, Some(rules)) => {
                let rules = rules.into_inner().into_iter();
                rules.map(Spanned::into_inner).collect()
            }
            (None, None) => return None,
        };
        let is_http = self.protocol == Some(Protocol::Http);
        let tls = match self.tls {
            Some(tls) => Some(tls.into_inner().finish(is_http)?),
            None => None,
        };
        let (name, bind) = (self.name?.into_inner(), self.bind?.into_inner());
        let default = ListenerConfig::new(&name, bind, self.protocol?);
        Some(ListenerConfig {
            rules,
            tls,
            max_connections: self.max_connections.unwrap_or(default.max_connections),
            max_connections_per_source: self.max_connections_per_source,
            accept_rate: self.accept_rate,
            accept_proxy: self.accept_proxy.map(Spanned::into_inner),
            handshake_timeout: self.handshake_timeout.unwrap_or(default.handshake_timeout),
            socket: self.socket,
            ..default
        })
    }
}

fn protocol(text: &str) -> Result<Protocol, String> {
    let known = [Protocol::Http, Protocol::Tcp, Protocol::Tls]
        .map(|protocol| (protocol.as_str(), protocol));
    match text {
        "https" => Err("https is protocol \"http\" with [listener.tls]".to_owned()),
        text => words::choice("protocol", text, &known, &[]),
    }
}

/// A name in a ClientHello as rules compare it, which is never an address.
fn sni(text: &str) -> Result<String, String> {
    let name = host(text)?;
    match name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
        true => Err(format!(
            "sni {text:?} is an address, which no ClientHello names"
        )),
        false => Ok(name),
    }
}

/// A host as rules compare it: lower case, without port, perhaps for all its subdomains.
fn host(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let exact = host.strip_prefix("*.").unwrap_or(&host);
    let shown = words::shortened(text);
    let has_port = exact
        .rsplit_once(':')
        .is_some_and(|(name, port)| text::is_host(name) && port.parse::<u16>().is_ok());
    if has_port {
        return Err(format!(
            "host {shown:?} has a port; rules match the host without it"
        ));
    }
    if !text::is_host(exact) || exact.len() > limits::ADDRESS_BYTES {
        return Err(format!(
            "{shown:?} is not a host; write a name, an IP address, or \"*.example\" for all its subdomains"
        ));
    }
    Ok(host)
}

/// A path prefix as rules compare it.
fn path(text: &str) -> Result<String, String> {
    let shown = words::shortened(text);
    if !text.starts_with('/') {
        return Err(format!("path {shown:?} does not start with '/'"));
    }
    if text.len() > limits::RULE_PATH_BYTES {
        let max = limits::RULE_PATH_BYTES;
        return Err(format!("path {shown:?} is longer than {max} bytes"));
    }
    if let Some(c) = text
        .chars()
        .find(|c| !c.is_ascii_graphic() || "?#".contains(*c))
    {
        return Err(format!(
            "path {shown:?} has {c:?}, which no path of a request has; write it percent-encoded"
        ));
    }
    Ok(text.to_owned())
}
