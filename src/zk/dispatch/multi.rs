//! `multi` and `multiRead`: several operations in one request.
//!
//! An operation whose form is wrong fails the multi, but only if none before it fails in the tree. So the
//! operations before it are proposed with a refusal behind them; those after it can never be reached.

use super::{Answer, Read, ReadWhat, Request, check, create, delete, set_data};
use crate::tree::{Command, ErrorCode, Op};
use crate::zk::wire::{
    CreateRequest, MultiOp, MultiReadOp, MultiReadRequest, MultiRequest, OpCode, ReadRequest,
};

/// What a `multi` asks for.
pub(super) fn write(MultiRequest(requested): MultiRequest) -> Request {
    let results = requested.iter().map(result_type).collect();
    let mut ops = Vec::with_capacity(requested.len());
    for requested in requested {
        match op(requested) {
            Ok(op) => ops.push(op),
            Err(code) => {
                ops.push(Op::Refuse(code));
                break;
            }
        }
    }
    Request::Write {
        command: Command::Multi(ops),
        answer: Answer::Multi(results),
    }
}

/// What a `multiRead` asks for.
pub(super) fn read(MultiReadRequest(requested): MultiReadRequest) -> Request {
    let read = |op| {
        let (what, ReadRequest { path, .. }) = match op {
            MultiReadOp::Data(request) => (ReadWhat::Data, request),
            MultiReadOp::Children(request) => (ReadWhat::Children, request),
        };
        let watch = false;
        Read { what, path, watch }
    };
    Request::MultiRead(requested.into_iter().map(read).collect())
}

fn op(requested: MultiOp) -> Result<Op, ErrorCode> {
    match requested {
        // The flags of a TTL, and none there: ZooKeeper can make nothing of it.
        MultiOp::Create(request)
        | MultiOp::Create2(request)
        | MultiOp::CreateContainer(request)
            if create::wants_ttl(&request) =>
        {
            Err(ErrorCode::MarshallingError)
        }
        MultiOp::Create(request)
        | MultiOp::Create2(request)
        | MultiOp::CreateContainer(request) => create::by_flags(request),
        MultiOp::CreateTtl(request) => create::by_flags_or_ttl(request),
        MultiOp::Delete(request) => Ok(delete(request)),
        MultiOp::SetData(request) => Ok(set_data(request)),
        MultiOp::Check(request) => Ok(check(request)),
    }
}

/// The type of the result. Here, too, the flags say what is created, and the opcode only whether a plain znode
/// comes with its Stat.
fn result_type(requested: &MultiOp) -> OpCode {
    match requested {
        MultiOp::Create(request) | MultiOp::CreateContainer(request) => result_by_flags(request),
        MultiOp::CreateTtl(request) => result_by_flags(&request.create),
        MultiOp::Create2(_) => OpCode::Create2,
        MultiOp::Delete(_) => OpCode::Delete,
        MultiOp::SetData(_) => OpCode::SetData,
        MultiOp::Check(_) => OpCode::Check,
    }
}

fn result_by_flags(request: &CreateRequest) -> OpCode {
    match create::is_container(request) || create::wants_ttl(request) {
        true => OpCode::Create2,
        false => OpCode::Create,
    }
}
