//! One request to a node's admin address, and its answer.

use crate::cli::CliError;
use crate::cli::Exit;
use crate::cli::admin::{Access, Stream};
use crate::cli::args::NodeArgs;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::error::Error;
use std::io;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Longest wait for a connection; then the next node is tried.
const CONNECTING: Duration = Duration::from_secs(3);

/// Pause before a change is asked for again.
const RETRY: Duration = Duration::from_millis(300);

/// Longest answer: 64 members at a few hundred bytes, or 10,000 endpoints at about a thousand.
const ANSWER_BYTES: usize = 16 << 20;

/// Whom to ask, and with what.
pub(super) struct Asking {
    /// Admin addresses, tried in turn.
    pub(super) nodes: Vec<String>,
    /// Who to trust there, and who to be.
    pub(super) access: Access,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// None of the nodes can be reached.
    #[error("cannot connect to {node}")]
    Connect {
        /// The last one tried.
        node: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is no admin address, or went away.
    #[error("{node} does not answer as a node's admin address{hint}")]
    Http {
        /// Who.
        node: String,
        /// What may be wrong.
        hint: &'static str,
        /// What happened.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It does not do it.
    #[error("{reason}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// Its name.
        error: String,
        /// What it says.
        reason: String,
    },
}

impl From<AskError> for CliError {
    fn from(error: AskError) -> CliError {
        CliError::failed(error.exit(), error)
    }
}

impl AskError {
    /// The exit code it ends with.
    pub(super) fn exit(&self) -> Exit {
        match self {
            AskError::Connect { .. } => Exit::Unreachable,
            AskError::Http { .. } => Exit::Failed,
            AskError::Refused { status, .. } => match *status {
                StatusCode::BAD_REQUEST => Exit::Usage,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotPermitted,
                StatusCode::NOT_FOUND => Exit::NotFound,
                StatusCode::CONFLICT => Exit::Conflict,
                StatusCode::SERVICE_UNAVAILABLE => Exit::Unreachable,
                _ => Exit::Failed,
            },
        }
    }
}

impl Asking {
    /// Of the nodes that the arguments name.
    ///
    /// # Errors
    /// [`CliError`] when a file with a token or a certificate is no use.
    pub(super) fn of(args: NodeArgs) -> Result<Asking, CliError> {
        Ok(Asking {
            access: Access::of(&args.access)?,
            nodes: args.admin,
        })
    }

    /// Asks until it is answered or refused for good: what is under way ends, and a leader is found. The caller bounds
    /// the time it takes.
    ///
    /// # Errors
    /// [`AskError`].
    pub(super) async fn insist(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AskError> {
        loop {
            match self.ask(method, path, body).await {
                Err(AskError::Refused { error, .. })
                    if error == "in-progress" || error == "no-leader" => {}
                other => return other,
            }
            sleep(RETRY).await;
        }
    }

    /// Asks the first node that can be reached.
    ///
    /// # Errors
    /// [`AskError`].
    pub(super) async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AskError> {
        let mut last = None;
        for node in &self.nodes {
            let connected = timeout(CONNECTING, self.access.connect(node)).await;
            let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            match connected {
                Ok(stream) => return self.exchange(node, stream, method, path, body).await,
                Err(source) => {
                    let node = node.clone();
                    last = Some(AskError::Connect { node, source });
                }
            }
        }
        Err(last.unwrap_or_else(|| AskError::Connect {
            node: "no node".into(),
            source: io::ErrorKind::NotFound.into(),
        }))
    }

    async fn exchange(
        &self,
        node: &str,
        stream: Box<dyn Stream>,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, AskError> {
        let http = |source: Box<dyn Error + Send + Sync>| AskError::Http {
            node: node.into(),
            hint: self.access.hint(),
            source,
        };
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|e| http(e.into()))?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
            // How it ended shows in the answer.
            let _ = connection.await;
        }));
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, node)
            .header(CONTENT_TYPE, "application/json");
        if let Some(headers) = request.headers_mut() {
            self.access.show(headers).map_err(|e| http(e.into()))?;
        }
        let text = body.map_or(String::new(), Value::to_string);
        let request = request.body(Full::new(Bytes::from(text)));
        let request = request.map_err(|e| http(e.into()))?;
        let response = sender.send_request(request).await;
        let response = response.map_err(|e| http(e.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect();
        let body = body.await.map_err(http)?.to_bytes();
        let answer: Result<Value, _> = serde_json::from_slice(&body);
        if status.is_success() {
            return answer.map_err(|e| http(e.into()));
        }
        let answer = answer.unwrap_or_default();
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        let raw = || String::from_utf8_lossy(&body).trim().to_owned();
        Err(AskError::Refused {
            status,
            error: text("error").unwrap_or_default(),
            reason: text("reason").unwrap_or_else(raw),
        })
    }
}
