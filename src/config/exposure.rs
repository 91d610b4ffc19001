//! Which of the three control ports others can reach without proving who they are.
//!
//! Whoever reaches the ensemble's port is taken for a member, whoever reaches the ZooKeeper port may register, whoever
//! reaches the admin port may act as an operator. Beyond this machine each of them needs TLS, or `insecure = true`, by
//! which somebody says that they know. A wildcard address is beyond this machine.

use super::Config;
use std::net::SocketAddr;

/// Whether others than this machine can reach it.
pub(super) fn is_beyond_this_machine(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// What to say of `section`, whose `listen` is beyond this machine, without TLS and without leave.
pub(super) fn refusal(section: &str, address: SocketAddr) -> String {
    let (port, who) = (address.port(), who_reaches(section));
    let tls = match section {
        "zookeeper" => {
            "keep this one so and let clients in by [zookeeper.tls], which has a port of its own"
        }
        "admin" => "add [admin.tls], so that it speaks HTTPS",
        _ => {
            "add [ensemble.tls], so that members prove who they are (`zoogate cert` makes what it needs)"
        }
    };
    format!(
        "[{section}] listens on {address}, beyond this machine, without TLS, and whoever reaches it {who}; \
         either listen on 127.0.0.1:{port}, or {tls}, or say insecure = true in [{section}]"
    )
}

fn who_reaches(section: &str) -> &'static str {
    match section {
        "zookeeper" => "may register endpoints and change settings",
        "admin" => "may act as an operator",
        _ => "is taken for a member",
    }
}

impl Config {
    /// The control ports that are beyond this machine without TLS, by their sections.
    pub fn insecure_ports(&self) -> Vec<(&'static str, SocketAddr)> {
        let ensemble = self.ensemble.as_ref().filter(|it| it.tls.is_none());
        let admin = Some(&self.admin).filter(|it| it.tls.is_none());
        let ports = [
            ("ensemble", ensemble.map(|it| it.listen)),
            ("zookeeper", Some(self.zookeeper.listen)),
            ("admin", admin.map(|it| it.listen)),
        ];
        let ports = ports.into_iter().filter_map(|(name, at)| Some((name, at?)));
        ports
            .filter(|(_, at)| is_beyond_this_machine(*at))
            .collect()
    }

    /// A sentence for each of them.
    pub fn exposures(&self) -> Vec<String> {
        let ports = self.insecure_ports().into_iter();
        ports
            .map(|(section, address)| {
                let who = who_reaches(section);
                format!(
                    "[{section}] listens on {address}, beyond this machine, without TLS (insecure = true): whoever reaches it {who}"
                )
            })
            .collect()
    }
}
