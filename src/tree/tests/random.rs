//! Random histories: the tree against the model, against its own replay, and against its own snapshots.

use super::fixture::{dump, time_of};
use super::model::Model;
use crate::tree::{
    Acl, Actor, Command, CreateMode, Identity, Op, SessionId, Transaction, Tree, TreeLoader, Zxid,
};
use bytes::Bytes;
// Strategies are boxed: nested by value they outgrow the stack of a test thread.
use proptest::prelude::*;
use std::sync::Arc;

/// What a history is made of. Sessions are named by the order in which they were opened, since their ids
/// are not known in advance.
#[derive(Clone, Debug)]
enum Step {
    Open { member: u64 },
    Attach { session: usize, proven: bool },
    Close { session: usize, by: Closer },
    One { by: Who, op: Op },
    Multi { by: Who, ops: Vec<Op> },
}

#[derive(Clone, Debug)]
enum Closer {
    Client,
    Leader,
    LeaderTooLate,
}

#[derive(Clone, Debug)]
enum Who {
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
            "/a/0000000001", "/a/b0000000000",
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
    let entry = |scheme: &str, id: &str| Acl {
        perms: 5,
        scheme: scheme.into(),
        id: id.into(),
    };
    prop_oneof![
        8 => Just(Acl::open()),
        1 => Just(vec![]),
        1 => Just(vec![entry("auth", "")]),
        1 => Just(vec![entry("digest", "a:b"), entry("ip", "10.0.0.0/8"), entry("digest", "a:b")]),
    ]
    .boxed()
}

fn ops() -> BoxedStrategy<Op> {
    let data = || prop::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let mode = (any::<bool>(), any::<bool>()).prop_map(|(ephemeral, sequential)| CreateMode {
        ephemeral,
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

fn steps() -> BoxedStrategy<Vec<Step>> {
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
    ];
    prop::collection::vec(step.boxed(), 1..60).boxed()
}

/// The history as a log: carried out on the model, which tells the session ids as they come up.
fn log_of(steps: &[Step]) -> (Vec<(Zxid, Transaction)>, Model) {
    let mut model = Model::new();
    let mut opened: Vec<SessionId> = vec![];
    let mut log = vec![];
    for (at, step) in steps.iter().enumerate() {
        // Gaps, as other entries of the log leave them; and a clock that jumps.
        let zxid = Zxid(3 * at as u64 + 1);
        let time_ms = time_of(zxid) + [0, 50, -200][at % 3];
        let transaction = transaction(step, time_ms, &opened, &model);
        if let Command::OpenSession { member, .. } = transaction.command {
            opened.push(SessionId::new(member, zxid));
        }
        model.apply(zxid, &transaction);
        log.push((zxid, transaction));
    }
    (log, model)
}

fn transaction(step: &Step, time_ms: i64, opened: &[SessionId], model: &Model) -> Transaction {
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
            identities: Arc::new([Identity {
                scheme: "digest".into(),
                id: format!("{session}:x"),
            }]),
        },
    };
    let client = |session| Who::Client {
        session,
        current: true,
    };
    let (actor, command) = match step {
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
    };
    Transaction {
        time_ms,
        actor,
        command,
    }
}

fn load(chunks: &[Vec<u8>]) -> Tree {
    let mut loader = TreeLoader::new();
    for chunk in chunks {
        loader.chunk(chunk).expect("a chunk as it was written");
    }
    loader.finish().expect("a complete snapshot")
}

proptest! {
    #[test]
    fn tree_agrees_with_the_model(steps in steps()) {
        let (log, _) = log_of(&steps);
        let (mut tree, mut model) = (Tree::new(), Model::new());
        for (zxid, transaction) in &log {
            let expected = model.apply(*zxid, transaction);
            prop_assert_eq!(tree.apply(*zxid, transaction), expected, "{:?}", transaction);
            prop_assert_eq!(dump(&tree), model.dump());
            let sessions: Vec<_> = tree.sessions().map(|(id, s)| (id, *s)).collect();
            let expected: Vec<_> = model.sessions.iter().map(|(id, s)| (*id, *s)).collect();
            prop_assert_eq!(&sessions, &expected);
            for (id, _) in sessions {
                let mut owned: Vec<String> = tree.ephemerals(id).collect();
                owned.sort();
                prop_assert_eq!(owned, model.owned_by(id));
            }
            tree.check_invariants();
        }
    }

    /// A snapshot shows the tree at its start, whatever is written before its end; and the tree loaded from
    /// it goes on as the original does.
    #[test]
    fn snapshot_shows_its_start(
        steps in steps(),
        start in 0..60usize,
        limit in 1..5usize,
        every in 1..4usize,
    ) {
        let (log, _) = log_of(&steps);
        let start = start % log.len();
        let mut tree = Tree::new();
        for (zxid, transaction) in &log[..start] {
            tree.apply(*zxid, transaction);
        }
        let at_start = (dump(&tree), tree.digest(), tree.counts(), tree.last_zxid());
        tree.start_snapshot();
        let mut chunks = vec![];
        let mut outcomes = vec![];
        for (nth, (zxid, transaction)) in log[start..].iter().enumerate() {
            outcomes.push(tree.apply(*zxid, transaction));
            tree.check_invariants();
            if nth % every == 0 {
                chunks.extend(tree.snapshot_chunk(limit));
            }
        }
        chunks.extend(std::iter::from_fn(|| tree.snapshot_chunk(limit)));
        let mut loaded = load(&chunks);
        loaded.check_invariants();
        let found = (dump(&loaded), loaded.digest(), loaded.counts(), loaded.last_zxid());
        prop_assert_eq!(found, at_start);
        for ((zxid, transaction), expected) in log[start..].iter().zip(outcomes) {
            prop_assert_eq!(loaded.apply(*zxid, transaction), expected);
        }
        loaded.check_invariants();
        prop_assert_eq!(loaded.digest(), tree.digest());
        prop_assert_eq!(dump(&loaded), dump(&tree));
    }

    #[test]
    fn replay_gives_the_same_digest(steps in steps()) {
        let (log, _) = log_of(&steps);
        let replay = || {
            let mut tree = Tree::new();
            let outcomes: Vec<_> = log.iter().map(|(zxid, t)| tree.apply(*zxid, t)).collect();
            (outcomes, tree.digest())
        };
        prop_assert_eq!(replay(), replay());
    }

    #[test]
    fn damaged_snapshot_never_panics(
        steps in steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let (log, _) = log_of(&steps);
        let mut tree = Tree::new();
        for (zxid, transaction) in &log {
            tree.apply(*zxid, transaction);
        }
        tree.start_snapshot();
        let mut bytes: Vec<u8> = std::iter::from_fn(|| tree.snapshot_chunk(100)).flatten().collect();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let mut loader = TreeLoader::new();
        if loader.chunk(&bytes).is_ok() && let Ok(tree) = loader.finish() {
            tree.check_invariants();
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(0..6u8, 0..300)) {
        let mut loader = TreeLoader::new();
        let _ = loader.chunk(&bytes);
        prop_assert!(loader.finish().is_err());
    }
}
