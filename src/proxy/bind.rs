//! Binding listeners: each once per worker, all or none.
//!
//! First every address is bound, then every socket listens: a client is let into the backlog of none before it is
//! certain that all can be served.

use super::greeting::front_tls;
use super::options;
use crate::config::ListenerConfig;
use crate::net::{FrontTls, Reserved, TlsError, ensure_free, reserve_shared};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Why a listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Its address cannot be bound.
    #[error("listener {listener}: cannot bind {addr}")]
    Address {
        /// The listener's name.
        listener: String,
        /// The address it asks for.
        addr: SocketAddr,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// What it shows to clients cannot be used.
    #[error("tls of listener {listener} cannot be set up")]
    Tls {
        /// The listener's name.
        listener: String,
        /// Why.
        #[source]
        source: TlsError,
    },
}

/// What a listener shows to clients whose TLS it ends.
///
/// # Errors
/// [`BindError::Tls`], when a certificate, key or authority that it names cannot be used.
pub fn front(config: &ListenerConfig) -> Result<Option<Arc<FrontTls>>, BindError> {
    let loaded = config.tls.as_ref().map(front_tls).transpose();
    let loaded = loaded.map_err(|source| BindError::Tls {
        listener: config.name.clone(),
        source,
    })?;
    Ok(loaded.map(Arc::new))
}

/// A listener's sockets, one per worker: connections wait in them.
pub struct BoundListener {
    /// Where they listen, with the port the kernel chose if the settings said 0.
    pub addr: SocketAddr,
    /// By worker.
    pub sockets: Vec<TcpListener>,
}

/// Binds every one of `listeners` once per worker; all or none. `held` are the addresses that this process has already.
///
/// # Errors
/// [`BindError`], also when somebody else listens on an address already.
pub fn bind_all(
    listeners: &[&ListenerConfig],
    workers: usize,
    held: &[SocketAddr],
) -> Result<Vec<BoundListener>, BindError> {
    let failed = |config: &ListenerConfig, source| BindError::Address {
        listener: config.name.clone(),
        addr: config.bind,
        source,
    };
    let mut reserved = Vec::with_capacity(listeners.len());
    for config in listeners {
        let sockets = reserve(config, workers, held).map_err(|source| failed(config, source))?;
        reserved.push(sockets);
    }
    let mut bound = Vec::with_capacity(listeners.len());
    for (config, sockets) in listeners.iter().zip(reserved) {
        bound.push(listen(config, sockets).map_err(|source| failed(config, source))?);
    }
    Ok(bound)
}

fn reserve(
    config: &ListenerConfig,
    workers: usize,
    held: &[SocketAddr],
) -> io::Result<Vec<Reserved>> {
    let mut addr = config.bind;
    if addr.port() != 0 && !held.iter().any(|held| overlap(*held, addr)) {
        ensure_free(addr)?;
    }
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = reserve_shared(addr, &options::of_listener(&config.socket))?;
        addr = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn listen(config: &ListenerConfig, sockets: Vec<Reserved>) -> io::Result<BoundListener> {
    let addr = match sockets.first() {
        Some(socket) => socket.local_addr()?,
        None => config.bind,
    };
    let listen = |socket: Reserved| socket.listen(config.socket.backlog);
    Ok(BoundListener {
        addr,
        sockets: sockets.into_iter().map(listen).collect::<io::Result<_>>()?,
    })
}

/// Whether a connection to one may be meant for the other: then the one that is ours looks like a stranger's.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
