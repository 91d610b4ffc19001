//! Writes of one session, or of the ensemble, to members in this process.

use super::PATIENCE;
use bytes::Bytes;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zoogate::ensemble::{Applied, Ensemble};
use zoogate::tree::{Acl, Actor, Command, CreateMode, ErrorCode, Op, Reply, SessionId, Zxid};

/// An open session, as the owner of writes.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its attachment.
    pub attachment: Zxid,
}

impl Session {
    /// Opens a session through `member`.
    pub async fn open(member: &Ensemble, timeout: Duration) -> Session {
        let timeout_ms = timeout.as_millis() as u32;
        let command = Command::OpenSession {
            member: member.member(),
            password: [7; 16],
            timeout_ms,
        };
        let applied = propose(member, Actor::Ensemble, command).await;
        match applied.result {
            Ok(Reply::Session { id, .. }) => Session {
                id,
                attachment: applied.zxid,
            },
            other => panic!("opening a session gave {other:?}"),
        }
    }

    /// This session as an actor.
    pub fn actor(&self) -> Actor {
        Actor::Session {
            id: self.id,
            attachment: self.attachment,
            identities: [].into(),
        }
    }

    /// Creates a znode.
    pub async fn create(&self, member: &Ensemble, path: &str, ephemeral: bool) -> Applied {
        propose(member, self.actor(), create(path, ephemeral)).await
    }

    /// Creates a znode, trying again whenever the outcome stays unknown because leaders change.
    pub async fn insist_on(&self, member: &Ensemble, path: &str, ephemeral: bool) {
        insist(member, self.actor(), create(path, ephemeral)).await;
    }
}

fn create(path: &str, ephemeral: bool) -> Command {
    let mode = match ephemeral {
        true => CreateMode::EPHEMERAL,
        false => CreateMode::PERSISTENT,
    };
    Command::One(Op::Create {
        path: path.into(),
        data: Some(Bytes::from_static(b"data")),
        acl: Acl::open(),
        mode,
    })
}

/// Proposes and waits for the outcome.
pub async fn propose(member: &Ensemble, actor: Actor, command: Command) -> Applied {
    let pending = member.propose(actor, command).await.expect("proposed");
    pending.await.expect("the outcome is known")
}

/// Proposes a create until it is known that the znode is there: leaders may change, and a slow disk may be the reason.
pub async fn insist(member: &Ensemble, actor: Actor, create: Command) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match member.propose(actor.clone(), create.clone()).await {
            Err(refused) => format!("{refused}"),
            Ok(pending) => match pending.await.map(|applied| applied.result) {
                Ok(Ok(_) | Err(ErrorCode::NodeExists)) => return,
                Ok(Err(refused)) => panic!("the create was refused: {refused}"),
                Err(unknown) => format!("{unknown}"),
            },
        };
        assert!(Instant::now() < deadline, "no create: {error}");
        sleep(Duration::from_millis(5)).await;
    }
}
