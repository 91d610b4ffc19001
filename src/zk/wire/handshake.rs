//! The first frame each way, and the headers of every later one.
//!
//! Connect records have no header. Their last field, `readOnly`, came with ZooKeeper 3.4; older clients
//! send the record without it and cannot read an answer with it, so it is optional both ways.
//!
//! Source: `ConnectRequest`, `ConnectResponse`, `RequestHeader`, `ReplyHeader` of `zookeeper.jute`.

use super::codec::record;
use super::{Wire, WireError};
use crate::tree::SessionId;
use bytes::{Bytes, BytesMut};

/// The `xid` of a watch event, server to client.
pub const XID_EVENT: i32 = -1;
/// The `xid` of pings and their replies.
pub const XID_PING: i32 = -2;
/// The `xid` clients give to auth requests.
pub const XID_AUTH: i32 = -4;
/// The `xid` clients give to setWatches requests.
pub const XID_SET_WATCHES: i32 = -8;

record! {
    /// What a client opens a connection with, less its optional last byte.
    pub struct ConnectFields {
        /// Always 0; ignored.
        pub protocol_version: i32,
        /// The newest transaction the client has seen.
        pub last_zxid_seen: i64,
        /// The session timeout it wants, milliseconds; any value may arrive.
        pub timeout_ms: i32,
        /// The session it wants to go on with, or none.
        pub session: SessionId,
        /// That session's password, usually 16 bytes.
        pub password: Option<Bytes>,
    }
}

/// What a client opens a connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Everything but the last byte.
    pub fields: ConnectFields,
    /// Whether a read-only server would do; `None` from clients before 3.4.
    pub read_only: Option<bool>,
}

record! {
    /// The answer to a [`ConnectRequest`], less its optional last byte.
    pub struct ConnectedFields {
        /// Always 0.
        pub protocol_version: i32,
        /// The session timeout granted, milliseconds; 0 when the session is gone.
        pub timeout_ms: i32,
        /// The session; none when the one asked for is gone.
        pub session: SessionId,
        /// Its password, 16 bytes.
        pub password: Option<Bytes>,
    }
}

/// The answer to a [`ConnectRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Everything but the last byte.
    pub fields: ConnectedFields,
    /// Whether the server is read-only; `None` if the request had no such byte.
    pub read_only: Option<bool>,
}

/// The layout the two connect records share: fields, then perhaps a byte.
macro_rules! with_optional_byte {
    ($record:ident, $fields:ident) => {
        impl Wire for $record {
            const MIN_LEN: usize = $fields::MIN_LEN;

            fn encode(&self, out: &mut BytesMut) {
                self.fields.encode(out);
                if let Some(read_only) = self.read_only {
                    read_only.encode(out);
                }
            }

            fn decode(input: &mut Bytes) -> Result<$record, WireError> {
                let fields = $fields::decode(input)?;
                let read_only = match input.is_empty() {
                    true => None,
                    false => Some(bool::decode(input)?),
                };
                Ok($record { fields, read_only })
            }
        }
    };
}
with_optional_byte!(ConnectRequest, ConnectFields);
with_optional_byte!(ConnectResponse, ConnectedFields);

record! {
    /// In front of every request after the handshake.
    pub struct RequestHeader {
        /// Chosen by the client, echoed in the reply.
        pub xid: i32,
        /// The operation ([`OpCode`](super::OpCode)).
        pub opcode: i32,
    }
}

record! {
    /// In front of every reply and event. A reply with `error` other than 0 has no body.
    pub struct ReplyHeader {
        /// The request's, or one of the reserved ones.
        pub xid: i32,
        /// A write's own transaction; otherwise the last one the server has applied.
        pub zxid: i64,
        /// 0, or the wire value of an [`ErrorCode`](crate::tree::ErrorCode).
        pub error: i32,
    }
}
