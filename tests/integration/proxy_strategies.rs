//! Strategies that look at what goes on: exchanges under way, and how long endpoints take.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{self, Origin};
use crate::support::soon;
use crate::support::traffic::{Setup, Traffic};
use http_body_util::{BodyExt, Full};
use hyper::Response;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use zoogate::config::{Protocol, Strategy};
use zoogate::net::now_ms;

/// How much slower the slow one of two endpoints is: far above what a busy machine adds.
const SLOW: Duration = Duration::from_millis(100);

/// An endpoint that sends back what it gets, `late`, and keeps its connections.
async fn echo(late: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    sleep(late).await;
                    if stream.write_all(&byte).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

/// A client that has had an answer, so that it is known where it is connected.
async fn client(traffic: &Traffic) -> TcpStream {
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    client.write_all(b"x").await.unwrap();
    let mut byte = [0];
    soon(client.read_exact(&mut byte)).await.unwrap();
    client
}

fn strategy(protocol: Protocol, endpoints: &[SocketAddr], strategy: Strategy) -> Traffic {
    let setup = Setup::new(protocol, endpoints);
    setup.policy(|policy| policy.strategy = strategy).start()
}

fn active(traffic: &Traffic) -> Vec<u32> {
    let endpoints = traffic.endpoints.iter();
    endpoints.map(|e| e.state.active.load(Relaxed)).collect()
}

fn picks(traffic: &Traffic, at: usize) -> u64 {
    traffic.endpoints[at].state.picks.load(Relaxed)
}

/// What is known of an endpoint's latency.
fn latency(traffic: &Traffic, at: usize) -> Duration {
    let latency = &traffic.endpoints[at].state.latency;
    let us = latency.estimate(now_ms()).expect("it has answered");
    Duration::from_secs_f32(us / 1e6)
}

#[tokio::test]
async fn least_connections_fills_up_evenly() {
    let endpoints = [(); 3].map(|()| echo(Duration::ZERO));
    let endpoints = futures_util::future::join_all(endpoints).await;
    let traffic = strategy(Protocol::Tcp, &endpoints, Strategy::LeastConnections);
    let mut held = Vec::new();
    for _ in 0..9 {
        held.push(client(&traffic).await);
    }
    assert_eq!(active(&traffic), [3, 3, 3]);
}

#[tokio::test]
async fn bounded_loads_send_one_clients_connections_on() {
    let endpoints = [(); 3].map(|()| echo(Duration::ZERO));
    let endpoints = futures_util::future::join_all(endpoints).await;
    for (factor, expected) in [(0, 9), (200, 6), (125, 4)] {
        let setup = Setup::new(Protocol::Tcp, &endpoints).policy(|policy| {
            policy.strategy = Strategy::ConsistentHash;
            policy.load_factor = factor;
        });
        let traffic = setup.start();
        let mut held = Vec::new();
        for _ in 0..9 {
            held.push(client(&traffic).await);
        }
        let most = active(&traffic).into_iter().max();
        assert_eq!(most, Some(expected), "{factor}: {:?}", active(&traffic));
    }
}

#[tokio::test]
async fn p2c_learns_from_the_first_byte_which_endpoint_is_slow() {
    let endpoints = [echo(Duration::ZERO).await, echo(SLOW).await];
    let traffic = strategy(Protocol::Tcp, &endpoints, Strategy::PowerOfTwo);
    // Until the slow one has answered once, either is as likely.
    while picks(&traffic, 0) == 0 || picks(&traffic, 1) == 0 {
        client(&traffic).await;
    }
    let before = picks(&traffic, 1);
    for _ in 0..20 {
        client(&traffic).await;
    }
    assert_eq!(picks(&traffic, 1), before);
    assert!(latency(&traffic, 1) >= SLOW * 99 / 100);
    assert!(latency(&traffic, 0) < SLOW);
}

#[tokio::test]
async fn p2c_learns_from_the_head_of_a_response_which_endpoint_is_slow() {
    let answers = |late| {
        Origin::http(move |_| async move {
            sleep(late).await;
            Response::new(Full::default().map_err(|never| match never {}).boxed())
        })
    };
    let endpoints = [answers(Duration::ZERO).await.addr, answers(SLOW).await.addr];
    let traffic = strategy(Protocol::Http, &endpoints, Strategy::PowerOfTwo);
    let request = async || {
        let reply = http::request(traffic.addr, "GET / HTTP/1.1", "").await;
        assert_eq!(reply.status(), 200);
    };
    while picks(&traffic, 0) == 0 || picks(&traffic, 1) == 0 {
        request().await;
    }
    let before = picks(&traffic, 1);
    for _ in 0..20 {
        request().await;
    }
    assert_eq!(picks(&traffic, 1), before);
    assert!(latency(&traffic, 1) >= SLOW * 99 / 100);
}

#[tokio::test]
async fn p2c_does_not_take_an_endpoint_that_refuses_for_a_fast_one() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = [gone.local_addr().unwrap(), echo(Duration::ZERO).await];
    drop(gone);
    let traffic = strategy(Protocol::Tcp, &endpoints, Strategy::PowerOfTwo);
    while picks(&traffic, 0) == 0 {
        client(&traffic).await;
    }
    for _ in 0..20 {
        client(&traffic).await;
    }
    assert_eq!(picks(&traffic, 0), 1);
    assert_eq!(traffic.endpoints[0].state.connect_failures.load(Relaxed), 1);
}
