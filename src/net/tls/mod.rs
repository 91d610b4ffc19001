//! TLS for a listening socket: certificates from files, replaced while connections go on.
//!
//! ```text
//! files --load--> Loaded --ArcSwap--> accept: handshake with what is loaded now -> stream, the client's subject
//!   ^                        ^
//!   '--- follow: changed? ---'        a file that is broken changes nothing and is told about
//! ```
//! A connection keeps the certificate it was accepted with. Nothing here knows what is spoken inside.
//!
//! Source: RFC 8446 and 5246 (TLS 1.3 and 1.2, by rustls), RFC 5280 (certificates), RFC 7468 (PEM).

mod files;
mod subject;
#[cfg(test)]
mod tests;

pub use files::{ClientAuthorities, TlsError, TlsFiles};

use arc_swap::ArcSwap;
use files::{Loaded, Stamp};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at. A look costs three system calls; a change is in use after two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The server's side of TLS on one port.
pub struct ServerTls {
    files: TlsFiles,
    loaded: ArcSwap<Loaded>,
    /// The files as they were when they were last read, well or in vain.
    tried: Mutex<Stamp>,
}

/// A connection whose handshake is done.
pub struct AcceptedTls {
    /// What is spoken inside.
    pub stream: TlsStream<TcpStream>,
    /// The subject of the certificate that the client has shown, and that was found valid: a distinguished name
    /// as RFC 2253 writes it, most specific part first.
    pub subject: Option<String>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(files: TlsFiles) -> Result<ServerTls, TlsError> {
        let tried = Mutex::new(files.stamp());
        let loaded = ArcSwap::from_pointee(files.load()?);
        Ok(ServerTls {
            files,
            loaded,
            tried,
        })
    }

    /// Reads the files again; connections accepted from now on get what is in them.
    ///
    /// # Errors
    /// [`TlsError`]; what was loaded before stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        // Before reading, so that what changes meanwhile is seen as a change later.
        *self.tried.lock() = self.files.stamp();
        self.loaded.store(Arc::new(self.files.load()?));
        Ok(())
    }

    /// Reads the files whenever they have changed and have been left alone since the look before, for ever;
    /// `told` hears how it went. Certificate and key are rarely replaced at the same instant.
    pub async fn follow(self: Arc<Self>, told: impl FnMut(Result<(), TlsError>)) {
        self.follow_every(LOOK_INTERVAL, told).await;
    }

    async fn follow_every(
        self: Arc<Self>,
        interval: Duration,
        mut told: impl FnMut(Result<(), TlsError>),
    ) {
        let mut changed = None;
        loop {
            tokio::time::sleep(interval).await;
            let looking = self.clone();
            // A task that panicked or was stopped has seen nothing; the next look does.
            let Ok((stamp, tried)) = spawn_blocking(move || looking.look()).await else {
                continue;
            };
            if stamp == tried {
                changed = None;
            } else if changed.replace(stamp.clone()) == Some(stamp) {
                changed = None;
                let reading = self.clone();
                if let Ok(reloaded) = spawn_blocking(move || reading.reload()).await {
                    told(reloaded);
                }
            }
        }
    }

    /// The files as they are, and as they were when they were last read.
    fn look(&self) -> (Stamp, Stamp) {
        (self.files.stamp(), self.tried.lock().clone())
    }

    /// When the certificate in use expires, seconds since the Unix epoch.
    pub fn expires_at(&self) -> i64 {
        self.loaded.load().expires_at
    }

    /// Does the handshake on a connection. The caller bounds the time it takes.
    ///
    /// # Errors
    /// When the socket fails, the client does not speak TLS, it does not like our certificate, or we do not like
    /// its one.
    pub async fn accept(&self, socket: TcpStream) -> io::Result<AcceptedTls> {
        let config = self.loaded.load().config.clone();
        let stream = TlsAcceptor::from(config).accept(socket).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let subject = match shown.and_then(<[_]>::first) {
            Some(certificate) => Some(subject::of(certificate).map_err(io::Error::other)?),
            None => None,
        };
        Ok(AcceptedTls { stream, subject })
    }
}
