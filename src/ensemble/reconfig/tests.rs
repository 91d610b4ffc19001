//! Leaders that lose their vote, in this process.

use super::Alteration;
use crate::ensemble::digest::tests::{Members, eventually};
use crate::ensemble::{Ensemble, Role};
use openraft::ChangeMembers;
use std::collections::BTreeSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_vote_hands_over_and_can_have_it_back() {
    let members = Members::start(3, 1000).await;
    let number = members.leader().await;
    let leader = members.member(number).clone();
    let others: Vec<Ensemble> = (1..=3)
        .filter(|other| *other != number)
        .map(|other| members.member(other).clone())
        .collect();
    let voters: BTreeSet<u64> = others.iter().map(Ensemble::member).collect();
    // What it comes to when the leader is lost between the two entries of a change. Nobody sees to it before it is so.
    let turn = leader.inner().reconfiguring.lock().await;
    let raft = &leader.inner().raft;
    let change = ChangeMembers::ReplaceAllVoters(voters.clone());
    raft.change_membership(change, true).await.unwrap();
    assert_eq!(leader.status().role, Role::Leader);
    drop(turn);
    let voter_leads = |member: &Ensemble| {
        member
            .status()
            .leader
            .is_some_and(|id| voters.contains(&id))
    };
    eventually("a voter leads", || others.iter().all(voter_leads)).await;
    assert_eq!(leader.status().voters, 2);
    let promotion = Alteration::Promote(leader.member());
    others[0].alter(&promotion).await.unwrap();
    eventually("all vote", || leader.status().voters == 3).await;
}
