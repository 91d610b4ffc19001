//! Who may be a member: founding, joining, leaving, lost disks and old ones, over real sockets and disks.

use crate::support::ensemble::Members;
use crate::support::eventually;
use crate::support::proposals::{Session, propose};
use std::time::Duration;
use tokio::time::timeout;
use zoogate::ensemble::{
    Alteration, ArrivalError, Ensemble, ReconfigError, Reconfiguration, Role, StartError,
};
use zoogate::tree::{Actor, Command, Stage};

const LONG: Duration = Duration::from_secs(60);

async fn voters_become(member: &Ensemble, count: usize) {
    eventually("the voters", || member.status().voters == count).await;
}

/// Changes the members, again as long as another change is under way.
async fn alter(member: &Ensemble, wanted: Alteration) -> Result<(), ReconfigError> {
    loop {
        match member.alter(&wanted).await {
            Err(ReconfigError::InProgress) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => return other.map(drop),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_grows_from_one_to_five_and_shrinks_to_three_under_writes() {
    let mut members = Members::start(1).await;
    let n1 = members.member("n1");
    let session = Session::open(&n1, LONG).await;
    let writing = tokio::spawn({
        let (n1, session) = (n1.clone(), session.clone());
        async move {
            for number in 0..400 {
                session.insist_on(&n1, &format!("/{number}"), false).await;
            }
        }
    });
    for (count, name) in [(2, "n2"), (3, "n3"), (4, "n4"), (5, "n5")] {
        members.join(name).await.expect("admitted");
        voters_become(&n1, count).await;
        assert_eq!(members.member(name).member(), count as u64);
    }
    for (left, number) in [(4, 2), (3, 3)] {
        alter(&n1, Alteration::Remove(number))
            .await
            .expect("removed");
        voters_become(&n1, left).await;
        members.stop(&format!("n{number}")).await;
    }
    writing.await.expect("every write was acknowledged");
    for name in ["n1", "n4", "n5"] {
        let member = members.member(name);
        eventually("every write is there", || {
            member.read(|tree| (0..400).all(|number| tree.get(&format!("/{number}")).is_some()))
        })
        .await;
    }
    members.converge("n1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_disk_was_emptied_comes_back_under_a_new_number() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    let session = Session::open(&n1, LONG).await;
    session.insist_on(&n1, "/kept", false).await;
    members.stop("n3").await;
    members.wipe("n3");
    members.restart("n3").await;
    let n3 = members.member("n3");
    assert_eq!(n3.member(), 4, "not the number it had voted under");
    eventually("it has taken the old one's place", || {
        n1.read(|tree| tree.members().keys().copied().collect::<Vec<u64>>()) == [1, 2, 4]
    })
    .await;
    assert_eq!(n1.read(|tree| tree.numbers()[&3].stage), Stage::Removed);
    voters_become(&n1, 3).await;
    eventually("it has the tree", || {
        n3.read(|tree| tree.get("/kept").is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_emptied_disk_among_members_that_all_start_together_founds_nothing() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    let session = Session::open(&n1, LONG).await;
    session.insist_on(&n1, "/kept", false).await;
    drop(n1);
    for name in ["n1", "n2", "n3"] {
        members.stop(name).await;
    }
    members.wipe("n1");
    members.restart_all(&["n1", "n2", "n3"]).await;
    assert_eq!(members.member("n1").member(), 4);
    let n2 = members.member("n2");
    voters_become(&n2, 3).await;
    assert!(n2.read(|tree| tree.get("/kept").is_some()));
    let n1 = members.member("n1");
    eventually("it has the tree", || {
        n1.read(|tree| tree.get("/kept").is_some())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_founded_while_one_of_the_list_does_not_answer() {
    let mut members = Members::listed(3).await;
    let two = members.restart_all(&["n1", "n2"]);
    assert!(timeout(Duration::from_secs(2), two).await.is_err());
    members.restart_all(&["n1", "n2", "n3"]).await;
    members.all_serve().await;
    let numbers = ["n1", "n2", "n3"].map(|name| members.member(name).member());
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_member_ends_and_does_not_come_back() {
    let mut members = Members::start(3).await;
    members.observe("watcher").await;
    let n1 = members.member("n1");
    for name in ["n3", "watcher"] {
        let number = members.member(name).member();
        alter(&n1, Alteration::Remove(number))
            .await
            .expect("removed");
        let failed = timeout(LONG, members.failed(name)).await.expect("it ends");
        assert!(failed.is_dismissal(), "{failed}");
        members.stop(name).await;
        let again = members.try_restart(name).await;
        let Err(StartError::Arrival(ArrivalError::Removed { member, .. })) = again else {
            panic!("it started again");
        };
        assert_eq!(member, number);
    }
    let line = format!(
        "server.3=127.0.0.1:{}:0:participant;1",
        members.addr("n3").port()
    );
    let old_number = Reconfiguration {
        joining: vec![line],
        ..Reconfiguration::default()
    };
    let refused = alter(&n1, Alteration::Reconfigure(old_number)).await;
    assert!(
        matches!(refused, Err(ReconfigError::BadArguments(why)) if why.contains("used before"))
    );
}

/// Nobody that it dials talks to it, so nothing tells it that it leads no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_removed_while_it_was_cut_off_ends_too() {
    let mut members = Members::start_linked(3).await;
    let old = members.leader().await;
    let number = members.member(&old).member();
    let others: Vec<u64> = (1..=3).filter(|other| *other != number).collect();
    members.links().part(&[number], &others);
    let names: Vec<String> = others.iter().map(|number| format!("n{number}")).collect();
    let leads = |name: &&String| members.member(name).status().role == Role::Leader;
    eventually("another leader", || names.iter().any(|name| leads(&name))).await;
    let new = members.member(names.iter().find(leads).expect("just seen"));
    alter(&new, Alteration::Remove(number))
        .await
        .expect("removed");
    // The connections that it has would still tell it of the other leader.
    eventually("it has given up its connections", || {
        members.member(&old).status().synced_followers == 0
    })
    .await;
    assert_eq!(members.member(&old).status().role, Role::Leader);
    members.links().heal();
    let failed = timeout(LONG, members.failed(&old)).await.expect("it ends");
    assert!(failed.is_dismissal(), "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_put_back_as_it_was_does_not_vote_again() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    let session = Session::open(&n1, LONG).await;
    members.stop("n3").await;
    let copy = members.copy_of("n3");
    members.restart("n3").await;
    let boots = |tree: &zoogate::tree::Tree| tree.numbers()[&3].boots;
    eventually("its second start is known", || n1.read(boots) == 2).await;
    session.insist_on(&n1, "/after-the-copy", false).await;
    members.stop("n3").await;
    members.put_back("n3", copy.path());
    members.restart("n3").await;
    let n3 = members.member("n3");
    assert_eq!(n3.member(), 4, "the older copy is not member 3");
    eventually("it has what came after", || {
        n3.read(|tree| tree.get("/after-the-copy").is_some())
    })
    .await;
    eventually("the old number is gone for ever", || {
        n1.read(|tree| tree.numbers()[&3].stage) == Stage::Removed
    })
    .await;
    voters_become(&n1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_again_after_a_lost_answer_gives_the_same_number() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    for milliseconds in 1..40 {
        let patience = Duration::from_millis(milliseconds);
        // Cut off anywhere between the question and the answer.
        if let Ok(Ok(())) = timeout(patience, members.join("n4")).await {
            members.stop("n4").await;
        }
    }
    // What was cut off may hold the directory for a moment longer.
    while members.join("n4").await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(members.member("n4").member(), 4);
    voters_become(&n1, 4).await;
    assert_eq!(
        n1.read(|tree| tree.numbers().len()),
        4,
        "one number was given"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_know_the_token_is_not_admitted() {
    let mut members = Members::start_with_token(3, "correct horse battery").await;
    members.use_token("wrong horse battery..");
    let refused = members.join("n4").await;
    let Err(StartError::Arrival(error)) = refused else {
        panic!("it was admitted");
    };
    assert!(error.to_string().contains("token"), "{error}");
    assert_eq!(members.member("n1").read(|tree| tree.numbers().len()), 3);
    members.use_token("correct horse battery");
    members.join("n5").await.expect("admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_member_runs_an_older_version_nothing_it_does_not_know_is_proposed() {
    let mut members = Members::start(3).await;
    let n1 = members.member("n1");
    eventually("all have announced their level", || {
        n1.read(|tree| tree.level()) == 1
    })
    .await;
    let leader = members.leader().await;
    let follower = ["n2", "n3"].into_iter().find(|name| *name != leader);
    let follower = follower.expect("one leader");
    let member = members.member(follower).member();
    let older = n1.read(|tree| Command::Announce {
        member,
        boots: tree.numbers()[&member].boots,
        boot: tree.numbers()[&member].boot,
        level: 0,
    });
    // It would say again what it is, whenever there is an election.
    members.stop(follower).await;
    propose(&n1, Actor::Ensemble, older).await;
    let waits = timeout(Duration::from_secs(3), members.join("n4")).await;
    assert!(waits.is_err(), "it is not admitted meanwhile");
    let admit = Command::Admit {
        name: "x".into(),
        nonce: 1,
        observer: false,
        replaces: None,
        level: 1,
    };
    let applied = propose(&n1, Actor::Ensemble, admit).await;
    assert!(!matches!(
        applied.result,
        Ok(zoogate::tree::Reply::Admitted(_))
    ));
    assert_eq!(n1.read(|tree| tree.numbers().len()), 3);
    members.restart(follower).await;
    members.join("n4").await.expect("admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leadership_is_transferred_and_a_leader_hands_over_before_it_leaves() {
    let members = Members::start(3).await;
    let leader = members.member(&members.leader().await);
    let follower = members.member(&members.follower().await);
    let to = Alteration::TransferLeader(Some(follower.member()));
    alter(&leader, to).await.expect("transferred");
    eventually("it leads", || {
        leader.status().leader == Some(follower.member())
    })
    .await;
    let unknown = alter(&leader, Alteration::TransferLeader(Some(99))).await;
    assert_eq!(unknown, Err(ReconfigError::Unknown(99)));
    alter(&leader, Alteration::Demote(follower.member()))
        .await
        .expect("demoted");
    voters_become(&leader, 2).await;
    assert_ne!(leader.status().leader, Some(follower.member()));
    alter(&leader, Alteration::Promote(follower.member()))
        .await
        .expect("promoted");
    voters_become(&leader, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_would_lose_the_quorum_is_refused() {
    let mut members = Members::start(3).await;
    members.stop("n3").await;
    let leader = members.member(&members.leader().await);
    let other = [1, 2].into_iter().find(|id| *id != leader.member());
    let other = other.expect("two are left");
    eventually("the third is known to be away", || {
        let away = |survey: zoogate::ensemble::Following| survey.in_reach == 1;
        away(leader.following())
    })
    .await;
    let refused = alter(&leader, Alteration::Remove(other)).await;
    assert_eq!(refused, Err(ReconfigError::NoQuorum(3)));
    assert_eq!(leader.status().voters, 3);
    let unknown = alter(&leader, Alteration::Remove(77)).await;
    assert_eq!(unknown, Err(ReconfigError::Unknown(77)));
    alter(&leader, Alteration::Remove(3))
        .await
        .expect("the dead one goes");
    voters_become(&leader, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_end_during_a_change_leave_it_to_the_next() {
    let mut members = Members::start(3).await;
    members.join("n4").await.expect("admitted");
    for _ in 0..3 {
        let leader = members.leader().await;
        members.stop(&leader).await;
        members.restart(&leader).await;
    }
    let n1 = members.member("n1");
    voters_become(&n1, 4).await;
    members.all_serve().await;
    let leader = members.member(&members.leader().await);
    alter(&leader, Alteration::Demote(4))
        .await
        .expect("the next change goes through");
    voters_become(&leader, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_restart_one_after_the_other_and_no_write_is_lost() {
    let mut members = Members::start(3).await;
    let mut written = 0;
    for name in ["n1", "n2", "n3"] {
        members.stop(name).await;
        let leader = members.member(&members.leader().await);
        let session = Session::open(&leader, LONG).await;
        for _ in 0..20 {
            session
                .insist_on(&leader, &format!("/{written}"), false)
                .await;
            written += 1;
        }
        members.restart(name).await;
        members.all_serve().await;
    }
    members.converge("n1").await;
    let n1 = members.member("n1");
    assert!(n1.read(|tree| (0..written).all(|at| tree.get(&format!("/{at}")).is_some())));
}
