//! Members to each other: who is let in, who is not, and what either side is told.

use super::super::fixture::{Authority, DOMAIN, node, uri};
use super::*;
use crate::net::{TcpListener, TcpStream};
use rcgen::{ExtendedKeyUsagePurpose, SanType, string::Ia5String};
use std::io;
use tokio::io::AsyncReadExt;

/// What both sides make of each other: the names they see, or why they do not.
async fn shake(
    acceptor: &PeerTls,
    dialler: &PeerTls,
    expected: Option<&str>,
) -> (io::Result<String>, io::Result<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async {
        let (socket, _) = listener.accept().await?;
        let (stream, name) = acceptor.accept(socket).await?;
        // The dialler looks whether there is anything to read, which tells it that it was let in.
        drop(stream);
        Ok(name)
    };
    let dialling = async {
        let socket = TcpStream::connect(address).await?;
        let (mut stream, name) = dialler.connect(socket, expected).await?;
        match stream.read(&mut [0]).await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(error),
            _ => Ok(name),
        }
    };
    tokio::join!(accepting, dialling)
}

fn reason(result: &io::Result<String>) -> &'static str {
    match result {
        Ok(_) => "let in",
        Err(error) => TlsFailure::of(error).as_str(),
    }
}

#[tokio::test]
async fn two_nodes_of_one_authority_see_each_others_names() {
    let authority = Authority::new();
    let n1 = authority.peer("n1", &node("n1")).unwrap();
    let n2 = authority.peer("n2", &node("n2")).unwrap();
    for expected in [Some("n1"), None] {
        let (seen, dialled) = shake(&n1, &n2, expected).await;
        assert_eq!(
            (seen.unwrap(), dialled.unwrap()),
            ("n2".into(), "n1".into())
        );
    }
}

#[tokio::test]
async fn another_node_than_the_one_meant_is_refused_by_name() {
    let authority = Authority::new();
    let n1 = authority.peer("n1", &node("n1")).unwrap();
    let n2 = authority.peer("n2", &node("n2")).unwrap();
    let (seen, dialled) = shake(&n1, &n2, Some("n3")).await;
    assert_eq!((reason(&seen), reason(&dialled)), ("refused", "wrong_node"));
    let told = dialled.unwrap_err().to_string();
    assert!(told.contains(r#"of node "n1", not of "n3""#), "{told}");
}

/// A certificate with one thing wrong, which a node of its own would not even start with: shown by one that is not told.
fn stranger(authority: &Authority, params: &CertificateParams) -> PeerTls {
    let dir = TempDir::new().unwrap();
    let issued = authority.issue(params);
    let files = super::super::fixture::files(dir.path(), "n2", &issued, &authority.pem());
    PeerTls::load_unchecked(files).unwrap()
}

#[tokio::test]
async fn a_certificate_that_is_no_nodes_opens_nothing_on_either_side() {
    let authority = Authority::new();
    let n1 = authority.peer("n1", &node("n1")).unwrap();
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = node("n2");
        change(&mut params);
        params
    };
    let cases = [
        (
            "none but a common name",
            with(|p| p.subject_alt_names.clear()),
        ),
        (
            "a DNS name",
            with(|p| {
                p.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from("n2").unwrap())]
            }),
        ),
        (
            "two URIs",
            with(|p| p.subject_alt_names.push(uri("spiffe://test/node/n1"))),
        ),
        (
            "another trust domain",
            with(|p| p.subject_alt_names = vec![uri("spiffe://other/node/n2")]),
        ),
        (
            "an empty name",
            with(|p| p.subject_alt_names = vec![uri("spiffe://test/node/")]),
        ),
        (
            "more of a path",
            with(|p| p.subject_alt_names = vec![uri("spiffe://test/node/n2/x")]),
        ),
        (
            "a client's name",
            with(|p| p.subject_alt_names = vec![uri("spiffe://test/client/n2")]),
        ),
        ("no usages", with(|p| p.extended_key_usages.clear())),
        (
            "a client's usage",
            with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        ),
        (
            "a server's usage",
            with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ),
        (
            "any usage",
            with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        ),
    ];
    for (what, params) in cases {
        let wrong = stranger(&authority, &params);
        let (seen, dialled) = shake(&n1, &wrong, None).await;
        assert_eq!(reason(&seen), "not_a_node", "{what}: {seen:?}");
        assert_eq!(reason(&dialled), "refused", "{what}: {dialled:?}");
        let (seen, dialled) = shake(&wrong, &n1, None).await;
        assert_eq!(reason(&seen), "refused", "{what}: {seen:?}");
        assert_eq!(reason(&dialled), "not_a_node", "{what}: {dialled:?}");
    }
}

#[tokio::test]
async fn another_authority_and_a_time_that_is_over_open_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let n1 = authority.peer("n1", &node("n1")).unwrap();
    let foreign = other.peer("n2", &node("n2")).unwrap();
    let mut old = node("n2");
    old.not_before = rcgen::date_time_ymd(1999, 1, 1);
    old.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let mut early = node("n2");
    early.not_before = rcgen::date_time_ymd(2090, 1, 1);
    let (old, early) = (
        authority.peer("n2", &old).unwrap(),
        authority.peer("n2", &early).unwrap(),
    );
    for (wrong, expected) in [(old, "expired"), (early, "expired")] {
        let (seen, dialled) = shake(&n1, &wrong, None).await;
        assert_eq!((reason(&seen), reason(&dialled)), (expected, "refused"));
        let (seen, dialled) = shake(&wrong, &n1, Some("n2")).await;
        assert_eq!((reason(&seen), reason(&dialled)), ("refused", expected));
    }
    // Here both are strangers to each other, and the dialler looks first.
    for (acceptor, dialler) in [(&n1, &foreign), (&foreign, &n1)] {
        let (seen, dialled) = shake(acceptor, dialler, None).await;
        assert_eq!(reason(&seen), "refused");
        assert_eq!(reason(&dialled), "unknown_authority");
    }
    let both = format!("{}{}", authority.pem(), other.pem());
    let bundled = other.peer_trusting("n2", &node("n2"), &both).unwrap();
    let (seen, dialled) = shake(&n1, &bundled, Some("n1")).await;
    assert_eq!(reason(&seen), "unknown_authority");
    assert_eq!(reason(&dialled), "refused");
    let n1 = authority.peer_trusting("n1", &node("n1"), &both).unwrap();
    let (seen, dialled) = shake(&n1, &bundled, Some("n1")).await;
    assert_eq!((reason(&seen), reason(&dialled)), ("let in", "let in"));
}

#[test]
fn what_the_others_would_refuse_is_refused_before() {
    let (authority, other) = (Authority::new(), Authority::new());
    let refusal = |result: Result<PeerTls, TlsError>| result.err().unwrap().to_string();
    let told = refusal(authority.peer("n1", &node("n2")));
    assert!(told.contains(r#"node "n2", not of "n1""#), "{told}");
    let told = refusal(authority.peer_trusting("n1", &node("n1"), &other.pem()));
    assert!(told.contains("none of the authorities in"), "{told}");
    let mut client = node("n1");
    client.extended_key_usages.truncate(1);
    let told = refusal(authority.peer("n1", &client));
    assert!(told.contains("serverAuth and clientAuth"), "{told}");
    let mut unnamed = node("n1");
    unnamed.subject_alt_names.clear();
    let told = refusal(authority.peer("n1", &unnamed));
    assert!(told.contains("has 0 URI names"), "{told}");
    assert_eq!(DOMAIN, "test");
}

#[tokio::test]
async fn members_speak_the_newest_version_alone_and_their_own_protocol() {
    let authority = Authority::new();
    let n1 = authority.peer("n1", &node("n1")).unwrap();
    let issued = authority.issue(&node("n2"));
    let attempt = async |versions: &[&'static rustls::SupportedProtocolVersion],
                         protocol: &[u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = plain_client(&authority, &issued, versions, protocol);
        let dialling = async {
            let socket = TcpStream::connect(address).await.unwrap();
            let name = rustls::pki_types::ServerName::try_from("n1").unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            connector.connect(name, socket).await.map(|_| ())
        };
        let accepting = async {
            let (socket, _) = listener.accept().await.unwrap();
            n1.accept(socket).await.map(|(_, name)| name)
        };
        let (seen, _) = tokio::join!(accepting, dialling);
        reason(&seen)
    };
    let (new, old) = (&rustls::version::TLS13, &rustls::version::TLS12);
    assert_eq!(attempt(&[new], b"zoogate-members").await, "let in");
    assert_eq!(attempt(&[new], b"h2").await, "incompatible");
    assert_eq!(attempt(&[new], b"").await, "incompatible");
    assert_eq!(attempt(&[old], b"zoogate-members").await, "incompatible");
}

/// A client that checks no certificate and shows one.
fn plain_client(
    authority: &Authority,
    issued: &super::super::fixture::Issued,
    versions: &[&'static rustls::SupportedProtocolVersion],
    protocol: &[u8],
) -> rustls::ClientConfig {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let n1 = authority.peer("n1", &node("n1")).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(n1.judge_of_any())
        .with_client_auth_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.alpn_protocols.retain(|name| !name.is_empty());
    config
}
