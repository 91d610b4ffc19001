//! The TLS handshake of a client whose TLS ends here.

use crate::config::{ClientCertificate, ListenerTls, TlsVersion};
use crate::net::{
    ClientAuthorities, FrontFiles, FrontTls, Secured, Stream, TlsError, TlsFailure, reset_on_close,
};
use crate::proxy::outcome::Outcome;
use crate::proxy::watch::Watch;
use crate::telemetry::{TlsFailures, chain};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;

/// How a listener ends TLS.
pub(super) struct Handshake {
    /// What is shown and asked for.
    pub(super) tls: Arc<FrontTls>,
    /// Counts those that fail.
    pub(super) failures: TlsFailures,
}

/// Reads the files that `tls` names.
///
/// # Errors
/// [`TlsError`], which names the file.
pub fn load(tls: &ListenerTls) -> Result<FrontTls, TlsError> {
    let certificates = tls.certificates.iter();
    let pair = |it: &crate::config::CertificateFiles| (it.certificate.clone(), it.key.clone());
    FrontTls::load(FrontFiles {
        certificates: certificates.map(pair).collect(),
        clients: tls.client_ca.as_ref().map(|file| ClientAuthorities {
            file: file.clone(),
            required: tls.client_certificate == ClientCertificate::Required,
        }),
        alpn: tls.alpn.clone(),
        only_tls13: tls.min_version == TlsVersion::V1_3,
    })
}

impl Handshake {
    /// Does it. A client with which it fails has been told so by an alert, one that is too slow is reset.
    ///
    /// # Errors
    /// Why it failed.
    pub(super) async fn with(
        &self,
        socket: TcpStream,
        watch: &Watch,
    ) -> Result<(Stream, Secured), Outcome> {
        let mut accept = self.tls.accept(socket);
        let done = poll_fn(|cx| match watch.verdict(cx) {
            Some(verdict) => {
                if let Some(socket) = accept.get_ref() {
                    reset_on_close(socket);
                }
                Poll::Ready(Err(verdict))
            }
            None => Pin::new(&mut accept)
                .poll(cx)
                .map(|done| done.map_err(|error| self.failed(&error))),
        });
        let stream = done.await?;
        let secured = Secured::of(stream.get_ref().1);
        Ok((Stream::Tls(Box::new(stream.into())), secured))
    }

    fn failed(&self, error: &std::io::Error) -> Outcome {
        let failure = TlsFailure::of(error);
        self.failures.count(failure.as_str());
        tracing::debug!(error = %chain(error), "a TLS handshake failed");
        match failure {
            TlsFailure::NotTls => Outcome::NotTls,
            TlsFailure::Closed => Outcome::ClientClosed,
            _ => Outcome::TlsHandshake,
        }
    }
}
