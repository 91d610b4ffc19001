//! What a request asks for: its record turned into a read, a command, or a refusal.
//!
//! Here only the form of a request is judged. Whether it is permitted, possible and up to date is for the
//! tree to say, when the command is applied or the read is done.
//!
//! A body that does not parse costs the client an error, not its session. Opcodes that no client should
//! send close the connection behind the error, as ZooKeeper does.

mod create;
mod multi;

use super::watches::WatchRequest;
use super::wire::{
    AuthRequest, OpCode, PathRequest, ReadRequest, ReconfigRequest, SetAclRequest, SetDataRequest,
    SetWatchesRequest, VersionRequest, Wire, WireError,
};
use crate::tree::{Command, ErrorCode, Op, SessionId};
use bytes::Bytes;
use std::sync::Arc;

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Goes through the log.
    Write {
        /// What to propose.
        command: Command,
        /// What its answer looks like.
        answer: Answer,
    },
    /// Is answered from the tree as it is applied here.
    Read(Read),
    /// Is answered from the tree all at once.
    MultiRead(Vec<Read>),
    /// The ephemerals of the session below a prefix.
    Ephemerals(Option<Arc<str>>),
    /// The identities of the connection.
    WhoAmI,
    /// Waits until this member has caught up, then answers what it was given.
    Sync(Option<Arc<str>>),
    /// Changes the ensemble.
    Reconfig(ReconfigRequest),
    /// Sets, checks or removes watches.
    Watches(WatchRequest),
    /// Proves an identity.
    Auth(AuthRequest),
    /// A sign of life.
    Ping,
    /// One step of a SASL exchange, which leads nowhere.
    Sasl,
    /// Cannot be served.
    Refused {
        /// The answer.
        code: ErrorCode,
        /// Whether the connection ends behind it.
        close: bool,
    },
}

/// Which form the answer to a write takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `create`: the path.
    Path,
    /// `create2`, `createContainer`, `createTTL`: path and stat.
    PathAndStat,
    /// `delete`: no body.
    Nothing,
    /// `setData`, `setACL`.
    Stat,
    /// `multi`: one result for each operation, of these types.
    Multi(Vec<OpCode>),
    /// `closeSession`: no body, and the connection ends.
    Closed,
}

/// A read of one znode.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// What of it.
    pub(super) what: ReadWhat,
    /// Its path.
    pub(super) path: Arc<str>,
    /// Whether to leave a watch.
    pub(super) watch: bool,
}

/// What a read is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadWhat {
    /// `exists`
    Existence,
    /// `getData`
    Data,
    /// `getACL`
    Acl,
    /// `getChildren`
    Children,
    /// `getChildren2`
    ChildrenAndStat,
    /// `getAllChildrenNumber`
    Descendants,
}

impl Request {
    /// Understands the body of a request from `session`. Bytes behind the record are ignored.
    pub(super) fn parse(opcode: i32, body: Bytes, session: SessionId) -> Request {
        let Some(op) = OpCode::from_wire(opcode) else {
            return Request::fatal();
        };
        Request::of(op, body, session)
            .unwrap_or_else(|_| Request::refused(ErrorCode::MarshallingError))
    }

    /// Whether it cannot be answered from what this member has.
    pub(super) fn needs_leader(&self) -> bool {
        match self {
            Request::Write { .. } | Request::Sync(_) | Request::Reconfig(_) => true,
            Request::Read(_)
            | Request::MultiRead(_)
            | Request::Ephemerals(_)
            | Request::WhoAmI
            | Request::Watches(_)
            | Request::Auth(_)
            | Request::Sasl
            | Request::Ping
            | Request::Refused { .. } => false,
        }
    }

    fn of(op: OpCode, body: Bytes, session: SessionId) -> Result<Request, WireError> {
        Ok(match op {
            OpCode::Create => Request::create(create::plain(decode(body)?), Answer::Path),
            OpCode::Create2 => Request::create(create::plain(decode(body)?), Answer::PathAndStat),
            OpCode::CreateContainer => {
                Request::create(create::container(decode(body)?), Answer::PathAndStat)
            }
            OpCode::CreateTtl => Request::create(create::ttl(decode(body)?), Answer::PathAndStat),
            OpCode::Delete => Request::one(delete(decode(body)?), Answer::Nothing),
            OpCode::SetData => Request::one(set_data(decode(body)?), Answer::Stat),
            OpCode::SetAcl => Request::one(set_acl(decode(body)?), Answer::Stat),
            OpCode::Multi => multi::write(decode(body)?),
            OpCode::CloseSession => Request::close(session),
            OpCode::Reconfig => Request::Reconfig(decode(body)?),
            OpCode::Exists => Request::read(ReadWhat::Existence, decode(body)?),
            OpCode::GetData => Request::read(ReadWhat::Data, decode(body)?),
            OpCode::GetChildren => Request::read(ReadWhat::Children, decode(body)?),
            OpCode::GetChildren2 => Request::read(ReadWhat::ChildrenAndStat, decode(body)?),
            OpCode::GetAcl => Request::look(ReadWhat::Acl, decode(body)?),
            OpCode::GetAllChildrenNumber => Request::look(ReadWhat::Descendants, decode(body)?),
            OpCode::MultiRead => multi::read(decode(body)?),
            OpCode::GetEphemerals => Request::Ephemerals(decode(body)?),
            OpCode::WhoAmI => Request::WhoAmI,
            OpCode::Sync => Request::Sync(decode(body)?),
            OpCode::AddWatch => Request::Watches(WatchRequest::Add(decode(body)?)),
            OpCode::CheckWatches => Request::Watches(WatchRequest::Check(decode(body)?)),
            OpCode::RemoveWatches => Request::Watches(WatchRequest::Remove(decode(body)?)),
            OpCode::SetWatches => {
                let one_shot: SetWatchesRequest = decode(body)?;
                Request::Watches(WatchRequest::Set(one_shot.into()))
            }
            OpCode::SetWatches2 => Request::Watches(WatchRequest::Set(decode(body)?)),
            OpCode::Auth => Request::Auth(decode(body)?),
            OpCode::Sasl => decode::<Option<Bytes>>(body).map(|_token| Request::Sasl)?,
            OpCode::Ping => Request::Ping,
            // For servers among themselves, or only inside a multi.
            OpCode::Notification | OpCode::CreateSession | OpCode::Error | OpCode::Check => {
                Request::fatal()
            }
            // For servers among themselves, too. ZooKeeper 3.9 lets any client delete with it, whatever the ACL.
            OpCode::DeleteContainer => Request::refused(ErrorCode::Unimplemented),
        })
    }

    fn refused(code: ErrorCode) -> Request {
        let close = false;
        Request::Refused { code, close }
    }

    fn fatal() -> Request {
        Request::Refused {
            code: ErrorCode::Unimplemented,
            close: true,
        }
    }

    fn one(op: Op, answer: Answer) -> Request {
        let command = Command::One(op);
        Request::Write { command, answer }
    }

    fn create(op: Result<Op, ErrorCode>, answer: Answer) -> Request {
        match op {
            Ok(op) => Request::one(op, answer),
            Err(code) => Request::refused(code),
        }
    }

    fn close(session: SessionId) -> Request {
        let attachment = None;
        Request::Write {
            command: Command::CloseSession {
                session,
                attachment,
            },
            answer: Answer::Closed,
        }
    }

    fn read(what: ReadWhat, request: ReadRequest) -> Request {
        let ReadRequest { path, watch } = request;
        Request::Read(Read { what, path, watch })
    }

    /// A read that can leave no watch.
    fn look(what: ReadWhat, PathRequest { path }: PathRequest) -> Request {
        let watch = false;
        Request::read(what, ReadRequest { path, watch })
    }
}

/// The record that a body begins with.
fn decode<T: Wire>(mut body: Bytes) -> Result<T, WireError> {
    T::decode(&mut body)
}

fn delete(VersionRequest { path, version }: VersionRequest) -> Op {
    Op::Delete { path, version }
}

fn check(VersionRequest { path, version }: VersionRequest) -> Op {
    Op::Check { path, version }
}

fn set_data(request: SetDataRequest) -> Op {
    Op::SetData {
        path: request.path,
        data: request.data,
        version: request.version,
    }
}

fn set_acl(request: SetAclRequest) -> Op {
    Op::SetAcl {
        path: request.path,
        acl: request.acl,
        version: request.version,
    }
}

#[cfg(test)]
mod tests;
