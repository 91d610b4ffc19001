//! Inputs as scripts: arbitrary bytes in, steps of a client out.
//!
//! ```text
//! input = handshake?, step*
//! handshake?   one byte: 0 sends none, so that what follows meets the server's first frame; else a good one
//! step         00-7f  a request: opcode by this byte, then arguments by the next ones
//!              80-df  a request with an arbitrary body: opcode byte, length byte, as many bytes
//!              e0-ef  raw bytes: length byte, as many bytes
//!              f0-ff  a pause
//! ```
//! Most inputs are thus valid requests on few paths, where state is; the engine finds its way to the others.

use bytes::{BufMut, Bytes, BytesMut};
use zoogate::tree::Acl;
use zoogate::zk::wire::{
    AuthRequest, CreateRequest, MultiOp, MultiRequest, PathRequest, ReadRequest, RequestHeader,
    SetAclRequest, SetDataRequest, SetWatchesRequest, VersionRequest, Wire, XID_AUTH, XID_PING,
    XID_SET_WATCHES, put_frame_with,
};

const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/",
    "/b",
    "",
    "no",
    "/a//b",
    "/zookeeper/config",
    "/zookeeper/quota",
    "/a\0",
];

/// Every opcode that there is, and some that there are not.
const OPCODES: [i32; 32] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 100, 101, 102, 103,
    104, 105, 106, 107, -11, -10, 99,
];

/// What a client does next.
pub enum Step {
    /// Sends a request.
    Request {
        /// By which its reply is known.
        xid: i32,
        /// Its frame.
        bytes: Bytes,
    },
    /// Sends bytes that need not be frames.
    Raw(Bytes),
    /// Lets the server work.
    Pause,
}

/// An input being read.
pub struct Script<'a> {
    input: &'a [u8],
    xid: i32,
}

impl<'a> Script<'a> {
    /// From the start.
    pub fn new(input: &'a [u8]) -> Script<'a> {
        Script { input, xid: 0 }
    }

    /// Whether it begins with a handshake.
    pub fn shakes_hands(&mut self) -> bool {
        self.byte() != 0
    }

    /// The next step.
    pub fn next(&mut self) -> Option<Step> {
        if self.input.is_empty() {
            return None;
        }
        Some(match self.byte() {
            kind @ 0..0x80 => self.request(OPCODES[usize::from(kind) % OPCODES.len()]),
            0x80..0xe0 => {
                let opcode = OPCODES[usize::from(self.byte()) % OPCODES.len()];
                let body = self.bytes();
                self.frame(opcode, |out| out.put_slice(body))
            }
            0xe0..0xf0 => Step::Raw(Bytes::copy_from_slice(self.bytes())),
            0xf0.. => Step::Pause,
        })
    }

    fn request(&mut self, opcode: i32) -> Step {
        let path = PATHS[usize::from(self.byte()) % PATHS.len()];
        let template = Template {
            path,
            argument: self.byte(),
        };
        self.frame(opcode, |out| template.encode(opcode, out))
    }

    fn frame(&mut self, opcode: i32, body: impl FnOnce(&mut BytesMut)) -> Step {
        self.xid += 1;
        let xid = match opcode {
            11 => XID_PING,
            100 => XID_AUTH,
            101 | 105 => XID_SET_WATCHES,
            _ => self.xid,
        };
        let mut frame = BytesMut::new();
        put_frame_with(&mut frame, &RequestHeader { xid, opcode }, body);
        let bytes = frame.freeze();
        Step::Request { xid, bytes }
    }

    /// The next byte; 0 behind the end.
    fn byte(&mut self) -> u8 {
        match self.input.split_first() {
            Some((first, rest)) => {
                self.input = rest;
                *first
            }
            None => 0,
        }
    }

    /// As many bytes as the next one says, or as there are.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.input.len());
        let (bytes, rest) = self.input.split_at(length);
        self.input = rest;
        bytes
    }
}

/// A well-formed request, filled in from two bytes of the input.
struct Template {
    path: &'static str,
    argument: u8,
}

impl Template {
    fn encode(&self, opcode: i32, out: &mut BytesMut) {
        let Template { path, argument } = *self;
        match opcode {
            // Not sequential: the tree would grow without end.
            1 | 15 | 19 => self.create(i32::from(argument & 1)).encode(out),
            21 => {
                self.create(5).encode(out);
                (i64::from(argument) + 1).encode(out);
            }
            2 | 13 => self.expect().encode(out),
            3 | 4 | 8 | 12 => {
                let (path, watch) = (path.into(), argument & 1 == 1);
                ReadRequest { path, watch }.encode(out);
            }
            5 => self.set().encode(out),
            7 => {
                let (path, acl, version) = (path.into(), Acl::open(), self.version());
                SetAclRequest { path, acl, version }.encode(out);
            }
            14 => {
                let create = self.create(i32::from(argument & 1));
                let ops = vec![
                    MultiOp::Create(create),
                    MultiOp::SetData(self.set()),
                    MultiOp::Check(self.expect()),
                    MultiOp::Delete(self.expect()),
                ];
                MultiRequest(ops).encode(out);
            }
            17 | 18 | 106 => {
                PathRequest { path: path.into() }.encode(out);
                i32::from(argument % 7).encode(out);
            }
            100 => {
                let request = AuthRequest {
                    kind: 0,
                    scheme: "digest".into(),
                    auth: Some(Bytes::copy_from_slice(&[b'u', b':', argument])),
                };
                request.encode(out);
            }
            101 => {
                let request = SetWatchesRequest {
                    relative_zxid: i64::from(argument),
                    data: vec![path.into()],
                    exist: vec![path.into()],
                    child: vec![path.into()],
                };
                request.encode(out);
            }
            _ => PathRequest { path: path.into() }.encode(out),
        }
    }

    fn version(&self) -> i32 {
        i32::from(self.argument % 4) - 1
    }

    fn data(&self) -> Option<Bytes> {
        (self.argument < 250).then(|| Bytes::copy_from_slice(&[self.argument]))
    }

    fn create(&self, flags: i32) -> CreateRequest {
        CreateRequest {
            path: self.path.into(),
            data: self.data(),
            acl: Acl::open(),
            flags,
        }
    }

    fn expect(&self) -> VersionRequest {
        VersionRequest {
            path: self.path.into(),
            version: self.version(),
        }
    }

    fn set(&self) -> SetDataRequest {
        SetDataRequest {
            path: self.path.into(),
            data: self.data(),
            version: self.version(),
        }
    }
}
