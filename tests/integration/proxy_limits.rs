//! What happens at a limit: further clients wait, and the wait costs nothing; connections end at their age.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, text};
use crate::support::traffic::Setup;
use crate::support::{eventually, soon};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::io::{Read, Seek};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use zoogate::config::Protocol;
use zoogate::net::Descriptors;
use zoogate::net::now_ms;
use zoogate::proxy::Means;

#[tokio::test]
async fn the_limit_leaves_further_clients_waiting() {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let traffic = Setup {
        max_connections: 1,
        ..Setup::new(Protocol::Tcp, &[endpoint.local_addr().unwrap()])
    }
    .start();
    let first = TcpStream::connect(traffic.addr).await.unwrap();
    soon(endpoint.accept()).await.unwrap();
    let _second = TcpStream::connect(traffic.addr).await.unwrap();
    let waiting = timeout(Duration::from_millis(200), endpoint.accept());
    assert!(waiting.await.is_err());
    drop(first);
    soon(endpoint.accept()).await.unwrap();
    let active = traffic.metric("zoogate_connections_active{listener=\"front\"}");
    assert_eq!(active, 1.0);
}

#[tokio::test]
async fn a_connection_ends_at_its_age_though_it_talks() {
    let endpoint = stubborn_echo().await;
    let age = Duration::from_millis(600);
    let setup = Setup::new(Protocol::Tcp, &[endpoint]);
    let traffic = setup.policy(|p| p.max_lifetime = Some(age)).start();
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let began = now_ms();
    let mut byte = [0];
    soon(async {
        // In order: the client reads an end of file, no error.
        while client.write_all(b"x").await.is_ok() && client.read(&mut byte).await.unwrap() == 1 {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let lived = now_ms() - began;
    assert!((600..3000).contains(&lived), "{lived} ms");
    eventually("counters", || traffic.closed("lifetime") == 1.0).await;
    assert_eq!(traffic.metric("zoogate_upstream_errors_total"), 0.0);
}

#[tokio::test]
async fn an_http_connection_ends_after_the_response_at_its_age() {
    let origin = Origin::http(|_| async { text("ok") }).await;
    let age = Duration::from_millis(300);
    let setup = Setup::new(Protocol::Http, &[origin.addr]);
    let traffic = setup.policy(|p| p.max_lifetime = Some(age)).start();
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let mut answer = String::new();
    let mut answers = 0;
    while !answer.contains("connection: close") {
        let ask = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
        client.write_all(ask).await.unwrap();
        let mut bytes = [0; 4096];
        let read = soon(client.read(&mut bytes)).await.unwrap();
        answer = String::from_utf8_lossy(&bytes[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answers += 1;
        sleep(Duration::from_millis(50)).await;
    }
    assert!(answers > 2, "{answers} answers");
    assert_eq!(soon(client.read(&mut [0])).await.unwrap(), 0);
}

/// Descriptors are counted per process, so the test needs one of its own.
#[test]
fn without_descriptors_accepting_pauses_and_recovers() {
    let inner = "integration::proxy_limits::in_a_process_with_few_descriptors";
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 80; exec \"$0\" --ignored --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(inner)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

/// Answers each connection with what it says; outlives its own lack of descriptors.
async fn stubborn_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    addr
}

/// The scheduler's account of the only worker, opened while there are descriptors.
fn worker_account() -> File {
    let mut tasks = fs::read_dir("/proc/self/task").unwrap();
    let account = tasks.find_map(|task| {
        let task = task.unwrap().path();
        let name = fs::read_to_string(task.join("comm")).unwrap();
        name.starts_with("proxy-")
            .then(|| File::open(task.join("schedstat")).unwrap())
    });
    account.unwrap()
}

/// Time the worker has spent on a core.
fn busy(mut account: &File) -> Duration {
    let mut text = String::new();
    account.rewind().unwrap();
    account.read_to_string(&mut text).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[tokio::test]
#[ignore = "run by without_descriptors_accepting_pauses_and_recovers"]
async fn in_a_process_with_few_descriptors() {
    let traffic = Setup::new(Protocol::Tcp, &[stubborn_echo().await]).start();
    let account = worker_account();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(traffic.addr).await {
        clients.push(client);
    }
    let before = busy(&account);
    sleep(Duration::from_secs(1)).await;
    let spent = busy(&account) - before;
    assert!(spent < Duration::from_millis(200), "spinning: {spent:?}");

    // By RST: an orderly end would wait for the endpoint, which has no descriptor left to be reached with.
    for client in clients {
        client.set_zero_linger().unwrap();
    }
    soon(async {
        while !echoes(traffic.addr).await {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn echoes(addr: SocketAddr) -> bool {
    let Ok(mut client) = TcpStream::connect(addr).await else {
        return false;
    };
    let mut byte = [0];
    client.write_all(b"x").await.is_ok() && client.read_exact(&mut byte).await.is_ok()
}

#[tokio::test]
async fn without_descriptors_left_to_traffic_clients_are_reset_at_once() {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let traffic = Setup {
        means: Means {
            descriptors: Descriptors::new(5),
            ..Means::default()
        },
        ..Setup::new(Protocol::Tcp, &[endpoint.local_addr().unwrap()])
    }
    .start();
    let first = TcpStream::connect(traffic.addr).await.unwrap();
    soon(endpoint.accept()).await.unwrap();
    let _second = TcpStream::connect(traffic.addr).await.unwrap();
    soon(endpoint.accept()).await.unwrap();
    for _ in 0..3 {
        assert!(soon(is_reset(traffic.addr)).await);
    }
    assert_eq!(traffic.closed("exhausted"), 3.0);
    // By RST: an orderly end would wait for the endpoint's.
    first.set_zero_linger().unwrap();
    drop(first);
    eventually("descriptors are given back", || {
        traffic.closed("client-reset") == 1.0
    })
    .await;
    let _third = TcpStream::connect(traffic.addr).await.unwrap();
    soon(endpoint.accept()).await.unwrap();
    assert_eq!(traffic.closed("exhausted"), 3.0);
}

/// Whether a client gets a reset, before it has noticed that it is connected or afterwards.
async fn is_reset(addr: SocketAddr) -> bool {
    match TcpStream::connect(addr).await {
        Ok(mut client) => client.read(&mut [0]).await.is_err(),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// A client at `from` that echoes once, or how it fails.
async fn echo_from(from: [u8; 4], addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(addr).await?;
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await?;
    Ok(stream)
}

#[tokio::test]
async fn a_source_with_too_many_connections_is_reset_and_others_are_served() {
    let traffic = Setup {
        workers: 2,
        ..Setup::new(Protocol::Tcp, &[stubborn_echo().await])
    }
    .listener(|listener| listener.max_connections_per_source = Some(2))
    .start();
    let source = [127, 0, 0, 2];
    let first = echo_from(source, traffic.addr).await.unwrap();
    let _second = echo_from(source, traffic.addr).await.unwrap();
    let third = soon(echo_from(source, traffic.addr)).await.unwrap_err();
    assert_eq!(third.kind(), ErrorKind::ConnectionReset);
    echo_from([127, 0, 0, 3], traffic.addr).await.unwrap();
    eventually("counters", || traffic.closed("source-limit") == 1.0).await;
    drop(first);
    soon(async {
        while echo_from(source, traffic.addr).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn behind_a_proxy_it_is_its_clients_that_are_counted() {
    let traffic = Setup::new(Protocol::Tcp, &[stubborn_echo().await])
        .listener(|listener| {
            listener.max_connections_per_source = Some(1);
            listener.accept_proxy = Some(vec!["127.0.0.0/8".parse().unwrap()]);
        })
        .start();
    let proxied = async |client: &str| -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(traffic.addr).await?;
        let line = format!("PROXY TCP4 {client} 192.0.2.9 1 2\r\nx");
        stream.write_all(line.as_bytes()).await?;
        stream.read_exact(&mut [0]).await?;
        Ok(stream)
    };
    let _first = proxied("192.0.2.1").await.unwrap();
    let again = soon(proxied("192.0.2.1")).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::ConnectionReset);
    soon(proxied("192.0.2.2")).await.unwrap();
    assert_eq!(traffic.closed("source-limit"), 1.0);
}

#[tokio::test]
async fn connections_beyond_the_rate_wait_and_none_is_refused() {
    let traffic = Setup {
        workers: 2,
        ..Setup::new(Protocol::Tcp, &[stubborn_echo().await])
    }
    .listener(|listener| listener.accept_rate = Some(50))
    .start();
    let began = now_ms();
    let clients = (0..31).map(|_| echo_from([127, 0, 0, 1], traffic.addr));
    for client in soon(futures_util::future::join_all(clients)).await {
        client.unwrap();
    }
    let took = now_ms() - began;
    // Six at once, the other 25 one every 20 ms.
    assert!((480..3000).contains(&took), "{took} ms");
    let delayed = "zoogate_connections_delayed_total{listener=\"front\",reason=\"accept-rate\"}";
    assert!(traffic.metric(delayed) >= 20.0);
}
