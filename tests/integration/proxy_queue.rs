//! Endpoints with a limit: who waits, in which order, and how waiting ends.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, request, text};
use crate::support::traffic::{Setup, Traffic, endpoint};
use crate::support::{eventually, soon};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use zoogate::config::{Protocol, ServicePolicy, Strategy};
use zoogate::net::now_ms;

/// A data plane whose endpoint serves one connection at a time, and the endpoint.
async fn narrow(change: impl FnOnce(&mut ServicePolicy)) -> (Traffic, TcpListener) {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup {
        workers: 2,
        ..Setup::new(Protocol::Tcp, &[upstream.local_addr().unwrap()])
    };
    let traffic = setup.policy(|policy| policy.max_connections = Some(1));
    (traffic.policy(change).start(), upstream)
}

/// A client that says its name once it is connected.
async fn client(addr: SocketAddr, name: u8) -> TcpStream {
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(&[name]).await.unwrap();
    client
}

/// The endpoint's side of the next connection, and the name of its client.
async fn next(upstream: &TcpListener) -> (TcpStream, u8) {
    let (mut stream, _) = soon(upstream.accept()).await.unwrap();
    let name = soon(stream.read_u8()).await.unwrap();
    (stream, name)
}

fn waiting(traffic: &Traffic) -> usize {
    let table = traffic.table.load();
    table.service("web").unwrap().balancer.queue().len()
}

async fn await_waiting(traffic: &Traffic, count: usize) {
    eventually("clients that wait", || waiting(traffic) == count).await;
}

/// A client that is refused: before it has noticed that it is connected, or afterwards.
async fn refused(addr: SocketAddr) {
    let end = match TcpStream::connect(addr).await {
        Ok(mut client) => end(&mut client).await,
        Err(error) => Err(error.kind()),
    };
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

/// How the client's connection ends.
async fn end(client: &mut TcpStream) -> Result<(), ErrorKind> {
    let read = soon(client.read_to_end(&mut Vec::new())).await;
    read.map(drop).map_err(|e| e.kind())
}

#[tokio::test]
async fn a_full_endpoint_is_waited_for_in_the_order_of_arrival() {
    let (traffic, upstream) = narrow(|_| {}).await;
    let first = client(traffic.addr, 0).await;
    let (mut held, _) = next(&upstream).await;
    let mut clients = vec![first];
    for name in 1..=5 {
        clients.push(client(traffic.addr, name).await);
        await_waiting(&traffic, usize::from(name)).await;
    }
    let more = timeout(Duration::from_millis(200), upstream.accept());
    assert!(more.await.is_err(), "one connection at a time");
    for name in 1..=5 {
        drop(held);
        drop(clients.remove(0));
        let (stream, served) = next(&upstream).await;
        assert_eq!(served, name);
        held = stream;
    }
    assert_eq!(waiting(&traffic), 0);
    let waits = traffic.metric("zoogate_queue_wait_seconds_count{service=\"web\"}");
    assert_eq!(waits, 5.0);
}

#[tokio::test]
async fn whoever_comes_while_others_wait_waits_behind_them() {
    let (mut traffic, upstream) = narrow(|_| {}).await;
    let _first = client(traffic.addr, 0).await;
    let _held = next(&upstream).await;
    let _second = client(traffic.addr, 1).await;
    await_waiting(&traffic, 1).await;
    // Room for all: the one that waits is told, and nobody overtakes it.
    traffic.change_policy(|policy| policy.max_connections = Some(2));
    let (_stream, served) = next(&upstream).await;
    assert_eq!(served, 1);
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_at_once() {
    let (traffic, upstream) = narrow(|policy| policy.queue = 1).await;
    let first = client(traffic.addr, 0).await;
    let held = next(&upstream).await;
    let _second = client(traffic.addr, 1).await;
    await_waiting(&traffic, 1).await;
    refused(traffic.addr).await;
    eventually("counters", || traffic.closed("queue-full") == 1.0).await;
    let errors =
        traffic.metric("zoogate_upstream_errors_total{reason=\"queue-full\",service=\"web\"}");
    assert_eq!(errors, 1.0);
    drop((first, held));
    assert_eq!(next(&upstream).await.1, 1);
}

#[tokio::test]
async fn waiting_has_an_end() {
    let (traffic, upstream) = narrow(|p| p.queue_timeout = Duration::from_millis(400)).await;
    let _first = client(traffic.addr, 0).await;
    let _held = next(&upstream).await;
    let began = now_ms();
    let mut second = client(traffic.addr, 1).await;
    assert_eq!(end(&mut second).await, Err(ErrorKind::ConnectionReset));
    assert!((390..3000).contains(&(now_ms() - began)));
    eventually("counters", || traffic.closed("queue-timeout") == 1.0).await;
    assert_eq!(waiting(&traffic), 0);
}

#[tokio::test]
async fn an_endpoint_that_joins_serves_who_waits_and_a_service_that_empties_refuses_them() {
    let (traffic, upstream) = narrow(|_| {}).await;
    let _first = client(traffic.addr, 0).await;
    let _held = next(&upstream).await;
    let _second = client(traffic.addr, 1).await;
    await_waiting(&traffic, 1).await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let joined = endpoint(&other.local_addr().unwrap());
    let both = [traffic.endpoints[0].clone(), joined];
    traffic.use_endpoints(&both);
    let (_stream, served) = next(&other).await;
    assert_eq!(served, 1);

    let mut third = client(traffic.addr, 2).await;
    let mut fourth = client(traffic.addr, 3).await;
    await_waiting(&traffic, 2).await;
    traffic.use_endpoints(&[]);
    assert_eq!(end(&mut third).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(end(&mut fourth).await, Err(ErrorKind::ConnectionReset));
    eventually("counters", || traffic.closed("no-endpoints") == 2.0).await;
}

#[tokio::test]
async fn leases_from_before_the_limit_make_room_too() {
    let (mut traffic, upstream) = narrow(|policy| policy.max_connections = None).await;
    let first = client(traffic.addr, 0).await;
    let held = next(&upstream).await;
    traffic.change_policy(|policy| policy.max_connections = Some(1));
    let _second = client(traffic.addr, 1).await;
    await_waiting(&traffic, 1).await;
    drop((first, held));
    assert_eq!(next(&upstream).await.1, 1);
}

#[tokio::test]
async fn an_exchange_that_failed_to_connect_does_not_hold_up_those_behind_it() {
    let (upstream, refusing) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let addrs = [&upstream, &refusing].map(|l| l.local_addr().unwrap());
    drop(refusing);
    let traffic = Setup::new(Protocol::Tcp, &addrs)
        .policy(|policy| {
            policy.max_connections = Some(1);
            policy.strategy = Strategy::RoundRobin;
        })
        .start();
    let first = client(traffic.addr, 0).await;
    let held = next(&upstream).await;
    // Refused by the one, it waits for the other.
    let _second = client(traffic.addr, 1).await;
    await_waiting(&traffic, 1).await;
    let accepting = TcpListener::bind(addrs[1]).await.unwrap();
    let _third = client(traffic.addr, 2).await;
    let (_stream, served) = next(&accepting).await;
    assert_eq!(served, 2);
    assert_eq!(waiting(&traffic), 1);
    drop((first, held));
    assert_eq!(next(&upstream).await.1, 1);
}

#[tokio::test]
async fn who_waits_is_told_when_the_node_stops() {
    let (traffic, upstream) = narrow(|policy| policy.queue_timeout = Duration::from_secs(60)).await;
    let _first = client(traffic.addr, 0).await;
    let _held = next(&upstream).await;
    let mut second = client(traffic.addr, 1).await;
    await_waiting(&traffic, 1).await;
    soon(traffic.stop(Duration::from_millis(100))).await;
    assert_eq!(end(&mut second).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn requests_wait_for_an_endpoint_as_connections_do() {
    let origin = Origin::http(|_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        text("ok")
    })
    .await;
    let traffic = Setup {
        workers: 2,
        ..Setup::new(Protocol::Http, &[origin.addr])
    }
    .policy(|policy| policy.max_connections = Some(1))
    .start();
    let asked = (0..8).map(|_| request(traffic.addr, "GET / HTTP/1.1", ""));
    for reply in soon(futures_util::future::join_all(asked)).await {
        assert_eq!(reply.status(), 200);
    }
    assert!(traffic.metric("zoogate_queue_wait_seconds_count{service=\"web\"}") >= 6.0);
}

#[tokio::test]
async fn a_request_that_finds_no_room_is_told_why() {
    let origin = Origin::http(|_| std::future::pending()).await;
    let mut traffic = Setup::new(Protocol::Http, &[origin.addr])
        .policy(|policy| {
            policy.max_connections = Some(1);
            policy.queue_timeout = Duration::from_millis(100);
        })
        .start();
    let mut busy = TcpStream::connect(traffic.addr).await.unwrap();
    let ask = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
    busy.write_all(ask).await.unwrap();
    eventually("a request under way", || origin.connections() == 1).await;
    let late = soon(request(traffic.addr, "GET / HTTP/1.1", "")).await;
    traffic.change_policy(|policy| policy.queue = 0);
    let full = soon(request(traffic.addr, "GET / HTTP/1.1", "")).await;
    for (reply, reason) in [(late, "queue-timeout"), (full, "queue-full")] {
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.header("x-zoogate-reason").as_deref(), Some(reason));
    }
}
