//! What an announcement does about the znode it finds, and in which order a command is started, drained and
//! stopped; against scripted servers.

use super::announce::Announcement;
use super::payload::Payload;
use super::wrapped::Wrapped;
use super::{Limits, start, supervise};
use crate::cli::CliError;
use crate::cli::output::Output;
use crate::cli::signals::Signals;
use crate::client::scripted::{PATIENCE, Peer, SESSION, Server, hosts, refusing};
use crate::tree::{SessionId, Stat};
use crate::zk::wire::{DataResponse, EventType, OpCode};
use rustix::process::Signal;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const OTHER: SessionId = SessionId(0x99);
const PATH: &str = "/services/web/10.0.0.5:80";
const OURS: &str = r#"{"address":"10.0.0.5","port":80,"weight":1}"#;
const ELSE: &str = r#"{"address":"10.0.0.6","port":80,"weight":1}"#;

fn announcement(server: &Server) -> Announcement {
    Announcement {
        hosts: hosts(&[server]),
        login: None,
        session_timeout: Duration::from_secs(5),
        parent: "/services/web".into(),
        path: PATH.into(),
        payload: Payload::new(&"10.0.0.5:80".parse().unwrap(), 1),
        output: Output::new(),
        registered: watch::Sender::new(false),
        withdraw: CancellationToken::new(),
    }
}

/// Answers the next request, which must read the znode: it holds `data` and belongs to `owner`.
async fn show(peer: &mut Peer, data: &'static str, owner: SessionId) {
    let (xid, opcode, _) = peer.request().await;
    assert_eq!(opcode, OpCode::GetData);
    let stat = Stat {
        ephemeral_owner: owner,
        ..Stat::default()
    };
    let data = Some(data.into());
    peer.reply(xid, 1, &DataResponse { data, stat }).await;
}

/// Answers the next request, which must be `expected`, with an error.
async fn refuse(peer: &mut Peer, expected: OpCode, error: i32) {
    let (xid, opcode, _) = peer.request().await;
    assert_eq!(opcode, expected);
    peer.refuse(xid, error).await;
}

/// Accepts the next request, which must be `expected`.
async fn accept(peer: &mut Peer, expected: OpCode) {
    let (xid, opcode, _) = peer.request().await;
    assert_eq!(opcode, expected);
    match expected {
        OpCode::Create => peer.reply(xid, 1, &String::from(PATH)).await,
        _ => peer.reply(xid, 1, &()).await,
    }
}

/// The znode is created and is there.
async fn take(peer: &mut Peer) {
    accept(peer, OpCode::Create).await;
    show(peer, OURS, SESSION).await;
}

async fn until_registered(announcement: &Announcement) {
    let mut registered = announcement.registered.subscribe();
    let reached = tokio::time::timeout(PATIENCE, registered.wait_for(|is| *is)).await;
    reached.expect("never registered").unwrap();
}

#[tokio::test]
async fn a_free_name_is_taken_with_its_parents_and_given_back() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let script = async {
        let mut peer = server.welcome(5_000).await;
        refuse(&mut peer, OpCode::GetData, -101).await;
        refuse(&mut peer, OpCode::Create, -101).await;
        accept(&mut peer, OpCode::Create).await; // /services/web
        refuse(&mut peer, OpCode::GetData, -101).await;
        take(&mut peer).await;
        until_registered(&announcement).await;
        announcement.withdraw.cancel();
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let (kept, ()) = tokio::join!(announcement.keep(), script);
    kept.unwrap();
}

#[tokio::test]
async fn a_crashed_predecessors_znode_is_replaced() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, OURS, OTHER).await;
        accept(&mut peer, OpCode::Delete).await;
        take(&mut peer).await;
        until_registered(&announcement).await;
        announcement.withdraw.cancel();
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let (kept, ()) = tokio::join!(announcement.keep(), script);
    kept.unwrap();
}

#[tokio::test]
async fn a_name_held_by_another_endpoint_is_not_touched() {
    let server = Server::start().await;
    for (owner, closes_after) in [(SessionId::NONE, 0), (OTHER, 300)] {
        let announcement = announcement(&server);
        let start = Instant::now();
        let script = async {
            let mut peer = server.welcome(150).await;
            show(&mut peer, ELSE, owner).await;
            accept(&mut peer, OpCode::CloseSession).await;
        };
        let (kept, ()) = tokio::join!(announcement.keep(), script);
        assert!(matches!(kept, Err(CliError::Held { owner: held_by, .. }) if held_by == owner));
        assert!(start.elapsed() >= Duration::from_millis(closes_after));
        assert!(!*announcement.registered.borrow());
    }
}

#[tokio::test]
async fn who_was_replaced_waits_for_the_other_to_go() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, OURS, SESSION).await;
        peer.event(EventType::Deleted, PATH).await;
        show(&mut peer, OURS, OTHER).await;
        peer.event(EventType::Deleted, PATH).await;
        refuse(&mut peer, OpCode::GetData, -101).await;
        take(&mut peer).await;
        announcement.withdraw.cancel();
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let (kept, ()) = tokio::join!(announcement.keep(), script);
    kept.unwrap();
}

#[tokio::test]
async fn after_expiry_a_new_session_replaces_what_the_old_one_left() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, OURS, SESSION).await;
        until_registered(&announcement).await;
        drop(peer);
        let mut peer = server.accept().await;
        peer.connect_request().await;
        peer.disown().await;
        let renewed = SessionId(SESSION.0 + 1);
        let mut peer = server.accept().await;
        assert_eq!(peer.connect_request().await.fields.session, SessionId::NONE);
        peer.grant_session(renewed, 5_000).await;
        show(&mut peer, OURS, SESSION).await;
        accept(&mut peer, OpCode::Delete).await;
        accept(&mut peer, OpCode::Create).await;
        show(&mut peer, OURS, renewed).await;
        announcement.withdraw.cancel();
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let (kept, ()) = tokio::join!(announcement.keep(), script);
    kept.unwrap();
}

#[tokio::test]
async fn withdrawing_before_any_server_answers_ends_at_once() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    drop(server);
    announcement.withdraw.cancel();
    announcement.keep().await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_stays_ends_the_registration() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let script = async {
        let mut peer = server.welcome(5_000).await;
        refuse(&mut peer, OpCode::GetData, -101).await;
        refuse(&mut peer, OpCode::Create, -102).await;
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let (kept, ()) = tokio::join!(announcement.keep(), script);
    assert_eq!(kept.unwrap_err().exit().code(), 6);
}

fn shell(script: &str) -> Wrapped {
    Wrapped::start(&"sh".into(), &["-c".into(), script.into()]).unwrap()
}

/// A command that ends with 3 when it gets `signal`, and is ready for it.
async fn ends_on(signal: &str) -> Wrapped {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let loops = "while :; do sleep 0.02; done";
    let command = shell(&format!(
        "trap 'exit 3' {signal}; : > '{}'; {loops}",
        ready.display()
    ));
    let waiting = async {
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.expect("the shell does not start");
    command
}

const LIMITS: Limits = Limits {
    give_up_after: None,
    drain: Duration::from_millis(300),
};

#[tokio::test]
async fn a_command_told_to_stop_is_withdrawn_then_drained_then_signalled() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let mut command = ends_on("TERM").await;
    let (mut signals, sender) = Signals::scripted();
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, OURS, SESSION).await;
        until_registered(&announcement).await;
        sender.send(Signal::TERM).await.unwrap();
        accept(&mut peer, OpCode::CloseSession).await;
        Instant::now()
    };
    let supervised = async {
        let exit = supervise(&announcement, &mut command, &mut signals, LIMITS).await;
        (exit.unwrap().code(), Instant::now())
    };
    let ((code, ended), withdrawn) = tokio::join!(supervised, script);
    assert_eq!(code, 3);
    assert!(ended - withdrawn >= Duration::from_millis(290));
}

#[tokio::test]
async fn a_second_signal_ends_the_drain() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let mut command = ends_on("TERM").await;
    let (mut signals, sender) = Signals::scripted();
    let limits = Limits {
        drain: Duration::from_secs(3600),
        ..LIMITS
    };
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, OURS, SESSION).await;
        until_registered(&announcement).await;
        sender.send(Signal::TERM).await.unwrap();
        accept(&mut peer, OpCode::CloseSession).await;
        sender.send(Signal::TERM).await.unwrap();
    };
    let supervised = supervise(&announcement, &mut command, &mut signals, limits);
    let (exit, ()) = tokio::join!(supervised, script);
    assert_eq!(exit.unwrap().code(), 3);
}

#[tokio::test]
async fn a_command_that_ends_takes_its_endpoint_with_it() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let mut command = ends_on("USR1").await;
    let (mut signals, sender) = Signals::scripted();
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, OURS, SESSION).await;
        until_registered(&announcement).await;
        // Not a signal to stop: the command's own, passed on without a drain.
        sender.send(Signal::USR1).await.unwrap();
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let supervised = supervise(&announcement, &mut command, &mut signals, LIMITS);
    let (exit, ()) = tokio::join!(supervised, script);
    assert_eq!(exit.unwrap().code(), 3);
}

#[tokio::test]
async fn a_registration_that_fails_for_good_stops_the_command() {
    let server = Server::start().await;
    let announcement = announcement(&server);
    let mut command = ends_on("TERM").await;
    let (mut signals, _sender) = Signals::scripted();
    let script = async {
        let mut peer = server.welcome(5_000).await;
        show(&mut peer, ELSE, SessionId::NONE).await;
        accept(&mut peer, OpCode::CloseSession).await;
    };
    let supervised = supervise(&announcement, &mut command, &mut signals, LIMITS);
    let (result, ()) = tokio::join!(supervised, script);
    assert!(matches!(result, Err(CliError::Held { .. })));
    assert_eq!(command.ended().await.unwrap().code(), 3);
}

#[tokio::test]
async fn an_endpoint_is_not_registered_before_it_accepts_connections() {
    let (mut signals, _sender) = Signals::scripted();
    let listening = Server::start().await;
    let address = listening.address().parse().unwrap();
    let mut command = ends_on("TERM").await;
    let long = Duration::from_secs(60);
    let ready = start(&mut command, &mut signals, &address, long).await;
    assert_eq!(ready.unwrap(), None);
    let (_socket, address) = refusing();
    let address = address.parse().unwrap();
    let short = Duration::from_millis(100);
    let late = start(&mut command, &mut signals, &address, short).await;
    assert_eq!(late.unwrap_err().exit().code(), 7);
    assert_eq!(command.ended().await.unwrap().code(), 3);
    let mut command = shell("exit 5");
    let ended = start(&mut command, &mut signals, &address, long).await;
    assert_eq!(ended.unwrap().map(|exit| exit.code()), Some(5));
}

#[tokio::test]
async fn a_command_told_to_stop_before_it_is_ready_gets_the_signal_at_once() {
    let (_socket, address) = refusing();
    let address = address.parse().unwrap();
    let (mut signals, sender) = Signals::scripted();
    let mut command = ends_on("TERM").await;
    sender.send(Signal::TERM).await.unwrap();
    let long = Duration::from_secs(60);
    let ended = start(&mut command, &mut signals, &address, long).await;
    assert_eq!(ended.unwrap().map(|exit| exit.code()), Some(3));
}
