//! Replicas are equal, whatever happens: no comparison of digests ever finds a difference that nobody planted.

use crate::support::PATIENCE;
use crate::support::ensemble::Members;
use crate::support::proposals::propose;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zoogate::ensemble::Ensemble;
use zoogate::tree::{
    Acl, Actor, Command, CreateMode, Identity, Lifetime, Op, Reply, SessionId, Zxid,
};

/// Few, so that members that were away get a snapshot.
const SNAPSHOT_ENTRIES: u64 = 200;
const BATCH: usize = 40;

/// Numbers that a seed determines (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What writes at random: some sessions, and few paths, so that operations meet.
struct Writer {
    random: Random,
    sessions: Vec<(SessionId, Zxid)>,
}

impl Writer {
    fn path(&mut self) -> Arc<str> {
        let depth = 1 + self.random.below(3);
        let part = |random: &mut Random| ["/a", "/b", "/c"][random.below(3) as usize];
        let path: String = (0..depth).map(|_| part(&mut self.random)).collect();
        path.into()
    }

    fn data(&mut self) -> Option<Bytes> {
        let length = self.random.below(40) as usize;
        (length > 0).then(|| Bytes::from(vec![length as u8; length]))
    }

    fn acl(&mut self) -> Vec<Acl> {
        let mut acl = Acl::open();
        let (scheme, id) = [("world", "anyone"), ("auth", ""), ("ip", "10.0.0.0/8")]
            [self.random.below(3) as usize];
        acl.push(Acl {
            perms: 1 + self.random.below(31) as i32,
            scheme: scheme.into(),
            id: id.into(),
        });
        acl
    }

    fn op(&mut self) -> Op {
        let path = self.path();
        let version = self.random.below(3) as i32 - 1;
        match self.random.below(8) {
            0..=2 => Op::Create {
                path,
                data: self.data(),
                acl: self.acl(),
                mode: CreateMode {
                    sequential: self.random.below(3) == 0,
                    lifetime: match self.random.below(6) {
                        0 | 1 => Lifetime::Persistent,
                        2 | 3 => Lifetime::Ephemeral,
                        4 => Lifetime::Container,
                        _ => Lifetime::Ttl(50),
                    },
                },
            },
            3 => Op::Delete { path, version: -1 },
            4 | 5 => Op::SetData {
                path,
                data: self.data(),
                version,
            },
            6 => Op::SetAcl {
                path,
                acl: self.acl(),
                version,
            },
            _ => Op::Check { path, version },
        }
    }

    fn command(&mut self) -> Command {
        match self.random.below(12) {
            0..=7 => Command::One(self.op()),
            8..=10 => Command::Multi((0..3).map(|_| self.op()).collect()),
            _ => Command::Reap { path: self.path() },
        }
    }

    fn actor(&mut self) -> Actor {
        let nth = self.random.below(self.sessions.len() as u64) as usize;
        let (id, attachment) = self.sessions[nth];
        Actor::Session {
            id,
            attachment,
            identities: Arc::new([Identity {
                scheme: "digest".into(),
                id: format!("user:{nth}"),
            }]),
        }
    }

    /// Opens a session in place of another, which is closed or goes on without a client.
    async fn exchange_session(&mut self, member: &Ensemble) {
        if self.sessions.len() > 4 {
            let (session, _) = self.sessions.remove(0);
            let close = Command::CloseSession {
                session,
                attachment: None,
            };
            let pending = member.propose(Actor::Ensemble, close).await;
            let _ = pending.expect("proposed").await;
        }
        let open = Command::OpenSession {
            member: member.member(),
            password: [3; 16],
            timeout_ms: 1000,
        };
        let pending = member
            .propose(Actor::Ensemble, open)
            .await
            .expect("proposed");
        if let Ok(applied) = pending.await
            && let Ok(Reply::Session { id, .. }) = applied.result
        {
            self.sessions.push((id, applied.zxid));
        }
    }

    async fn batch(&mut self, member: &Ensemble) {
        self.exchange_session(member).await;
        if self.sessions.is_empty() {
            return;
        }
        let mut pending = Vec::new();
        for _ in 0..BATCH {
            let (actor, command) = (self.actor(), self.command());
            pending.push(member.propose(actor, command).await.expect("proposed"));
        }
        for one in pending {
            // Refused, or unknown because a leader went: all the same here.
            let _ = one.await;
        }
    }
}

fn assert_never_differed(members: &Members, names: &[&str], seed: u64) {
    for name in names {
        let metrics = members.metrics(name);
        let counts = &metrics.coordination;
        let found = (counts.digests_differing.get(), counts.tree_rebuilds.get());
        assert_eq!(found, (0, 0), "{name} differed, seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_stay_equal_whatever_happens() {
    let seed = std::env::var("ZOOGATE_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| zoogate::telemetry::unix_millis() as u64 | 1);
    eprintln!("seed {seed}");
    let mut members = Members::start_with(3, SNAPSHOT_ENTRIES).await;
    let mut writer = Writer {
        random: Random(seed),
        sessions: Vec::new(),
    };
    let names = ["n1", "n2", "n3"];
    members.observe("o1").await;
    for round in 0..8 {
        let absent = names[writer.random.below(3) as usize];
        assert_never_differed(&members, &[absent, "o1"], seed);
        members.stop(absent).await;
        let present = names
            .iter()
            .find(|name| **name != absent)
            .expect("two of three");
        for _ in 0..(5 + round % 3 * 8) {
            writer.batch(&members.member(present)).await;
        }
        members.restart(absent).await;
        writer.batch(&members.member(absent)).await;
        members.all_serve().await;
        if round % 4 == 1 {
            members.stop("o1").await;
            writer.batch(&members.member(present)).await;
            members.restart("o1").await;
        }
        members.member(present).barrier().await.expect("a leader");
        members.converge(present).await;
        assert_never_differed(&members, &["n1", "n2", "n3", "o1"], seed);
    }
    // Sessions that nobody touches expire meanwhile; what is compared is what there is then.
    let session = Command::Introduce {
        member: 1,
        client: Some("last.example:1".into()),
    };
    let last = propose(&members.member("n1"), Actor::Ensemble, session)
        .await
        .zxid;
    let follower = members.follower().await;
    let compared = members.metrics(&follower);
    let deadline = Instant::now() + PATIENCE;
    while (compared.coordination.digest_index.get() as u64) < last.0 {
        assert!(
            Instant::now() < deadline,
            "nothing was compared, seed {seed}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_never_differed(&members, &["n1", "n2", "n3", "o1"], seed);
}
