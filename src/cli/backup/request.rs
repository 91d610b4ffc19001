//! Asking a node's admin address for a backup.

use crate::cli::Exit;
use crate::cli::admin::Access;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode, http};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// Longest wait for the connection.
const CONNECTING: Duration = Duration::from_secs(10);

/// Longest wait for the answer to begin: the node catches up with its leader and writes its tree to its disk.
const PREPARING: Duration = Duration::from_secs(300);

/// Longest wait for the next part.
const STALL: Duration = Duration::from_secs(60);

/// Most bytes of a refusal that are shown.
const REFUSAL_BYTES: usize = 4 << 10;

/// Why nothing comes, or nothing more.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum RequestError {
    #[error("cannot connect to {admin}")]
    Connect {
        admin: String,
        #[source]
        source: io::Error,
    },
    #[error("{admin} did not {what} within {limit:?}")]
    Silent {
        admin: String,
        what: &'static str,
        limit: Duration,
    },
    #[error("{admin} does not answer as a node's admin address{hint}")]
    Http {
        admin: String,
        hint: &'static str,
        #[source]
        source: hyper::Error,
    },
    #[error("{admin} refused ({status}): {why}")]
    Refused {
        admin: String,
        status: StatusCode,
        why: String,
    },
    #[error(
        "{admin} ended the connection after {received} bytes of {expected}: it stopped, or this end read too slowly"
    )]
    Cut {
        admin: String,
        received: u64,
        expected: u64,
    },
}

impl RequestError {
    /// The exit code it ends with.
    pub(super) fn exit(&self) -> Exit {
        match self {
            RequestError::Connect { .. } => Exit::Unreachable,
            RequestError::Silent { .. } => Exit::TimedOut,
            RequestError::Refused { status, .. } => match *status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotPermitted,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    Exit::Unreachable
                }
                _ => Exit::Failed,
            },
            RequestError::Http { .. } | RequestError::Cut { .. } => Exit::Failed,
        }
    }
}

/// A backup that is arriving.
#[derive(Debug)]
pub(super) struct Download {
    admin: String,
    body: Incoming,
    received: u64,
    expected: u64,
    /// The last log entry in it, as the node says.
    pub(super) index: u64,
    /// Whether the node could ask the leader how far the log is.
    pub(super) is_current: bool,
    _connection: AbortOnDropHandle<()>,
}

impl Download {
    /// Asks, and waits for the answer's head.
    pub(super) async fn begin(admin: &str, access: &Access) -> Result<Download, RequestError> {
        let connecting = in_time(admin, "connect", CONNECTING, access.connect(admin)).await?;
        let stream = connecting.map_err(|source| RequestError::Connect {
            admin: admin.into(),
            source,
        })?;
        let http = |source| RequestError::Http {
            admin: admin.into(),
            hint: access.hint(),
            source,
        };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        // How it ended shows in the body.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let mut request = Request::get("/v1/snapshot").header(HOST, admin);
        let unfit = |error: http::Error| RequestError::Connect {
            admin: admin.into(),
            source: io::Error::other(error),
        };
        if let Some(headers) = request.headers_mut() {
            access.show(headers).map_err(unfit)?;
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(unfit)?;
        let answering = sender.send_request(request);
        let response = in_time(admin, "answer", PREPARING, answering).await?;
        let response = response.map_err(http)?;
        if response.status() != StatusCode::OK {
            return Err(refused(admin, response).await);
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let number = |name: &str| header(name).and_then(|text| text.parse().ok());
        Ok(Download {
            admin: admin.into(),
            received: 0,
            expected: number("content-length").unwrap_or(0),
            index: number("zoogate-index").unwrap_or(0),
            is_current: header("zoogate-current") != Some("no"),
            body: response.into_body(),
            _connection: connection,
        })
    }

    /// The next part; `None` at the end.
    pub(super) async fn part(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            let frame = in_time(&self.admin, "send more", STALL, self.body.frame()).await?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => {
                    return Err(RequestError::Cut {
                        admin: self.admin.clone(),
                        received: self.received,
                        expected: self.expected,
                    });
                }
                Some(Ok(frame)) => {
                    if let Ok(part) = frame.into_data() {
                        self.received += part.len() as u64;
                        return Ok(Some(part));
                    }
                }
            }
        }
    }
}

async fn refused(admin: &str, response: Response<Incoming>) -> RequestError {
    let status = response.status();
    let mut body = response.into_body();
    let mut why = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            why.extend(frame.into_data().unwrap_or_default());
            if why.len() > REFUSAL_BYTES {
                break;
            }
        }
    };
    // A refusal without a reason is one all the same.
    let _ = timeout(CONNECTING, read).await;
    why.truncate(REFUSAL_BYTES);
    RequestError::Refused {
        admin: admin.into(),
        status,
        why: String::from_utf8_lossy(&why).trim().to_owned(),
    }
}

async fn in_time<T>(
    admin: &str,
    what: &'static str,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, RequestError> {
    timeout(limit, work)
        .await
        .map_err(|_| RequestError::Silent {
            admin: admin.into(),
            what,
            limit,
        })
}
