//! `[zookeeper]`.

use super::tls::{self, TlsDraft};
use super::{as_written, text};
use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{
    DEFAULT_REAP_INTERVAL, DEFAULT_TICK_TIME, DEFAULT_ZOOKEEPER_LISTEN, FourLetterWords, FreshAcl,
    ZookeeperConfig, limits, words,
};
use std::net::SocketAddr;
use std::time::Duration;
use toml::Spanned;

/// `[zookeeper]` as written.
#[derive(Default)]
pub(super) struct ZookeeperDraft {
    pub(super) listen: Option<Spanned<SocketAddr>>,
    tick_time: Option<Duration>,
    session_timeout: SessionTimeoutDraft,
    advertise: Option<String>,
    four_letter_words: Option<FourLetterWords>,
    super_digest: Option<String>,
    read_only: bool,
    reconfig: bool,
    reap_interval: Option<Duration>,
    fresh_acl: FreshAcl,
    pub(super) tls: Option<TlsDraft>,
    pub(super) insecure: bool,
}

/// `session_timeout = { min, max }` as written.
#[derive(Default)]
pub(in crate::config) struct SessionTimeoutDraft {
    min: Option<Spanned<Duration>>,
    max: Option<Spanned<Duration>>,
}

pub(super) const KEYS: &[Key<ZookeeperDraft>] = &[
    Key::optional("listen", |zookeeper, value| {
        zookeeper.listen = value.spanned(|value| value.parsed(text::socket_address));
    }),
    Key::optional("tick_time", |zookeeper, value| {
        zookeeper.tick_time = value.duration(limits::TICK_TIME);
    }),
    Key::optional("session_timeout", |zookeeper, value| {
        zookeeper.session_timeout = value
            .section(
                "session_timeout of [zookeeper]",
                SESSION_TIMEOUT,
                as_written,
            )
            .unwrap_or_default();
    }),
    Key::optional("advertise", |zookeeper, value| {
        zookeeper.advertise = value.parsed(text::host_port);
    }),
    Key::optional("four_letter_words", |zookeeper, value| {
        zookeeper.four_letter_words = read_words(value);
    }),
    Key::optional("super_digest", |zookeeper, value| {
        zookeeper.super_digest = value.parsed(text::digest);
    }),
    Key::optional("read_only", |zookeeper, value| {
        zookeeper.read_only = value.boolean().unwrap_or_default();
    }),
    Key::optional("reconfig", |zookeeper, value| {
        zookeeper.reconfig = value.boolean().unwrap_or_default();
    }),
    Key::optional("reap_interval", |zookeeper, value| {
        zookeeper.reap_interval = value.duration(limits::REAP_INTERVAL);
    }),
    Key::optional("fresh_acl", |zookeeper, value| {
        let choice = |name: &str| words::choice("fresh_acl", name, &FreshAcl::NAMES, &[]);
        zookeeper.fresh_acl = value.parsed(choice).unwrap_or_default();
    }),
    Key::optional("tls", |zookeeper, value| {
        zookeeper.tls = value.section("tls of [zookeeper]", tls::KEYS, TlsDraft::checked);
    }),
    Key::optional("insecure", |zookeeper, value| {
        zookeeper.insecure = value.boolean().unwrap_or_default();
    }),
];

/// Words by name; `"*"` is all of them.
fn read_words(value: Value<'_>) -> Option<FourLetterWords> {
    const EVERY: &str = "*";
    let known = |name: &str| match name {
        EVERY => Ok(EVERY),
        name => {
            let all = &FourLetterWords::ALL;
            let known = all.iter().copied().find(|known| *known == name);
            known.ok_or_else(|| words::unknown("four-letter word", name, all, &[]))
        }
    };
    let named = value.elements(limits::FOUR_LETTER_WORDS, |word| word.parsed(known))?;
    Some(match named.contains(&EVERY) {
        true => FourLetterWords::all(),
        false => FourLetterWords::only(named),
    })
}

pub(super) const SESSION_TIMEOUT: &[Key<SessionTimeoutDraft>] = &[
    Key::optional("min", |bounds, value| {
        bounds.min = value.spanned(|value| value.duration(limits::SESSION_TIMEOUT));
    }),
    Key::optional("max", |bounds, value| {
        bounds.max = value.spanned(|value| value.duration(limits::SESSION_TIMEOUT));
    }),
];

impl ZookeeperDraft {
    /// Checks that a session can have a timeout at all.
    pub(super) fn checked(self, report: &mut Report) -> Option<ZookeeperDraft> {
        let written = &self.session_timeout;
        let Some(span) = written
            .min
            .as_ref()
            .or(written.max.as_ref())
            .map(Spanned::span)
        else {
            return Some(self);
        };
        let (min, max) = (self.session_timeout_min(), self.session_timeout_max());
        if min <= max {
            return Some(self);
        }
        let tick = humantime::format_duration(self.tick_time());
        let origin = |bound: &Option<Spanned<Duration>>, ticks: u32| match bound {
            Some(_) => String::new(),
            None => format!(" ({ticks} ticks of {tick})"),
        };
        report.fault(
            span,
            format!(
                "the shortest session timeout, {}{}, exceeds the longest, {}{}",
                humantime::format_duration(min),
                origin(&written.min, limits::SESSION_MIN_TICKS),
                humantime::format_duration(max),
                origin(&written.max, limits::SESSION_MAX_TICKS),
            ),
        );
        None
    }

    fn tick_time(&self) -> Duration {
        self.tick_time.unwrap_or(DEFAULT_TICK_TIME)
    }

    fn session_timeout_min(&self) -> Duration {
        let default = self.tick_time() * limits::SESSION_MIN_TICKS;
        self.session_timeout
            .min
            .as_ref()
            .map_or(default, |min| *min.get_ref())
    }

    fn session_timeout_max(&self) -> Duration {
        let default = self.tick_time() * limits::SESSION_MAX_TICKS;
        self.session_timeout
            .max
            .as_ref()
            .map_or(default, |max| *max.get_ref())
    }

    /// Fills in the defaults. `None` if a required key is missing.
    pub(super) fn finish(self) -> Option<ZookeeperConfig> {
        Some(ZookeeperConfig {
            listen: self
                .listen
                .as_ref()
                .map_or(DEFAULT_ZOOKEEPER_LISTEN, |listen| *listen.get_ref()),
            tick_time: self.tick_time(),
            session_timeout_min: self.session_timeout_min(),
            session_timeout_max: self.session_timeout_max(),
            advertise: self.advertise,
            four_letter_words: self.four_letter_words.unwrap_or_default(),
            super_digest: self.super_digest,
            read_only: self.read_only,
            reconfig: self.reconfig,
            reap_interval: self.reap_interval.unwrap_or(DEFAULT_REAP_INTERVAL),
            fresh_acl: self.fresh_acl,
            tls: match self.tls {
                Some(tls) => Some(tls.finish()?),
                None => None,
            },
            insecure: self.insecure,
        })
    }
}
