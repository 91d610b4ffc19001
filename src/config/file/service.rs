//! `[service.<name>]`, and the same keys in a service's znode.

use super::{health, socket, text};
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{
    HashKey, OnEmpty, SendProxy, ServiceSettings, StaticEndpoint, Strategy, limits, words,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A static endpoint as written, if written as a table.
#[derive(Default)]
pub(in crate::config) struct EndpointDraft {
    address: Option<String>,
    weight: Option<u16>,
    tier: Option<u8>,
}

pub(super) const KEYS: &[Key<ServiceSettings>] = &[
    Key::optional("strategy", |service, value| {
        service.strategy = value.parsed(strategy);
    }),
    Key::optional("hash_key", |service, value| {
        service.hash_key = value.parsed(hash_key);
    }),
    Key::optional("load_factor", |service, value| {
        service.load_factor = value.hundredths_or_zero(limits::LOAD_FACTOR);
    }),
    Key::optional("slow_start", |service, value| {
        service.slow_start = value.duration(limits::SLOW_START);
    }),
    Key::optional("panic_threshold", |service, value| {
        let percent = value.integer(limits::PANIC_THRESHOLD);
        service.panic_threshold = percent.map(|percent| percent as u8);
    }),
    Key::optional("on_empty", |service, value| {
        service.on_empty = value.parsed(on_empty);
    }),
    Key::optional("backup", |service, value| {
        service.backup = value.parsed(text::service_name);
    }),
    Key::optional("connect_timeout", |service, value| {
        service.connect_timeout = value.duration(limits::CONNECT_TIMEOUT);
    }),
    Key::optional("response_timeout", |service, value| {
        service.response_timeout = value.duration(limits::RESPONSE_TIMEOUT);
    }),
    Key::optional("idle_timeout", |service, value| {
        service.idle_timeout = value.duration(limits::IDLE_TIMEOUT);
    }),
    Key::optional("drain_timeout", |service, value| {
        service.drain_timeout = value.duration(limits::DRAIN_TIMEOUT);
    }),
    Key::optional("send_proxy", |service, value| {
        let choice = |name: &str| words::choice("send_proxy", name, &SendProxy::NAMES, &[]);
        service.send_proxy = value.parsed(choice);
    }),
    Key::optional("keepalive", |service, value| {
        service.keepalive = socket::keepalive(value);
    }),
    Key::optional("user_timeout", |service, value| {
        service.user_timeout = value.duration(limits::USER_TIMEOUT);
    }),
    Key::optional("max_connections", |service, value| {
        let max = value.integer(limits::ENDPOINT_CONNECTIONS);
        service.max_connections = max.map(|max| (max > 0).then_some(max as u32));
    }),
    Key::optional("queue", |service, value| {
        service.queue = value.integer(limits::QUEUE).map(|queue| queue as usize);
    }),
    Key::optional("queue_timeout", |service, value| {
        service.queue_timeout = value.duration(limits::QUEUE_TIMEOUT);
    }),
    Key::optional("max_lifetime", |service, value| {
        let max = value.duration(limits::MAX_LIFETIME);
        service.max_lifetime = max.map(|max| (!max.is_zero()).then_some(max));
    }),
    Key::optional("check", |service, value| {
        service.check = health::read_check(value);
    }),
    Key::optional("outlier", |service, value| {
        service.outlier = health::read_outlier(value);
    }),
    Key::optional("endpoints", |service, value| {
        service.endpoints = read_endpoints(value);
    }),
    Key::optional("weights", |service, value| {
        service.weights = read_weights(value);
    }),
    Key::optional("drain", |service, value| {
        service.drain = read_drain(value);
    }),
];

pub(super) const ENDPOINT: &[Key<EndpointDraft>] = &[
    Key::required("address", |endpoint, value| {
        endpoint.address = value.parsed(text::host_port);
    }),
    Key::optional("weight", |endpoint, value| endpoint.weight = weight(value)),
    Key::optional("tier", |endpoint, value| {
        endpoint.tier = value.integer(limits::TIER).map(|tier| tier as u8);
    }),
];

/// Checks what must hold between keys of one text; `span` is where the text begins to speak of the service.
pub(super) fn checked(
    settings: ServiceSettings,
    span: Range<usize>,
    report: &mut Report,
) -> Option<ServiceSettings> {
    // Beside each other, so that neither can come to nothing when the other layer changes.
    if settings.on_empty == Some(OnEmpty::Backup) && settings.backup.is_none() {
        let message = "on_empty = \"backup\" needs backup = \"SERVICE\" beside it";
        report.fault(span, message);
        return None;
    }
    Some(settings)
}

fn read_endpoints(value: Value<'_>) -> Option<Vec<StaticEndpoint>> {
    let mut seen = BTreeSet::new();
    value.elements(limits::STATIC_ENDPOINTS, |value| {
        read_endpoint(value, &mut seen)
    })
}

fn read_endpoint(value: Value<'_>, seen: &mut BTreeSet<String>) -> Option<StaticEndpoint> {
    let mut once = |address: String| {
        if seen.insert(address.clone()) {
            Ok(address)
        } else {
            Err(format!("endpoint {address} is listed already"))
        }
    };
    if !value.is_table() {
        let address = value.parsed(|text| text::host_port(text).and_then(once))?;
        return Some(StaticEndpoint {
            address,
            weight: 1,
            tier: 0,
        });
    }
    let span = value.span();
    value.section("an endpoint", ENDPOINT, |draft, report| {
        match once(draft.address?) {
            Ok(address) => Some(StaticEndpoint {
                address,
                weight: draft.weight.unwrap_or(1),
                tier: draft.tier.unwrap_or(0),
            }),
            Err(message) => {
                report.fault(span, message);
                None
            }
        }
    })
}

fn read_weights(value: Value<'_>) -> Option<BTreeMap<String, u16>> {
    let weights = value.entries(limits::INSTANCES, |key, value| {
        let instance = match text::instance(key.get_ref()) {
            Ok(instance) => instance,
            Err(message) => return value.fail_at(key.span(), message),
        };
        Some((instance, weight(value)?))
    })?;
    Some(weights.into_iter().collect())
}

fn read_drain(value: Value<'_>) -> Option<BTreeSet<String>> {
    let instances = value.elements(limits::INSTANCES, |value| value.parsed(text::instance))?;
    Some(instances.into_iter().collect())
}

fn weight(value: Value<'_>) -> Option<u16> {
    value.integer(limits::WEIGHT).map(|weight| weight as u16)
}

fn strategy(text: &str) -> Result<Strategy, String> {
    let known = Strategy::ALL.map(|strategy| (strategy.as_str(), strategy));
    words::choice("strategy", text, &known, &[])
}

fn on_empty(text: &str) -> Result<OnEmpty, String> {
    let known = OnEmpty::ALL.map(|choice| (choice.as_str(), choice));
    words::choice("on_empty", text, &known, &[])
}

fn hash_key(text: &str) -> Result<HashKey, String> {
    let shown = words::shortened(text);
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    match (kind, name) {
        ("client-address", None) => Ok(HashKey::ClientAddress),
        ("path", None) => Ok(HashKey::Path),
        ("sni", None) => Ok(HashKey::Sni),
        ("header", Some(name)) if is_token(name) => Ok(HashKey::Header(name.to_ascii_lowercase())),
        ("cookie", Some(name)) if is_token(name) => Ok(HashKey::Cookie(name.to_owned())),
        ("query", Some(name)) if is_parameter(name) => Ok(HashKey::Query(name.to_owned())),
        ("proxy-tlv", Some(kind)) => proxy_tlv(kind).ok_or_else(|| {
            format!("hash_key {shown:?} names no type of a TLV; write \"proxy-tlv:0xEA\"")
        }),
        ("header" | "cookie" | "query", Some(_)) => Err(format!(
            "hash_key {shown:?} names no possible {kind}; write \"{kind}:NAME\""
        )),
        ("header" | "cookie" | "query", None) => Err(format!(
            "hash_key {shown:?} needs a name; write \"{kind}:NAME\""
        )),
        _ => {
            let known = [
                "client-address",
                "path",
                "header:NAME",
                "cookie:NAME",
                "query:NAME",
                "sni",
                "proxy-tlv:0xNN",
            ];
            Err(words::unknown("hash_key", text, &known, &[]))
        }
    }
}

/// The type of a TLV, in hexadecimal digits as the specification has them.
fn proxy_tlv(kind: &str) -> Option<HashKey> {
    let digits = kind.strip_prefix("0x").filter(|digits| digits.len() == 2)?;
    let kind = u8::from_str_radix(digits, 16).ok()?;
    Some(HashKey::ProxyTlv(kind))
}

/// Whether `text` can name a header or a cookie: a token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_token_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.len() <= limits::NAME_BYTES && text.chars().all(is_token_char)
}

/// Whether `text` can name a parameter as it stands in a query, percent-encoded where need be.
fn is_parameter(text: &str) -> bool {
    let is_parameter_char = |c: char| c.is_ascii_graphic() && !"&=#+".contains(c);
    !text.is_empty() && text.len() <= limits::NAME_BYTES && text.chars().all(is_parameter_char)
}
