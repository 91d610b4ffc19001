//! Phase one: every socket of a node, bound before anything runs.

use super::certificates::Certificates;
use super::error::NodeError;
use super::means::means;
use crate::config::Config;
use crate::proxy::Proxy;
use crate::zk::Listeners;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// All sockets of a node. Connections already queue in the kernel; nobody serves them yet.
pub struct Bound {
    /// For other members; absent in an ensemble of one.
    pub(super) peers: Option<TcpListener>,
    /// For ZooKeeper clients.
    pub(super) zookeeper: Listeners,
    /// For operators.
    pub(super) admin: TcpListener,
    /// For traffic.
    pub(super) proxy: Proxy,
    /// What they show.
    pub(super) certificates: Certificates,
}

impl Bound {
    /// Binds what `config` asks for, all or none.
    ///
    /// # Errors
    /// [`NodeError::Bind`] or [`NodeError::Listener`] with the address, [`NodeError::Tls`] with the file,
    /// [`NodeError::Source`] or [`NodeError::Descriptors`] when traffic cannot have what it is to have.
    pub async fn bind(config: &Config) -> Result<Bound, NodeError> {
        let certificates = Certificates::load(config)?;
        let peers = match &config.ensemble {
            Some(ensemble) => Some(listen("ensemble", ensemble.listen).await?),
            None => None,
        };
        let plain = listen("zookeeper", config.zookeeper.listen).await?;
        let tls = match config
            .zookeeper
            .tls
            .as_ref()
            .zip(certificates.zookeeper.clone())
        {
            Some((tls, certificate)) => {
                let listener = listen("zookeeper.tls", tls.listen).await?;
                Some((listener, certificate))
            }
            None => None,
        };
        let admin = listen("admin", config.admin.listen).await?;
        let proxy = Proxy::bind(&config.listeners, config.node.workers)?.with(means(config)?);
        Ok(Bound {
            peers,
            zookeeper: Listeners { plain, tls },
            admin,
            proxy,
            certificates,
        })
    }

    /// Where other members connect, with the port the kernel chose if the configuration said 0.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peers
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }
}

async fn listen(section: &'static str, addr: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| NodeError::Bind {
            section,
            addr,
            source,
        })
}
