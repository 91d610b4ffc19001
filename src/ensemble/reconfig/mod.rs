//! Changing the members: at the request of an operator, or of a client by ZooKeeper's `reconfig`. Both are the same
//! change, with the same checks.
//!
//! ```text
//!   any member: alter()       --control link--> the leader, one change at a time:
//!     plan     what would the members be?                         wrong -> refused
//!     quorum   is a majority of those that will vote within reach? no   -> no quorum, nothing has changed
//!     leader   is it the leader that loses its vote?              yes   -> another one leads first, and does it
//!     probe    does every new voter answer?                       no    -> no quorum, nothing has changed
//!     tell     where clients reach the new ones                   an entry each
//!     add      them without a vote, and wait until they caught up  no    -> taken out again, no quorum
//!     vote     the new voters in one step (joint consensus), and out with those that leave
//! ```
//! A leader without a vote leads on, as far as Raft is concerned, and it cannot give itself the vote back. It comes to that
//! when the leader is lost between the two entries of a change, and its successor is one that loses its vote by it. So
//! every leader looks whether there is a change to be finished, and has another one lead if it has no vote in the end.
//!
//! openraft does the two entries of joint consensus (Raft thesis 4.3). `/zookeeper/config` follows from the
//! entries as they are applied, on every member alike.

mod change;
mod grant;
mod plan;
mod spec;
#[cfg(test)]
mod tests;
mod transfer;

use super::barrier::{leader_address, reached};
use super::handle::Ensemble;
use super::limits::{RECONFIG_APPLY, RECONFIG_RETRY, RECONFIG_TIMEOUT};
use super::peer::{Answer, Ask, Link, LinkError};
use crate::tree::{ErrorCode, Zxid};
use serde::{Deserialize, Serialize};
use spec::ServerSpec;
use std::io::ErrorKind;
use tokio::time::{sleep, timeout};

pub(super) use change::{change, finish};
pub(super) use grant::grant;

/// A change of the members, as a client asks for it. Servers are written as ZooKeeper writes them,
/// `server.N=host:port:port[:role];[host:]port`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconfiguration {
    /// Members to add, or to change if there are members of these numbers.
    pub joining: Vec<String>,
    /// Numbers of members to remove; unknown ones are ignored.
    pub leaving: Vec<u64>,
    /// All members there shall be; the two lists above are ignored then.
    pub new_members: Option<Vec<String>>,
    /// The version that `/zookeeper/config` must have; `None` for any.
    pub from_version: Option<u64>,
}

impl Reconfiguration {
    /// Whether every server in it is written as one.
    ///
    /// # Errors
    /// [`ReconfigError::BadArguments`] names the one that is not.
    pub fn check(&self) -> Result<(), ReconfigError> {
        let mut servers = self.joining.iter().chain(self.new_members.iter().flatten());
        servers.try_for_each(|text| ServerSpec::read(text).map(drop))
    }
}

/// A change of the members, by whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alteration {
    /// As a client of ZooKeeper says it.
    Reconfigure(Reconfiguration),
    /// Gives a member its vote.
    Promote(u64),
    /// Takes its vote away; it stays as an observer.
    Demote(u64),
    /// Removes a member, for ever.
    Remove(u64),
    /// Keeps a number for a node that is still to come.
    Invite {
        /// Its `[node] name`.
        name: String,
        /// Where other members will reach it.
        address: String,
        /// Whether it shall never vote.
        observer: bool,
    },
    /// Has another voter lead: this one, or the best.
    TransferLeader(Option<u64>),
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Altered {
    /// The last entry that it took.
    pub zxid: Zxid,
    /// The member it was about: the one invited, or the one that leads now.
    pub member: Option<u64>,
}

/// Why the members were not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReconfigError {
    /// The request makes no sense.
    #[error("{0}")]
    BadArguments(String),
    /// `/zookeeper/config` has another version.
    #[error("the configuration has another version")]
    BadVersion,
    /// Another change is under way.
    #[error("another change of the members is under way")]
    InProgress,
    /// A member that is to vote does not answer, or does not catch up.
    #[error(
        "member {0} is to vote and cannot be reached or does not keep up; without it there might be no quorum"
    )]
    NoQuorum(u64),
    /// There is no such member.
    #[error("there is no member {0}")]
    Unknown(u64),
    /// The leader would have to leave, and nobody can take over.
    #[error("no other voter is within reach and up to date, so the leader cannot leave")]
    NoSuccessor,
    /// An ensemble of one member without an address cannot grow.
    #[error("this node is no member of an ensemble")]
    Standalone,
    /// There is no leader, or it was lost before anything was done.
    #[error("the ensemble has no leader that this member can reach")]
    NoLeader,
    /// The leader was lost on the way: the change may take effect or not.
    #[error("the outcome of the change is unknown")]
    OutcomeUnknown,
}

impl ReconfigError {
    /// ZooKeeper's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            ReconfigError::BadArguments(_) | ReconfigError::Unknown(_) => ErrorCode::BadArguments,
            ReconfigError::BadVersion => ErrorCode::BadVersion,
            ReconfigError::InProgress => ErrorCode::ReconfigInProgress,
            ReconfigError::NoQuorum(_) | ReconfigError::NoSuccessor => ErrorCode::NewConfigNoQuorum,
            ReconfigError::Standalone => ErrorCode::Unimplemented,
            ReconfigError::NoLeader | ReconfigError::OutcomeUnknown => ErrorCode::OperationTimeout,
        }
    }
}

impl Ensemble {
    /// Changes the members, through the leader. Returns the zxid of the last entry it took, once this member
    /// has applied it: its `/zookeeper/config` shows the change, unless it is itself removed.
    ///
    /// # Errors
    /// [`ReconfigError`]. Nothing has changed, except after [`ReconfigError::OutcomeUnknown`].
    ///
    /// # Cancel safety
    /// A cancelled call leaves the outcome unknown.
    pub async fn reconfigure(&self, change: Reconfiguration) -> Result<Zxid, ReconfigError> {
        let altered = self.alter(&Alteration::Reconfigure(change)).await?;
        Ok(altered.zxid)
    }

    /// As [`Ensemble::reconfigure`], for every kind of change.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn alter(&self, wanted: &Alteration) -> Result<Altered, ReconfigError> {
        let altered = timeout(RECONFIG_TIMEOUT, self.ask_for(wanted))
            .await
            .unwrap_or(Err(ReconfigError::OutcomeUnknown))?;
        // A member that leaves may never get the entry that says so.
        let applied = reached(self.inner().shared.applied(), altered.zxid.0);
        let _ = timeout(RECONFIG_APPLY, applied).await;
        Ok(altered)
    }

    /// Has the leader do it, whoever that is; tries again as long as it was certainly not begun.
    async fn ask_for(&self, wanted: &Alteration) -> Result<Altered, ReconfigError> {
        let me = &self.inner().me;
        loop {
            let answer = match leader_address(&self.inner().raft) {
                None => None,
                Some((leader, _)) if leader == me.member => Some(change(self, wanted).await),
                Some((leader, address)) => {
                    let mut link = Link::new(me, Some(leader), &address);
                    let ask = Ask::Alter(wanted.clone());
                    match link.ask(&ask, RECONFIG_TIMEOUT).await {
                        Ok(Answer::Altered(answer)) => Some(answer),
                        Ok(_) | Err(LinkError::Refused { .. }) => None,
                        Err(LinkError::Io { source, .. }) => match source.kind() {
                            ErrorKind::ConnectionRefused => None,
                            _ => Some(Err(ReconfigError::OutcomeUnknown)),
                        },
                    }
                }
            };
            match answer {
                None | Some(Err(ReconfigError::NoLeader)) => sleep(RECONFIG_RETRY).await,
                Some(answer) => return answer,
            }
        }
    }
}
