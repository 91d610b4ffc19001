//! The client against scripted servers: what it sends, and what it makes of what it gets.

use super::scripted::{PASSWORD, PATIENCE, Peer, SESSION, Server, hosts, refusing};
use super::{
    AttemptError, Client, ClientError, ConnectError, Events, Hosts, Login, SessionState, Watch,
    WatchEvent,
};
use crate::tree::{CreateMode, ErrorCode, SessionId, Stat};
use crate::zk::wire::{
    AuthRequest, ChildrenResponse, CreateRequest, DataResponse, EventType, OpCode, ReadRequest,
    Wire, XID_AUTH, XID_PING,
};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// A client with a session of `timeout_ms` on `server`, and the server's end of its connection.
async fn connected(server: &Server, timeout_ms: i32) -> (Client, Events, Peer) {
    let hosts = hosts(&[server]);
    let connecting = Client::connect(&hosts, Duration::from_secs(8));
    let (connected, peer) = tokio::join!(connecting, server.welcome(timeout_ms));
    let (client, events) = connected.unwrap();
    (client, events, peer)
}

async fn until(client: &Client, wanted: impl Fn(&SessionState) -> bool) {
    let mut state = client.state();
    let reached = tokio::time::timeout(PATIENCE, state.wait_for(|state| wanted(state))).await;
    reached.expect("the state is never reached").unwrap();
}

async fn next(events: &mut Events) -> Option<WatchEvent> {
    let event = tokio::time::timeout(PATIENCE, events.recv()).await;
    event.expect("no event comes")
}

#[tokio::test]
async fn connect_asks_for_a_new_session_and_takes_what_is_granted() {
    let server = Server::start().await;
    let hosts = hosts(&[&server]);
    let script = async {
        let mut peer = server.accept().await;
        let request = peer.connect_request().await;
        peer.grant(5_000).await;
        (request.fields, peer)
    };
    let (client, (asked, _peer)) =
        tokio::join!(Client::connect(&hosts, Duration::from_secs(8)), script);
    let (client, _events) = client.unwrap();
    assert_eq!((asked.timeout_ms, asked.session), (8_000, SessionId::NONE));
    assert_eq!(client.session_id(), SESSION);
    assert_eq!(client.session_timeout(), Duration::from_secs(5));
    let server = server.address();
    assert_eq!(*client.state().borrow(), SessionState::Connected { server });
}

#[tokio::test]
async fn a_login_goes_before_all_else_on_every_server() {
    let (first, second) = (Server::start().await, Server::start().await);
    let login: Login = "user:secret".parse().unwrap();
    let logged_in = async |peer: &mut Peer| {
        let (xid, opcode, mut body) = peer.request().await;
        assert_eq!((xid, opcode), (XID_AUTH, OpCode::Auth));
        let request = AuthRequest::decode(&mut body).unwrap();
        assert_eq!(&*request.scheme, "digest");
        assert_eq!(request.auth, Some(Bytes::from_static(b"user:secret")));
    };
    let script = async {
        let mut peer = first.welcome(5_000).await;
        logged_in(&mut peer).await;
        peer.reply(XID_AUTH, 0, &()).await;
        peer
    };
    let both = hosts(&[&first]);
    let connecting = Client::connect_as(&both, Duration::from_secs(8), Some(&login));
    let (client, peer) = tokio::join!(connecting, script);
    let (client, _events) = client.unwrap();
    drop(peer);
    let mut peer = first.accept().await;
    assert_eq!(peer.connect_request().await.fields.session, SESSION);
    peer.grant(5_000).await;
    logged_in(&mut peer).await;
    peer.reply(XID_AUTH, 0, &()).await;
    until(&client, |state| {
        matches!(state, SessionState::Connected { .. })
    })
    .await;

    let script = async {
        let mut peer = second.welcome(5_000).await;
        logged_in(&mut peer).await;
        peer.refuse(XID_AUTH, -115).await;
    };
    let only = hosts(&[&second]);
    let connecting = Client::connect_as(&only, Duration::from_secs(8), Some(&login));
    let (refused, ()) = tokio::join!(connecting, script);
    let attempts = refused.unwrap_err().attempts;
    assert!(matches!(attempts[0].1, AttemptError::Login(_)));
}

#[tokio::test]
async fn connect_tries_every_host_and_says_why_each_did_not_do() {
    let closing = Server::start().await;
    let (_socket, refusing) = refusing();
    let both: Hosts = format!("{},{refusing}", closing.address()).parse().unwrap();
    let (connected, ()) = tokio::join!(Client::connect(&both, Duration::from_secs(8)), async {
        let mut peer = closing.accept().await;
        peer.connect_request().await;
    });
    let ConnectError { attempts } = connected.unwrap_err();
    assert_eq!(attempts.len(), 2);
    for (server, error) in attempts {
        match error {
            AttemptError::Io(_) => assert_eq!(server, refusing),
            AttemptError::Closed => assert_eq!(server, closing.address()),
            other => panic!("{server}: {other}"),
        }
    }
}

#[tokio::test]
async fn connect_gives_a_silent_host_its_share_of_time_and_goes_on() {
    let silent = Server::start().await;
    let good = Server::start().await;
    let both = hosts(&[&silent, &good]);
    let connecting = Client::connect(&both, Duration::from_millis(600));
    let (connected, _peer) = tokio::join!(connecting, good.welcome(5_000));
    assert_eq!(connected.unwrap().0.session_id(), SESSION);
}

#[tokio::test]
async fn requests_are_sent_without_waiting_and_answered_in_order() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 5_000).await;
    let mode = CreateMode {
        lifetime: crate::tree::Lifetime::Ephemeral,
        sequential: true,
    };
    let requests = async {
        tokio::join!(
            client.create("/a-", "x", mode),
            client.data("/b", Watch::No),
            client.children("/c", Watch::Once),
        )
    };
    let script = async {
        let (create, opcode, mut body) = peer.request().await;
        assert_eq!(opcode, OpCode::Create);
        assert_eq!(CreateRequest::decode(&mut body).unwrap().flags, 3);
        let (data, opcode, _) = peer.request().await;
        assert_eq!(opcode, OpCode::GetData);
        let (children, _, mut body) = peer.request().await;
        assert!(ReadRequest::decode(&mut body).unwrap().watch);
        peer.reply(create, 7, &String::from("/a-0000000000")).await;
        let stat = Stat {
            version: 4,
            ..Stat::default()
        };
        let response = DataResponse { data: None, stat };
        peer.reply(data, 7, &response).await;
        let response = ChildrenResponse {
            children: vec!["x".into()],
            stat,
        };
        peer.reply(children, 7, &response).await;
    };
    let ((created, data, children), ()) = tokio::join!(requests, script);
    assert_eq!(created.unwrap(), "/a-0000000000");
    let (data, stat) = data.unwrap();
    assert_eq!((data, stat.version), (Bytes::new(), 4));
    assert_eq!(children.unwrap().0, ["x".into()]);
}

#[tokio::test]
async fn refusals_carry_their_path_and_code() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 5_000).await;
    let requests =
        async { tokio::join!(client.delete("/a", Some(3)), client.exists("/a", Watch::No)) };
    let script = async {
        let (xid, ..) = peer.request().await;
        peer.refuse(xid, -103).await;
        let (xid, ..) = peer.request().await;
        peer.refuse(xid, -101).await;
    };
    let ((deleted, found), ()) = tokio::join!(requests, script);
    let error = deleted.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::BadVersion));
    assert_eq!(error.to_string(), "/a: version does not match");
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn requests_no_server_would_take_are_not_sent() {
    let server = Server::start().await;
    let (client, _events, _peer) = connected(&server, 5_000).await;
    let result = client.set_data("/a", vec![0; 1 << 20], None).await;
    assert!(matches!(result, Err(ClientError::TooLong { .. })));
}

#[tokio::test]
async fn a_request_without_an_answer_times_out_while_pings_go_on() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 300).await;
    let script = async {
        let (_, opcode, _) = peer.request().await;
        assert_eq!(opcode, OpCode::Sync);
        // Answers pings only, until the request has timed out.
        peer.request().await
    };
    let requests = async {
        let error = client.sync("/").await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout(_)), "{error}");
        let _ = tokio::time::timeout(Duration::ZERO, client.sync("/")).await;
    };
    let ((_, opcode, _), ()) = tokio::join!(script, requests);
    assert_eq!(opcode, OpCode::Sync);
}

#[tokio::test]
async fn an_idle_session_is_kept_by_pings_at_a_third_of_its_timeout() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 600).await;
    let start = Instant::now();
    for _ in 0..4 {
        let (xid, opcode, _) = peer.any_request().await.unwrap();
        assert_eq!((xid, opcode), (XID_PING, OpCode::Ping));
        peer.pong().await;
    }
    assert!(
        start.elapsed() >= Duration::from_millis(700),
        "{:?}",
        start.elapsed()
    );
    let server = server.address();
    assert_eq!(*client.state().borrow(), SessionState::Connected { server });
}

#[tokio::test]
async fn a_lost_connection_fails_what_was_under_way_and_reattaches_elsewhere() {
    let (first, second) = (Server::start().await, Server::start().await);
    let both = hosts(&[&first, &second]);
    let script = async {
        let (mut peer, other) = tokio::select! {
            peer = first.welcome(5_000) => (peer, &second),
            peer = second.welcome(5_000) => (peer, &first),
        };
        let (xid, ..) = peer.request().await;
        peer.reply(xid, 0x77, &String::from("/")).await;
        peer.request().await;
        drop(peer);
        // Whichever is asked, the answer is the same.
        let mut peer = tokio::select! {
            peer = other.accept() => peer,
            peer = first.accept() => peer,
            peer = second.accept() => peer,
        };
        let request = peer.connect_request().await.fields;
        assert_eq!(
            (request.session, request.password),
            (SESSION, Some(PASSWORD))
        );
        assert_eq!(request.last_zxid_seen, 0x77);
        peer.grant(5_000).await;
        let (xid, ..) = peer.request().await;
        peer.reply(xid, 0x78, &String::from("/")).await;
        peer
    };
    let requests = async {
        let (client, mut events) = Client::connect(&both, Duration::from_secs(8))
            .await
            .unwrap();
        client.sync("/").await.unwrap();
        let error = client.sync("/").await.unwrap_err();
        assert!(matches!(error, ClientError::ConnectionLoss), "{error}");
        assert_eq!(next(&mut events).await, Some(WatchEvent::Lost));
        client.sync("/").await.unwrap();
        assert!(matches!(
            *client.state().borrow(),
            SessionState::Connected { .. }
        ));
        client
    };
    tokio::join!(requests, script);
}

#[tokio::test]
async fn a_host_that_is_down_does_not_keep_the_session_from_the_other() {
    let (first, second) = (Server::start().await, Server::start().await);
    let both = hosts(&[&first, &second]);
    let connecting = Client::connect(&both, Duration::from_secs(8));
    let script = async {
        tokio::select! {
            peer = first.welcome(5_000) => (peer, 1),
            peer = second.welcome(5_000) => (peer, 2),
        }
    };
    let (client, (peer, at)) = tokio::join!(connecting, script);
    let (client, _events) = client.unwrap();
    drop(peer);
    let other = if at == 1 {
        drop(first);
        second
    } else {
        drop(second);
        first
    };
    let mut peer = other.accept().await;
    assert_eq!(peer.connect_request().await.fields.session, SESSION);
    peer.grant(5_000).await;
    let server = other.address();
    until(&client, |state| {
        *state
            == SessionState::Connected {
                server: server.clone(),
            }
    })
    .await;
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_two_thirds_of_the_timeout() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 600).await;
    let start = Instant::now();
    until(&client, |state| *state == SessionState::Disconnected).await;
    let after = start.elapsed();
    assert!(after >= Duration::from_millis(350), "{after:?}");
    while peer.any_request().await.is_some() {}
}

#[tokio::test]
async fn a_session_the_ensemble_has_dropped_is_expired_for_good() {
    let server = Server::start().await;
    let (client, mut events, peer) = connected(&server, 5_000).await;
    drop(peer);
    let mut peer = server.accept().await;
    peer.connect_request().await;
    peer.disown().await;
    until(&client, |state| *state == SessionState::Expired).await;
    assert!(matches!(client.sync("/").await, Err(ClientError::Expired)));
    assert_eq!(next(&mut events).await, None);
    assert!(client.close().await.is_ok());
}

#[tokio::test]
async fn a_session_without_contact_for_its_timeout_is_given_up() {
    let server = Server::start().await;
    let (client, mut events, peer) = connected(&server, 500).await;
    let waiting = async {
        // Waits in the queue for a server that never comes.
        until(&client, |state| *state == SessionState::Disconnected).await;
        client.sync("/").await
    };
    let script = async {
        drop(peer);
        drop(server);
    };
    let (result, ()) = tokio::join!(waiting, script);
    let error = result.unwrap_err();
    assert!(
        matches!(error, ClientError::Expired | ClientError::Timeout(_)),
        "{error}"
    );
    until(&client, |state| *state == SessionState::Expired).await;
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn events_come_in_order_and_before_the_reply_that_shows_the_change() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, 5_000).await;
    let script = async {
        let (xid, ..) = peer.request().await;
        peer.event(EventType::Created, "/a").await;
        peer.event(EventType::DataChanged, "/a").await;
        peer.event(EventType::ChildrenChanged, "/").await;
        peer.event(EventType::Deleted, "/a").await;
        peer.reply(xid, 9, &String::from("/")).await;
    };
    let (synced, ()) = tokio::join!(client.sync("/"), script);
    synced.unwrap();
    let path = || String::from("/a");
    for expected in [
        WatchEvent::Created(path()),
        WatchEvent::DataChanged(path()),
        WatchEvent::ChildrenChanged("/".into()),
        WatchEvent::Deleted(path()),
    ] {
        assert_eq!(events.try_recv(), Ok(expected));
    }
}

#[tokio::test]
async fn what_is_no_answer_costs_the_connection_and_nothing_else() {
    let nonsense: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 2, 1, 2],
        // A reply to request 99, which was never made.
        &[0, 0, 0, 16, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    ];
    for bytes in nonsense {
        let server = Server::start().await;
        let (client, _events, mut peer) = connected(&server, 5_000).await;
        let script = async {
            peer.request().await;
            peer.send_bytes(bytes).await;
            let mut peer = server.accept().await;
            peer.connect_request().await;
            peer.grant(5_000).await;
            peer
        };
        let (result, _peer) = tokio::join!(client.sync("/"), script);
        assert!(
            matches!(result, Err(ClientError::ConnectionLoss)),
            "{bytes:?}"
        );
        until(&client, |state| {
            matches!(state, SessionState::Connected { .. })
        })
        .await;
    }
}

#[tokio::test]
async fn close_ends_the_session_on_the_server() {
    let server = Server::start().await;
    let (client, mut events, mut peer) = connected(&server, 5_000).await;
    let state = client.state();
    let script = async {
        let (xid, opcode, _) = peer.request().await;
        assert_eq!(opcode, OpCode::CloseSession);
        peer.reply(xid, 9, &()).await;
    };
    let (closed, ()) = tokio::join!(client.close(), script);
    closed.unwrap();
    assert_eq!(*state.borrow(), SessionState::Closed);
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn close_is_repeated_when_the_connection_is_lost_under_it() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 5_000).await;
    let script = async {
        peer.request().await;
        drop(peer);
        let mut peer = server.accept().await;
        peer.connect_request().await;
        peer.disown().await;
    };
    let (closed, ()) = tokio::join!(client.close(), script);
    closed.unwrap();
}

#[tokio::test]
async fn create_all_asks_for_nothing_above_what_exists_and_minds_what_appears() {
    let server = Server::start().await;
    let (client, _events, mut peer) = connected(&server, 5_000).await;
    let script = async {
        for (expected, error) in [
            ("/a/b/c", -101),
            ("/a/b", -101),
            ("/a", -110),
            ("/a/b", 0),
            ("/a/b/c", -110),
        ] {
            let (xid, opcode, mut body) = peer.request().await;
            assert_eq!(opcode, OpCode::Create);
            let path = CreateRequest::decode(&mut body).unwrap().path;
            assert_eq!(&*path, expected);
            match error {
                0 => peer.reply(xid, 1, &path).await,
                error => peer.refuse(xid, error).await,
            }
        }
    };
    let (created, ()) = tokio::join!(client.create_all("/a/b/c"), script);
    created.unwrap();
    // The root is there, and asking for it asks nobody.
    client.create_all("/").await.unwrap();
    client.create_all("").await.unwrap();
}

#[tokio::test]
async fn hosts_that_do_not_resolve_are_reported_like_the_others() {
    let hosts: Hosts = "no-such-host.invalid".parse().unwrap();
    let error = Client::connect(&hosts, Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no-such-host.invalid:2181"),
        "{error}"
    );
}
