//! A tree with a log position, and short words for commands.

use crate::tree::{
    Acl, AclList, Actor, Change, Command, CreateMode, ErrorCode, Event, Identity, Lifetime,
    MemberInfo, MultiFailure, Op, OpReply, Outcome, Reply, SessionId, Stat, Transaction, Tree,
    Zxid,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A tree, and the position in its log.
pub(super) struct Fixture {
    pub(super) tree: Tree,
    pub(super) zxid: Zxid,
}

/// The time of the transaction `zxid`, unless a test says otherwise.
pub(super) fn time_of(zxid: Zxid) -> i64 {
    1_000 + zxid.0 as i64
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture {
            tree: Tree::new(),
            zxid: Zxid(0),
        }
    }

    pub(super) fn apply(&mut self, actor: &Actor, command: Command) -> Outcome {
        let time_ms = time_of(Zxid(self.zxid.0 + 1));
        self.apply_at(time_ms, actor, command)
    }

    pub(super) fn apply_at(&mut self, time_ms: i64, actor: &Actor, command: Command) -> Outcome {
        self.zxid.0 += 1;
        let transaction = Transaction {
            time_ms,
            actor: actor.clone(),
            command,
        };
        let outcome = self.tree.apply(self.zxid, &transaction);
        self.tree.check_invariants();
        assert!(outcome.result.is_ok() || outcome.events.is_empty());
        outcome
    }

    /// Opens a session and returns what its client acts as.
    pub(super) fn open(&mut self) -> Actor {
        let command = Command::OpenSession {
            member: 1,
            password: [9; 16],
            timeout_ms: 4_000,
        };
        match self.apply(&Actor::Ensemble, command).result {
            Ok(Reply::Session { id, .. }) => Actor::Session {
                id,
                attachment: self.zxid,
                identities: Arc::new([]),
            },
            other => panic!("opening a session gave {other:?}"),
        }
    }

    pub(super) fn one(&mut self, actor: &Actor, op: Op) -> Result<OpReply, ErrorCode> {
        match self.apply(actor, Command::One(op)).result {
            Ok(Reply::One(reply)) => Ok(reply),
            Err(code) => Err(code),
            other => panic!("one operation gave {other:?}"),
        }
    }

    /// One operation by the ensemble that must succeed.
    pub(super) fn must(&mut self, op: Op) -> OpReply {
        let shown = format!("{op:?}");
        self.one(&Actor::Ensemble, op)
            .unwrap_or_else(|code| panic!("{shown} failed: {code}"))
    }

    pub(super) fn multi(
        &mut self,
        actor: &Actor,
        ops: Vec<Op>,
    ) -> Result<Vec<OpReply>, MultiFailure> {
        match self.apply(actor, Command::Multi(ops)).result {
            Ok(Reply::Multi(replies)) => replies,
            other => panic!("a multi gave {other:?}"),
        }
    }

    /// Takes over members, given as id, address and whether they vote.
    pub(super) fn members(&mut self, members: &[(u64, &str, bool)]) -> Vec<Event> {
        self.zxid.0 += 1;
        let member = |&(id, address, voter): &(u64, &str, bool)| {
            let address = address.to_owned();
            (
                id,
                MemberInfo {
                    address,
                    election: None,
                    voter,
                },
            )
        };
        let members = members.iter().map(member).collect();
        let events = self.tree.set_membership(self.zxid, &members);
        self.tree.check_invariants();
        events
    }

    pub(super) fn introduce(&mut self, member: u64, client: Option<&str>) {
        let client = client.map(str::to_owned);
        let outcome = self.apply(&Actor::Ensemble, Command::Introduce { member, client });
        assert_eq!(outcome.result, Ok(Reply::Done));
    }

    pub(super) fn stat(&self, path: &str) -> Stat {
        self.tree.get(path).expect("the znode exists").stat()
    }
}

pub(super) fn session_of(actor: &Actor) -> SessionId {
    match actor {
        Actor::Session { id, .. } => *id,
        Actor::Ensemble => SessionId::NONE,
    }
}

/// The same client, having proved these `scheme|id`.
pub(super) fn having_proved(actor: &Actor, proofs: &[(&str, &str)]) -> Actor {
    let Actor::Session { id, attachment, .. } = actor else {
        panic!("only clients prove something");
    };
    let identities = proofs.iter().map(|(scheme, id)| Identity {
        scheme: (*scheme).into(),
        id: (*id).into(),
    });
    Actor::Session {
        id: *id,
        attachment: *attachment,
        identities: identities.collect(),
    }
}

pub(super) const PERSISTENT: CreateMode = CreateMode::PERSISTENT;
pub(super) const EPHEMERAL: CreateMode = CreateMode::EPHEMERAL;
pub(super) const SEQUENTIAL: CreateMode = CreateMode {
    lifetime: Lifetime::Persistent,
    sequential: true,
};

pub(super) const CONTAINER: CreateMode = CreateMode {
    lifetime: Lifetime::Container,
    sequential: false,
};

pub(super) fn ttl(ms: u64) -> CreateMode {
    CreateMode {
        lifetime: Lifetime::Ttl(ms),
        sequential: false,
    }
}

pub(super) fn create_as(path: &str, mode: CreateMode) -> Op {
    Op::Create {
        path: path.into(),
        data: Some(Bytes::from_static(b"data")),
        acl: Acl::open(),
        mode,
    }
}

pub(super) fn create_with(path: &str, data: &'static str) -> Op {
    Op::Create {
        path: path.into(),
        data: Some(Bytes::from_static(data.as_bytes())),
        acl: Acl::open(),
        mode: PERSISTENT,
    }
}

pub(super) fn create(path: &str) -> Op {
    create_as(path, PERSISTENT)
}

pub(super) fn delete(path: &str, version: i32) -> Op {
    Op::Delete {
        path: path.into(),
        version,
    }
}

pub(super) fn set_data(path: &str, data: &'static str, version: i32) -> Op {
    Op::SetData {
        path: path.into(),
        data: Some(Bytes::from_static(data.as_bytes())),
        version,
    }
}

/// Sets null data.
pub(super) fn set_null(path: &str) -> Op {
    Op::SetData {
        path: path.into(),
        data: None,
        version: -1,
    }
}

pub(super) fn set_acl(path: &str, acl: Vec<Acl>, version: i32) -> Op {
    Op::SetAcl {
        path: path.into(),
        acl,
        version,
    }
}

pub(super) fn check(path: &str, version: i32) -> Op {
    Op::Check {
        path: path.into(),
        version,
    }
}

/// What happened to a znode that is open to everybody.
pub(super) fn event(change: Change, path: &str) -> Event {
    event_of(change, path, &Acl::open())
}

/// What happened to a znode with this ACL.
pub(super) fn event_of(change: Change, path: &str, acl: &[Acl]) -> Event {
    Event::Znode {
        change,
        path: path.into(),
        acl: Arc::new(AclList::new(acl)),
    }
}

/// The path a create answered with.
pub(super) fn created(reply: &OpReply) -> &str {
    match reply {
        OpReply::Created { path, .. } => path,
        other => panic!("a create gave {other:?}"),
    }
}

/// Everything that can be read of a znode, children sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) stat: Stat,
    pub(super) data: Option<Vec<u8>>,
    pub(super) acl: Vec<Acl>,
    pub(super) children: Vec<String>,
}

/// Everything that can be read of all znodes.
pub(super) fn dump(tree: &Tree) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    let mut open = vec!["/".to_owned()];
    while let Some(path) = open.pop() {
        let znode = tree.get(&path).expect("children exist");
        assert_eq!(znode.path(), path);
        let mut children: Vec<String> = znode.children().map(str::to_owned).collect();
        children.sort();
        let base = path.trim_end_matches('/');
        open.extend(children.iter().map(|child| format!("{base}/{child}")));
        let of_this = Seen {
            stat: znode.stat(),
            data: znode.data().map(|data| data.to_vec()),
            acl: znode.acl().to_vec(),
            children,
        };
        seen.insert(path, of_this);
    }
    seen
}
