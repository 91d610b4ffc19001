//! `multi`: several operations in one record.
//!
//! ```text
//! { int32 opcode, bool done = false, int32 error = -1, the operation's record } any number of times
//!   int32 -1,     bool done = true,  int32 error = -1                           once, at the end
//! ```
//! Replies have the same shape, with `error` 0 in front of results. An operation that failed, or was not
//! tried, has opcode -1, its code in `error` and the code again as its body.
//!
//! Source: `MultiHeader` of `zookeeper.jute`; `MultiOperationRecord`, `MultiResponse`.

use super::codec::record;
use super::record::{Create2Response, CreateRequest, SetDataRequest, VersionRequest};
use super::{OpCode, Wire, WireError};
use crate::tree::Stat;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

record! {
    /// In front of each operation, and at the end.
    pub struct MultiHeader {
        /// The operation, -1 at the end and for failures.
        pub opcode: i32,
        /// Whether this is the end.
        pub done: bool,
        /// -1 in requests; in replies 0 or the operation's error.
        pub error: i32,
    }
}

impl MultiHeader {
    /// What closes every request and reply.
    pub const END: MultiHeader = MultiHeader {
        opcode: -1,
        done: true,
        error: -1,
    };

    fn of(op: OpCode, error: i32) -> MultiHeader {
        MultiHeader {
            opcode: op.to_wire(),
            done: false,
            error,
        }
    }
}

/// One operation of a `multi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiOp {
    /// `create`
    Create(CreateRequest),
    /// `create2`
    Create2(CreateRequest),
    /// `delete`
    Delete(VersionRequest),
    /// `setData`
    SetData(SetDataRequest),
    /// `check`
    Check(VersionRequest),
}

/// The operations of a `multi`, in order. Decoding is bounded by the frame: each takes nine bytes or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRequest(pub Vec<MultiOp>);

impl Wire for MultiRequest {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn encode(&self, out: &mut BytesMut) {
        let mut put = |op, record: &dyn Fn(&mut BytesMut)| {
            MultiHeader::of(op, -1).encode(out);
            record(out);
        };
        for op in &self.0 {
            match op {
                MultiOp::Create(r) => put(OpCode::Create, &|out| r.encode(out)),
                MultiOp::Create2(r) => put(OpCode::Create2, &|out| r.encode(out)),
                MultiOp::Delete(r) => put(OpCode::Delete, &|out| r.encode(out)),
                MultiOp::SetData(r) => put(OpCode::SetData, &|out| r.encode(out)),
                MultiOp::Check(r) => put(OpCode::Check, &|out| r.encode(out)),
            }
        }
        MultiHeader::END.encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<MultiRequest, WireError> {
        let mut ops = Vec::new();
        loop {
            let header = MultiHeader::decode(input)?;
            if header.done {
                return Ok(MultiRequest(ops));
            }
            ops.push(match OpCode::from_wire(header.opcode) {
                Some(OpCode::Create) => MultiOp::Create(Wire::decode(input)?),
                Some(OpCode::Create2) => MultiOp::Create2(Wire::decode(input)?),
                Some(OpCode::Delete) => MultiOp::Delete(Wire::decode(input)?),
                Some(OpCode::SetData) => MultiOp::SetData(Wire::decode(input)?),
                Some(OpCode::Check) => MultiOp::Check(Wire::decode(input)?),
                _ => return Err(WireError::ForeignOp(header.opcode)),
            });
        }
    }
}

/// The result of one operation of a `multi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// Path of the znode created.
    Create(Arc<str>),
    /// Path and stat of the znode created.
    Create2(Create2Response),
    /// Deleted.
    Delete,
    /// The stat after the data was set.
    SetData(Stat),
    /// The version matched.
    Check,
    /// The code of the operation that failed; 0 for those before it, -2 for those after it.
    Error(i32),
}

/// The results of a `multi`, in order: all of them errors, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiResponse(pub Vec<MultiResult>);

impl Wire for MultiResponse {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn encode(&self, out: &mut BytesMut) {
        for result in &self.0 {
            match result {
                MultiResult::Create(path) => {
                    MultiHeader::of(OpCode::Create, 0).encode(out);
                    path.encode(out);
                }
                MultiResult::Create2(created) => {
                    MultiHeader::of(OpCode::Create2, 0).encode(out);
                    created.encode(out);
                }
                MultiResult::Delete => MultiHeader::of(OpCode::Delete, 0).encode(out),
                MultiResult::SetData(stat) => {
                    MultiHeader::of(OpCode::SetData, 0).encode(out);
                    stat.encode(out);
                }
                MultiResult::Check => MultiHeader::of(OpCode::Check, 0).encode(out),
                MultiResult::Error(code) => {
                    MultiHeader::of(OpCode::Error, *code).encode(out);
                    code.encode(out);
                }
            }
        }
        MultiHeader::END.encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<MultiResponse, WireError> {
        let mut results = Vec::new();
        loop {
            let header = MultiHeader::decode(input)?;
            if header.done {
                return Ok(MultiResponse(results));
            }
            results.push(match OpCode::from_wire(header.opcode) {
                Some(OpCode::Create) => MultiResult::Create(Wire::decode(input)?),
                Some(OpCode::Create2) => MultiResult::Create2(Wire::decode(input)?),
                Some(OpCode::Delete) => MultiResult::Delete,
                Some(OpCode::SetData) => MultiResult::SetData(Wire::decode(input)?),
                Some(OpCode::Check) => MultiResult::Check,
                Some(OpCode::Error) => MultiResult::Error(Wire::decode(input)?),
                _ => return Err(WireError::ForeignOp(header.opcode)),
            });
        }
    }
}
