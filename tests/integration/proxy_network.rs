//! A network that fails: ports that run out, peers that vanish without a word.
//!
//! Each inner test runs in a process and a network namespace of its own, where what it breaks is nobody else's. That takes root;
//! without it the outer tests say so and pass.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test
#![allow(clippy::print_stderr)] // what is skipped is said

use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use zoogate::config::{Keepalive, Protocol};
use zoogate::proxy::Means;

/// What connections may come from in the namespace: ten ports.
const TEN_PORTS: &str = "echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range";

/// Two addresses that can be taken away, for a client and for an endpoint.
const CLIENT: &str = "10.9.9.1";
const ENDPOINT: &str = "10.9.9.2";
const ADDRESSES: &str = "ip address add 10.9.9.1/32 dev lo; ip address add 10.9.9.2/32 dev lo";

/// Runs the ignored test `inner` of this file where `prepare` has been run.
fn in_a_namespace(inner: &str, prepare: &str) {
    let script = format!(
        "ip link set lo up && {{ {prepare}; }} && exec \"$0\" --ignored --exact \"$1\" --nocapture"
    );
    let permitted = Command::new("unshare").args(["-n", "ip", "link"]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: no network namespace can be made");
    }
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("integration::proxy_network::{inner}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("1 passed"), "{text}{errors}");
}

#[test]
fn ports_that_run_out_are_reported_as_such() {
    in_a_namespace("inner_ports_run_out", TEN_PORTS);
}

#[test]
fn more_source_addresses_mean_more_ports_towards_each_endpoint() {
    in_a_namespace("inner_source_addresses", TEN_PORTS);
}

#[test]
fn a_client_that_vanishes_is_noticed_and_its_endpoint_reset() {
    in_a_namespace("inner_client_vanishes", ADDRESSES);
}

#[test]
fn an_endpoint_that_vanishes_is_noticed_and_its_client_reset() {
    in_a_namespace("inner_endpoint_vanishes", ADDRESSES);
}

#[test]
fn bytes_that_nobody_acknowledges_end_the_connection_in_time() {
    in_a_namespace("inner_nobody_acknowledges", ADDRESSES);
}

/// Where the data plane listens: no port that connections may come from. Nobody else is in the namespace.
const FRONT: &str = "127.0.0.1:50000";

fn tcp(endpoints: &[SocketAddr]) -> Setup {
    Setup::new(Protocol::Tcp, endpoints).listener(|l| l.bind = FRONT.parse().unwrap())
}

async fn listener(addr: &str) -> (TcpListener, SocketAddr) {
    (
        TcpListener::bind(addr).await.unwrap(),
        addr.parse().unwrap(),
    )
}

/// A client of its own address, and of no port that connections may come from: one that is bound by anybody is not
/// chosen for a connection.
async fn client(from: &str, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    let ip: IpAddr = from.parse().unwrap();
    socket.bind((ip, 30_000).into()).unwrap();
    socket.connect(to).await
}

/// Opens connections until one fails; those that did not.
async fn open(traffic: &Traffic, endpoints: &[&TcpListener]) -> Vec<(TcpStream, TcpStream)> {
    let mut held = Vec::new();
    for number in 1..=100 {
        let client = client(&format!("127.1.0.{number}"), traffic.addr).await;
        let accepted = async {
            tokio::select! {
                accepted = endpoints[0].accept() => Some(accepted.unwrap().0),
                accepted = endpoints[endpoints.len() - 1].accept() => Some(accepted.unwrap().0),
                () = traffic_is_short(traffic) => None,
            }
        };
        match (soon(accepted).await, client) {
            (Some(upstream), client) => held.push((client.unwrap(), upstream)),
            // It may learn before it has noticed that it is connected.
            (None, _) => break,
        }
    }
    held
}

async fn traffic_is_short(traffic: &Traffic) {
    eventually("ports to run out", || {
        traffic.closed("ports-exhausted") > 0.0
    })
    .await;
}

#[tokio::test]
#[ignore = "run in a namespace"]
async fn inner_ports_run_out() {
    let (endpoint, addr) = listener("127.0.0.1:50001").await;
    let traffic = tcp(&[addr]).start();
    let mut held = open(&traffic, &[&endpoint]).await;
    assert_eq!(held.len(), 10);
    assert_eq!(traffic.closed("ports-exhausted"), 1.0);
    let errors = "zoogate_upstream_errors_total{reason=\"ports-exhausted\",service=\"web\"}";
    assert_eq!(traffic.metric(errors), 1.0);
    let failures = &traffic.endpoints[0].state.connect_failures;
    assert_eq!(
        failures.load(Ordering::Relaxed),
        0,
        "it is not the endpoint's"
    );
    // A port that comes back is used.
    let (gone, upstream) = held.pop().unwrap();
    upstream.set_zero_linger().unwrap();
    drop((upstream, gone));
    eventually("end of the connection", || {
        traffic.closed("upstream-reset") + traffic.closed("client-reset") == 1.0
    })
    .await;
    let _client = client("127.1.0.200", traffic.addr).await;
    soon(endpoint.accept()).await.unwrap();
}

#[tokio::test]
#[ignore = "run in a namespace"]
async fn inner_source_addresses() {
    let (first, first_addr) = listener("127.0.0.1:50001").await;
    let (second, second_addr) = listener("127.0.0.1:50002").await;
    let traffic = Setup {
        means: Means {
            source_addresses: ["127.2.0.1", "127.2.0.2"]
                .map(|ip| ip.parse().unwrap())
                .to_vec(),
            ..Means::default()
        },
        ..tcp(&[first_addr, second_addr])
    }
    .start();
    let held = open(&traffic, &[&first, &second]).await;
    // Two sources, two endpoints, ten ports each: were a port chosen before the endpoint is known, it would be 20.
    assert_eq!(held.len(), 40);
    for source in ["127.2.0.1", "127.2.0.2"] {
        let from = held
            .iter()
            .filter(|(_, upstream)| upstream.peer_addr().unwrap().ip().to_string() == source);
        assert_eq!(from.count(), 20, "{source}");
    }
}

fn quick() -> Keepalive {
    Keepalive::Probes {
        idle: Duration::from_secs(1),
        interval: Duration::from_secs(1),
        probes: 2,
    }
}

fn take_away(address: &str) {
    let gone = Command::new("ip")
        .args(["address", "delete", &format!("{address}/32"), "dev", "lo"])
        .status();
    assert!(gone.unwrap().success());
    // Otherwise the kernel says at once that there is no way, and nothing has to be noticed.
    let silent = Command::new("ip")
        .args(["route", "add", "blackhole", &format!("{address}/32")])
        .status();
    assert!(silent.unwrap().success());
}

async fn say(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"x").await.unwrap();
    soon(to.read_exact(&mut [0])).await.unwrap();
}

async fn is_reset(stream: &mut TcpStream) {
    let end = soon(stream.read(&mut [0])).await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
#[ignore = "run in a namespace"]
async fn inner_client_vanishes() {
    let (endpoint, addr) = listener("127.0.0.1:50001").await;
    let setup = tcp(&[addr]);
    let traffic = setup.listener(|l| l.socket.keepalive = quick()).start();
    let mut client = client(CLIENT, traffic.addr).await.unwrap();
    let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
    say(&mut client, &mut upstream).await;
    take_away(CLIENT);
    is_reset(&mut upstream).await;
    eventually("end of the connection", || {
        traffic.closed("client-lost") == 1.0
    })
    .await;
}

#[tokio::test]
#[ignore = "run in a namespace"]
async fn inner_endpoint_vanishes() {
    let (endpoint, addr) = listener(&format!("{ENDPOINT}:50001")).await;
    let setup = tcp(&[addr]);
    let traffic = setup.policy(|policy| policy.keepalive = quick()).start();
    let mut client = client("127.1.0.1", traffic.addr).await.unwrap();
    let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
    say(&mut client, &mut upstream).await;
    take_away(ENDPOINT);
    is_reset(&mut client).await;
    eventually("end of the connection", || {
        traffic.closed("upstream-lost") == 1.0
    })
    .await;
}

#[tokio::test]
#[ignore = "run in a namespace"]
async fn inner_nobody_acknowledges() {
    let (endpoint, addr) = listener("127.0.0.1:50001").await;
    let setup = tcp(&[addr]).listener(|l| {
        l.socket.keepalive = Keepalive::Off;
        l.socket.user_timeout = Duration::from_secs(1);
    });
    let traffic = setup.start();
    let mut client = client(CLIENT, traffic.addr).await.unwrap();
    let (mut upstream, _) = soon(endpoint.accept()).await.unwrap();
    say(&mut client, &mut upstream).await;
    take_away(CLIENT);
    upstream.write_all(b"anybody there?").await.unwrap();
    is_reset(&mut upstream).await;
    eventually("end of the connection", || {
        traffic.closed("client-lost") == 1.0
    })
    .await;
}
