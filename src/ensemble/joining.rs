//! How this member comes to be one: founding the ensemble, joining it, telling it where its clients connect.

use super::handle::{Ensemble, Follower};
use super::limits::{BOOTSTRAP_TURN, INTRODUCTION_TIMEOUT, JOIN_RETRY, JOIN_TIMEOUT};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, Me};
use super::roster::Roster;
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

/// Tells the ensemble where this member's clients connect, whenever the tree says something else, for ever.
pub(super) async fn introduce(
    ensemble: Ensemble,
    client: Option<String>,
    changed: Arc<ConfigChanged>,
) {
    let me = ensemble.member();
    let mut facts = ensemble.inner().raft.server_metrics();
    loop {
        let is_member = {
            let facts = facts.borrow_and_update();
            let membership = facts.membership_config.membership();
            facts.current_leader.is_some() && membership.get_node(&me).is_some()
        };
        if is_member && ensemble.read(|tree| tree.clients().get(&me) != Some(&client)) {
            let command = Command::Introduce {
                member: me,
                client: client.clone(),
            };
            let told = async {
                let pending = ensemble.propose(Actor::Ensemble, command).await.ok()?;
                pending.await.ok()
            };
            match timeout(INTRODUCTION_TIMEOUT, told).await {
                Ok(Some(applied)) => match applied.result {
                    Ok(_) => continue,
                    Err(error) => {
                        tracing::error!(?client, %error, "the address for clients is not one");
                    }
                },
                Ok(None) | Err(_) => {
                    sleep(JOIN_RETRY).await;
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
pub(super) async fn bootstrap(me: Me, roster: Roster, raft: Raft<Types, Machine>) {
    let turn = roster
        .voters
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
        && let Err(error) = raft.initialize(roster.voters).await
    {
        // Somebody else was first, which is as good.
        tracing::debug!(%error, "did not found the ensemble");
    }
    std::future::pending().await
}

/// Has this observer added to the ensemble, and its address corrected there should it change, for ever. Once
/// removed it stays out until it is started again: somebody wanted it gone.
pub(super) async fn join(me: Me, roster: Roster, raft: Raft<Types, Machine>) {
    let Some(observer) = roster.observer else {
        return;
    };
    let mut facts = raft.server_metrics();
    let mut joined = false;
    loop {
        let known = facts
            .borrow_and_update()
            .membership_config
            .membership()
            .get_node(&me.member)
            .cloned();
        if joined && known.is_none() {
            tracing::warn!("this observer was removed from the ensemble; a restart adds it again");
        }
        joined |= known.is_some();
        let removed = joined && known.is_none();
        if removed || known.as_ref().is_some_and(|known| known.is_like(&observer)) {
            if facts.changed().await.is_err() {
                return;
            }
            continue;
        }
        for voter in roster.voters.values() {
            // Any voter may be asked; only the leader says yes.
            let mut link = Link::new(me, None, &voter.address);
            match link
                .ask(&Ask::Join(me.member, observer.clone()), JOIN_TIMEOUT)
                .await
            {
                Ok(Answer::Done) => tracing::info!(voter = %voter, "joined as an observer"),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "cannot ask to join"),
            }
        }
        sleep(JOIN_RETRY).await;
    }
}
