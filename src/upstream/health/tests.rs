//! Single probes, against endpoints that do what endpoints do.

use super::probe::{ProbeError, Tools, probe};
use crate::balance::ProbeFailure;
use crate::config::{Check, Probe, SendProxy};
use crate::net::UnverifiedTls;
use crate::upstream::Dialer;
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Long enough for anything that happens at all, short enough to wait for what does not.
const TIMEOUT: Duration = Duration::from_millis(500);

fn check(probe: Probe) -> Check {
    Check {
        timeout: TIMEOUT,
        ..Check::new(probe)
    }
}

fn http(lowest: u16, highest: u16) -> Check {
    check(Probe::Http {
        path: "/healthz".into(),
        host: None,
        lowest,
        highest,
    })
}

fn expect(send: &str, expect: &str) -> Check {
    let (send, expect) = (send.into(), expect.into());
    check(Probe::Expect { send, expect })
}

/// What an endpoint does with its connection.
#[derive(Clone)]
enum Does {
    /// Reads what comes first, says this, and closes.
    Says(&'static [u8]),
    /// Says this at once, and keeps the connection.
    Greets(&'static [u8]),
    /// Nothing, ever.
    Hangs,
    /// Closes at once.
    Closes,
}

/// An endpoint for one connection; the task gives what it heard.
async fn endpoint(does: Does) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4096];
        let mut length = 0;
        match does {
            Does::Says(text) => {
                length = stream.read(&mut heard).await.unwrap();
                stream.write_all(text).await.unwrap();
            }
            Does::Greets(text) => {
                stream.write_all(text).await.unwrap();
                pending::<()>().await;
            }
            Does::Hangs => pending().await,
            Does::Closes => {}
        }
        String::from_utf8_lossy(&heard[..length]).into_owned()
    });
    (address, task)
}

fn tools() -> Tools {
    Tools {
        dialer: Dialer::default(),
        tls: UnverifiedTls::default(),
    }
}

async fn probe_at(address: &str, check: &Check) -> Result<(), ProbeError> {
    probe(address, check, SendProxy::Off, &tools()).await
}

async fn probed(does: Does, check: &Check) -> Result<(), ProbeError> {
    let (address, task) = endpoint(does).await;
    let result = probe_at(&address, check).await;
    task.abort();
    result
}

async fn failure(does: Does, check: &Check) -> Option<ProbeFailure> {
    probed(does, check).await.unwrap_err().failure()
}

#[tokio::test]
async fn a_connect_is_enough_for_tcp() {
    assert!(probed(Does::Hangs, &check(Probe::Tcp)).await.is_ok());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    let refused = probe_at(&closed, &check(Probe::Tcp)).await;
    let failure = refused.unwrap_err().failure();
    assert_eq!(failure, Some(ProbeFailure::Refused));
}

#[tokio::test]
async fn another_port_may_be_probed() {
    let (address, _task) = endpoint(Does::Hangs).await;
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let check = Check {
        port: Some(port),
        ..check(Probe::Tcp)
    };
    assert!(probe_at("127.0.0.1:1", &check).await.is_ok());
}

#[tokio::test]
async fn http_goes_by_the_status() {
    let ok = Does::Says(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let busy = Does::Says(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    assert!(probed(ok.clone(), &http(200, 399)).await.is_ok());
    for (does, check) in [(&busy, http(200, 399)), (&ok, http(204, 204))] {
        let failure = failure(does.clone(), &check).await;
        assert_eq!(failure, Some(ProbeFailure::Status));
    }
    assert!(probed(busy, &http(503, 503)).await.is_ok());
}

#[tokio::test]
async fn http_asks_for_the_path_and_names_a_host() {
    let answer = Does::Says(b"HTTP/1.1 204 Gone\r\n\r\n");
    let (address, task) = endpoint(answer).await;
    probe_at(&address, &http(200, 399)).await.unwrap();
    let heard = task.await.unwrap();
    let mut lines = heard.lines();
    assert_eq!(lines.next(), Some("GET /healthz HTTP/1.1"));
    assert!(
        lines.any(|line| line == format!("host: {address}")),
        "{heard}"
    );
}

#[tokio::test]
async fn http_fails_in_every_other_way() {
    for (does, expected) in [
        (Does::Hangs, ProbeFailure::TimedOut),
        (Does::Greets(b"HTTP/1.1 200"), ProbeFailure::TimedOut),
        (Does::Closes, ProbeFailure::Closed),
        (Does::Says(b"HTTP/1.1 200 OK\r\nx"), ProbeFailure::Closed),
        (Does::Says(b"+PONG\r\n\r\n"), ProbeFailure::Answer),
    ] {
        let failure = failure(does, &http(200, 399)).await;
        assert_eq!(failure, Some(expected));
    }
}

#[tokio::test]
async fn what_is_expected_may_come_with_or_without_a_question() {
    let check = expect("PING\r\n", "+PONG");
    let (address, task) = endpoint(Does::Says(b"hello\n+PONG\r\n")).await;
    probe_at(&address, &check).await.unwrap();
    assert_eq!(task.await.unwrap(), "PING\r\n");
    let banner = Does::Greets(b"220 mail.example ESMTP\r\n");
    assert!(probed(banner, &expect("", "220 ")).await.is_ok());
    for (does, expected) in [
        (Does::Says(b"-LOADING\r\n"), ProbeFailure::Answer),
        (Does::Greets(&[b'x'; 20_000]), ProbeFailure::Answer),
        (Does::Greets(b"+PON"), ProbeFailure::TimedOut),
        (Does::Hangs, ProbeFailure::TimedOut),
        (Does::Closes, ProbeFailure::Closed),
    ] {
        assert_eq!(failure(does, &check).await, Some(expected));
    }
}

#[tokio::test]
async fn an_endpoint_that_expects_a_proxy_header_gets_one_that_names_nobody() {
    for (send_proxy, other_port, begins) in [
        (SendProxy::V1, false, &b"PROXY UNKNOWN\r\nPING"[..]),
        (SendProxy::V2, false, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0PING"),
        (SendProxy::V2, true, b"PING"),
        (SendProxy::Off, false, b"PING"),
    ] {
        let (address, task) = endpoint(Does::Says(b"+PONG")).await;
        let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        let check = Check {
            port: other_port.then_some(port),
            ..expect("PING", "+PONG")
        };
        let told = probe(&address, &check, send_proxy, &tools()).await;
        told.unwrap();
        let heard = task.await.unwrap();
        assert_eq!(heard.as_bytes(), begins, "{send_proxy:?}");
    }
}

#[tokio::test]
async fn tls_wants_a_handshake() {
    let tls = check(Probe::Tls { host: None });
    for (does, expected) in [
        (Does::Says(b"HTTP/1.1 400 Bad\r\n\r\n"), ProbeFailure::Tls),
        (Does::Closes, ProbeFailure::Tls),
        (Does::Hangs, ProbeFailure::TimedOut),
    ] {
        assert_eq!(failure(does, &tls).await, Some(expected));
    }
}
