//! The ClientHello of a connection that is passed on as it is: read for the name in it, and kept for the endpoint.

use super::Unwelcome;
use crate::net::{Hello, HelloReader};
use crate::proxy::outcome::Outcome;
use crate::telemetry::chain;
use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes read at a time: nearly every ClientHello, and what a client may send at once behind it.
const READ: usize = 4 * 1024;

/// Reads until the ClientHello is complete; gives back all that was read. The caller bounds the time.
///
/// # Errors
/// [`Outcome::NotTls`] with an alert; else how the connection ended.
pub(super) async fn read(stream: &mut TcpStream) -> Result<(Hello, Bytes), Unwelcome> {
    let mut reader = HelloReader::default();
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        bytes.resize(before + READ, 0);
        let read = stream.read(&mut bytes[before..]).await;
        let read = read.map_err(|_| Outcome::ClientReset)?;
        bytes.truncate(before + read);
        if read == 0 {
            return Err(Outcome::ClientClosed.into());
        }
        match reader.read(&bytes[before..]) {
            Ok(Some(hello)) => return Ok((hello, bytes.into())),
            Ok(None) => {}
            Err(error) => {
                let alert = error.alert();
                tracing::debug!(error = %chain(&error), "no ClientHello");
                let outcome = Outcome::NotTls;
                return Err(Unwelcome { outcome, alert });
            }
        }
    }
}
