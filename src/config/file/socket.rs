//! The keys that listeners and services share for the options of their sockets.

use crate::config::report::Report;
use crate::config::walk::{Key, Value};
use crate::config::{Keepalive, limits, words};
use std::time::Duration;

/// `keepalive` as written, if written as a table.
#[derive(Default)]
pub(in crate::config) struct KeepaliveDraft {
    idle: Option<Duration>,
    interval: Option<Duration>,
    probes: Option<u32>,
}

pub(super) const KEEPALIVE: &[Key<KeepaliveDraft>] = &[
    Key::optional("idle", |keepalive, value| {
        keepalive.idle = value.duration(limits::KEEPALIVE);
    }),
    Key::optional("interval", |keepalive, value| {
        keepalive.interval = value.duration(limits::KEEPALIVE);
    }),
    Key::optional("probes", |keepalive, value| {
        let probes = value.integer(limits::KEEPALIVE_PROBES);
        keepalive.probes = probes.map(|probes| probes as u32);
    }),
];

impl KeepaliveDraft {
    fn finish(self, _: &mut Report) -> Option<Keepalive> {
        let Keepalive::Probes {
            idle,
            interval,
            probes,
        } = Keepalive::default()
        else {
            return Some(Keepalive::Off);
        };
        Some(Keepalive::Probes {
            idle: self.idle.unwrap_or(idle),
            interval: self.interval.unwrap_or(interval),
            probes: self.probes.unwrap_or(probes),
        })
    }
}

/// `"off"`, or a table in which absent keys have their defaults.
pub(super) fn keepalive(value: Value<'_>) -> Option<Keepalive> {
    if value.is_table() {
        return value.section("keepalive", KEEPALIVE, KeepaliveDraft::finish);
    }
    value.parsed(|text| match text {
        "off" => Ok(Keepalive::Off),
        _ => Err(format!(
            "keepalive {:?} is neither \"off\" nor a table such as {{ idle = \"1m\", interval = \"10s\", probes = 6 }}",
            words::shortened(text)
        )),
    })
}

/// A number of bytes for one of the kernel's buffers; 0 leaves it to the kernel.
pub(super) fn buffer(value: Value<'_>) -> Option<usize> {
    value
        .integer(limits::SOCKET_BUFFER)
        .map(|bytes| bytes as usize)
}
