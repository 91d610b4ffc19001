//! What a member tells the ensemble of itself when it starts: that it was started, where its clients connect, where
//! the others reach it; and writing the first entry of a new ensemble.

use super::duties::Duties;
use super::handle::{Ensemble, Follower};
use super::limits::{BOOTSTRAP_TURN, INTRODUCTION_TIMEOUT, MOVE_RETRY, MOVE_TIMEOUT};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::roll::Roll;
use super::types::Types;
use crate::tree::{Actor, CONFIG_PATH, Command, Event, Tree, Zxid};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Notices that `/zookeeper/config` has changed.
#[derive(Default)]
pub(super) struct ConfigChanged(Notify);

impl Follower for ConfigChanged {
    fn applied(&self, _: &Tree, _: Zxid, events: &[Event]) {
        let is_config = |event: &Event| match event {
            Event::Znode { path, .. } => &**path == CONFIG_PATH,
            _ => false,
        };
        if events.iter().any(is_config) {
            self.0.notify_one();
        }
    }

    fn replaced(&self, _: &Tree) {
        self.0.notify_one();
    }
}

/// What a member says of itself.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    /// Where its clients connect.
    pub(super) client: Option<String>,
    /// How often it was started.
    pub(super) boots: u64,
    /// What it drew at this start.
    pub(super) boot: u64,
    /// The newest commands that it knows.
    pub(super) level: u16,
}

impl Introduction {
    /// What the tree does not say of member `me` yet.
    fn missing(&self, me: u64, tree: &Tree) -> Option<Command> {
        let known = tree.numbers().get(&me);
        let told = known.map(|known| (known.boots, known.boot, known.level));
        if told != Some((self.boots, self.boot, self.level)) {
            return Some(Command::Announce {
                member: me,
                boots: self.boots,
                boot: self.boot,
                level: self.level,
            });
        }
        (tree.clients().get(&me) != Some(&self.client)).then(|| Command::Introduce {
            member: me,
            client: self.client.clone(),
        })
    }
}

/// Tells the ensemble what it does not know of this member, whenever that is so, for ever.
pub(super) async fn introduce(
    ensemble: Ensemble,
    introduction: Introduction,
    changed: Arc<ConfigChanged>,
) {
    let me = ensemble.member();
    let mut facts = ensemble.inner().raft.server_metrics();
    let mut refused = None;
    loop {
        let is_member = {
            let facts = facts.borrow_and_update();
            let membership = facts.membership_config.membership();
            facts.current_leader.is_some() && membership.get_node(&me).is_some()
        };
        let missing = ensemble.read(|tree| introduction.missing(me, tree));
        if is_member
            && let Some(command) = missing
            && refused.as_ref() != Some(&command)
        {
            let told = async {
                let pending = ensemble
                    .propose(Actor::Ensemble, command.clone())
                    .await
                    .ok()?;
                pending.await.ok()
            };
            match timeout(INTRODUCTION_TIMEOUT, told).await {
                Ok(Some(applied)) => {
                    if let Err(error) = applied.result {
                        tracing::error!(?command, %error, "what this member says of itself was refused");
                        refused = Some(command);
                    }
                    continue;
                }
                Ok(None) | Err(_) => {
                    sleep(MOVE_RETRY).await;
                    continue;
                }
            }
        }
        tokio::select! {
            () = changed.0.notified() => {}
            changed = facts.changed() => if changed.is_err() { return },
        }
    }
}

/// Founds the ensemble if nobody else does, then idles.
///
/// Every voter may found it: they all write the same first membership. But one that does it late asks for votes
/// and unseats a leader that the others have elected meanwhile. So each waits in turn for the ones before it.
pub(super) async fn bootstrap(me: Me, roll: Roll, raft: Raft<Types, Machine>) {
    let voters = roll.voters();
    let turn = voters
        .keys()
        .position(|id| *id == me.member)
        .unwrap_or_default();
    let patience = BOOTSTRAP_TURN * u32::try_from(turn).unwrap_or(u32::MAX);
    let mut facts = raft.server_metrics();
    let founded = async {
        while facts
            .borrow_and_update()
            .membership_config
            .membership()
            .nodes()
            .next()
            .is_none()
        {
            if facts.changed().await.is_err() {
                return;
            }
        }
    };
    if timeout(patience, founded).await.is_err()
        && let Err(error) = raft.initialize(voters).await
    {
        // Somebody else was first, which is as good.
        tracing::debug!(%error, "did not found the ensemble");
    }
    std::future::pending().await
}

/// Has the leader correct this member's address, should it be another one than `address`, for ever.
pub(super) async fn keep_address(
    me: Me,
    address: String,
    raft: Raft<Types, Machine>,
    duties: Arc<Duties>,
) {
    let mut facts = raft.server_metrics();
    loop {
        let leader = {
            let facts = facts.borrow_and_update();
            let membership = facts.membership_config.membership();
            let is_moved = membership
                .get_node(&me.member)
                .is_some_and(|known| known.address != address);
            let leader = facts.current_leader.filter(|_| is_moved);
            leader.and_then(|id| Some((id, membership.get_node(&id)?.address.clone())))
        };
        let Some((leader, at)) = leader else {
            if facts.changed().await.is_err() {
                return;
            }
            continue;
        };
        let moved = if leader == me.member {
            timeout(MOVE_TIMEOUT, duties.relocate(me.member, address.clone())).await
        } else {
            let mut link = Link::new(&me, Some(leader), &at);
            let answer = link.ask(&Ask::Move(address.clone()), MOVE_TIMEOUT).await;
            Ok(matches!(answer, Ok(Answer::Done)))
        };
        if moved.unwrap_or(false) {
            tracing::info!(address, "the ensemble knows this member's address now");
        }
        sleep(MOVE_RETRY).await;
    }
}
