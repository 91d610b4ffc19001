//! Taking over at once from a leader whose process is gone, instead of waiting until its lease has run out.
//!
//! ```text
//!   the leader's connections end -> ask it: do you still lead? -> refused, or no ----> proof of death
//!   proof -> ask the other voters: proof too? how long is your log? -> quorum has it -> the longest log elects
//!                                                                  \-> not yet ------> ask again, a little later
//! ```
//! Only the host that runs the peer can refuse a connection to its port, and only when nothing listens there:
//! unlike silence, a refusal means that the process is gone. Raft never lets a leader lead again in a term
//! after it has stopped to (`enable_leader_restore` is off), so the proof holds for that term for ever.
//!
//! Nothing depends on the proof being right. The election is Raft's own, marked as a transfer of leadership
//! (Raft thesis 4.2.3) so that voters grant it although they have heard the leader a moment ago. A proof that is
//! wrong costs one needless election; and it takes a quorum of members who are wrong, for one that is cut
//! off alone finds nobody to agree. A leader that goes silent, with its host or while stopped, leaves no proof:
//! then the election timeout decides as ever.

use super::contact::Contact;
use super::limits::{TAKEOVER_ASK, TAKEOVER_PATIENCE, TAKEOVER_RETRY, TAKEOVER_TURN};
use super::machine::Machine;
use super::peer::{Answer, Ask, Link, LinkError, Me, Witness};
use super::types::Types;
use futures_util::future::join_all;
use openraft::Raft;
use openraft::alias::VoteOf;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::TransferLeaderRequest;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// The task that watches over the leader.
pub(super) struct Takeover {
    /// Who this member is.
    pub(super) me: Me,
    /// Raft, in this process.
    pub(super) raft: Raft<Types, Machine>,
    /// Knows the connections from the leader.
    pub(super) contact: Arc<Contact>,
}

/// The leadership that this member follows and may have to replace.
struct Reign {
    vote: VoteOf<Types>,
    leader: u64,
    address: String,
    /// The voters, as one set or, while the membership changes, two; a quorum has a majority of each.
    voters: Vec<BTreeSet<u64>>,
    /// Where the voters other than the leader and this member are.
    others: BTreeMap<u64, String>,
}

impl Takeover {
    /// Runs until Raft stops.
    pub(super) async fn run(self) {
        loop {
            self.contact.connection_ended().await;
            let Some(reign) = self.reign() else { continue };
            if self.is_over(&reign).await {
                self.contact.prove_over(reign.vote);
                self.succeed(&reign).await;
            }
        }
    }

    /// The leadership of another member that this one, a voter, follows.
    fn reign(&self) -> Option<Reign> {
        if self.contact.is_unfit() {
            return None;
        }
        let facts = self.raft.server_metrics();
        let facts = facts.borrow_watched();
        let membership = facts.membership_config.membership();
        let leader = facts.current_leader.filter(|leader| *leader != facts.id)?;
        let voters = membership.get_joint_config().clone();
        if !voters.iter().any(|set| set.contains(&facts.id)) {
            return None;
        }
        let others = membership
            .nodes()
            .filter(|(id, _)| **id != facts.id && **id != leader)
            .filter(|(id, _)| voters.iter().any(|set| set.contains(id)))
            .map(|(id, member)| (*id, member.address.clone()));
        Some(Reign {
            vote: facts.vote,
            leader,
            address: membership.get_node(&leader)?.address.clone(),
            others: others.collect(),
            voters,
        })
    }

    /// Looks for proof that the reign is over.
    async fn is_over(&self, reign: &Reign) -> bool {
        let deadline = Instant::now() + TAKEOVER_PATIENCE;
        while Instant::now() < deadline && self.still_follows(reign) {
            // A process that ends closes its sockets one after the other.
            if self.contact.is_connected(reign.leader) {
                sleep(TAKEOVER_RETRY).await;
                continue;
            }
            let mut link = Link::new(&self.me, Some(reign.leader), &reign.address);
            match link.ask(&Ask::Leads(reign.vote), TAKEOVER_ASK).await {
                Ok(Answer::Leads(leads)) => return !leads,
                Err(LinkError::Io { source, .. }) => match source.kind() {
                    io::ErrorKind::ConnectionRefused => return true,
                    // Its port was still open, or half closed: look again.
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::BrokenPipe => sleep(TAKEOVER_RETRY).await,
                    _ => return false,
                },
                Ok(_) | Err(LinkError::Refused { .. }) => return false,
            }
        }
        false
    }

    /// Has the best of the voters elected, this member if it is the one.
    async fn succeed(&self, reign: &Reign) {
        let deadline = Instant::now() + TAKEOVER_PATIENCE;
        let mut turns = 0;
        while Instant::now() < deadline && self.still_follows(reign) {
            let Some(mine) = witness(&self.raft, &self.contact, reign.vote).await else {
                return;
            };
            let mut witnesses = self.witnesses(reign).await;
            witnesses.insert(self.me.member, mine);
            match verdict(self.me.member, &witnesses, &reign.voters, turns) {
                Verdict::Elect => return self.elect(reign).await,
                Verdict::LetAnother => {
                    turns += 1;
                    sleep(TAKEOVER_TURN).await;
                }
                Verdict::TooFew => sleep(TAKEOVER_RETRY).await,
            }
        }
    }

    /// What the other voters know; those who do not answer are left out.
    async fn witnesses(&self, reign: &Reign) -> BTreeMap<u64, Witness> {
        let asked = reign.others.iter().map(|(id, address)| async move {
            let mut link = Link::new(&self.me, Some(*id), address);
            match link.ask(&Ask::IsOver(reign.vote), TAKEOVER_ASK).await {
                Ok(Answer::IsOver(witness)) => Some((*id, witness)),
                Ok(_) | Err(_) => None,
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    async fn elect(&self, reign: &Reign) {
        tracing::warn!(
            leader = reign.leader,
            "the leader's process is gone; taking over"
        );
        let request = TransferLeaderRequest::new(reign.vote, self.me.member, None);
        match self.raft.handle_transfer_leader(request).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "did not take over"),
            Err(error) => tracing::debug!(%error, "Raft has stopped"),
        }
    }

    fn still_follows(&self, reign: &Reign) -> bool {
        self.raft.server_metrics().borrow_watched().vote == reign.vote
    }
}

/// What this member knows about the leadership of `vote`; `None` when Raft has stopped.
pub(super) async fn witness(
    raft: &Raft<Types, Machine>,
    contact: &Contact,
    vote: VoteOf<Types>,
) -> Option<Witness> {
    let last_log = raft.with_raft_state(|state| state.log_ids.last().copied());
    Some(Witness {
        is_over: contact.is_proven_over(vote),
        last_log: last_log.await.ok()?,
    })
}

/// What a member with proof does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Asks for votes.
    Elect,
    /// Waits for one whose log is longer to ask for votes.
    LetAnother,
    /// Waits for a quorum to have the proof too.
    TooFew,
}

/// Decides for member `me`, who has let others go first `turns` times. Of equally long logs the one of the
/// highest number goes first: Raft votes of one term are ordered by it, so a vote asked by a lower one would come to
/// nothing after the attempt of a higher one.
fn verdict(
    me: u64,
    witnesses: &BTreeMap<u64, Witness>,
    voters: &[BTreeSet<u64>],
    turns: usize,
) -> Verdict {
    let agree = |id: &u64| witnesses.get(id).is_some_and(|w| w.is_over);
    let is_quorum = |set: &BTreeSet<u64>| set.iter().filter(|id| agree(id)).count() * 2 > set.len();
    if !voters.iter().all(is_quorum) {
        return Verdict::TooFew;
    }
    let rank = |id: &u64| (witnesses.get(id).and_then(|w| w.last_log), *id);
    let better = witnesses
        .keys()
        .filter(|id| agree(id) && rank(id) > rank(&me));
    match better.count() <= turns {
        true => Verdict::Elect,
        false => Verdict::LetAnother,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openraft::alias::{LeaderIdOf, LogIdOf};

    fn knows(is_over: bool, index: u64) -> Witness {
        let leader = LeaderIdOf::<Types> {
            term: 3,
            node_id: 1,
        };
        Witness {
            is_over,
            last_log: Some(LogIdOf::<Types>::new(leader, index)),
        }
    }

    fn decide(me: u64, witnesses: &[(u64, Witness)], voters: &[u64], turns: usize) -> Verdict {
        let voters = [voters.iter().copied().collect()];
        verdict(me, &witnesses.iter().copied().collect(), &voters, turns)
    }

    #[test]
    fn the_longer_log_goes_first() {
        let witnesses = [(2, knows(true, 9)), (3, knows(true, 8))];
        assert_eq!(decide(2, &witnesses, &[1, 2, 3], 0), Verdict::Elect);
        assert_eq!(decide(3, &witnesses, &[1, 2, 3], 0), Verdict::LetAnother);
    }

    #[test]
    fn of_equal_logs_exactly_one_member_goes_first() {
        let witnesses = [(2, knows(true, 9)), (3, knows(true, 9))];
        assert_eq!(decide(2, &witnesses, &[1, 2, 3], 0), Verdict::LetAnother);
        assert_eq!(decide(3, &witnesses, &[1, 2, 3], 0), Verdict::Elect);
    }

    #[test]
    fn the_next_in_line_goes_when_the_first_did_not() {
        let witnesses = [
            (2, knows(true, 7)),
            (3, knows(true, 9)),
            (4, knows(true, 8)),
        ];
        let voters = [1, 2, 3, 4, 5];
        assert_eq!(decide(4, &witnesses, &voters, 0), Verdict::LetAnother);
        assert_eq!(decide(4, &witnesses, &voters, 1), Verdict::Elect);
        assert_eq!(decide(2, &witnesses, &voters, 1), Verdict::LetAnother);
        assert_eq!(decide(2, &witnesses, &voters, 2), Verdict::Elect);
    }

    #[test]
    fn a_member_alone_with_its_proof_takes_nothing_over() {
        let still_hears_it = [(2, knows(true, 9)), (3, knows(false, 9))];
        assert_eq!(decide(2, &still_hears_it, &[1, 2, 3], 5), Verdict::TooFew);
        let no_answer = [(2, knows(true, 9))];
        assert_eq!(decide(2, &no_answer, &[1, 2, 3], 5), Verdict::TooFew);
        assert_eq!(decide(2, &no_answer, &[1, 2], 5), Verdict::TooFew);
    }

    #[test]
    fn while_the_membership_changes_both_sets_must_agree() {
        let witnesses = BTreeMap::from([(2, knows(true, 9)), (3, knows(true, 9))]);
        let sets = [BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])];
        assert_eq!(verdict(3, &witnesses, &sets[..1], 0), Verdict::Elect);
        assert_eq!(verdict(3, &witnesses, &sets, 0), Verdict::TooFew);
    }
}
