//! The access log: one line for each connection and request, however it ends.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, request, text};
use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use parking_lot::Mutex;
use prometheus::IntCounter;
use serde_json::Value;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use zoogate::config::{AccessFormat, Protocol};
use zoogate::proxy::{Ledger, Means};
use zoogate::telemetry::AccessLog;

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn ledger(&self, format: AccessFormat) -> Arc<Ledger> {
        let dropped = IntCounter::new("dropped", "dropped").unwrap();
        let log = AccessLog::start(self.clone(), dropped).unwrap();
        Ledger::open("n1", format, log)
    }

    /// The lines, once there are `count`.
    async fn lines(&self, count: usize) -> Vec<String> {
        let text = || String::from_utf8(self.0.lock().clone()).unwrap();
        eventually("access lines", || text().lines().count() >= count).await;
        let lines: Vec<String> = text().lines().map(String::from).collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }
}

fn start(setup: Setup, format: AccessFormat) -> (Traffic, Written) {
    let written = Written::default();
    let setup = Setup {
        means: Means {
            ledger: written.ledger(format),
            ..Means::default()
        },
        ..setup
    };
    (setup.start(), written)
}

/// A line of HAProxy's tcplog, by the fields of section 8.2.2 of its manual.
#[derive(Debug)]
struct Fields {
    client: SocketAddr,
    listener: String,
    service: String,
    server: String,
    times: [i64; 3],
    bytes: u64,
    termination: String,
    open: [u32; 5],
    queues: [u32; 2],
}

fn numbers<T: std::str::FromStr + std::fmt::Debug, const N: usize>(text: &str) -> [T; N]
where
    T::Err: std::fmt::Debug,
{
    let numbers: Vec<T> = text.split('/').map(|n| n.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

fn parse(line: &str) -> Fields {
    let parts: Vec<&str> = line.split(' ').collect();
    let [
        client,
        date,
        listener,
        to,
        times,
        bytes,
        termination,
        open,
        queues,
    ] = parts[..]
    else {
        panic!("not nine fields: {line}");
    };
    assert!(
        date.starts_with('[') && date.ends_with(']') && date.len() == 26,
        "{date}"
    );
    let (service, server) = to.split_once('/').unwrap();
    Fields {
        client: client.parse().unwrap(),
        listener: listener.into(),
        service: service.into(),
        server: server.into(),
        times: numbers(times),
        bytes: bytes.parse().unwrap(),
        termination: termination.into(),
        open: numbers(open),
        queues: numbers(queues),
    }
}

async fn endpoint() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_connection_is_one_line_of_tcplog() {
    let upstream = endpoint().await;
    let addr = upstream.local_addr().unwrap();
    let (traffic, written) = start(Setup::new(Protocol::Tcp, &[addr]), AccessFormat::Tcplog);
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let local = client.local_addr().unwrap();
    let (mut served, _) = soon(upstream.accept()).await.unwrap();
    served.write_all(b"hello").await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    drop(served);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    drop(client);
    let fields = parse(&written.lines(1).await[0]);
    assert_eq!(fields.client, local);
    assert_eq!((&*fields.listener, &*fields.service), ("front", "web"));
    assert_eq!(fields.server, addr.to_string());
    let [waited, connected, total] = fields.times;
    assert!(
        waited == 0 && connected >= 0 && total >= connected,
        "{fields:?}"
    );
    assert_eq!((fields.bytes, &*fields.termination), (5, "--"));
    assert_eq!(fields.open, [1, 1, 1, 1, 0]);
    assert_eq!(fields.queues, [0, 0]);
}

#[tokio::test]
async fn what_goes_wrong_has_its_characters() {
    let gone = endpoint().await;
    let refusing = gone.local_addr().unwrap();
    drop(gone);
    for (endpoints, server, termination) in [
        (vec![], "<NOSRV>".to_owned(), "SC"),
        (vec![refusing], refusing.to_string(), "SC"),
    ] {
        let (traffic, written) = start(Setup::new(Protocol::Tcp, &endpoints), AccessFormat::Tcplog);
        if let Ok(mut client) = TcpStream::connect(traffic.addr).await {
            assert!(client.read(&mut [0]).await.is_err());
        }
        let fields = parse(&written.lines(1).await[0]);
        assert_eq!((fields.server, &*fields.termination), (server, termination));
        assert_eq!(fields.times[1], -1);
    }
}

#[tokio::test]
async fn who_waits_in_vain_and_who_may_not_come_have_a_line_too() {
    let upstream = endpoint().await;
    let setup = Setup::new(Protocol::Tcp, &[upstream.local_addr().unwrap()])
        .policy(|policy| {
            policy.max_connections = Some(1);
            policy.queue_timeout = Duration::from_millis(300);
        })
        .listener(|listener| listener.max_connections_per_source = Some(2));
    let (traffic, written) = start(setup, AccessFormat::Tcplog);
    let _first = TcpStream::connect(traffic.addr).await.unwrap();
    let _served = soon(upstream.accept()).await.unwrap();
    let mut second = TcpStream::connect(traffic.addr).await.unwrap();
    let queue = || {
        traffic
            .table
            .load()
            .service("web")
            .unwrap()
            .balancer
            .queue()
            .len()
    };
    eventually("one that waits", || queue() == 1).await;
    if let Ok(mut third) = TcpStream::connect(traffic.addr).await {
        assert!(third.read(&mut [0]).await.is_err());
    }
    assert!(soon(second.read(&mut [0])).await.is_err());
    let lines = written.lines(2).await;
    let [refused, waited] = [parse(&lines[0]), parse(&lines[1])];
    assert_eq!(
        (&*refused.termination, refused.times[..2].to_vec()),
        ("PR", vec![-1, -1])
    );
    assert_eq!((&*refused.service, &*refused.server), ("front", "<NOSRV>"));
    assert_eq!(&*waited.termination, "sQ");
    assert!(
        waited.times[0] >= 290 && waited.times[1] == -1,
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_request_is_one_line_of_json_with_its_phases() {
    let origin = Origin::http(|_| async { text("four") }).await;
    let (traffic, written) = start(
        Setup::new(Protocol::Http, &[origin.addr]),
        AccessFormat::Json,
    );
    request(traffic.addr, "GET /a?secret=1 HTTP/1.1", "").await;
    let lines = written.lines(1).await;
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&line["node"], &line["target"]),
        (&"n1".into(), &"access".into())
    );
    let fields = &line["fields"];
    for (key, expected) in [
        ("listener", Value::from("front")),
        ("service", "web".into()),
        ("endpoint", origin.addr.to_string().into()),
        ("method", "GET".into()),
        ("path", "/a".into()),
        ("status", 200.into()),
        ("reason", "done".into()),
        ("side", "neither".into()),
        ("sent", 4.into()),
        ("retries", 0.into()),
    ] {
        assert_eq!(fields[key], expected, "{key} in {line}");
    }
    let us = |key: &str| {
        fields[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key} in {line}"))
    };
    assert!(us("connect_us") <= us("first_byte_us"));
    assert!(us("first_byte_us") <= us("duration_us"));
    assert!(fields.get("queue_us").is_none());
}
