//! What operators want to know of all members at once: the membership, as this member has it, and how far each is, as
//! the leader knows it.

use super::barrier::leader_address;
use super::handle::Ensemble;
use super::limits::ASK_TIMEOUT;
use super::peer::{Answer, Ask, Link};
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use serde::{Deserialize, Serialize};

/// The members, and how they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The ensemble's id.
    pub ensemble: u64,
    /// Who leads.
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
    /// The newest commands that every member knows.
    pub level: u16,
    /// Index of the last entry in the log of whoever answers.
    pub last_log: u64,
    /// All members, by number.
    pub members: Vec<Surveyed>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surveyed {
    /// Its number.
    pub number: u64,
    /// Its `[node] name`.
    pub name: String,
    /// Where other members reach it.
    pub address: String,
    /// Where clients reach it, if it told.
    pub clients: Option<String>,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it is to get a vote once it has caught up.
    pub wants_vote: bool,
    /// How often it was started.
    pub boots: u64,
    /// The newest commands that it knows; 0 if it never told.
    pub level: u16,
    /// How far its log is known to be like the leader's.
    pub matched: Option<u64>,
    /// Milliseconds since the leader heard from it.
    pub last_contact_ms: Option<u64>,
}

impl Ensemble {
    /// All members, as the leader sees them; without one that can be reached, as this member does.
    pub async fn survey(&self) -> Survey {
        let inner = self.inner();
        if let Some((leader, address)) = leader_address(&inner.raft)
            && leader != inner.me.member
        {
            let mut link = Link::new(&inner.me, Some(leader), &address);
            if let Ok(Answer::Survey(survey)) = link.ask(&Ask::Survey, ASK_TIMEOUT).await {
                return survey;
            }
            let own = self.own_survey();
            // It says that it follows one, whom nobody reaches.
            return Survey {
                leader: None,
                ..own
            };
        }
        self.own_survey()
    }

    /// All members, as this one sees them.
    pub(super) fn own_survey(&self) -> Survey {
        let inner = self.inner();
        let facts = inner.raft.metrics();
        let facts = facts.borrow_watched().clone();
        let membership = facts.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let leads = facts.current_leader == Some(facts.id);
        let (numbers, clients, level) = self.read(|tree| {
            let (numbers, clients) = (tree.numbers().clone(), tree.clients().clone());
            (numbers, clients, tree.level())
        });
        let last_log = facts.last_log_index.unwrap_or(0);
        let members = membership.nodes().map(|(id, member)| {
            let record = numbers.get(id);
            let matched = facts.replication.iter().flatten();
            let mut matched = matched.filter(|(peer, _)| *peer == id);
            let heard = facts.heartbeat.iter().flatten();
            let mut heard = heard.filter(|(peer, _)| *peer == id);
            let is_self = leads && *id == facts.id;
            Surveyed {
                number: *id,
                name: member.name.clone(),
                address: member.address.clone(),
                clients: clients.get(id).cloned().flatten(),
                voter: voters.contains(id),
                wants_vote: record.is_some_and(|record| record.wants_vote),
                boots: record.map_or(0, |record| record.boots),
                level: record.map_or(0, |record| record.level),
                matched: match is_self {
                    true => Some(last_log),
                    false => matched
                        .next_back()
                        .and_then(|(_, at)| Some(at.as_ref()?.index())),
                },
                last_contact_ms: match is_self {
                    true => Some(0),
                    false => heard
                        .next_back()
                        .and_then(|(_, at)| u64::try_from(at.as_ref()?.elapsed().as_millis()).ok()),
                },
            }
        });
        Survey {
            ensemble: inner.me.ensemble,
            leader: facts.current_leader,
            term: facts.current_term,
            level,
            last_log,
            members: members.collect(),
        }
    }
}
