//! Random histories: what they are made of, and the logs they give.

use super::fixture::{create_with, set_data, time_of};
use super::model::Model;
use crate::tree::{
    Acl, Actor, Command, CreateMode, ErrorCode, Event, Identity, Lifetime, MemberInfo, Op, Outcome,
    Reply, SessionId, Transaction, Tree, Zxid,
};
use bytes::Bytes;
// Strategies are boxed: nested by value they outgrow the stack of a test thread.
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a history is made of. Sessions are named by the order in which they were opened, since their ids
/// are not known in advance.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Open {
        member: u64,
    },
    Attach {
        session: usize,
        proven: bool,
    },
    Close {
        session: usize,
        by: Closer,
    },
    One {
        by: Who,
        op: Op,
    },
    Multi {
        by: Who,
        ops: Vec<Op>,
    },
    Reap {
        by: Who,
        which: Reaped,
    },
    Limit {
        quota: &'static str,
        limits: &'static str,
    },
    Introduce {
        by: Who,
        member: u64,
        client: Option<String>,
    },
    Members(BTreeMap<u64, MemberInfo>),
}

/// What a log holds.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Transaction(Transaction),
    Members(BTreeMap<u64, MemberInfo>),
}

impl Entry {
    pub(super) fn apply(&self, zxid: Zxid, tree: &mut Tree) -> Outcome {
        match self {
            Entry::Transaction(transaction) => tree.apply(zxid, transaction),
            Entry::Members(members) => done(tree.set_membership(zxid, members)),
        }
    }

    pub(super) fn apply_to_model(&self, zxid: Zxid, model: &mut Model) -> Outcome {
        match self {
            Entry::Transaction(transaction) => model.apply(zxid, transaction),
            Entry::Members(members) => done(model.set_membership(zxid, members)),
        }
    }
}

fn done(events: Vec<Event>) -> Outcome {
    Outcome {
        result: Ok(Reply::Done),
        events,
    }
}

#[derive(Clone, Debug)]
pub(super) enum Closer {
    Client,
    Leader,
    LeaderTooLate,
}

#[derive(Clone, Debug)]
pub(super) enum Reaped {
    Path(Arc<str>),
    OneThatIsOver(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Who {
    Ensemble,
    Client { session: usize, current: bool },
}

fn paths() -> BoxedStrategy<Arc<str>> {
    let names = || prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![
        3 => names().prop_map(|a| format!("/{a}")),
        6 => (names(), names()).prop_map(|(a, b)| format!("/{a}/{b}")),
        3 => (names(), names(), names()).prop_map(|(a, b, c)| format!("/{a}/{b}/{c}")),
        1 => proptest::sample::select(vec![
            "", "/", "a", "//", "/a/", "/b/", "/a/.", "/a\0", "/zookeeper", "/zookeeper/config",
            "/a/0000000001", "/a/b0000000000", "/zookeeper/quota/a", "/zookeeper/quota/a/b",
            "/zookeeper/quota/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats",
            "/zookeeper/quota/a/b/zookeeper_limits", "/zookeeper/quota/zookeeper_stats",
            "/zookeeper/quota/zookeeper_limits", "/a/zookeeper_limits",
        ])
        .prop_map(str::to_owned),
    ]
    .prop_map(Arc::from)
    .boxed()
}

fn versions() -> BoxedStrategy<i32> {
    prop_oneof![3 => Just(-1), 1 => 0..3].boxed()
}

fn acls() -> BoxedStrategy<Vec<Acl>> {
    let entry = |perms: i32, scheme: &str, id: &str| Acl {
        perms,
        scheme: scheme.into(),
        id: id.into(),
    };
    prop_oneof![
        8 => Just(Acl::open()),
        1 => Just(vec![]),
        1 => Just(vec![entry(21, "auth", "")]),
        1 => (0..32).prop_map(move |perms| vec![entry(perms, "world", "anyone")]),
        1 => (0..32, 0..32).prop_map(move |(one, other)| vec![
            entry(one, "digest", "0:x"),
            entry(other, "ip", "10.0.0.0/8"),
            entry(other, "world", "anyone"),
            entry(one, "digest", "0:x"),
        ]),
    ]
    .boxed()
}

fn ops() -> BoxedStrategy<Op> {
    let data = || prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let data = move || prop::option::weighted(0.9, data());
    let lifetime = prop_oneof![
        4 => Just(Lifetime::Persistent),
        4 => Just(Lifetime::Ephemeral),
        2 => Just(Lifetime::Container),
        2 => prop_oneof![Just(0u64), 1..20u64, Just(1 << 40)].prop_map(Lifetime::Ttl),
    ];
    let mode = (lifetime, any::<bool>()).prop_map(|(lifetime, sequential)| CreateMode {
        lifetime,
        sequential,
    });
    prop_oneof![
        6 => (paths(), data(), acls(), mode)
            .prop_map(|(path, data, acl, mode)| Op::Create { path, data, acl, mode }),
        3 => (paths(), versions()).prop_map(|(path, version)| Op::Delete { path, version }),
        3 => (paths(), data(), versions())
            .prop_map(|(path, data, version)| Op::SetData { path, data, version }),
        1 => (paths(), acls(), versions())
            .prop_map(|(path, acl, version)| Op::SetAcl { path, acl, version }),
        1 => (paths(), versions()).prop_map(|(path, version)| Op::Check { path, version }),
        1 => Just(Op::Refuse(ErrorCode::BadArguments)),
    ]
    .boxed()
}

fn who() -> BoxedStrategy<Who> {
    prop_oneof![
        1 => Just(Who::Ensemble),
        6 => (0..4usize, prop::bool::weighted(0.95))
            .prop_map(|(session, current)| Who::Client { session, current }),
    ]
    .boxed()
}

/// Quotas, small enough to be exceeded.
fn limits() -> BoxedStrategy<Step> {
    let quotas = proptest::sample::select(vec!["/a", "/b", "/a/b", "/zookeeper"]);
    let limits = proptest::sample::select(vec![
        "count=2,bytes=3",
        "count=-1,bytes=-1=;countHardLimit=4",
        "byteHardLimit=9;count=1",
        "countHardLimit=6,,byteHardLimit=20=",
        "countHardLimit=x;nonsense",
    ]);
    (quotas, limits)
        .prop_map(|(quota, limits)| Step::Limit { quota, limits })
        .boxed()
}

fn members() -> BoxedStrategy<Step> {
    let member = (1..4u64, any::<bool>(), prop::bool::weighted(0.9));
    let members = prop::collection::vec(member, 0..4).prop_map(|members| {
        let members = members.into_iter().map(|(id, voter, has_address)| {
            let address = match has_address {
                true => format!("h{id}:{id}"),
                false => String::new(),
            };
            (
                id,
                MemberInfo {
                    address,
                    election: None,
                    voter,
                },
            )
        });
        Step::Members(members.collect())
    });
    members.boxed()
}

fn clients() -> BoxedStrategy<Option<String>> {
    let clients = vec![None, Some("c:1"), Some("[::1]:2"), Some("nonsense")];
    proptest::sample::select(clients)
        .prop_map(|client| client.map(str::to_owned))
        .boxed()
}

pub(super) fn steps() -> BoxedStrategy<Vec<Step>> {
    let closer = prop_oneof![
        Just(Closer::Client),
        Just(Closer::Leader),
        Just(Closer::LeaderTooLate)
    ];
    let step = prop_oneof![
        2 => (0..3u64).prop_map(|member| Step::Open { member }),
        1 => (0..4usize, prop::bool::weighted(0.8))
            .prop_map(|(session, proven)| Step::Attach { session, proven }),
        1 => (0..4usize, closer).prop_map(|(session, by)| Step::Close { session, by }),
        16 => (who(), ops()).prop_map(|(by, op)| Step::One { by, op }),
        6 => (who(), prop::collection::vec(ops(), 0..5))
            .prop_map(|(by, ops)| Step::Multi { by, ops }),
        1 => (who(), paths())
            .prop_map(|(by, path)| Step::Reap { by, which: Reaped::Path(path) }),
        2 => limits(),
        2 => members(),
        2 => (who(), 1..4u64, clients())
            .prop_map(|(by, member, client)| Step::Introduce { by, member, client }),
        3 => (0..9usize).prop_map(|nth| Step::Reap {
            by: Who::Ensemble,
            which: Reaped::OneThatIsOver(nth),
        }),
    ];
    prop::collection::vec(step.boxed(), 1..60).boxed()
}

/// The history as a log: carried out on the model, which tells the session ids as they come up.
pub(super) fn log_of(steps: &[Step]) -> Vec<(Zxid, Entry)> {
    let mut model = Model::new();
    let mut opened: Vec<SessionId> = vec![];
    let mut log = vec![];
    for (at, step) in steps.iter().enumerate() {
        // Gaps, as other entries of the log leave them; and a clock that jumps.
        let zxid = Zxid(3 * at as u64 + 1);
        let time_ms = time_of(zxid) + [0, 50, -200][at % 3];
        let entry = match step {
            Step::Members(members) => Entry::Members(members.clone()),
            step => {
                let (actor, command) = command(step, time_ms, &opened, &model);
                Entry::Transaction(Transaction {
                    time_ms,
                    actor,
                    command,
                })
            }
        };
        if let Step::Open { member } = step {
            opened.push(SessionId::new(*member, zxid));
        }
        entry.apply_to_model(zxid, &mut model);
        log.push((zxid, entry));
    }
    log
}

/// Who does what.
fn command(step: &Step, time_ms: i64, opened: &[SessionId], model: &Model) -> (Actor, Command) {
    let id = |nth: usize| match opened.len() {
        0 => SessionId(7),
        // The latest ones, because the oldest are likely closed.
        len => opened[(len - 1) - nth % len],
    };
    let attachment = |id| model.sessions.get(&id).map_or(Zxid(1), |s| s.attachment);
    let actor = |by: &Who| match by {
        Who::Ensemble => Actor::Ensemble,
        Who::Client { session, current } => Actor::Session {
            id: id(*session),
            attachment: Zxid(attachment(id(*session)).0 + u64::from(!current)),
            identities: identities(*session),
        },
    };
    let client = |session| Who::Client {
        session,
        current: true,
    };
    match step {
        Step::Open { member } => (
            Actor::Ensemble,
            Command::OpenSession {
                member: *member,
                password: [opened.len() as u8; 16],
                timeout_ms: 4_000,
            },
        ),
        Step::Attach { session, proven } => {
            let password = model.sessions.get(&id(*session)).map(|s| s.password);
            let password = password.filter(|_| *proven).unwrap_or([0xee; 16]);
            let command = Command::AttachSession {
                session: id(*session),
                password: Bytes::copy_from_slice(&password),
                member: 5,
                timeout_ms: 8_000,
            };
            (Actor::Ensemble, command)
        }
        Step::Close { session, by } => {
            let (by, attachment) = match by {
                Closer::Client => (client(*session), None),
                Closer::Leader => (Who::Ensemble, Some(attachment(id(*session)))),
                Closer::LeaderTooLate => (Who::Ensemble, Some(Zxid(2))),
            };
            let command = Command::CloseSession {
                session: id(*session),
                attachment,
            };
            (actor(&by), command)
        }
        Step::One { by, op } => (actor(by), Command::One(op.clone())),
        Step::Multi { by, ops } => (actor(by), Command::Multi(ops.clone())),
        Step::Limit { quota, limits } => (Actor::Ensemble, limit(quota, limits, model)),
        Step::Reap { by, which } => {
            let path = reaped(which, &model.reapable(time_ms));
            (actor(by), Command::Reap { path })
        }
        Step::Introduce { by, member, client } => {
            let introduction = Command::Introduce {
                member: *member,
                client: client.clone(),
            };
            (actor(by), introduction)
        }
        Step::Members(_) => panic!("the membership changes without a command"),
    }
}

fn reaped(which: &Reaped, over: &[String]) -> Arc<str> {
    match which {
        Reaped::Path(path) => path.clone(),
        Reaped::OneThatIsOver(nth) => {
            let path = over.get(nth % over.len().max(1));
            path.map_or("/none", |path| path).into()
        }
    }
}

/// What it takes to limit a path, as zkCli does it: the znodes above, the limits, then the stats; or new
/// limits if there are some.
fn limit(quota: &str, limits: &'static str, model: &Model) -> Command {
    let mut path = "/zookeeper/quota".to_owned();
    let mut ops = vec![];
    let mut put = |path: String, data| match model.exists(&path) {
        false => ops.push(create_with(&path, data)),
        true if !data.is_empty() => ops.push(set_data(&path, data, -1)),
        true => {}
    };
    for segment in quota.split('/').skip(1) {
        path = format!("{path}/{segment}");
        put(path.clone(), "");
    }
    put(format!("{path}/zookeeper_limits"), limits);
    put(format!("{path}/zookeeper_stats"), "");
    Command::Multi(ops)
}

/// What the clients prove: each something else, one of them that it is above all.
fn identities(client: usize) -> Arc<[Identity]> {
    let identity = |scheme: &str, id: String| Identity {
        scheme: scheme.into(),
        id,
    };
    let digest = identity("digest", format!("{client}:x"));
    match client {
        1 => Arc::new([digest, identity("ip", "10.1.2.3".into())]),
        2 => Arc::new([digest, identity("super", String::new())]),
        _ => Arc::new([identity("ip", "127.0.0.1".into()), digest]),
    }
}
