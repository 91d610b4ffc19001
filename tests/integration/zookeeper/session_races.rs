//! Sessions that several connections, members and the leader's clock want at the same moment.

use crate::support::ensemble::Members;
use crate::support::proposals::{Session, propose};
use crate::support::zookeeper::{Client, Message, Port, connect_request, create, set};
use crate::support::{eventually, soon};
use rand::RngExt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use zoogate::tree::{Actor, Command, ErrorCode, SessionId, Stat};
use zoogate::zk::wire::{ConnectRequest, OpCode, PathRequest, ReadRequest};

const NAMES: [&str; 3] = ["n1", "n2", "n3"];

/// Granted to the sessions that are to run out of time.
const SHORT: Duration = Duration::from_millis(500);

/// A port on each of three members.
async fn open_ports(members: &Members) -> Vec<Port> {
    let mut ports = Vec::new();
    for name in NAMES {
        let port = Port::open_with(members, name, |settings| {
            settings.session_timeout_min = SHORT;
        });
        ports.push(port.await);
    }
    ports
}

fn exists(path: &str) -> ReadRequest {
    let path = path.into();
    ReadRequest { path, watch: false }
}

/// Whether a znode exists, as the whole ensemble has it now.
async fn stat_of(witness: &mut Client, path: &str) -> Option<Stat> {
    let sync = PathRequest { path: path.into() };
    assert_eq!(witness.call(OpCode::Sync, &sync).await.error(), 0);
    let reply = witness.get(OpCode::Exists, path, false).await;
    match reply.header.error {
        0 => Some(reply.read()),
        code => {
            assert_eq!(code, ErrorCode::NoNode.to_wire());
            None
        }
    }
}

/// Everything the server sends until it closes, or until `enough` replies: their errors.
async fn errors(client: &mut Client, enough: usize) -> Vec<i32> {
    let mut errors = Vec::new();
    while errors.len() < enough {
        match client.message().await {
            Some(Message::Reply(reply)) => errors.push(reply.error()),
            Some(Message::Event { .. }) => {}
            None => break,
        }
    }
    errors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_a_moved_session_come_before_the_move_or_never() {
    const WRITES: usize = 200;
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let mut cut = 0;
    for round in 0..20 {
        let path = format!("/moved-{round}");
        let mut old = Client::open(ports[round % 3].addr).await;
        assert_eq!(old.create(&path, 0).await.error(), 0);
        let take_over = old.reattach_request();
        for write in 0..WRITES {
            old.send(OpCode::SetData, &set(&path, &format!("old {write}")))
                .await;
            old.send(OpCode::Exists, &exists("/")).await;
        }
        let mut new = Client::connect(ports[(round + 1) % 3].addr).await;
        let (acknowledged, response) =
            tokio::join!(errors(&mut old, 2 * WRITES), new.shake(&take_over));
        let response = response.expect("an answer");
        assert_eq!(response.fields.session, take_over.fields.session);
        // What the old connection was told at all, it was told of writes and reads that were done.
        assert!(
            acknowledged.iter().all(|error| *error == 0),
            "{acknowledged:?}"
        );
        let stat: Stat = new.set(&path, "new").await.read();
        let before = usize::try_from(stat.version).expect("counts up") - 1;
        let told = acknowledged.len().div_ceil(2);
        assert!(
            told <= before && before <= WRITES,
            "{told} told, {before} done"
        );
        cut += usize::from(before < WRITES);
        old.send(OpCode::SetData, &set(&path, "late")).await;
        old.closed().await;
        assert_eq!(stat_of(&mut new, &path).await, Some(stat));
    }
    assert!(cut > 0, "no session moved while it wrote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_meets_a_move_ends_the_session_before_it_or_not_at_all() {
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let mut witness = Client::open(ports[0].addr).await;
    for round in 0..30 {
        let path = format!("/closed-{round}");
        let mut old = Client::open(ports[round % 3].addr).await;
        assert_eq!(old.create(&path, 1).await.error(), 0);
        let take_over = old.reattach_request();
        let mut new = Client::connect(ports[(round + 1) % 3].addr).await;
        let closing = async {
            sleep(Duration::from_micros(200) * (round as u32 % 10)).await;
            old.send(OpCode::CloseSession, &()).await;
            errors(&mut old, usize::MAX).await
        };
        let (closed, response) = tokio::join!(closing, new.shake(&take_over));
        let response = response.expect("an answer").fields;
        match closed[..] {
            [0] => {
                assert_eq!(response.timeout_ms, 0);
                assert_eq!(stat_of(&mut witness, &path).await, None);
            }
            [] => {
                assert_eq!(response.session, take_over.fields.session);
                assert!(holds(&mut new, &path).await);
            }
            _ => panic!("{closed:?}"),
        }
    }
}

/// Takes a session over; the client, if it was granted and the connection is still there.
async fn seize(addr: SocketAddr, request: ConnectRequest) -> Option<Client> {
    let mut client = Client::connect(addr).await;
    let response = client.shake(&request).await?;
    assert_eq!(response.fields.session, request.fields.session);
    Some(client)
}

/// Whether the connection holds its session, asked by a read of `path`, which must be its ephemeral.
async fn holds(client: &mut Client, path: &str) -> bool {
    client.send(OpCode::Exists, &exists(path)).await;
    match client.message().await {
        None => false,
        Some(Message::Reply(reply)) => {
            let stat: Stat = reply.read();
            assert_eq!(stat.ephemeral_owner, client.session);
            true
        }
        Some(event) => panic!("nothing is watched: {event:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_connections_that_present_one_session_at_once_exactly_one_keeps_it() {
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let connections = || -> i64 {
        let counts = ports.iter().map(|port| &port.metrics.coordination);
        counts.map(|counts| counts.zk_connections.get()).sum()
    };
    let mut holder = Client::open(ports[0].addr).await;
    assert_eq!(holder.create("/e", 1).await.error(), 0);
    for round in 0..50 {
        let rivals = if round % 2 == 0 { 2 } else { 20 };
        let seizures: JoinSet<_> = (0..rivals)
            .map(|rival| seize(ports[(round + rival) % 3].addr, holder.reattach_request()))
            .collect();
        let granted: Vec<Client> = soon(seizures.join_all())
            .await
            .into_iter()
            .flatten()
            .collect();
        assert!(!granted.is_empty(), "round {round}");
        holder.closed().await;
        eventually("one connection is left", || connections() == 1).await;
        let mut holders = Vec::new();
        for mut client in granted {
            if holds(&mut client, "/e").await {
                holders.push(client);
            }
        }
        assert_eq!(holders.len(), 1, "round {round}");
        holder = holders.pop().expect("just counted");
        assert_eq!(holder.set("/e", "mine").await.error(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_at_every_member_disturb_no_write_of_the_holder() {
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let mut holder = Client::open(ports[0].addr).await;
    assert_eq!(holder.create("/e", 1).await.error(), 0);
    let mut wrong = holder.reattach_request();
    wrong.fields.password = Some(vec![0xa5; 16].into());
    let attempts: JoinSet<_> = (0..60)
        .map(|attempt| {
            let (addr, request) = (ports[attempt % 3].addr, wrong.clone());
            async move {
                let mut thief = Client::connect(addr).await;
                let response = thief.shake(&request).await.expect("an answer");
                thief.closed().await;
                (response.fields.session, response.fields.timeout_ms)
            }
        })
        .collect();
    for write in 0..200 {
        holder
            .send(OpCode::SetData, &set("/e", &format!("{write}")))
            .await;
    }
    let (answers, refused) = tokio::join!(errors(&mut holder, 200), attempts.join_all());
    assert_eq!(answers, [0; 200]);
    assert_eq!(refused, [(SessionId::NONE, 0); 60]);
    assert!(holds(&mut holder, "/e").await);
}

/// Lets a new session fall silent, comes back `after` its last sign of life at another member, and says
/// whether it was still there. Its ephemeral must share its fate.
async fn come_back(ports: [SocketAddr; 3], number: usize, after: Duration) -> bool {
    let path = format!("/back-{number}");
    let mut request = connect_request();
    request.fields.timeout_ms = 1;
    let mut client = Client::connect(ports[number % 3]).await;
    let response = client.shake(&request).await.expect("an answer");
    assert_eq!(response.fields.timeout_ms, SHORT.as_millis() as i32);
    assert_eq!(client.create(&path, 1).await.error(), 0);
    let last_sign = Instant::now();
    let request = client.reattach_request();
    drop(client);
    sleep_until(last_sign + after).await;
    let mut client = Client::connect(ports[(number + 1) % 3]).await;
    // Closed without an answer: granted, and over before the answer was made.
    let granted = match client.shake(&request).await {
        None => false,
        Some(response) if response.fields.timeout_ms == 0 => {
            assert_eq!(response.fields.session, SessionId::NONE);
            client.closed().await;
            false
        }
        Some(response) => {
            assert_eq!(response.fields.session, request.fields.session);
            true
        }
    };
    if granted && !holds(&mut client, &path).await {
        // A machine that stood still let the session run out a second time.
        return false;
    }
    if !granted {
        let mut witness = Client::open(ports[(number + 2) % 3]).await;
        assert_eq!(stat_of(&mut witness, &path).await, None, "an orphan");
    }
    granted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_comes_back_around_its_deadline_is_whole_or_gone() {
    const SESSIONS: usize = 40;
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let addrs = [ports[0].addr, ports[1].addr, ports[2].addr];
    let (mut alive, mut gone) = (0, 0);
    for round in 0..5 {
        let attempts: JoinSet<_> = (0..SESSIONS)
            .map(|number| {
                let after = match number {
                    0 => SHORT / 4,
                    1 => SHORT * 3,
                    _ => {
                        SHORT + Duration::from_millis(rand::rng().random_range(0..120))
                            - Duration::from_millis(40)
                    }
                };
                come_back(addrs, round * SESSIONS + number, after)
            })
            .collect();
        let granted = soon(attempts.join_all()).await;
        alive += granted.iter().filter(|granted| **granted).count();
        gone += granted.iter().filter(|granted| !**granted).count();
    }
    assert!(alive > 0 && gone > 0, "{alive} alive, {gone} gone");
    for name in NAMES {
        let member = members.member(name);
        eventually("every session ends with its ephemeral", || {
            member.read(|tree| {
                let (counts, open) = (tree.counts(), tree.sessions().count());
                assert!(counts.ephemerals <= open, "an orphan");
                open == 0
            })
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_behind_the_end_of_the_session_are_not_carried_out() {
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let mut witness = Client::open(ports[0].addr).await;
    for port in &ports {
        let mut client = Client::open(port.addr).await;
        client.send(OpCode::Create, &create("/before", 1)).await;
        client.send(OpCode::CloseSession, &()).await;
        client.send(OpCode::Create, &create("/orphan", 1)).await;
        client.send(OpCode::Create, &create("/behind", 0)).await;
        assert_eq!(errors(&mut client, 4).await, [0, 0]);
        for path in ["/before", "/orphan", "/behind"] {
            assert_eq!(stat_of(&mut witness, path).await, None, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_decides_between_an_ephemeral_and_the_end_of_its_session() {
    let members = Members::start(3).await;
    let leader = members.member(&members.leader().await);
    let follower = members.member(&members.follower().await);
    for round in 0..100 {
        let session = Session::open(&follower, Duration::from_secs(10)).await;
        let path = format!("/e-{round}");
        let end = Command::CloseSession {
            session: session.id,
            attachment: Some(session.attachment),
        };
        let ending = async {
            // The leader has the shorter way; give the follower a chance, too.
            sleep(Duration::from_micros(200) * (round % 10)).await;
            propose(&leader, Actor::Ensemble, end).await
        };
        let (made, ended) = tokio::join!(session.create(&follower, &path, true), ending);
        assert!(ended.result.is_ok());
        match made.result {
            Ok(_) => assert!(made.zxid < ended.zxid),
            Err(code) => {
                assert_eq!(code, ErrorCode::SessionExpired);
                assert!(made.zxid > ended.zxid);
            }
        }
        eventually("the end is known", || {
            follower.read(|tree| tree.last_zxid() >= ended.zxid)
        })
        .await;
        assert!(follower.read(|tree| tree.get(&path).is_none()), "an orphan");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reattach_negotiates_the_timeout_anew_and_it_counts_from_then_on() {
    let members = Members::start(3).await;
    let ports = open_ports(&members).await;
    let mut client = Client::open(ports[0].addr).await;
    let timeout_ms = |session| {
        let read = |tree: &zoogate::tree::Tree| tree.session(session).map(|it| it.timeout_ms);
        members.member("n1").read(read)
    };
    for (asked, granted) in [(i32::MAX, 40_000), (-1, 500), (4_321, 4_321), (0, 500)] {
        let mut request = client.reattach_request();
        request.fields.timeout_ms = asked;
        client = Client::connect(ports[0].addr).await;
        let response = client.shake(&request).await.expect("an answer");
        assert_eq!(response.fields.timeout_ms, granted);
        assert_eq!(timeout_ms(client.session), Some(granted as u32));
    }
    let begun = Instant::now();
    client.closed().await;
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "by the last timeout: {took:?}"
    );
}
