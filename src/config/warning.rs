//! What is valid but probably not meant, or known to be unsafe.

use super::{Config, ListenerConfig};
use std::net::SocketAddr;

impl Config {
    /// A sentence for each thing that is allowed but should be looked at. Shown at start and by the check.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let ensemble = self.ensemble.as_ref();
        let sockets = [
            ("zookeeper", Some(self.zookeeper.listen)),
            ("admin", Some(self.admin.listen)),
            ("ensemble", ensemble.map(|ensemble| ensemble.listen)),
        ];
        for (section, address) in sockets {
            warnings.extend(address.and_then(|address| exposure(section, address)));
        }
        if let Some(voters) = ensemble.map(|ensemble| ensemble.members.len())
            && voters % 2 == 0
        {
            let fewer = voters - 1;
            warnings.push(format!(
                "[ensemble] has {voters} voting members, which survive no more failures than {fewer} would"
            ));
        }
        warnings.extend(self.listeners.iter().filter_map(unreachable_rule));
        warnings
    }
}

/// Neither the ZooKeeper port, nor the admin endpoint, nor members ask who connects.
fn exposure(section: &str, address: SocketAddr) -> Option<String> {
    (!address.ip().to_canonical().is_loopback()).then(|| {
        format!(
            "[{section}] listens on {address}, beyond this machine, without encryption or authentication"
        )
    })
}

/// The first match wins, so nothing reaches what follows a rule that matches all.
fn unreachable_rule(listener: &ListenerConfig) -> Option<String> {
    let matches_all = listener
        .rules
        .iter()
        .position(|rule| rule.host.is_none() && rule.path.is_none())?;
    (matches_all + 1 < listener.rules.len()).then(|| {
        format!(
            "listener {:?}: rule {} matches everything, so the rules after it are never used",
            listener.name,
            matches_all + 1
        )
    })
}
