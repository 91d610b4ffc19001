//! What clients ask for: a few znodes that all of them write, so that they meet.

use crate::chance::Chance;
use crate::check::acknowledged::Effect;
use crate::check::watch::Kind;
use bytes::Bytes;
use std::sync::Arc;
use zoogate::tree::Acl;
use zoogate::zk::wire::{
    CreateRequest, MultiOp, MultiRequest, OpCode, PathRequest, ReadRequest, SetDataRequest,
    VersionRequest, Wire,
};

/// Znodes that hold values.
pub const REGISTERS: [&str; 4] = ["/r0", "/r1", "/r2", "/r3"];
/// The parents of everything else.
pub const PARENTS: [&str; 3] = ["/c", "/e", "/s"];

/// A request, with what is needed to judge its reply.
#[derive(Clone, Debug)]
pub enum Op {
    /// Something that changes the tree.
    Write {
        opcode: OpCode,
        body: Bytes,
        effects: Vec<Effect>,
    },
    /// A znode's data.
    Get { path: Arc<str>, watch: bool },
    /// Whether a znode is there.
    Exists { path: Arc<str>, watch: bool },
    /// A znode's children.
    Children { path: Arc<str>, watch: bool },
    /// Everything before is applied here.
    Sync { path: Arc<str> },
}

/// Chooses requests, with values that nobody else writes.
pub struct Workload {
    chance: Chance,
    client: usize,
    values: u64,
    /// Versions of registers, as last read.
    pub versions: [i32; 4],
}

fn encoded(record: &impl Wire) -> Bytes {
    let mut out = bytes::BytesMut::new();
    record.encode(&mut out);
    out.freeze()
}

impl Workload {
    pub fn new(seed: u64, client: usize) -> Workload {
        Workload {
            chance: Chance::new(seed ^ ((client as u64 + 1) << 32)),
            client,
            values: 0,
            versions: [0; 4],
        }
    }

    /// A pause between requests.
    pub fn pause_ms(&mut self) -> u64 {
        match self.chance.below(4) {
            0 => 0,
            _ => self.chance.below(30),
        }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.chance.below(limit)
    }

    fn value(&mut self) -> Bytes {
        self.values += 1;
        Bytes::from(format!("v{}.{}", self.client, self.values))
    }

    fn register(&mut self) -> (usize, Arc<str>) {
        let at = self.chance.below(4) as usize;
        (at, REGISTERS[at].into())
    }

    /// Creates a znode, as every client does with those that all use.
    pub fn create(&mut self, path: &str, flags: i32) -> Op {
        let (path, data): (Arc<str>, _) = (path.into(), self.value());
        let request = CreateRequest {
            path: path.clone(),
            data: Some(data.clone()),
            acl: Acl::open(),
            flags,
        };
        Op::Write {
            opcode: OpCode::Create,
            body: encoded(&request),
            effects: vec![Effect::Create(path, data)],
        }
    }

    fn set(&mut self, path: Arc<str>, version: i32) -> (SetDataRequest, Effect) {
        let data = self.value();
        let effect = Effect::Set(path.clone(), data.clone());
        let data = Some(data);
        (
            SetDataRequest {
                path,
                data,
                version,
            },
            effect,
        )
    }

    /// A write of a register, whatever it holds.
    pub fn write(&mut self) -> Op {
        let (_, path) = self.register();
        let (request, effect) = self.set(path, -1);
        Op::Write {
            opcode: OpCode::SetData,
            body: encoded(&request),
            effects: vec![effect],
        }
    }

    fn swap(&mut self) -> Op {
        let (at, path) = self.register();
        let (request, effect) = self.set(path, self.versions[at]);
        Op::Write {
            opcode: OpCode::SetData,
            body: encoded(&request),
            effects: vec![effect],
        }
    }

    fn delete(&mut self, path: String) -> Op {
        let path: Arc<str> = path.into();
        let version = -1;
        let request = VersionRequest {
            path: path.clone(),
            version,
        };
        Op::Write {
            opcode: OpCode::Delete,
            body: encoded(&request),
            effects: vec![Effect::Delete(path)],
        }
    }

    fn multi(&mut self) -> Op {
        let ((_, first), (_, second)) = (self.register(), self.register());
        let (one, first_effect) = self.set(first.clone(), -1);
        let mut ops = vec![MultiOp::SetData(one)];
        let mut effects = vec![first_effect];
        if first != second {
            let (two, effect) = self.set(second, -1);
            ops.push(MultiOp::SetData(two));
            effects.push(effect);
        }
        Op::Write {
            opcode: OpCode::Multi,
            body: encoded(&MultiRequest(ops)),
            effects,
        }
    }

    /// A few requests to be sent at once.
    pub fn next(&mut self) -> Vec<Op> {
        let client = self.client;
        let some = self.chance.below(4);
        match self.chance.below(22) {
            0..=3 => vec![self.write()],
            4 => (0..4).map(|_| self.write()).collect(),
            5..=6 => vec![self.swap()],
            7..=8 => vec![self.multi()],
            9 => vec![self.create(&format!("/c/{some}"), 0)],
            10 => vec![self.delete(format!("/c/{some}"))],
            11..=12 => vec![self.create(&format!("/e/{client}-{some}"), 1)],
            13 => vec![self.delete(format!("/e/{client}-{some}"))],
            14 => vec![self.create("/s/n", 2)],
            15 => vec![self.get(true)],
            16 => vec![self.exists(format!("/c/{some}"))],
            17 => {
                let whose = self.chance.below(3);
                vec![self.exists(format!("/e/{whose}-{some}"))]
            }
            18 => vec![self.children()],
            _ => self.synced(),
        }
    }

    fn get(&mut self, watch: bool) -> Op {
        let (_, path) = self.register();
        Op::Get { path, watch }
    }

    fn exists(&mut self, path: String) -> Op {
        let (path, watch) = (path.into(), true);
        Op::Exists { path, watch }
    }

    fn children(&mut self) -> Op {
        let path = (*self.chance.pick(&PARENTS[..2])).into();
        Op::Children { path, watch: true }
    }

    /// A sync, and a read behind it.
    pub fn synced(&mut self) -> Vec<Op> {
        let path: Arc<str> = "/".into();
        vec![Op::Sync { path }, self.get(false)]
    }
}

impl Op {
    /// The opcode and the record.
    pub fn request(&self) -> (OpCode, Bytes) {
        let read = |path: &Arc<str>, watch: bool| {
            let path = path.clone();
            encoded(&ReadRequest { path, watch })
        };
        match self {
            Op::Write { opcode, body, .. } => (*opcode, body.clone()),
            Op::Get { path, watch } => (OpCode::GetData, read(path, *watch)),
            Op::Exists { path, watch } => (OpCode::Exists, read(path, *watch)),
            Op::Children { path, watch } => (OpCode::GetChildren2, read(path, *watch)),
            Op::Sync { path } => {
                let path = path.clone();
                (OpCode::Sync, encoded(&PathRequest { path }))
            }
        }
    }

    /// What it watches, if it does.
    pub fn watches(&self) -> Option<(Kind, &Arc<str>)> {
        match self {
            Op::Get { path, watch: true } | Op::Exists { path, watch: true } => {
                Some((Kind::Data, path))
            }
            Op::Children { path, watch: true } => Some((Kind::Children, path)),
            _ => None,
        }
    }
}
