//! One probe of one endpoint: connect, perhaps say something, and judge the answer.
//!
//! A probe is a client that is easy on the endpoint: it sends one request, reads no more of the answer than it
//! judges, and closes. After a bare connect it resets instead, so that probes leave no closed connections lingering
//! on this node, some thousands per endpoint and minute of every service.

use crate::balance::ProbeFailure;
use crate::config::{Check, Probe, SendProxy};
use crate::net::{SocketOptions, Stream, UnverifiedTls, proxy_protocol, reset_on_close};
use crate::upstream::{DialError, Dialer, Opening};
use bytes::{Bytes, BytesMut};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Bytes of an answer in which what is expected must be found. A banner or a status line has a hundred.
const MAX_ANSWER: usize = 16 * 1024;

/// Longest head of a response, in bytes; as of any other response.
const MAX_HEAD: usize = 64 * 1024;

/// Characters of an unexpected answer that are told.
const SHOWN_CHARS: usize = 64;

/// Why a probe did not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It took too long.
    #[error("it is not done within {0:?}")]
    TimedOut(Duration),
    /// The connection ended first.
    #[error("it closed the connection before its answer was whole")]
    Closed(#[source] Option<io::Error>),
    /// No TLS.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// Another status.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// What it answered is no HTTP.
    #[error("it answered something that is not HTTP")]
    NotHttp(#[source] hyper::Error),
    /// Another text.
    #[error("it answered {0:?}")]
    Answer(String),
}

impl ProbeError {
    /// What it says about the endpoint; nothing if this node was at fault.
    pub(super) fn failure(&self) -> Option<ProbeFailure> {
        Some(match self {
            ProbeError::Dial(DialError::Unresolved { .. }) => ProbeFailure::Unresolved,
            ProbeError::Dial(DialError::Refused { .. }) => ProbeFailure::Refused,
            ProbeError::Dial(DialError::Unreachable { .. }) => ProbeFailure::Unreachable,
            ProbeError::Dial(DialError::TimedOut { .. }) | ProbeError::TimedOut(_) => {
                ProbeFailure::TimedOut
            }
            ProbeError::Dial(
                DialError::Exhausted { .. }
                | DialError::PortsExhausted { .. }
                | DialError::SourceLost { .. },
            ) => return None,
            ProbeError::Closed(_) => ProbeFailure::Closed,
            ProbeError::Tls(_) => ProbeFailure::Tls,
            ProbeError::Status(_) => ProbeFailure::Status,
            ProbeError::NotHttp(_) | ProbeError::Answer(_) => ProbeFailure::Answer,
        })
    }
}

/// What probes are made with.
pub(super) struct Tools {
    /// Makes connections, from where traffic's come from.
    pub(super) dialer: Dialer,
    /// For checks of TLS.
    pub(super) tls: UnverifiedTls,
}

/// Probes the endpoint at `address` (`host:port`) once. What it is told first, as its clients' connections are, is
/// that this one is nobody's but ours; at another port than its own it is told nothing.
///
/// # Errors
/// [`ProbeError`].
pub(super) async fn probe(
    address: &str,
    check: &Check,
    send_proxy: SendProxy,
    tools: &Tools,
) -> Result<(), ProbeError> {
    let announcement = match send_proxy {
        SendProxy::V1 if check.port.is_none() => proxy_protocol::v1_unknown(),
        SendProxy::V2 if check.port.is_none() => proxy_protocol::v2_local(),
        SendProxy::Off | SendProxy::V1 | SendProxy::V2 => Vec::new(),
    };
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let target = match check.port {
        Some(other) => format!("{host}:{other}"),
        None => format!("{host}:{port}"),
    };
    let whole = async {
        let opening = Opening {
            dialer: &tools.dialer,
            options: &SocketOptions::default(),
            address: &target,
            within: check.timeout,
            announcement: &announcement,
        };
        let stream = opening.open().await?;
        match &check.probe {
            Probe::Tcp => {
                reset_on_close(stream.socket());
                Ok(())
            }
            Probe::Tls { host: asked } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let name = asked.as_deref().unwrap_or(bare);
                let shaken = tools.tls.handshake(stream, name).await;
                shaken.map_err(ProbeError::Tls)
            }
            Probe::Http {
                path,
                host,
                lowest,
                highest,
            } => {
                let host = host.as_deref().unwrap_or(address);
                let status = get(stream, path, host).await?;
                let is_expected = (*lowest..=*highest).contains(&status.as_u16());
                is_expected.then_some(()).ok_or(ProbeError::Status(status))
            }
            Probe::Expect { send, expect } => converse(stream, send, expect).await,
        }
    };
    match timeout(check.timeout, whole).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::TimedOut(check.timeout)),
    }
}

/// The status of the answer to a GET.
async fn get(stream: Stream, path: &str, host: &str) -> Result<StatusCode, ProbeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(ProbeError::NotHttp)?;
    let mut request = Request::new(Empty::<Bytes>::new());
    // Both were checked when they were set; an address comes from whoever registered it.
    *request.uri_mut() = Uri::try_from(path).unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(
        HOST,
        HeaderValue::try_from(host).unwrap_or(HeaderValue::from_static("")),
    );
    headers.insert(USER_AGENT, HeaderValue::from_static("zoogate-check"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut answer = pin!(sender.send_request(request));
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        // It may have ended because the answer is whole.
        _ = connection => answer.await,
    };
    match answered {
        Ok(response) => Ok(response.status()),
        Err(error) if error.is_parse() => Err(ProbeError::NotHttp(error)),
        Err(_) => Err(ProbeError::Closed(None)),
    }
}

/// Says `send`, and reads until `expect` is found.
async fn converse(mut stream: Stream, send: &str, expect: &str) -> Result<(), ProbeError> {
    let ended = |error| ProbeError::Closed(Some(error));
    stream.write_all(send.as_bytes()).await.map_err(ended)?;
    let mut answer = BytesMut::with_capacity(1024);
    loop {
        let read = stream.read_buf(&mut answer).await.map_err(ended)?;
        if contains(&answer, expect.as_bytes()) {
            return Ok(());
        }
        match (read, answer.is_empty()) {
            (0, true) => return Err(ProbeError::Closed(None)),
            (0, false) => return Err(ProbeError::Answer(shown(&answer))),
            _ if answer.len() >= MAX_ANSWER => return Err(ProbeError::Answer(shown(&answer))),
            _ => {}
        }
    }
}

/// Whether `text` is among the bytes of `answer`. Costs their product, at most 16 MB compared in the worst of
/// answers, some milliseconds on a thread that waits for nothing.
fn contains(answer: &[u8], text: &[u8]) -> bool {
    answer.windows(text.len()).any(|window| window == text)
}

/// The beginning of an answer, for a person.
fn shown(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.chars().take(SHOWN_CHARS).collect()
}
