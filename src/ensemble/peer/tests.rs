//! Greetings over TCP and TLS: who hears what when both sides do not agree.

use super::hello::{Greeted, Me, Purpose, Refusal, accept, dial};
use super::link::LinkError;
use super::transport::Transport;
use crate::ensemble::limits::HELLO_TIMEOUT;
use crate::net::fixture::{Authority, node};
use crate::net::{PeerTls, TcpListener, TcpStream, TlsFailure};
use crate::telemetry::{Metrics, chain};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// A member of the ensemble {1: n1, 2: n2}, and its figures.
fn member(number: u64, tls: Option<PeerTls>) -> (Me, Arc<Metrics>) {
    let metrics = Metrics::new("n");
    let transport = Transport::new(tls.map(Arc::new), metrics.clone());
    transport.hear(1, "n1");
    transport.hear(2, "n2");
    let me = Me {
        ensemble: 7,
        member: number,
        boots: 1,
        boot: 1,
        transport: Arc::new(transport),
    };
    (me, metrics)
}

fn secure(authority: &Authority, name: &str) -> Option<PeerTls> {
    Some(authority.peer(name, &node(name)).expect("a node"))
}

fn count(metrics: &Metrics, failure: TlsFailure) -> u64 {
    let labels = ["ensemble", failure.as_str()];
    metrics.tls.failures.with_label_values(&labels).get()
}

/// What both sides make of each other.
async fn greet(
    acceptor: &Me,
    dialler: &Me,
    to: Option<u64>,
) -> (io::Result<Option<Greeted>>, Result<(), LinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepting = async { accept(listener.accept().await?.0, acceptor, None, |_| Ok(())).await };
    let dialling = async {
        let framed = dial(&address, dialler, to, Purpose::Control).await?;
        drop(framed);
        Ok(())
    };
    tokio::join!(accepting, dialling)
}

fn told(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).to_string()
}

#[tokio::test]
async fn members_with_certificates_greet_each_other_by_name() {
    let authority = Authority::new();
    let (n1, _) = member(1, secure(&authority, "n1"));
    let (n2, _) = member(2, secure(&authority, "n2"));
    for to in [Some(1), None] {
        let (heard, dialled) = greet(&n1, &n2, to).await;
        let heard = heard.unwrap().unwrap();
        assert_eq!((heard.from, heard.name.as_deref()), (2, Some("n2")));
        dialled.unwrap();
    }
}

#[tokio::test]
async fn a_number_of_somebody_else_is_refused_although_the_certificate_is_good() {
    let authority = Authority::new();
    let (n1, metrics) = member(1, secure(&authority, "n1"));
    let (forger, _) = member(2, secure(&authority, "n3"));
    let (heard, dialled) = greet(&n1, &forger, Some(1)).await;
    assert!(heard.unwrap().is_none(), "nothing more is heard of it");
    let Err(LinkError::Refused { refusal, .. }) = dialled else {
        panic!("{dialled:?}")
    };
    assert_eq!(
        refusal.to_string(),
        r#"member 2 is called "n2" there, and the certificate of this node is "n3"'s"#
    );
    assert_eq!(count(&metrics, TlsFailure::WrongNode), 1);
}

#[tokio::test]
async fn a_number_that_nobody_has_heard_of_passes_with_a_nodes_certificate_only() {
    let authority = Authority::new();
    let (n1, _) = member(1, secure(&authority, "n1"));
    let (newcomer, _) = member(9, secure(&authority, "n9"));
    let (heard, dialled) = greet(&n1, &newcomer, Some(1)).await;
    let heard = heard.unwrap().unwrap();
    assert_eq!((heard.from, heard.name.as_deref()), (9, Some("n9")));
    dialled.unwrap();
}

#[tokio::test]
async fn whom_a_member_dials_must_be_known_by_name_and_be_it() {
    let authority = Authority::new();
    let (impostor, _) = member(1, secure(&authority, "n3"));
    let (n2, metrics) = member(2, secure(&authority, "n2"));
    let (_, dialled) = greet(&impostor, &n2, Some(1)).await;
    let error = told(&dialled.unwrap_err());
    assert!(error.contains(r#"of node "n3", not of "n1""#), "{error}");
    assert_eq!(count(&metrics, TlsFailure::WrongNode), 1);
    let (_, dialled) = greet(&impostor, &n2, Some(5)).await;
    let error = told(&dialled.unwrap_err());
    assert!(
        error.contains("nobody knows what member 5 is called"),
        "{error}"
    );
}

#[tokio::test]
async fn with_tls_on_one_side_only_both_are_told_what_to_do() {
    let authority = Authority::new();
    let (plain, of_plain) = member(1, None);
    let (secured, of_secured) = member(2, secure(&authority, "n2"));

    let (heard, dialled) = greet(&secured, &plain, Some(2)).await;
    let error = heard.err().expect("refused").to_string();
    assert!(
        error.starts_with("the other side does not speak TLS"),
        "{error}"
    );
    let Err(LinkError::Refused { refusal, .. }) = dialled else {
        panic!("{dialled:?}")
    };
    assert_eq!(refusal, Refusal::Tls);
    assert_eq!(count(&of_secured, TlsFailure::NotTls), 1);

    let (heard, dialled) = greet(&plain, &secured, Some(1)).await;
    let error = heard.err().expect("refused").to_string();
    assert!(error.starts_with("the other side speaks TLS"), "{error}");
    let error = told(&dialled.unwrap_err());
    assert!(
        error.contains("does not speak TLS, and this one does"),
        "{error}"
    );
    assert_eq!(count(&of_plain, TlsFailure::Tls), 1);
    assert_eq!(count(&of_secured, TlsFailure::NotTls), 2);
}

#[tokio::test]
async fn a_refused_port_says_so_with_tls_too() {
    let authority = Authority::new();
    let (n2, _) = member(2, secure(&authority, "n2"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let dialled = dial(&address, &n2, Some(1), Purpose::Control).await;
    let Err(LinkError::Io { source, .. }) = dialled else {
        panic!("nothing listens there")
    };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn whoever_is_silent_or_stops_half_way_is_given_up_in_time() {
    let authority = Authority::new();
    let (n1, metrics) = member(1, secure(&authority, "n1"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Nothing; a record begun; a whole handshake and no greeting.
    for (number, sent) in (1..).zip([&[][..], &[22, 3, 1, 0, 200, 1]]) {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(sent).await.unwrap();
        let begun = Instant::now();
        let accepted = accept(listener.accept().await.unwrap().0, &n1, None, |_| Ok(())).await;
        assert_eq!(accepted.err().unwrap().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < HELLO_TIMEOUT * 3);
        assert_eq!(count(&metrics, TlsFailure::TimedOut), number);
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
    }
    let n2 = secure(&authority, "n2").unwrap();
    let socket = TcpStream::connect(address).await.unwrap();
    let silent = async {
        let (mut stream, _) = n2.connect(socket, Some("n1")).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    };
    let (socket, _) = listener.accept().await.unwrap();
    let (accepted, ()) = tokio::join!(accept(socket, &n1, None, |_| Ok(())), silent);
    assert_eq!(accepted.err().unwrap().kind(), io::ErrorKind::TimedOut);
}
