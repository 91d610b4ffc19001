//! From an endpoint's address to a connection on which the client's first byte may be sent.
//!
//! ```text
//! dial --> announcement (PROXY header) --> connection          all of it within the connect timeout
//! ```

use super::dial::{DialError, Dialer};
use crate::net::{SocketOptions, Stream};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

/// What is to be opened.
pub struct Opening<'a> {
    /// What connects.
    pub dialer: &'a Dialer,
    /// What the connection's socket has.
    pub options: &'a SocketOptions,
    /// The endpoint's `host:port`.
    pub address: &'a str,
    /// Longest time for all of it.
    pub within: Duration,
    /// What the endpoint is told before anything else.
    pub announcement: &'a [u8],
}

impl Opening<'_> {
    /// Opens it.
    ///
    /// # Errors
    /// [`DialError`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the attempt.
    pub async fn open(&self) -> Result<Stream, DialError> {
        let deadline = Instant::now() + self.within;
        let dialled = self.dialer.dial(self.address, self.within, self.options);
        let mut stream = dialled.await?;
        if self.announcement.is_empty() {
            return Ok(stream.into());
        }
        match timeout_at(deadline, stream.write_all(self.announcement)).await {
            Ok(Ok(())) => Ok(stream.into()),
            Ok(Err(source)) => Err(DialError::Unreachable {
                address: self.address.into(),
                source,
            }),
            Err(_) => Err(DialError::TimedOut {
                address: self.address.into(),
                timeout: self.within,
            }),
        }
    }
}
