//! `multi` and `multiRead`: several operations in one record.
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
use super::record::{
    Create2Response, CreateRequest, CreateTtlRequest, DataResponse, ReadRequest, SetDataRequest,
    VersionRequest,
};
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

    /// What stands in front of the result of an operation.
    pub fn result(op: OpCode) -> MultiHeader {
        MultiHeader::of(op, 0)
    }

    /// What stands in front of an operation.
    fn request(op: OpCode) -> MultiHeader {
        MultiHeader::of(op, -1)
    }

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
    /// `createContainer`
    CreateContainer(CreateRequest),
    /// `createTTL`
    CreateTtl(CreateTtlRequest),
    /// `delete`
    Delete(VersionRequest),
    /// `setData`
    SetData(SetDataRequest),
    /// `check`
    Check(VersionRequest),
}

impl MultiOp {
    fn encode(&self, out: &mut BytesMut) {
        let mut put = |op, record: &dyn Fn(&mut BytesMut)| {
            MultiHeader::request(op).encode(out);
            record(out);
        };
        match self {
            MultiOp::Create(r) => put(OpCode::Create, &|out| r.encode(out)),
            MultiOp::Create2(r) => put(OpCode::Create2, &|out| r.encode(out)),
            MultiOp::CreateContainer(r) => put(OpCode::CreateContainer, &|out| r.encode(out)),
            MultiOp::CreateTtl(r) => put(OpCode::CreateTtl, &|out| r.encode(out)),
            MultiOp::Delete(r) => put(OpCode::Delete, &|out| r.encode(out)),
            MultiOp::SetData(r) => put(OpCode::SetData, &|out| r.encode(out)),
            MultiOp::Check(r) => put(OpCode::Check, &|out| r.encode(out)),
        }
    }

    fn decode(opcode: i32, input: &mut Bytes) -> Result<MultiOp, WireError> {
        Ok(match OpCode::from_wire(opcode) {
            Some(OpCode::Create) => MultiOp::Create(Wire::decode(input)?),
            Some(OpCode::Create2) => MultiOp::Create2(Wire::decode(input)?),
            Some(OpCode::CreateContainer) => MultiOp::CreateContainer(Wire::decode(input)?),
            Some(OpCode::CreateTtl) => MultiOp::CreateTtl(Wire::decode(input)?),
            Some(OpCode::Delete) => MultiOp::Delete(Wire::decode(input)?),
            Some(OpCode::SetData) => MultiOp::SetData(Wire::decode(input)?),
            Some(OpCode::Check) => MultiOp::Check(Wire::decode(input)?),
            _ => return Err(WireError::ForeignOp(opcode)),
        })
    }
}

/// The operations of a `multi`, in order. Decoding is bounded by the frame: each takes nine bytes or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRequest(pub Vec<MultiOp>);

impl Wire for MultiRequest {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn encode(&self, out: &mut BytesMut) {
        for op in &self.0 {
            op.encode(out);
        }
        MultiHeader::END.encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<MultiRequest, WireError> {
        take_all(input, MultiOp::decode).map(MultiRequest)
    }
}

/// One operation of a `multiRead`. It leaves no watch, whatever its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiReadOp {
    /// `getData`
    Data(ReadRequest),
    /// `getChildren`
    Children(ReadRequest),
}

impl MultiReadOp {
    fn decode(opcode: i32, input: &mut Bytes) -> Result<MultiReadOp, WireError> {
        Ok(match OpCode::from_wire(opcode) {
            Some(OpCode::GetData) => MultiReadOp::Data(Wire::decode(input)?),
            Some(OpCode::GetChildren) => MultiReadOp::Children(Wire::decode(input)?),
            _ => return Err(WireError::ForeignOp(opcode)),
        })
    }
}

/// The operations of a `multiRead`, in order; bounded as those of a [`MultiRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiReadRequest(pub Vec<MultiReadOp>);

impl Wire for MultiReadRequest {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn encode(&self, out: &mut BytesMut) {
        for op in &self.0 {
            let (op, request) = match op {
                MultiReadOp::Data(request) => (OpCode::GetData, request),
                MultiReadOp::Children(request) => (OpCode::GetChildren, request),
            };
            MultiHeader::request(op).encode(out);
            request.encode(out);
        }
        MultiHeader::END.encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<MultiReadRequest, WireError> {
        take_all(input, MultiReadOp::decode).map(MultiReadRequest)
    }
}

/// What stands between the headers, up to the end.
fn take_all<T>(
    input: &mut Bytes,
    mut take: impl FnMut(i32, &mut Bytes) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let mut taken = Vec::new();
    loop {
        let header = MultiHeader::decode(input)?;
        if header.done {
            return Ok(taken);
        }
        taken.push(take(header.opcode, input)?);
    }
}

/// The result of one operation of a `multi` or a `multiRead`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// Path of the znode created.
    Create(Arc<str>),
    /// Path and stat of the znode created: `create2`, `createContainer` and `createTTL` alike.
    Create2(Create2Response),
    /// Deleted.
    Delete,
    /// The stat after the data was set.
    SetData(Stat),
    /// The version matched.
    Check,
    /// Data and stat.
    Data(DataResponse),
    /// Names of children.
    Children(Vec<Arc<str>>),
    /// The code of the operation that failed. In a `multi`, 0 for those before it, -2 for those after it.
    Error(i32),
}

impl MultiResult {
    fn encode(&self, out: &mut BytesMut) {
        let mut put = |op, body: &dyn Fn(&mut BytesMut)| {
            MultiHeader::result(op).encode(out);
            body(out);
        };
        match self {
            MultiResult::Create(path) => put(OpCode::Create, &|out| path.encode(out)),
            MultiResult::Create2(created) => put(OpCode::Create2, &|out| created.encode(out)),
            MultiResult::Delete => put(OpCode::Delete, &|_| ()),
            MultiResult::SetData(stat) => put(OpCode::SetData, &|out| stat.encode(out)),
            MultiResult::Check => put(OpCode::Check, &|_| ()),
            MultiResult::Data(data) => put(OpCode::GetData, &|out| data.encode(out)),
            MultiResult::Children(names) => put(OpCode::GetChildren, &|out| names.encode(out)),
            MultiResult::Error(code) => put_failure(*code, out),
        }
    }

    fn decode(opcode: i32, input: &mut Bytes) -> Result<MultiResult, WireError> {
        Ok(match OpCode::from_wire(opcode) {
            Some(OpCode::Create) => MultiResult::Create(Wire::decode(input)?),
            Some(OpCode::Create2) => MultiResult::Create2(Wire::decode(input)?),
            Some(OpCode::Delete) => MultiResult::Delete,
            Some(OpCode::SetData) => MultiResult::SetData(Wire::decode(input)?),
            Some(OpCode::Check) => MultiResult::Check,
            Some(OpCode::GetData) => MultiResult::Data(Wire::decode(input)?),
            Some(OpCode::GetChildren) => MultiResult::Children(Wire::decode(input)?),
            Some(OpCode::Error) => MultiResult::Error(Wire::decode(input)?),
            _ => return Err(WireError::ForeignOp(opcode)),
        })
    }
}

/// Appends the result of an operation that failed or was not tried: its code, in the header and behind it.
pub fn put_failure(code: i32, out: &mut BytesMut) {
    MultiHeader::of(OpCode::Error, code).encode(out);
    code.encode(out);
}

/// The results of a `multi`, in order, all of them errors or none; or those of a `multiRead`, each on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiResponse(pub Vec<MultiResult>);

impl Wire for MultiResponse {
    const MIN_LEN: usize = MultiHeader::MIN_LEN;

    fn encode(&self, out: &mut BytesMut) {
        for result in &self.0 {
            result.encode(out);
        }
        MultiHeader::END.encode(out);
    }

    fn decode(input: &mut Bytes) -> Result<MultiResponse, WireError> {
        take_all(input, MultiResult::decode).map(MultiResponse)
    }
}
