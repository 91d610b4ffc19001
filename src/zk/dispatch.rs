//! What a request asks for: its record turned into a read, a command, or a refusal.
//!
//! Here only the form of a request is judged. Whether it is permitted, possible and up to date is for the
//! tree to say, when the command is applied or the read is done.
//!
//! A body that does not parse costs the client an error, not its session. Opcodes that no client should
//! send close the connection behind the error, as ZooKeeper does.

use super::wire::{
    AuthRequest, CreateRequest, MultiOp, MultiRequest, OpCode, PathRequest, ReadRequest,
    SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest, VersionRequest, Wire,
    WireError,
};
use crate::tree::{Command, CreateMode, ErrorCode, MultiFailure, Op, SessionId};
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
    /// Waits until this member has caught up.
    Sync(Arc<str>),
    /// Sets watches again, or tells at once what they missed.
    SetWatches(SetWatchesRequest),
    /// Proves an identity.
    Auth(AuthRequest),
    /// A sign of life.
    Ping,
    /// A multi of which one operation can be seen to fail before anything is proposed.
    FailedMulti {
        /// Which and why.
        failure: MultiFailure,
        /// Operations in the multi.
        count: usize,
    },
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
    /// `create2`: path and stat.
    PathAndStat,
    /// `delete`: no body.
    Nothing,
    /// `setData`, `setACL`.
    Stat,
    /// `multi`: one result for each operation, by its opcode.
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
}

impl Request {
    /// Understands the body of a request from `session`. Bytes behind the record are ignored.
    pub(super) fn parse(opcode: i32, body: Bytes, session: SessionId) -> Request {
        let Some(op) = OpCode::from_wire(opcode) else {
            return Request::fatal();
        };
        Request::of(op, body, session).unwrap_or_else(|error| {
            let code = match error {
                WireError::ForeignOp(op) if is_create_variant(op) => ErrorCode::Unimplemented,
                _ => ErrorCode::MarshallingError,
            };
            Request::refused(code)
        })
    }

    fn of(op: OpCode, mut body: Bytes, session: SessionId) -> Result<Request, WireError> {
        Ok(match op {
            OpCode::Create => Request::create(Wire::decode(&mut body)?, Answer::Path),
            OpCode::Create2 => Request::create(Wire::decode(&mut body)?, Answer::PathAndStat),
            OpCode::Delete => Request::one(delete(Wire::decode(&mut body)?), Answer::Nothing),
            OpCode::SetData => Request::one(set_data(Wire::decode(&mut body)?), Answer::Stat),
            OpCode::SetAcl => Request::one(set_acl(Wire::decode(&mut body)?), Answer::Stat),
            OpCode::Multi => Request::multi(MultiRequest::decode(&mut body)?),
            OpCode::CloseSession => Request::Write {
                command: Command::CloseSession {
                    session,
                    attachment: None,
                },
                answer: Answer::Closed,
            },
            OpCode::Exists => Request::read(ReadWhat::Existence, Wire::decode(&mut body)?),
            OpCode::GetData => Request::read(ReadWhat::Data, Wire::decode(&mut body)?),
            OpCode::GetChildren => Request::read(ReadWhat::Children, Wire::decode(&mut body)?),
            OpCode::GetChildren2 => {
                Request::read(ReadWhat::ChildrenAndStat, Wire::decode(&mut body)?)
            }
            OpCode::GetAcl => {
                let PathRequest { path } = Wire::decode(&mut body)?;
                let watch = false;
                Request::read(ReadWhat::Acl, ReadRequest { path, watch })
            }
            OpCode::Sync => Request::Sync(PathRequest::decode(&mut body)?.path),
            OpCode::SetWatches => Request::SetWatches(Wire::decode(&mut body)?),
            OpCode::SetWatches2 => Request::set_watches2(Wire::decode(&mut body)?),
            OpCode::Auth => Request::Auth(Wire::decode(&mut body)?),
            OpCode::Ping => Request::Ping,
            // For servers among themselves, or only inside a multi.
            OpCode::Notification | OpCode::CreateSession | OpCode::Error | OpCode::Check => {
                Request::fatal()
            }
            OpCode::Reconfig
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::CreateContainer
            | OpCode::DeleteContainer
            | OpCode::CreateTtl
            | OpCode::MultiRead
            | OpCode::Sasl
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::AddWatch
            | OpCode::WhoAmI => Request::refused(ErrorCode::Unimplemented),
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

    fn create(request: CreateRequest, answer: Answer) -> Request {
        match create(request) {
            Ok(op) => Request::one(op, answer),
            Err(code) => Request::refused(code),
        }
    }

    fn read(what: ReadWhat, request: ReadRequest) -> Request {
        let ReadRequest { path, watch } = request;
        Request::Read(Read { what, path, watch })
    }

    /// Persistent watches come with `addWatch`; a client cannot have any to bring along before.
    fn set_watches2(request: SetWatches2Request) -> Request {
        if request.persistent.is_empty() && request.recursive.is_empty() {
            Request::SetWatches(request.one_shot)
        } else {
            Request::refused(ErrorCode::Unimplemented)
        }
    }

    fn multi(request: MultiRequest) -> Request {
        let count = request.0.len();
        let mut ops = Vec::with_capacity(count);
        let mut kinds = Vec::with_capacity(count);
        for (index, op) in request.0.into_iter().enumerate() {
            let (kind, op) = match op {
                MultiOp::Create(r) => (OpCode::Create, create(r)),
                MultiOp::Create2(r) => (OpCode::Create2, create(r)),
                MultiOp::Delete(r) => (OpCode::Delete, Ok(delete(r))),
                MultiOp::SetData(r) => (OpCode::SetData, Ok(set_data(r))),
                MultiOp::Check(r) => (OpCode::Check, Ok(check(r))),
            };
            match op {
                Ok(op) => ops.push(op),
                Err(code) => {
                    let failure = MultiFailure { index, code };
                    return Request::FailedMulti { failure, count };
                }
            }
            kinds.push(kind);
        }
        Request::Write {
            command: Command::Multi(ops),
            answer: Answer::Multi(kinds),
        }
    }
}

/// Creates that a multi may hold in ZooKeeper but that are not served yet, alone or in a multi.
fn is_create_variant(opcode: i32) -> bool {
    matches!(
        OpCode::from_wire(opcode),
        Some(OpCode::CreateContainer | OpCode::CreateTtl)
    )
}

fn create(request: CreateRequest) -> Result<Op, ErrorCode> {
    Ok(Op::Create {
        path: request.path,
        data: request.data.unwrap_or_default(),
        acl: request.acl,
        mode: mode(request.flags)?,
    })
}

/// Flags of `create`: bit 0 ephemeral, bit 1 sequential. 4 is a container; 5 and 6 want a time to live,
/// which `create` and `create2` have no field for.
fn mode(flags: i32) -> Result<CreateMode, ErrorCode> {
    match flags {
        0..=3 => Ok(CreateMode {
            ephemeral: flags & 1 != 0,
            sequential: flags & 2 != 0,
        }),
        4 => Err(ErrorCode::Unimplemented),
        _ => Err(ErrorCode::BadArguments),
    }
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
        data: request.data.unwrap_or_default(),
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
