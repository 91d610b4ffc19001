//! The PROXY header at the beginning of a connection, read to its last byte and no further.
//!
//! What is there is looked at first (`MSG_PEEK`) and then taken as far as it belongs to the header, so whatever stands
//! behind it stays in the kernel, for TLS, for HTTP or for the relay to read. A header that comes in one packet, as all
//! do that are not meant badly, costs two system calls.

use crate::net::proxy_protocol::{Parsed, ProxyHeader, parse};
use crate::proxy::outcome::Outcome;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Bytes looked at first. The specification has senders keep to 536, the payload of the smallest segment.
const FIRST_LOOK: usize = 536;

/// Reads the header. The caller bounds the time; the length is bounded by the header's own rules.
///
/// # Errors
/// [`Outcome::ProxyMalformed`] if there is none or it is wrong; else how the connection ended.
pub(super) async fn read(stream: &mut TcpStream) -> Result<ProxyHeader, Outcome> {
    let mut bytes = vec![0; FIRST_LOOK];
    let mut taken = 0;
    loop {
        if taken == bytes.len() {
            bytes.resize(2 * taken, 0);
        }
        let seen = stream.peek(&mut bytes[taken..]).await;
        let seen = match seen.map_err(|_| Outcome::ClientReset)? {
            0 => return Err(Outcome::ClientClosed),
            seen => seen,
        };
        let parsed = parse(&bytes[..taken + seen]).map_err(|malformed| {
            tracing::debug!(%malformed, "a PROXY header is refused");
            Outcome::ProxyMalformed
        })?;
        let end = match &parsed {
            Parsed::Partial => taken + seen,
            Parsed::Whole { length, .. } => *length,
        };
        let taking = stream.read_exact(&mut bytes[taken..end]).await;
        taking.map_err(|_| Outcome::ClientReset)?;
        taken = end;
        if let Parsed::Whole { header, .. } = parsed {
            return Ok(header);
        }
    }
}
