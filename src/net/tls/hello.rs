//! The ClientHello at the beginning of a connection, for who passes the connection on as it is.
//!
//! rustls reads it, as it would to end the connection: what it takes for a ClientHello here and there is the same, and
//! what an attacker sends goes through code that many look at. It wants one of TLS 1.2 or newer; older ones
//! (RFC 8996) are refused with the alert that rustls would send.
//!
//! Source: RFC 8446, sections 4.1.2, 5.1 and 6; RFC 6066, section 3 (SNI).

use rustls::server::{Accepted, Acceptor};
use std::io;

/// The most bytes that may come before a ClientHello is complete. Real ones have some hundred, with post-quantum keys
/// some two thousand; it is held until the connection to an endpoint is made.
pub const MAX_HELLO: usize = 16 * 1024;

/// What a client says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The host it wants, lower case, if it names one.
    pub server_name: Option<Box<str>>,
}

/// Why bytes are no ClientHello.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// There is more of it than is read.
    #[error("the ClientHello is longer than {MAX_HELLO} bytes")]
    TooLong,
    /// It is none, or one that nobody could answer.
    #[error("no ClientHello")]
    Malformed {
        /// Why.
        #[source]
        source: rustls::Error,
        /// What to tell the client: bytes of a TLS alert, if any make sense.
        alert: Vec<u8>,
    },
}

impl HelloError {
    /// What to tell the client, in TLS.
    pub fn alert(&self) -> Vec<u8> {
        match self {
            HelloError::TooLong => Alert::DecodeError.record().to_vec(),
            HelloError::Malformed { alert, .. } => alert.clone(),
        }
    }
}

/// Reads a ClientHello, however it is cut into packets and records.
#[derive(Default)]
pub struct HelloReader {
    acceptor: Acceptor,
    read: usize,
}

impl HelloReader {
    /// Takes the next bytes of the connection; `None` while there must be more. Not to be called after anything else.
    ///
    /// # Errors
    /// [`HelloError`], after which nothing helps.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<Option<Hello>, HelloError> {
        while !bytes.is_empty() {
            let taken = self.acceptor.read_tls(&mut bytes).map_err(unreadable)?;
            self.read += taken;
            match self.acceptor.accept() {
                Ok(Some(accepted)) => return Ok(Some(hello(&accepted))),
                Ok(None) if self.read >= MAX_HELLO || taken == 0 => {
                    return Err(HelloError::TooLong);
                }
                Ok(None) => {}
                Err((source, mut alert)) => {
                    let mut bytes = Vec::new();
                    // Writing to memory does not fail.
                    let _ = alert.write_all(&mut bytes);
                    let alert = bytes;
                    return Err(HelloError::Malformed { source, alert });
                }
            }
        }
        Ok(None)
    }
}

/// rustls holds no more bytes, so that there is no end in sight.
fn unreadable(_: io::Error) -> HelloError {
    HelloError::TooLong
}

fn hello(accepted: &Accepted) -> Hello {
    let hello = accepted.client_hello();
    let name = hello.server_name();
    Hello {
        // A name may end in the root's dot; it is the same name.
        server_name: name.map(|name| name.strip_suffix('.').unwrap_or(name).into()),
    }
}

/// What a client is told that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// What it sent cannot be read.
    DecodeError,
    /// It names no host, and must.
    MissingExtension,
    /// There is no host of that name.
    UnrecognizedName,
}

impl Alert {
    /// The record that says so, before any encryption.
    pub fn record(self) -> [u8; 7] {
        let description = match self {
            Alert::DecodeError => 50,
            Alert::MissingExtension => 109,
            Alert::UnrecognizedName => 112,
        };
        // Alert, TLS 1.2 as all records say, two bytes: fatal, and why.
        [21, 3, 3, 0, 2, 2, description]
    }
}
