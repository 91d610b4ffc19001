//! The certificate of the ZooKeeper port: loaded before the port opens, followed while it is open.

use super::error::NodeError;
use crate::config::{ClientCertificate, ZookeeperTls};
use crate::net::{ClientAuthorities, ServerTls, TlsError, TlsFiles};
use crate::telemetry::{Metrics, chain, unix_seconds};
use std::sync::Arc;

/// Loads what `config` names.
///
/// # Errors
/// [`NodeError::Tls`] with the file.
pub(super) fn load(config: &ZookeeperTls) -> Result<Arc<ServerTls>, NodeError> {
    let clients = config.client_ca.clone().map(|file| ClientAuthorities {
        file,
        required: config.client_certificate == ClientCertificate::Required,
    });
    let tls = ServerTls::load(TlsFiles {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        clients,
    })?;
    Ok(Arc::new(tls))
}

/// Notes how long the certificate in use is good for. One that has expired is served nevertheless: clients that
/// do not look are better off, and those that do will say so.
pub(super) fn note_expiry(tls: &ServerTls, metrics: &Metrics) {
    let at = tls.expires_at();
    metrics.coordination.zk_tls_expiry.set(at);
    if at <= unix_seconds() {
        tracing::warn!("the certificate of the ZooKeeper port has expired");
    }
}

/// Notes what became of new files.
pub(super) fn note_reload(reloaded: Result<(), TlsError>, tls: &ServerTls, metrics: &Metrics) {
    match reloaded {
        Ok(()) => {
            metrics.coordination.zk_tls_reloads.inc();
            metrics.coordination.zk_tls_ok.set(1);
            tracing::info!("the certificate of the ZooKeeper port was loaded again");
            note_expiry(tls, metrics);
        }
        Err(error) => {
            metrics.coordination.zk_tls_reload_failures.inc();
            metrics.coordination.zk_tls_ok.set(0);
            let error = chain(&error);
            tracing::error!(%error, "the new certificate of the ZooKeeper port is refused, the old one stays in use");
        }
    }
}
