//! Members that speak TLS to each other: everything they do without, new certificates while they do it, and strangers.

use crate::support::ensemble::Members;
use crate::support::proposals::Session;
use crate::support::tls::{Authority, install_node};
use crate::support::{eventually, soon};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zoogate::ensemble::{Ensemble, SNAPSHOT_ENTRIES};
use zoogate::net::{PeerTls, TlsFailure};

const LONG: Duration = Duration::from_secs(60);

const ALL: [&str; 3] = ["n1", "n2", "n3"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_form_replicate_forward_and_take_an_observer_in() {
    let mut members = Members::start_secure(3, SNAPSHOT_ENTRIES).await;
    members.observe("o1").await;
    for name in ["n1", "n2", "n3", "o1"] {
        let member = members.member(name);
        let session = Session::open(&member, LONG).await;
        let path = format!("/from-{name}");
        assert!(session.create(&member, &path, false).await.result.is_ok());
        member.barrier().await.expect("a leader");
        members.converge(name).await;
    }
    for name in ALL {
        for failure in [
            TlsFailure::WrongNode,
            TlsFailure::NotANode,
            TlsFailure::UnknownAuthority,
        ] {
            assert_eq!(members.failures(name, failure), 0, "{name}: {failure:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_goes_is_replaced_and_comes_back() {
    let mut members = Members::start_secure(3, SNAPSHOT_ENTRIES).await;
    let (leader, follower) = (members.leader().await, members.follower().await);
    let survivor = members.member(&follower);
    let session = Session::open(&survivor, LONG).await;
    session.insist_on(&survivor, "/before", true).await;
    members.stop(&leader).await;
    session.insist_on(&survivor, "/meanwhile", true).await;
    assert_ne!(members.leader().await, leader);
    members.restart(&leader).await;
    members.all_serve().await;
    session.insist_on(&survivor, "/after", true).await;
    members.converge(&follower).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_gets_a_snapshot() {
    let mut members = Members::start_secure(3, 100).await;
    let absent = members.follower().await;
    members.stop(&absent).await;
    let present = members.member(&members.leader().await);
    let session = Session::open(&present, LONG).await;
    for number in 0..400 {
        session
            .insist_on(&present, &format!("/{number:04}"), false)
            .await;
    }
    assert_eq!(members.snapshot_files(&absent), 0);
    members.restart(&absent).await;
    members.all_serve().await;
    members.converge(&members.leader().await).await;
    assert!(members.snapshot_files(&absent) > 0, "from the leader");
}

/// Writes one znode after the other through a member until told to stop; how many there are.
async fn load(member: Ensemble, stop: Arc<AtomicBool>) -> usize {
    let session = Session::open(&member, LONG).await;
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let applied = session
            .create(&member, &format!("/{written:05}"), false)
            .await;
        assert!(applied.result.is_ok(), "{applied:?}");
        written += 1;
    }
    written
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authorities_are_replaced_under_load_without_a_lost_write() {
    let members = Members::start_secure(3, SNAPSHOT_ENTRIES).await;
    let name = members.follower().await;
    let stop = Arc::new(AtomicBool::new(false));
    // Every outcome must be known: no connection breaks.
    let writing = tokio::spawn(load(members.member(&name), stop.clone()));
    let (old, new) = (members.authority(), Authority::new());
    let both = format!("{}{}", old.pem(), new.pem());
    for name in ALL {
        members.certify(name, &old.issue_node(name), &both);
    }
    for name in ALL {
        members.certify(name, &new.issue_node(name), &both);
    }
    for name in ALL {
        members.certify(name, &new.issue_node(name), &new.pem());
    }
    // Connections made from now on use what is new.
    let member = members.member(&name);
    let dialled = Session::open(&member, LONG).await;
    dialled.insist_on(&member, "/dialled", false).await;
    stop.store(true, Ordering::Relaxed);
    let written = soon(writing).await.expect("no write was lost");
    assert!(written > 0);
    members.converge(&name).await;
    for member in members.all() {
        let found =
            (0..written).filter(|n| member.read(|tree| tree.get(&format!("/{n:05}")).is_some()));
        assert_eq!(found.count(), written);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_authority_is_rolled_in_member_by_member() {
    let mut members = Members::start_secure(3, SNAPSHOT_ENTRIES).await;
    let new = Authority::new();
    let both = format!("{}{}", members.authority().pem(), new.pem());
    let mut written = 0;
    // First everybody trusts both, then one after the other shows the new certificate, then the old one goes. Each
    // restart makes that member's connections anew, with some before and some behind the step.
    for (issuer, ca) in [(None, &both), (Some(&new), &both), (Some(&new), &new.pem())] {
        for name in ALL {
            let issued = issuer.unwrap_or(members.authority()).issue_node(name);
            members.certify(name, &issued, ca);
            members.stop(name).await;
            members.restart(name).await;
            members.all_serve().await;
            let member = members.member(name);
            let session = Session::open(&member, LONG).await;
            session
                .insist_on(&member, &format!("/{written}"), false)
                .await;
            written += 1;
            members.converge(name).await;
        }
    }
    let member = members.member("n1");
    assert!((0..written).all(|n| member.read(|tree| tree.get(&format!("/{n}")).is_some())));
    for name in ALL {
        assert_eq!(members.failures(name, TlsFailure::UnknownAuthority), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_turned_away_and_counted_while_members_go_on() {
    let members = Members::start_secure(3, SNAPSHOT_ENTRIES).await;
    let addr = members.addr("n1");
    let dir = TempDir::new().expect("a directory");
    let other = Authority::new();
    let both = format!("{}{}", members.authority().pem(), other.pem());
    let files = install_node(dir.path(), "n2", &other.issue_node("n2"), &both);
    let forged = PeerTls::load(files).expect("good in itself");
    let socket = TcpStream::connect(addr).await.expect("listens");
    let (mut stream, name) = forged.connect(socket, Some("n1")).await.expect("half way");
    assert_eq!(name, "n1");
    assert!(soon(stream.read(&mut [0])).await.is_err(), "refused");
    assert_eq!(members.failures("n1", TlsFailure::UnknownAuthority), 1);

    let mut plain = TcpStream::connect(addr).await.expect("listens");
    plain
        .write_all(&[0, 0, 0, 8, 1, 2, 3, 4])
        .await
        .expect("sent");
    let mut answer = Vec::new();
    soon(plain.read_to_end(&mut answer)).await.expect("told");
    assert_eq!(answer[..4], 2u32.to_be_bytes(), "a frame with the refusal");
    assert_eq!(members.failures("n1", TlsFailure::NotTls), 1);

    let member = members.member("n1");
    let session = Session::open(&member, LONG).await;
    assert!(session.create(&member, "/a", false).await.result.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_handshakes_are_bounded_and_hold_up_nobody_for_long() {
    let mut members = Members::start_secure(3, SNAPSHOT_ENTRIES).await;
    let name = members.follower().await;
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(
            TcpStream::connect(members.addr(&name))
                .await
                .expect("listens"),
        );
    }
    let crowded = || members.failures(&name, TlsFailure::Crowded) >= 100;
    eventually("more than fit are refused", crowded).await;
    for socket in &mut silent {
        let _ = soon(socket.read(&mut [0])).await;
    }
    assert!(members.failures(&name, TlsFailure::TimedOut) >= 200);
    drop(silent);
    let other = members.leader().await;
    members.stop(&other).await;
    members.restart(&other).await;
    members.all_serve().await;
    members.converge(&other).await;
}
