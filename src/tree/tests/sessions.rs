//! Opening, attaching and closing sessions, and what follows for those who act through them.

use super::fixture::*;
use crate::tree::{
    Actor, Change, Command, ErrorCode, Event, Outcome, Reply, Session, SessionId, Zxid,
};
use bytes::Bytes;

fn attach(session: SessionId, password: &'static [u8]) -> Command {
    Command::AttachSession {
        session,
        password: Bytes::from_static(password),
        member: 2,
        timeout_ms: 8_000,
    }
}

fn close(session: SessionId, attachment: Option<Zxid>) -> Command {
    Command::CloseSession {
        session,
        attachment,
    }
}

fn refused(fixture: &mut Fixture, actor: &Actor, command: Command, code: ErrorCode) {
    let (digest, counts) = (fixture.tree.digest(), fixture.tree.counts());
    let expected = Outcome {
        result: Err(code),
        events: vec![],
    };
    assert_eq!(fixture.apply(actor, command), expected);
    assert_eq!(fixture.tree.digest(), digest);
    assert_eq!(fixture.tree.counts(), counts);
}

#[test]
fn opened_session_is_known_by_member_and_zxid() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let session = session_of(&client);
    assert_eq!(session, SessionId::new(1, Zxid(1)));
    let expected = Session {
        password: [9; 16],
        timeout_ms: 4_000,
        attachment: Zxid(1),
        member: 1,
    };
    assert_eq!(fixture.tree.session(session), Some(&expected));
    let all: Vec<_> = fixture.tree.sessions().collect();
    assert_eq!(all, [(session, &expected)]);
}

#[test]
fn attaching_moves_the_session_and_renegotiates_its_timeout() {
    let mut fixture = Fixture::new();
    let session = session_of(&fixture.open());
    let outcome = fixture.apply(&Actor::Ensemble, attach(session, &[9; 16]));
    let expected = Outcome {
        result: Ok(Reply::Session {
            id: session,
            password: [9; 16],
            timeout_ms: 8_000,
        }),
        events: vec![Event::SessionAttached {
            session,
            attachment: Zxid(2),
            member: 2,
        }],
    };
    assert_eq!(outcome, expected);
    let now = fixture.tree.session(session).expect("open");
    assert_eq!((now.attachment, now.member), (Zxid(2), 2));
}

#[test]
fn attaching_needs_the_session_and_its_password() {
    let mut fixture = Fixture::new();
    let session = session_of(&fixture.open());
    let ensemble = Actor::Ensemble;
    for (id, password) in [
        (session, &[8; 16][..]),
        (session, &[9; 15]),
        (session, &[9; 17]),
        (session, &[]),
        (SessionId(77), &[9; 16]),
        (SessionId::NONE, &[9; 16]),
    ] {
        let command = attach(id, password);
        refused(&mut fixture, &ensemble, command, ErrorCode::SessionExpired);
    }
}

#[test]
fn older_attachment_may_not_act() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let session = session_of(&client);
    fixture.must(create("/a"));
    fixture.apply(&Actor::Ensemble, attach(session, &[9; 16]));
    for command in [
        Command::One(create("/b")),
        Command::One(check("/absent", -1)),
        Command::Multi(vec![]),
        close(session, None),
    ] {
        refused(&mut fixture, &client, command, ErrorCode::SessionMoved);
    }
}

#[test]
fn closed_session_may_not_act() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let session = session_of(&client);
    fixture.apply(&client, close(session, None));
    for command in [
        Command::One(create_as("/e", EPHEMERAL)),
        Command::Multi(vec![]),
        close(session, None),
    ] {
        refused(&mut fixture, &client, command, ErrorCode::SessionExpired);
    }
    let attach = attach(session, &[9; 16]);
    refused(
        &mut fixture,
        &Actor::Ensemble,
        attach,
        ErrorCode::SessionExpired,
    );
}

#[test]
fn closing_removes_ephemerals_in_path_order_at_one_zxid() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let session = session_of(&client);
    fixture.must(create("/p"));
    for path in ["/z", "/p/b", "/p/a", "/a"] {
        fixture
            .one(&client, create_as(path, EPHEMERAL))
            .expect("created");
    }
    fixture.must(create("/p/stays"));
    let other = fixture.open();
    fixture
        .one(&other, create_as("/p/other", EPHEMERAL))
        .expect("created");
    let mut owned: Vec<String> = fixture.tree.ephemerals(session).collect();
    owned.sort();
    assert_eq!(owned, ["/a", "/p/a", "/p/b", "/z"]);

    let outcome = fixture.apply(&client, close(session, None));
    assert_eq!(outcome.result, Ok(Reply::Closed));
    let mut expected = Vec::new();
    for (path, parent) in [("/a", "/"), ("/p/a", "/p"), ("/p/b", "/p"), ("/z", "/")] {
        expected.push(event(Change::Deleted, path));
        expected.push(event(Change::Children, parent));
    }
    expected.push(Event::SessionClosed {
        session,
        is_expired: false,
    });
    assert_eq!(outcome.events, expected);
    let parent = fixture.stat("/p");
    assert_eq!((parent.pzxid, parent.num_children), (fixture.zxid, 2));
    assert_eq!(parent.cversion, 4 + 2);
    assert_eq!(fixture.stat("/").pzxid, fixture.zxid);
    assert_eq!(fixture.tree.ephemerals(session).count(), 0);
    assert_eq!(fixture.tree.counts().ephemerals, 1);
}

#[test]
fn expiry_is_void_after_a_new_attachment() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let session = session_of(&client);
    fixture
        .one(&client, create_as("/e", EPHEMERAL))
        .expect("created");
    fixture.apply(&Actor::Ensemble, attach(session, &[9; 16]));
    let attached = fixture.zxid;
    let ensemble = Actor::Ensemble;
    let stale = close(session, Some(Zxid(1)));
    refused(&mut fixture, &ensemble, stale, ErrorCode::SessionMoved);
    assert!(fixture.tree.get("/e").is_some());
    let current = close(session, Some(attached));
    let outcome = fixture.apply(&ensemble, current.clone());
    assert_eq!(outcome.result, Ok(Reply::Closed));
    let expired = Event::SessionClosed {
        session,
        is_expired: true,
    };
    assert_eq!(outcome.events.last(), Some(&expired));
    assert!(fixture.tree.get("/e").is_none());
    refused(&mut fixture, &ensemble, current, ErrorCode::SessionExpired);
}

#[test]
fn client_may_close_only_its_own_session() {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    let other = session_of(&fixture.open());
    refused(
        &mut fixture,
        &client,
        close(other, None),
        ErrorCode::BadArguments,
    );
}
