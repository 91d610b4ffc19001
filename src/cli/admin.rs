//! A node's admin address, as those verbs have it that ask there: plain or over TLS, with a token or without.

use super::args::AdminArgs;
use super::{CliError, Exit};
use crate::net::{ClientFiles, ClientTls, Secret};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{HeaderMap, http};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Who to trust there, and who to be.
pub(super) struct Access {
    token: Option<Secret>,
    tls: Option<ClientTls>,
}

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Access {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CliError`] when one of them is no use.
    pub(super) fn of(args: &AdminArgs) -> Result<Access, CliError> {
        let token = args.token_file.as_deref().map(Secret::load).transpose();
        let token = token.map_err(|error| CliError::failed(Exit::Usage, error))?;
        let pair = match (&args.cert, &args.key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(CliError::Usage("--cert and --key go together".into())),
        };
        let tls = match &args.ca {
            Some(ca) => Some(ClientFiles {
                ca: ca.clone(),
                pair,
            }),
            None if pair.is_some() => {
                return Err(CliError::Usage("--cert and --key need --ca".into()));
            }
            None => None,
        };
        let tls = tls.as_ref().map(ClientTls::load).transpose();
        let tls = tls.map_err(|error| CliError::failed(Exit::Usage, error))?;
        Ok(Access { token, tls })
    }

    /// Connects to `node`, HOST:PORT. The caller bounds the time it takes.
    ///
    /// # Errors
    /// When it cannot be reached, or one of the two does not like the other's certificate.
    pub(super) async fn connect(&self, node: &str) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(node).await?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let host = node.rsplit_once(':').map_or(node, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Box::new(tls.connect(stream, host).await?))
    }

    /// Shows the token, if there is one.
    ///
    /// # Errors
    /// When it cannot stand in a header.
    pub(super) fn show(&self, headers: &mut HeaderMap) -> Result<(), http::Error> {
        if let Some(token) = &self.token {
            let value = [b"Bearer ", token.text()].concat();
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(())
    }

    /// What may be wrong when an address speaks no HTTP.
    pub(super) fn hint(&self) -> &'static str {
        match self.tls {
            None => "; to one with [admin.tls] speak with --ca",
            Some(_) => "",
        }
    }
}
