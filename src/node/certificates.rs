//! The certificates of a node's ports: loaded before a port opens, followed while it is open; and a reminder of
//! what somebody should see to.

use super::error::NodeError;
use crate::config::{AdminTls, ClientCertificate, Config, ZookeeperTls};
use crate::net::{
    ClientAuthorities, Files, FrontTls, Live, PeerFiles, PeerTls, ServerTls, TlsError, TlsFailure,
    TlsFiles,
};
use crate::telemetry::{Metrics, chain, unix_seconds};
use futures_util::future::join_all;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

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
    /// For clients of traffic, each with its name: "listener.NAME".
    pub(super) traffic: Arc<watch::Sender<Fronts>>,
}

/// What listeners of traffic show, each with its name.
type Fronts = Vec<(String, Arc<FrontTls>)>;

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
            traffic: Arc::default(),
        })
    }

    /// Reads them again, whether their files seem to have changed or not.
    pub(super) fn reload(&self, metrics: &Metrics) {
        fn again<F: Files>(section: &str, tls: Option<&Arc<Live<F>>>, metrics: &Metrics) {
            if let Some(tls) = tls {
                note_reload(section, tls.reload(), tls, metrics);
            }
        }
        again("ensemble", self.ensemble.as_ref(), metrics);
        again("zookeeper", self.zookeeper.as_ref(), metrics);
        again("admin", self.admin.as_ref(), metrics);
        for (listener, tls) in &*self.traffic.borrow() {
            again(listener, Some(tls), metrics);
        }
    }

    /// Keeps them as new as their files, for ever.
    pub(super) async fn follow(self, metrics: &Metrics) {
        tokio::join!(
            follow("ensemble", self.ensemble, metrics),
            follow("zookeeper", self.zookeeper, metrics),
            follow("admin", self.admin, metrics),
            follow_traffic(self.traffic.subscribe(), metrics),
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
            for (listener, tls) in &*self.traffic.borrow() {
                say_if_soon(listener, tls.expires_at());
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
    begin(section, &tls, metrics);
    follow_on(section, tls, metrics).await;
}

/// Follows the certificates of listeners, which come and go.
async fn follow_traffic(mut traffic: watch::Receiver<Fronts>, metrics: &Metrics) {
    let mut known = Fronts::new();
    loop {
        let fronts = traffic.borrow_and_update().clone();
        let is_among = |fronts: &Fronts, (name, tls): &(String, Arc<FrontTls>)| {
            fronts.iter().any(|(n, t)| n == name && Arc::ptr_eq(t, tls))
        };
        for gone in known.iter().filter(|known| !is_among(&fronts, known)) {
            metrics.tls.forget(&gone.0);
        }
        for new in fronts.iter().filter(|front| !is_among(&known, front)) {
            begin(&new.0, &new.1, metrics);
        }
        known = fronts;
        let following = known.iter();
        let following = following.map(|(name, tls)| follow_on(name, tls.clone(), metrics));
        let changed = tokio::select! {
            changed = traffic.changed() => changed,
            never = async { join_all(following).await; pending().await } => never,
        };
        if changed.is_err() {
            return;
        }
    }
}

fn begin<F: Files>(section: &str, tls: &Live<F>, metrics: &Metrics) {
    metrics
        .tls
        .begin(section, TlsFailure::ALL.map(TlsFailure::as_str));
    note_expiry(section, tls.expires_at(), metrics);
}

async fn follow_on<F: Files>(section: &str, tls: Arc<Live<F>>, metrics: &Metrics) {
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
