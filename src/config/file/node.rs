//! `[node]`.

use super::text;
use crate::config::report::Report;
use crate::config::walk::Key;
use crate::config::{AccessFormat, DEFAULT_DATA_DIR, NodeConfig, limits, words};
use std::net::IpAddr;
use std::path::PathBuf;

/// `[node]` as written.
#[derive(Default)]
pub(super) struct NodeDraft {
    name: Option<String>,
    zone: Option<String>,
    data_dir: Option<PathBuf>,
    workers: Option<usize>,
    source_addresses: Vec<IpAddr>,
    reserved_descriptors: Option<usize>,
    access_log: Option<AccessFormat>,
}

pub(super) const KEYS: &[Key<NodeDraft>] = &[
    Key::optional("name", |node, value| node.name = value.parsed(text::name)),
    Key::optional("zone", |node, value| node.zone = value.parsed(text::name)),
    Key::optional("data_dir", |node, value| {
        node.data_dir = value.parsed(directory)
    }),
    Key::optional("workers", |node, value| {
        node.workers = value
            .integer(limits::WORKERS)
            .map(|workers| workers as usize);
    }),
    Key::optional("source_addresses", |node, value| {
        let read = value.elements(limits::SOURCE_ADDRESSES, |value| {
            value.parsed(source_address)
        });
        node.source_addresses = read.unwrap_or_default();
    }),
    Key::optional("access_log", |node, value| {
        node.access_log = value.parsed(access_log).flatten();
    }),
    Key::optional("reserved_descriptors", |node, value| {
        node.reserved_descriptors = value
            .integer(limits::RESERVED_DESCRIPTORS)
            .map(|reserved| reserved as usize);
    }),
];

impl NodeDraft {
    /// Fills in the defaults, which depend on the machine.
    pub(super) fn finish(self, report: &mut Report) -> Option<NodeConfig> {
        let name = match self.name.map_or_else(host_name, Ok) {
            Ok(name) => name,
            Err(reason) => {
                report.fault(
                    0..0,
                    format!("[node] has no name and the host's cannot be used: {reason}"),
                );
                return None;
            }
        };
        Some(NodeConfig {
            name,
            zone: self.zone,
            data_dir: self.data_dir.unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            workers: self.workers.unwrap_or_else(cores),
            source_addresses: self.source_addresses,
            access_log: self.access_log,
            reserved_descriptors: self.reserved_descriptors,
        })
    }
}

fn access_log(text: &str) -> Result<Option<AccessFormat>, String> {
    let known = [
        ("off", None),
        ("json", Some(AccessFormat::Json)),
        ("tcplog", Some(AccessFormat::Tcplog)),
    ];
    words::choice("access_log", text, &known, &[])
}

/// One IP address of this machine.
fn source_address(text: &str) -> Result<IpAddr, String> {
    let shown = words::shortened(text);
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() => Err(format!(
            "{shown:?} is no address that a connection can come from"
        )),
        Ok(address) => Ok(address),
        Err(_) => Err(format!(
            "{shown:?} is not an IP address without port, such as \"10.0.0.1\" or \"2001:db8::1\""
        )),
    }
}

fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err(format!("{text:?} is not a directory's path"));
    }
    Ok(text.into())
}

/// The host's name as the kernel has it; the environment's where `/proc` is missing.
pub(in crate::config) fn host_name() -> Result<String, String> {
    let found = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .map_err(|_| "it is not known".to_owned())?;
    text::name(found.trim())
}

/// The cores this process may use, which a container's limit can make fewer than the machine's.
fn cores() -> usize {
    std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(*limits::WORKERS.end() as usize)
}
