//! The client: typed operations over a session.

use super::event::{EventSink, Events};
use super::session::{Answer, Call, Encoded, Session};
use super::{ClientError, ConnectError, Hosts, Login, Refusal, SessionState};
use crate::tree::{Acl, CreateMode, ErrorCode, SessionId, Stat};
use crate::zk::wire::{
    ChildrenResponse, CreateRequest, DataResponse, MAX_FRAME, OpCode, PathRequest, ReadRequest,
    SetDataRequest, VersionRequest, Wire,
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

/// Whether a read leaves a one-shot watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// No watch.
    No,
    /// The next change is delivered as one event.
    Once,
}

/// One session with an ensemble.
///
/// Operations take `&self` and may run concurrently: they are sent in the order in which they were first
/// polled, without waiting for each other. Each waits for one session timeout at most, also while the
/// session looks for another server.
///
/// Dropping a client leaves its session to expire; [`Client::close`] ends it at once.
#[derive(Debug)]
pub struct Client {
    id: SessionId,
    timeout: Duration,
    calls: mpsc::Sender<Call>,
    state: watch::Receiver<SessionState>,
    session: AbortOnDropHandle<()>,
}

impl Client {
    /// Opens a session: tries each host once, in random order, each for its share of the session timeout
    /// (a quarter of a second to five seconds).
    ///
    /// # Errors
    /// [`ConnectError`] says for each host why it did not do.
    pub async fn connect(
        hosts: &Hosts,
        session_timeout: Duration,
    ) -> Result<(Client, Events), ConnectError> {
        Client::connect_as(hosts, session_timeout, None).await
    }

    /// As [`Client::connect`]; whatever server the session is on, the login goes before all other requests.
    ///
    /// # Errors
    /// [`ConnectError`] says for each host why it did not do.
    pub async fn connect_as(
        hosts: &Hosts,
        session_timeout: Duration,
        login: Option<&Login>,
    ) -> Result<(Client, Events), ConnectError> {
        let (sink, events) = EventSink::new();
        let opening = Session::open(hosts, session_timeout, login, sink);
        let (session, connection, ends) = opening.await?;
        let client = Client {
            id: session.id(),
            timeout: session.timeout(),
            calls: ends.calls,
            state: ends.state,
            session: AbortOnDropHandle::new(tokio::spawn(session.run(connection))),
        };
        Ok((client, events))
    }

    /// The session's id: the owner of its ephemerals.
    pub fn session_id(&self) -> SessionId {
        self.id
    }

    /// The session timeout the first server granted.
    pub fn session_timeout(&self) -> Duration {
        self.timeout
    }

    /// How the session is doing, now and from now on.
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// Creates a znode that everybody may use, and returns its path: `path` itself, with the server's
    /// number behind it in a sequential mode.
    ///
    /// # Errors
    /// [`ClientError`]; among others `NoNode` without a parent and `NodeExists`.
    pub async fn create(
        &self,
        path: &str,
        data: impl Into<Bytes>,
        mode: CreateMode,
    ) -> Result<String, ClientError> {
        let request = CreateRequest {
            path: path.into(),
            data: Some(data.into()),
            acl: Acl::open(),
            flags: i32::from(mode.is_ephemeral()) | (i32::from(mode.sequential) << 1),
        };
        self.call(OpCode::Create, path, &request).await
    }

    /// Creates a persistent, empty znode and every missing one above it. That some exist, or that somebody
    /// else creates them at the same time, is no error. Of znodes above one that exists no right is needed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_all(&self, path: &str) -> Result<(), ClientError> {
        let ends = path.match_indices('/').skip(1).map(|(at, _)| at);
        let ends: Vec<usize> = ends.chain([path.len()]).filter(|end| *end > 1).collect();
        // Upwards until one is there. To ask for one that exists would be refused where its parent is protected.
        let mut lowest = ends.len();
        while let Some(above) = lowest.checked_sub(1) {
            lowest = above;
            match self.create_plain(&path[..ends[above]]).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) && above > 0 => {}
                done => {
                    done?;
                    break;
                }
            }
        }
        for end in ends.into_iter().skip(lowest + 1) {
            self.create_plain(&path[..end]).await?;
        }
        Ok(())
    }

    /// Creates a persistent, empty znode, unless it exists.
    async fn create_plain(&self, path: &str) -> Result<(), ClientError> {
        match self
            .create(path, Bytes::new(), CreateMode::PERSISTENT)
            .await
        {
            Err(error) if error.code() != Some(ErrorCode::NodeExists) => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes a znode without children, if its data has this version (`None`: any).
    ///
    /// # Errors
    /// [`ClientError`]; among others `NoNode`, `BadVersion` and `NotEmpty`.
    pub async fn delete(&self, path: &str, version: Option<i32>) -> Result<(), ClientError> {
        let request = VersionRequest {
            path: path.into(),
            version: version.unwrap_or(ANY_VERSION),
        };
        self.call(OpCode::Delete, path, &request).await
    }

    /// A znode's stat; `None` when there is none, and then a watch waits for it to be created.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn exists(&self, path: &str, watch: Watch) -> Result<Option<Stat>, ClientError> {
        match self.call(OpCode::Exists, path, &read(path, watch)).await {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A znode's data and stat; a watch waits for the data to change or the znode to go.
    ///
    /// # Errors
    /// [`ClientError`]; with `NoNode` no watch is set.
    pub async fn data(&self, path: &str, watch: Watch) -> Result<(Bytes, Stat), ClientError> {
        let response: DataResponse = self.call(OpCode::GetData, path, &read(path, watch)).await?;
        Ok((response.data.unwrap_or_default(), response.stat))
    }

    /// Replaces a znode's data, if it has this version (`None`: any), and returns its new stat.
    ///
    /// # Errors
    /// [`ClientError`]; among others `NoNode` and `BadVersion`.
    pub async fn set_data(
        &self,
        path: &str,
        data: impl Into<Bytes>,
        version: Option<i32>,
    ) -> Result<Stat, ClientError> {
        let request = SetDataRequest {
            path: path.into(),
            data: Some(data.into()),
            version: version.unwrap_or(ANY_VERSION),
        };
        self.call(OpCode::SetData, path, &request).await
    }

    /// The names of a znode's children, in no order, and its stat; a watch waits for one to come or go.
    ///
    /// # Errors
    /// [`ClientError`]; with `NoNode` no watch is set.
    pub async fn children(
        &self,
        path: &str,
        watch: Watch,
    ) -> Result<(Vec<Arc<str>>, Stat), ClientError> {
        let request = read(path, watch);
        let response: ChildrenResponse = self.call(OpCode::GetChildren2, path, &request).await?;
        Ok((response.children, response.stat))
    }

    /// Brings this session's server up to date: reads after it see every write that was answered, to
    /// anyone, before it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sync(&self, path: &str) -> Result<(), ClientError> {
        let request = PathRequest { path: path.into() };
        let _: Encoded = self.call(OpCode::Sync, path, &request).await?;
        Ok(())
    }

    /// Ends the session, so that its ephemerals go now. Tries again on another server when the connection
    /// is lost, for one session timeout at most.
    ///
    /// # Errors
    /// [`ClientError`] when that could not be made sure; the session then ends by expiring.
    pub async fn close(self) -> Result<(), ClientError> {
        let closing = async {
            loop {
                match self.call(OpCode::CloseSession, "/", &()).await {
                    Err(ClientError::ConnectionLoss) => {}
                    // A close whose answer was lost shows as a session that is gone.
                    Err(ClientError::Expired | ClientError::Closed) => return Ok(()),
                    Err(error) if error.code() == Some(ErrorCode::SessionExpired) => return Ok(()),
                    other => return other,
                }
            }
        };
        tokio::time::timeout(self.timeout, closing)
            .await
            .map_err(|_| ClientError::Timeout(self.timeout))??;
        // Over already, or about to be: the task ends with the answer.
        let _ = self.session.await;
        Ok(())
    }

    /// Sends one request and reads its answer.
    pub(super) async fn call<T: Wire>(
        &self,
        opcode: OpCode,
        path: &str,
        request: &impl Wire,
    ) -> Result<T, ClientError> {
        let mut body = BytesMut::new();
        request.encode(&mut body);
        let length = body.len() + HEADER;
        if length > MAX_FRAME {
            return Err(ClientError::TooLong {
                path: path.into(),
                length,
                limit: MAX_FRAME,
            });
        }
        let exchange = self.exchange(opcode, Encoded(body.freeze()));
        let mut answer = tokio::time::timeout(self.timeout, exchange)
            .await
            .map_err(|_| ClientError::Timeout(self.timeout))??;
        if answer.error != 0 {
            return Err(ClientError::Refused {
                path: path.into(),
                refusal: Refusal(answer.error),
            });
        }
        T::decode(&mut answer.body).map_err(|source| ClientError::Malformed {
            path: path.into(),
            source,
        })
    }

    async fn exchange(&self, opcode: OpCode, body: Encoded) -> Result<Answer, ClientError> {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            opcode,
            body,
            reply,
        };
        self.calls.send(call).await.map_err(|_| self.over())?;
        match answer.await {
            Ok(answer) => answer.map_err(|_| ClientError::ConnectionLoss),
            Err(_) => Err(self.over()),
        }
    }

    /// Why the session takes no more requests.
    fn over(&self) -> ClientError {
        match *self.state.borrow() {
            SessionState::Closed => ClientError::Closed,
            _ => ClientError::Expired,
        }
    }
}

fn read(path: &str, watch: Watch) -> ReadRequest {
    ReadRequest {
        path: path.into(),
        watch: watch == Watch::Once,
    }
}

/// The version that matches every version.
const ANY_VERSION: i32 = -1;

/// Bytes of a request's header: xid and opcode.
const HEADER: usize = 8;
