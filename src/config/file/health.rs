//! `check` and `outlier` of `[service.<name>]`.

use super::text;
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{Check, Outlier, Probe, limits, words};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

/// `check` as written.
#[derive(Default)]
pub(in crate::config) struct CheckDraft {
    kind: Option<Spanned<Kind>>,
    path: Option<Spanned<String>>,
    host: Option<Spanned<String>>,
    status: Option<Spanned<(u16, u16)>>,
    send: Option<Spanned<String>>,
    expect: Option<Spanned<String>>,
    port: Option<u16>,
    interval: Option<Duration>,
    timeout: Option<Spanned<Duration>>,
    jitter: Option<u16>,
    rise: Option<u32>,
    fall: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Tcp,
    Tls,
    Http,
    Expect,
}

impl Kind {
    const NAMES: [(&str, Kind); 5] = [
        ("none", Kind::None),
        ("tcp", Kind::Tcp),
        ("tls", Kind::Tls),
        ("http", Kind::Http),
        ("expect", Kind::Expect),
    ];

    fn name(self) -> &'static str {
        let named = Kind::NAMES.iter().find(|(_, kind)| *kind == self);
        named.map_or("", |(name, _)| name)
    }
}

pub(super) const CHECK: &[Key<CheckDraft>] = &[
    Key::required("type", |check, value| {
        let choice = |name: &str| words::choice("check", name, &Kind::NAMES, &[]);
        check.kind = value.spanned(|value| value.parsed(choice));
    }),
    Key::optional("path", |check, value| {
        check.path = value.spanned(|value| value.parsed(path));
    }),
    Key::optional("host", |check, value| {
        check.host = value.spanned(|value| value.parsed(host));
    }),
    Key::optional("status", |check, value| {
        check.status = value.spanned(|value| value.parsed(status));
    }),
    Key::optional("send", |check, value| {
        check.send = value.spanned(|value| value.parsed(bounded));
    }),
    Key::optional("expect", |check, value| {
        check.expect = value.spanned(|value| value.parsed(expected));
    }),
    Key::optional("port", |check, value| {
        check.port = value.integer(limits::PORT).map(|port| port as u16);
    }),
    Key::optional("interval", |check, value| {
        check.interval = value.duration(limits::CHECK_INTERVAL);
    }),
    Key::optional("timeout", |check, value| {
        check.timeout = value.spanned(|value| value.duration(limits::CHECK_TIMEOUT));
    }),
    Key::optional("jitter", |check, value| {
        check.jitter = value.hundredths_or_zero(limits::CHECK_JITTER);
    }),
    Key::optional("rise", |check, value| check.rise = probes(value)),
    Key::optional("fall", |check, value| check.fall = probes(value)),
];

pub(super) const OUTLIER: &[Key<OutlierDraft>] = &[
    Key::optional("consecutive", |outlier, value| {
        outlier.consecutive = value.integer(limits::CONSECUTIVE).map(|n| n as u32);
    }),
    Key::optional("eject", |outlier, value| {
        outlier.eject = value.duration(limits::EJECT);
    }),
    Key::optional("max_eject", |outlier, value| {
        outlier.max_eject = value.duration(limits::EJECT);
    }),
    Key::optional("max_ejected", |outlier, value| {
        outlier.max_ejected = value.hundredths_or_zero(limits::SHARE);
    }),
    Key::optional("success_rate", |outlier, value| {
        outlier.success_rate = value.hundredths_or_zero(limits::DEVIATIONS);
    }),
    Key::optional("interval", |outlier, value| {
        outlier.interval = value.duration(limits::OUTLIER_INTERVAL);
    }),
    Key::optional("min_requests", |outlier, value| {
        outlier.min_requests = value.integer(limits::MIN_REQUESTS).map(|n| n as u32);
    }),
    Key::optional("min_endpoints", |outlier, value| {
        outlier.min_endpoints = value.integer(limits::MIN_ENDPOINTS).map(|n| n as u32);
    }),
];

/// `outlier` as written.
#[derive(Default)]
pub(in crate::config) struct OutlierDraft {
    consecutive: Option<u32>,
    eject: Option<Duration>,
    max_eject: Option<Duration>,
    max_ejected: Option<u16>,
    success_rate: Option<u16>,
    interval: Option<Duration>,
    min_requests: Option<u32>,
    min_endpoints: Option<u32>,
}

/// What it says, over the defaults: a layer that has it says all of it.
pub(super) fn read_outlier(value: Value<'_>) -> Option<Outlier> {
    value.section("outlier", OUTLIER, |draft, _| {
        let default = Outlier::default();
        Some(Outlier {
            consecutive: draft.consecutive.unwrap_or(default.consecutive),
            eject: draft.eject.unwrap_or(default.eject),
            max_eject: draft.max_eject.unwrap_or(default.max_eject),
            max_ejected: draft.max_ejected.unwrap_or(default.max_ejected),
            success_rate: draft.success_rate.unwrap_or(default.success_rate),
            interval: draft.interval.unwrap_or(default.interval),
            min_requests: draft.min_requests.unwrap_or(default.min_requests),
            min_endpoints: draft.min_endpoints.unwrap_or(default.min_endpoints),
        })
    })
}

/// The check, or that there is none.
pub(super) fn read_check(value: Value<'_>) -> Option<Option<Check>> {
    value.section("a check", CHECK, CheckDraft::finish)
}

fn probes(value: Value<'_>) -> Option<u32> {
    value.integer(limits::CHECK_PROBES).map(|n| n as u32)
}

impl CheckDraft {
    fn finish(self, report: &mut Report) -> Option<Option<Check>> {
        let kind = *self.kind.as_ref()?.get_ref();
        if !self.check_keys(kind, report) {
            return None;
        }
        let probe = match kind {
            Kind::None => return Some(None),
            Kind::Tcp => Probe::Tcp,
            Kind::Tls => Probe::Tls {
                host: self.host.map(Spanned::into_inner),
            },
            Kind::Http => {
                let status = self.status.map_or((200, 399), Spanned::into_inner);
                Probe::Http {
                    path: self.path.map_or("/".into(), Spanned::into_inner),
                    host: self.host.map(Spanned::into_inner),
                    lowest: status.0,
                    highest: status.1,
                }
            }
            Kind::Expect => Probe::Expect {
                send: self.send.map(Spanned::into_inner).unwrap_or_default(),
                expect: self.expect?.into_inner(),
            },
        };
        let default = Check::new(probe);
        let interval = self.interval.unwrap_or(default.interval);
        let timeout = match self.timeout {
            Some(timeout) if *timeout.get_ref() > interval => {
                let interval = humantime::format_duration(interval);
                let message = format!(
                    "timeout is longer than the interval, {interval}: a probe ends before the next one"
                );
                report.fault(timeout.span(), message);
                return None;
            }
            Some(timeout) => timeout.into_inner(),
            None => default.timeout.min(interval),
        };
        Some(Some(Check {
            port: self.port,
            interval,
            timeout,
            jitter: self.jitter.unwrap_or(default.jitter),
            rise: self.rise.unwrap_or(default.rise),
            fall: self.fall.unwrap_or(default.fall),
            ..default
        }))
    }

    /// Checks that each key means something to a check of this kind, and that none is missing.
    fn check_keys(&self, kind: Kind, report: &mut Report) -> bool {
        let before = report.count();
        fn span<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
            value.as_ref().map(Spanned::span)
        }
        let keys = [
            ("path", span(&self.path), &[Kind::Http][..]),
            ("host", span(&self.host), &[Kind::Http, Kind::Tls]),
            ("status", span(&self.status), &[Kind::Http]),
            ("send", span(&self.send), &[Kind::Expect]),
            ("expect", span(&self.expect), &[Kind::Expect]),
        ];
        for (name, span, kinds) in keys {
            if let Some(span) = span.filter(|_| !kinds.contains(&kind)) {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
                let message = format!(
                    "{name} means nothing to a check of type {:?}, only to {}",
                    kind.name(),
                    words::listed(&kinds)
                );
                report.fault(span, message);
            }
        }
        if let (Kind::Expect, None, Some(written)) = (kind, &self.expect, &self.kind) {
            let message =
                "a check of type \"expect\" needs expect: what the answer must have in it";
            report.fault(written.span(), message);
        }
        report.count() == before
    }
}

/// A request target: what goes into the first line of a request, and nothing that would end it.
fn path(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_graphic() && c != '#';
    let is_right = text.starts_with('/') && text.len() <= limits::RULE_PATH_BYTES;
    match is_right && text.chars().all(is_allowed) {
        true => Ok(text.to_owned()),
        false => {
            let (text, max) = (words::shortened(text), limits::RULE_PATH_BYTES);
            Err(format!(
                "path {text:?} must begin with '/' and have at most {max} printable ASCII characters without '#'"
            ))
        }
    }
}

/// A host, perhaps with a port.
fn host(text: &str) -> Result<String, String> {
    let name = match text.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => text,
    };
    match text.len() <= limits::ADDRESS_BYTES && text::is_host(name) {
        true => Ok(text.to_owned()),
        false => Err(format!("{:?} is not a host", words::shortened(text))),
    }
}

/// `"200"` or `"200-399"`.
fn status(text: &str) -> Result<(u16, u16), String> {
    let (lowest, highest) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().ok().filter(|n| limits::STATUS.contains(n));
    match (number(lowest), number(highest)) {
        (Some(lowest), Some(highest)) if lowest <= highest => Ok((lowest, highest)),
        _ => Err(format!(
            "status {:?} is neither a status such as \"200\" nor a range such as \"200-399\"",
            words::shortened(text)
        )),
    }
}

fn bounded(text: &str) -> Result<String, String> {
    let max = limits::CHECK_TEXT_BYTES;
    match text.len() <= max {
        true => Ok(text.to_owned()),
        false => Err(format!("a check's text has at most {max} bytes")),
    }
}

fn expected(text: &str) -> Result<String, String> {
    match text.is_empty() {
        true => Err("expect is empty, so anything would pass; use a check of type \"tcp\"".into()),
        false => bounded(text),
    }
}
