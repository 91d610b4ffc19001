//! TLS on the client port: who is let in, as whom, and with which certificate.

use crate::support::ensemble::Members;
use crate::support::tls::{Authority, Issued, shown_by};
use crate::support::zookeeper::{Client, Port, connect_request, create};
use crate::support::{eventually, soon};
use rcgen::DnType::{CommonName, CountryName, OrganizationName};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use zoogate::net::{ServerTls, TlsError};
use zoogate::tree::Acl;
use zoogate::zk::wire::{AclResponse, OpCode, PathRequest};

/// A server's certificate of `authority`, installed and loaded.
fn server(authority: &Authority, required: Option<bool>) -> Arc<ServerTls> {
    authority.install(&authority.issue(&[(CommonName, "node")]));
    let tls = ServerTls::load(authority.files(required));
    Arc::new(tls.unwrap_or_else(|error| panic!("{error}")))
}

async fn open(members: &Members, tls: &Arc<ServerTls>) -> Port {
    Port::open_secured(members, "n1", |_| (), Some(tls.clone())).await
}

async fn client(authority: &Authority, port: &Port, shown: Option<&Issued>) -> Client {
    let stream = authority.connect(port.tls_addr, shown).await;
    let mut client = Client::over(stream.expect("TLS"));
    client.shake(&connect_request()).await.expect("a session");
    client
}

/// The identities that `auth` stands for on this connection: those it proved.
async fn proved(client: &mut Client, path: &str) -> Vec<(String, String)> {
    let mut request = create(path, 0);
    request.acl = vec![Acl {
        perms: 31,
        scheme: "auth".into(),
        id: String::new(),
    }];
    if client.call(OpCode::Create, &request).await.error() != 0 {
        return Vec::new();
    }
    let path = PathRequest { path: path.into() };
    let AclResponse { acl, .. } = client.call(OpCode::GetAcl, &path).await.read();
    acl.into_iter().map(|acl| (acl.scheme, acl.id)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificates_subject_is_an_identity_most_specific_part_first() {
    let members = Members::start(1).await;
    let authority = Authority::new();
    let port = open(&members, &server(&authority, Some(false))).await;
    let subject = [
        (CountryName, "CH"),
        (OrganizationName, "Zürich, Söhne + Co"),
        (CommonName, "web"),
    ];
    let shown = authority.issue(&subject);
    let mut certified = client(&authority, &port, Some(&shown)).await;
    let expected = ("x509".into(), "CN=web,O=Zürich\\, Söhne \\+ Co,C=CH".into());
    assert_eq!(proved(&mut certified, "/a").await, [expected]);
    let mut anonymous = client(&authority, &port, None).await;
    assert_eq!(proved(&mut anonymous, "/b").await, []);
    let mut plain = Client::open(port.addr).await;
    assert_eq!(proved(&mut plain, "/c").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_data_and_four_letter_words_pass_through_tls() {
    let members = Members::start(1).await;
    let authority = Authority::new();
    let port = open(&members, &server(&authority, None)).await;
    let mut client = client(&authority, &port, None).await;
    assert_eq!(client.create("/a", 0).await.error(), 0);
    let data = "x".repeat(1_000_000);
    assert_eq!(client.set("/a", &data).await.error(), 0);
    for _ in 0..20 {
        client
            .send(
                OpCode::GetData,
                &zoogate::zk::wire::ReadRequest {
                    path: "/a".into(),
                    watch: false,
                },
            )
            .await;
    }
    for _ in 0..20 {
        assert!(client.reply().await.body.len() > data.len());
    }
    let mut stream = authority.connect(port.tls_addr, None).await.expect("TLS");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"ruok")
        .await
        .expect("sent");
    let mut answer = String::new();
    // That it ends without an error says that TLS was ended in order, too.
    soon(stream.read_to_string(&mut answer))
        .await
        .expect("text");
    assert_eq!(answer, "imok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_no_certificate_or_a_strangers_or_speaks_no_tls_is_turned_away_and_counted() {
    let members = Members::start(1).await;
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = open(&members, &server(&authority, Some(true))).await;
    let forged = stranger.issue(&[(CommonName, "web")]);
    let expired = authority.issue_until(&[(CommonName, "web")], 2001);
    for shown in [None, Some(&forged), Some(&expired)] {
        let stream = authority.connect(port.tls_addr, shown).await;
        // With TLS 1.3 the server's refusal is what comes first.
        if let Ok(stream) = stream {
            let mut client = Client::over(stream);
            assert_eq!(client.shake(&connect_request()).await, None);
        }
    }
    let mut plain = Client::connect(port.tls_addr).await;
    plain.raw(b"ruok").await;
    // Half a record: more has to come before it can be refused.
    plain.raw(&[0; 16]).await;
    let mut alert = [0; 64];
    let mut socket = TcpStream::connect(port.tls_addr).await.expect("listens");
    tokio::io::AsyncWriteExt::write_all(&mut socket, b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    let read = soon(socket.read(&mut alert)).await.unwrap_or(0);
    assert!(read == 0 || alert[0] == 21, "an alert or nothing");
    drop(plain);
    eventually("all five are counted", || port.tls_failures() == 5).await;
    let known = authority.issue(&[(CommonName, "web")]);
    client(&authority, &port, Some(&known)).await;
    assert_eq!(port.tls_failures(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_finish_its_handshake_holds_up_nobody_and_is_given_up() {
    let members = Members::start(1).await;
    let authority = Authority::new();
    let port = open(&members, &server(&authority, None)).await;
    let begun = Instant::now();
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(port.tls_addr).await.expect("listens"));
    }
    client(&authority, &port, None).await;
    assert!(begun.elapsed() < Duration::from_secs(9), "nobody waited");
    let mut half = authority.connect(port.tls_addr, None).await.expect("TLS");
    assert_eq!(soon(half.read(&mut [0; 1])).await.unwrap_or(0), 0);
    for socket in &mut silent {
        assert_eq!(soon(socket.read(&mut [0; 1])).await.unwrap_or(0), 0);
    }
    assert!(begun.elapsed() >= Duration::from_secs(9));
    assert_eq!(port.tls_failures(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_files_are_taken_into_use_and_broken_ones_are_not() {
    let members = Members::start(1).await;
    let authority = Authority::new();
    let tls = server(&authority, None);
    let port = open(&members, &tls).await;
    let mut old = client(&authority, &port, None).await;
    let shown = async || shown_by(&authority.connect(port.tls_addr, None).await.expect("TLS"));
    let first = shown().await;

    let second = authority.issue(&[(CommonName, "second")]);
    let mismatch = Issued {
        certificate: second.certificate.clone(),
        key: authority.issue(&[(CommonName, "third")]).key,
    };
    authority.install(&mismatch);
    assert!(matches!(tls.reload(), Err(TlsError::Mismatch { .. })));
    assert_eq!(shown().await, first);

    authority.install(&second);
    tls.reload().expect("sound files");
    assert_ne!(shown().await, first);
    assert_eq!(old.get(OpCode::Exists, "/", false).await.error(), 0);
}
