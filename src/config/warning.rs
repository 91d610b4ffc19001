//! What is valid but probably not meant, or known to be unsafe.

use super::exposure::is_beyond_this_machine;
use super::{ClientCertificate, Config, ListenerConfig};

impl Config {
    /// A sentence for each thing that is allowed but should be looked at. Shown at start and by the check.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.exposures();
        let ensemble = self.ensemble.as_ref();
        if let Some(tls) = &self.admin.tls
            && tls.client_certificate != ClientCertificate::Required
            && is_beyond_this_machine(self.admin.listen)
        {
            warnings.push(
                "[admin.tls] requires no certificate of clients, so whoever reaches the port may act as an operator"
                    .to_owned(),
            );
        }
        if let Some(voters) = ensemble.map(|ensemble| ensemble.members.len())
            && voters % 2 == 0
            && voters > 0
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

/// The first match wins, so nothing reaches what follows a rule that matches all.
fn unreachable_rule(listener: &ListenerConfig) -> Option<String> {
    let matches_all = listener
        .rules
        .iter()
        .position(|rule| rule.sni.is_none() && rule.host.is_none() && rule.path.is_none())?;
    (matches_all + 1 < listener.rules.len()).then(|| {
        format!(
            "listener {:?}: rule {} matches everything, so the rules after it are never used",
            listener.name,
            matches_all + 1
        )
    })
}
