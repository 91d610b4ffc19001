//! The bytes of ZooKeeper's client protocol: frames, records, opcodes; nothing but bytes.
//!
//! Pure: no I/O, no clock, no state. Both directions, because the server and our own client share it.
//!
//! ```text
//! bytes -- take_frame --> frame -- Wire::decode --> header, then the record its opcode calls for
//! bytes <-- put_frame -- header + record
//! ```
//!
//! Invariants: decoding never panics and never allocates more than a small multiple of the frame it reads;
//! what was encoded decodes to itself.

mod codec;
mod frame;
mod handshake;
mod multi;
mod opcode;
mod record;
#[cfg(test)]
mod tests;
mod watch;

pub use codec::{Wire, WireError, put_strings};
pub use frame::{FrameError, MAX_FRAME, MAX_REPLY_FRAME, put_frame, put_frame_with, take_frame};
pub use handshake::{
    ConnectFields, ConnectRequest, ConnectResponse, ConnectedFields, ReplyHeader, RequestHeader,
    XID_AUTH, XID_EVENT, XID_PING, XID_SET_WATCHES,
};
pub use multi::{
    MultiHeader, MultiOp, MultiReadOp, MultiReadRequest, MultiRequest, MultiResponse, MultiResult,
    put_failure,
};
pub use opcode::OpCode;
pub use record::{
    AclResponse, AuthRequest, ChildrenResponse, ClientIdentity, Create2Response, CreateRequest,
    CreateTtlRequest, DataResponse, EventType, PathRequest, ReadRequest, ReconfigRequest,
    STATE_SYNC_CONNECTED, SetAclRequest, SetDataRequest, SetWatches2Request, SetWatchesRequest,
    VersionRequest, WatcherEvent,
};
pub use watch::{AddWatchMode, AddWatchRequest, ErrorResponse, WatcherType, WatchesRequest};
