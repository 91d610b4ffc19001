//! The certificates of a node's control ports: loaded before a port opens, followed while it is open; and a reminder of
//! what somebody should see to.

use super::error::NodeError;
use crate::config::{AdminTls, ClientCertificate, Config, ZookeeperTls};
use crate::net::{
    ClientAuthorities, Files, Live, PeerFiles, PeerTls, ServerTls, TlsError, TlsFailure, TlsFiles,
};
use crate::telemetry::{Metrics, chain, unix_seconds};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often the log is reminded of insecure ports and of certificates that expire soon.
const REMINDER: Duration = Duration::from_secs(60 * 60);

/// A certificate that expires within this many seconds, a week, is reminded of; the alert says so too.
const SOON: i64 = 7 * 24 * 60 * 60;

/// The certificates of a node, each with the section that names it.
#[derive(Clone, Default)]
pub(super) struct Certificates {
    /// For other members.
    pub(super) ensemble: Option<Arc<PeerTls>>,
    /// For ZooKeeper clients.
    pub(super) zookeeper: Option<Arc<ServerTls>>,
    /// For operators.
    pub(super) admin: Option<Arc<ServerTls>>,
}

impl Certificates {
    /// Loads what `config` names.
    ///
    /// # Errors
    /// [`NodeError::Tls`] with the section and the file.
    pub(super) fn load(config: &Config) -> Result<Certificates, NodeError> {
        let ensemble = config.ensemble.as_ref().and_then(|it| it.tls.as_ref());
        let ensemble = ensemble.map(|tls| PeerFiles {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
            ca: tls.ca.clone(),
            trust_domain: tls.trust_domain.clone(),
            name: config.node.name.clone(),
        });
        let zookeeper = config.zookeeper.tls.as_ref().map(of_zookeeper);
        let admin = config.admin.tls.as_ref().map(of_admin);
        Ok(Certificates {
            ensemble: load("ensemble.tls", ensemble)?,
            zookeeper: load("zookeeper.tls", zookeeper)?,
            admin: load("admin.tls", admin)?,
        })
    }

    /// Reads them again, whether their files seem to have changed or not.
    pub(super) fn reload(&self, metrics: &Metrics) {
        fn again<F: Files>(section: &str, tls: &Option<Arc<Live<F>>>, metrics: &Metrics) {
            if let Some(tls) = tls {
                note_reload(section, tls.reload(), tls, metrics);
            }
        }
        again("ensemble", &self.ensemble, metrics);
        again("zookeeper", &self.zookeeper, metrics);
        again("admin", &self.admin, metrics);
    }

    /// Keeps them as new as their files, for ever.
    pub(super) async fn follow(self, metrics: &Metrics) {
        tokio::join!(
            follow("ensemble", self.ensemble, metrics),
            follow("zookeeper", self.zookeeper, metrics),
            follow("admin", self.admin, metrics),
        );
    }

    /// Reminds the log, for ever, of ports without TLS that `config` has beyond this machine, and of certificates that
    /// expire soon.
    pub(super) async fn remind(self, config: Config, metrics: &Metrics) {
        for (section, _) in config.insecure_ports() {
            metrics.tls.insecure.with_label_values(&[section]).set(1);
        }
        loop {
            tokio::time::sleep(REMINDER).await;
            for exposure in config.exposures() {
                tracing::warn!("{exposure}");
            }
            for (section, expires_at) in [
                ("ensemble", self.ensemble.as_ref().map(|it| it.expires_at())),
                (
                    "zookeeper",
                    self.zookeeper.as_ref().map(|it| it.expires_at()),
                ),
                ("admin", self.admin.as_ref().map(|it| it.expires_at())),
            ] {
                if let Some(at) = expires_at {
                    say_if_soon(section, at);
                }
            }
        }
    }
}

fn load<F: Files>(
    section: &'static str,
    files: Option<F>,
) -> Result<Option<Arc<Live<F>>>, NodeError> {
    let loaded = files.map(Live::load).transpose();
    let loaded = loaded.map_err(|source| NodeError::Tls { section, source })?;
    Ok(loaded.map(Arc::new))
}

fn of_zookeeper(tls: &ZookeeperTls) -> TlsFiles {
    TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: clients(tls.client_ca.as_deref(), tls.client_certificate),
    }
}

fn of_admin(tls: &AdminTls) -> TlsFiles {
    TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        clients: clients(tls.client_ca.as_deref(), tls.client_certificate),
    }
}

fn clients(ca: Option<&Path>, asked: ClientCertificate) -> Option<ClientAuthorities> {
    ca.map(|file| ClientAuthorities {
        file: file.into(),
        required: asked == ClientCertificate::Required,
    })
}

async fn follow<F: Files>(section: &str, tls: Option<Arc<Live<F>>>, metrics: &Metrics) {
    let Some(tls) = tls else { return };
    metrics
        .tls
        .begin(section, TlsFailure::ALL.map(TlsFailure::as_str));
    note_expiry(section, tls.expires_at(), metrics);
    let told = |reloaded| note_reload(section, reloaded, &tls, metrics);
    tls.clone().follow(told).await;
}

/// Notes how long the certificate in use is good for. One that has expired is shown nevertheless: those that do not look
/// are better off, and those that do will say so.
fn note_expiry(section: &str, at: i64, metrics: &Metrics) {
    metrics.tls.expiry.with_label_values(&[section]).set(at);
    say_if_soon(section, at);
}

fn say_if_soon(section: &str, at: i64) {
    let left = at - unix_seconds();
    if left <= 0 {
        tracing::warn!(
            "the certificate of [{section}.tls] has expired; whoever checks it refuses it"
        );
    } else if left < SOON {
        let hours = left / 3600;
        tracing::warn!("the certificate of [{section}.tls] expires in {hours} hours");
    }
}

/// Notes what became of new files.
fn note_reload<F: Files>(
    section: &str,
    reloaded: Result<(), TlsError>,
    tls: &Live<F>,
    metrics: &Metrics,
) {
    let is_loaded = reloaded.is_ok();
    let ok = metrics.tls.ok.with_label_values(&[section]);
    ok.set(i64::from(is_loaded));
    let (good, bad) = (&metrics.tls.reloads, &metrics.tls.reload_failures);
    let counter = if is_loaded { good } else { bad };
    counter.with_label_values(&[section]).inc();
    match reloaded {
        Ok(()) => {
            tracing::info!("the certificate of [{section}.tls] was loaded again");
            note_expiry(section, tls.expires_at(), metrics);
        }
        Err(error) => {
            let error = chain(&error);
            tracing::error!(%error, "the new files of [{section}.tls] are refused, the old ones stay in use");
        }
    }
}
