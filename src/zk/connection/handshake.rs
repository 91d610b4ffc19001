//! The handshake: a session opened, or one taken over with its password.
//!
//! Both go through the log, so that every member agrees on who holds a session. A client is turned away
//! without a word, so that it tries another member, when no leader is within reach or when it has seen
//! transactions that this member does not have: it must never travel back in time.
//!
//! While no leader is within reach, and if the operator wants it, a client that says it is content with reading
//! gets a session for that: its own if it comes with one and its password, else one that only this member
//! knows. Nothing of it is written down, so the ensemble's opinion about a session does not change by it.
//!
//! Source: `ZooKeeperServer.processConnectRequest` and `ReadOnlyZooKeeperServer` of ZooKeeper 3.9.

use super::end::End;
use crate::ensemble::Ensemble;
use crate::tree::{Actor, Command, ErrorCode, Reply, SessionId, Tree, Zxid};
use crate::zk::outbox::Outbox;
use crate::zk::port::Port;
use crate::zk::watches::Attached;
use crate::zk::wire::{ConnectFields, ConnectRequest, ConnectResponse, ConnectedFields, Wire};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for this member to catch up with what a client has seen elsewhere. A member in touch with
/// its leader is milliseconds behind; one that is not had better let the client go.
const CATCH_UP: Duration = Duration::from_secs(1);

/// A session in this connection's hands.
pub(super) struct Opened {
    /// The session.
    pub(super) id: SessionId,
    /// Its timeout, milliseconds.
    pub(super) timeout_ms: u32,
    /// The transaction that gave it to this connection.
    pub(super) attachment: Zxid,
    /// Its place among the watchers.
    pub(super) attached: Attached,
    /// Whether it may only read, and no leader watches over it.
    pub(super) read_only: bool,
}

/// Answers the first frame of a connection, which came while a leader was within reach or not, as `led` says.
///
/// # Errors
/// [`End`] when the connection gets no session.
pub(super) async fn shake(
    mut frame: Bytes,
    led: bool,
    port: &Port,
    outbox: &Arc<Outbox>,
) -> Result<Opened, End> {
    let request = ConnectRequest::decode(&mut frame).map_err(|_| End::Malformed)?;
    if !led {
        return shake_read_only(&request, port, outbox);
    }
    catch_up(&port.ensemble, request.fields.last_zxid_seen).await?;
    // Old clients have no place for it.
    let read_only = request.read_only.map(|_| false);
    let command = command(request.fields, port);
    let pending = port.ensemble.propose(Actor::Ensemble, command).await?;
    let applied = pending.await?;
    if applied.result == Err(ErrorCode::ThrottledOp) {
        // The session is as alive as before, there is only no room to write down that it moves.
        return Err(End::NotServing);
    }
    let Ok(Reply::Session {
        id,
        password,
        timeout_ms,
    }) = applied.result
    else {
        outbox.greet(&refusal(read_only));
        return Err(End::SessionGone);
    };
    let attachment = applied.zxid;
    let fields = granted(id, &password, timeout_ms);
    let attached = port.ensemble.read(|tree| {
        // Since the transaction was applied, another one may have taken the session away again.
        let session = tree.session(id)?;
        if session.attachment != attachment {
            return None;
        }
        let attached = port.watches.attach(id, attachment, outbox.clone());
        outbox.greet(&ConnectResponse { fields, read_only });
        Some(attached)
    });
    let attached = attached.ok_or(End::HungUp)?;
    Ok(Opened {
        id,
        timeout_ms,
        attachment,
        attached,
        read_only: false,
    })
}

/// Gives a client that allows it a session to read with.
fn shake_read_only(
    request: &ConnectRequest,
    port: &Port,
    outbox: &Arc<Outbox>,
) -> Result<Opened, End> {
    let read_only = Some(true);
    if !port.is_read_only() || request.read_only != read_only {
        return Err(End::NotServing);
    }
    let timeout_ms = port.timeout_ms(request.fields.timeout_ms);
    port.ensemble.read(|tree| {
        if request.fields.last_zxid_seen > tree.last_zxid().to_wire() {
            return Err(End::FromTheFuture);
        }
        let Claim {
            id,
            attachment,
            password,
        } = Claim::of(&request.fields, tree, port).inspect_err(|end| {
            if matches!(end, End::SessionGone) {
                outbox.greet(&refusal(read_only));
            }
        })?;
        let attached = port.watches.attach(id, attachment, outbox.clone());
        let fields = granted(id, &password, timeout_ms);
        outbox.greet(&ConnectResponse { fields, read_only });
        Ok(Opened {
            id,
            timeout_ms,
            attachment,
            attached,
            read_only: true,
        })
    })
}

/// The session that a client gets without a leader.
struct Claim {
    id: SessionId,
    attachment: Zxid,
    password: [u8; 16],
}

impl Claim {
    /// # Errors
    /// [`End::SessionGone`] when the password is wrong, [`End::NotServing`] when only the ensemble could tell.
    fn of(fields: &ConnectFields, tree: &Tree, port: &Port) -> Result<Claim, End> {
        let claim = match fields.session {
            SessionId::NONE => {
                let (id, password) = port.local.open();
                return Ok(Claim {
                    id,
                    attachment: Zxid::default(),
                    password,
                });
            }
            id if id.is_local() => Claim {
                id,
                attachment: Zxid::default(),
                password: port.local.password(id),
            },
            id => {
                let session = tree.session(id).ok_or(End::NotServing)?;
                Claim {
                    id,
                    attachment: session.attachment,
                    password: session.password,
                }
            }
        };
        match fields.password.as_deref() == Some(&claim.password[..]) {
            true => Ok(claim),
            false => Err(End::SessionGone),
        }
    }
}

/// Waits, but not for long, until this member has applied what the client has seen.
async fn catch_up(ensemble: &Ensemble, seen: i64) -> Result<(), End> {
    let is_ahead = || ensemble.read(|tree| seen > tree.last_zxid().to_wire());
    if !is_ahead() {
        return Ok(());
    }
    // What the client saw was committed, so a barrier covers it, if it is of this ensemble at all.
    let _ = timeout(CATCH_UP, ensemble.barrier()).await;
    match is_ahead() {
        true => Err(End::FromTheFuture),
        false => Ok(()),
    }
}

fn command(fields: ConnectFields, port: &Port) -> Command {
    let member = port.ensemble.member();
    let timeout_ms = port.timeout_ms(fields.timeout_ms);
    match fields.session {
        SessionId::NONE => Command::OpenSession {
            member,
            password: rand::random(),
            timeout_ms,
        },
        session => Command::AttachSession {
            session,
            password: fields.password.unwrap_or_default(),
            member,
            timeout_ms,
        },
    }
}

fn granted(session: SessionId, password: &[u8; 16], timeout_ms: u32) -> ConnectedFields {
    ConnectedFields {
        protocol_version: 0,
        timeout_ms: i32::try_from(timeout_ms).unwrap_or(i32::MAX),
        session,
        password: Some(Bytes::copy_from_slice(password)),
    }
}

/// "Your session is gone": the client opens a new one.
fn refusal(read_only: Option<bool>) -> ConnectResponse {
    let fields = ConnectedFields {
        protocol_version: 0,
        timeout_ms: 0,
        session: SessionId::NONE,
        password: Some(Bytes::from_static(&[0; 16])),
    };
    ConnectResponse { fields, read_only }
}
