//! TLS that ends here: which certificate a client is shown, what it must show, and how streams end.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, mirror};
use crate::support::tls::{Authority, connect_to, shown_by};
use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use rcgen::DnType;
use rustls::ClientConfig;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use xxhash_rust::xxh3::xxh3_64;
use zoogate::config::{
    CertificateFiles, ClientCertificate, ListenerTls, Protocol, SendProxy, TlsVersion,
};
use zoogate::net::proxy_protocol::{Parsed, TlvKind, parse};

/// A listener that ends TLS, its endpoint, and who vouches for its certificates.
struct World {
    authority: Authority,
    endpoint: TcpListener,
    traffic: Traffic,
}

/// Files of a certificate that is called `name`.
fn install(authority: &Authority, name: &str, hosts: &[&str]) -> CertificateFiles {
    let issued = authority.issue_for(hosts);
    let files = CertificateFiles {
        certificate: authority.path(&format!("{name}.pem")),
        key: authority.path(&format!("{name}.key")),
    };
    authority.write(&format!("{name}.pem"), &issued.certificate);
    authority.write(&format!("{name}.key"), &issued.key);
    files
}

fn ended(authority: &Authority, change: impl FnOnce(&mut ListenerTls)) -> ListenerTls {
    let mut tls = ListenerTls {
        certificates: vec![install(authority, "default", &["localhost"])],
        alpn: Vec::new(),
        client_ca: None,
        client_certificate: ClientCertificate::Optional,
        min_version: TlsVersion::V1_2,
    };
    change(&mut tls);
    tls
}

impl World {
    async fn new(change: impl FnOnce(&Authority, &mut ListenerTls)) -> World {
        World::with(change, |setup| setup).await
    }

    async fn with(
        change: impl FnOnce(&Authority, &mut ListenerTls),
        setup: impl FnOnce(Setup) -> Setup,
    ) -> World {
        let authority = Authority::new();
        let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = ended(&authority, |tls| change(&authority, tls));
        let addr = endpoint.local_addr().unwrap();
        let tcp = Setup::new(Protocol::Tcp, &[addr]).listener(|listener| {
            listener.tls = Some(tls);
            listener.handshake_timeout = Duration::from_millis(400);
        });
        let traffic = setup(tcp).start();
        World {
            authority,
            endpoint,
            traffic,
        }
    }

    async fn connect(&self, client: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        soon(connect_to("localhost", self.traffic.addr, client)).await
    }

    /// A client and the endpoint's side of its connection.
    async fn pair(&self) -> (TlsStream<TcpStream>, TcpStream) {
        let client = self.connect(self.authority.client(None)).await.unwrap();
        let (upstream, _) = soon(self.endpoint.accept()).await.unwrap();
        (client, upstream)
    }
}

/// How a stream ends: bytes, then an orderly end or an error.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = soon(stream.read_to_end(&mut bytes)).await;
    (bytes, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn clients_are_shown_the_certificate_for_the_name_they_ask_for() {
    let world = World::new(|authority, tls| {
        let shop = install(authority, "shop", &["shop.example", "www.shop.example"]);
        let tenants = install(authority, "tenants", &["*.shop.example", "*.test.example"]);
        tls.certificates.extend([shop, tenants]);
    })
    .await;
    let file = |name: &str| std::fs::read(world.authority.path(name)).unwrap();
    for (host, expected) in [
        ("localhost", "default.pem"),
        ("shop.example", "shop.pem"),
        ("SHOP.example", "shop.pem"),
        ("www.shop.example", "shop.pem"),
        ("a.shop.example", "tenants.pem"),
        ("b.test.example", "tenants.pem"),
    ] {
        let client = world.authority.client(None);
        let stream = soon(connect_to(host, world.traffic.addr, client))
            .await
            .unwrap();
        let expected = pem_to_der(&file(expected));
        assert_eq!(shown_by(&stream).as_ref(), expected, "{host}");
    }
    // A wildcard stands for one label; whoever is not known is shown the first, and may refuse it.
    for host in ["a.b.shop.example", "other.example", "127.0.0.1"] {
        let client = world.authority.client(None);
        let refused = soon(connect_to(host, world.traffic.addr, client))
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("localhost"),
            "{host}: {refused}"
        );
    }
}

fn pem_to_der(pem: &[u8]) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

#[tokio::test]
async fn what_clients_and_endpoints_say_arrives_whole() {
    let world = World::new(|_, _| {}).await;
    let (client, upstream) = world.pair().await;
    let sent: Vec<u8> = (0..3_000_000u64).map(|n| ((n * n) >> 7) as u8).collect();
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut upstream_read, mut upstream_write) = tokio::io::split(upstream);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let talking = async {
        tokio::try_join!(
            async {
                client_write.write_all(&sent).await?;
                client_write.shutdown().await
            },
            async {
                upstream_write.write_all(&sent).await?;
                upstream_write.shutdown().await
            },
            upstream_read.read_to_end(&mut up),
            client_read.read_to_end(&mut down),
        )
    };
    soon(talking).await.unwrap();
    let expected = xxh3_64(&sent);
    assert_eq!((xxh3_64(&up), xxh3_64(&down)), (expected, expected));
    eventually("the count", || world.traffic.closed("done") == 1.0).await;
}

#[tokio::test]
async fn each_side_may_end_its_half_before_the_other() {
    let world = World::new(|_, _| {}).await;
    let (mut client, mut upstream) = world.pair().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut upstream).await, (b"question".to_vec(), None));
    upstream.write_all(b"answer").await.unwrap();
    drop(upstream);
    // An end that was not announced by close_notify would be an error here.
    assert_eq!(rest(&mut client).await, (b"answer".to_vec(), None));

    let (mut client, mut upstream) = world.pair().await;
    upstream.write_all(b"banner").await.unwrap();
    upstream.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, (b"banner".to_vec(), None));
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut upstream).await, (b"last words".to_vec(), None));
    eventually("the count", || world.traffic.closed("done") == 2.0).await;
}

#[tokio::test]
async fn a_stream_that_is_cut_does_not_look_complete() {
    let world = World::new(|_, _| {}).await;
    // FIN without close_notify: anybody on the way could have sent it.
    let (mut client, mut upstream) = world.pair().await;
    client.write_all(b"half").await.unwrap();
    client.flush().await.unwrap();
    let mut half = [0; 4];
    soon(upstream.read_exact(&mut half)).await.unwrap();
    let (mut socket, _) = client.into_inner();
    socket.shutdown().await.unwrap();
    let cut = (vec![], Some(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut upstream).await, cut);
    eventually("the count", || world.traffic.closed("client-reset") == 1.0).await;

    let (mut client, upstream) = world.pair().await;
    client.write_all(b"x").await.unwrap();
    client.flush().await.unwrap();
    upstream.set_zero_linger().unwrap();
    drop(upstream);
    let (bytes, end) = rest(&mut client).await;
    assert!(bytes.is_empty() && end.is_some(), "{end:?}");
    eventually("the count", || {
        world.traffic.closed("upstream-reset") == 1.0
    })
    .await;
}

#[tokio::test]
async fn protocols_are_agreed_upon() {
    let world = World::new(|_, tls| tls.alpn = vec!["h2".into(), "http/1.1".into()]).await;
    let offering = |protocols: &[&str]| {
        let mut client = world.authority.client(None);
        client.alpn_protocols = protocols.iter().map(|name| (*name).into()).collect();
        client
    };
    for (offered, agreed) in [
        (&["http/1.1"][..], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
    ] {
        let stream = world.connect(offering(offered)).await.unwrap();
        let found = stream.get_ref().1.alpn_protocol();
        assert_eq!(found, agreed.map(str::as_bytes), "{offered:?}");
    }
    let refused = world.connect(offering(&["mqtt"])).await.unwrap_err();
    assert!(
        refused.to_string().contains("NoApplicationProtocol"),
        "{refused}"
    );
    eventually("the count", || world.traffic.closed("tls-handshake") == 1.0).await;
}

#[tokio::test]
async fn who_must_show_a_certificate_is_not_served_without_one() {
    for (asked, anonymous_is_served) in [
        (ClientCertificate::Required, false),
        (ClientCertificate::Optional, true),
    ] {
        let world = World::new(|authority, tls| {
            authority.write("clients.pem", &authority.pem());
            tls.client_ca = Some(authority.path("clients.pem"));
            tls.client_certificate = asked;
        })
        .await;
        let known = world.authority.issue(&[(DnType::CommonName, "web")]);
        let stranger = Authority::new().issue(&[(DnType::CommonName, "web")]);
        for (shown, is_served) in [
            (None, anonymous_is_served),
            (Some(&known), true),
            (Some(&stranger), false),
        ] {
            let client = world.authority.client(shown);
            let mut stream = world.connect(client).await.unwrap();
            // It learns that it is refused when it reads.
            let served = async {
                let (mut upstream, _) = world.endpoint.accept().await.unwrap();
                upstream.write_all(b"hello").await.unwrap();
                drop(upstream);
                std::future::pending::<()>().await;
            };
            let (bytes, _) = tokio::select! {
                end = rest(&mut stream) => end,
                () = served => unreachable!(),
            };
            assert_eq!(bytes == b"hello", is_served, "{asked:?}");
        }
    }
}

#[tokio::test]
async fn what_fails_is_counted_with_its_reason() {
    let world = World::new(|_, tls| tls.min_version = TlsVersion::V1_3).await;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let refused = world.connect(old).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    let failures = |reason: &str| {
        let labels = format!("listener=\"listener.front\",reason=\"{reason}\"");
        let name = "zoogate_tls_handshake_failures_total";
        world.traffic.metric(&format!("{name}{{{labels}}}"))
    };
    eventually("the count", || failures("incompatible") == 1.0).await;

    let mut client = TcpStream::connect(world.traffic.addr).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (answer, _) = rest(&mut client).await;
    assert_eq!(answer.first(), Some(&21), "an alert");
    eventually("the count", || world.traffic.closed("not-tls") == 1.0).await;
    assert_eq!(failures("not_tls"), 1.0);

    for begun in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let mut client = TcpStream::connect(world.traffic.addr).await.unwrap();
        client.write_all(begun).await.unwrap();
        assert_eq!(
            rest(&mut client).await,
            (vec![], Some(ErrorKind::ConnectionReset))
        );
    }
    eventually("the count", || {
        world.traffic.closed("handshake-timeout") == 2.0
    })
    .await;
    drop(TcpStream::connect(world.traffic.addr).await.unwrap());
    eventually("the count", || world.traffic.closed("client-closed") == 1.0).await;
}

#[tokio::test]
async fn certificates_are_replaced_while_connections_go_on() {
    let world = World::new(|_, _| {}).await;
    let (mut client, mut upstream) = world.pair().await;
    let before = shown_by(&client);
    install(&world.authority, "default", &["localhost"]);
    let (_, tls) = &world.traffic.certificates()[0];
    tls.reload().unwrap();
    let (new_client, _upstream) = world.pair().await;
    let after = shown_by(&new_client);
    assert_ne!(before, after);
    client.write_all(b"still here").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut upstream).await, (b"still here".to_vec(), None));
    // What cannot be used changes nothing.
    world.authority.write("default.key", "no key");
    assert!(tls.reload().is_err());
    assert_eq!(shown_by(&world.pair().await.0), after);
}

#[tokio::test]
async fn endpoints_are_told_of_the_tls_that_ended_here() {
    let world = World::with(
        |authority, tls| {
            authority.write("clients.pem", &authority.pem());
            tls.client_ca = Some(authority.path("clients.pem"));
            tls.alpn = vec!["mqtt".into()];
        },
        |setup| {
            let setup = setup.policy(|policy| policy.send_proxy = SendProxy::V2);
            setup.listener(|l| l.accept_proxy = Some(vec!["127.0.0.0/8".parse().unwrap()]))
        },
    )
    .await;
    let known = world.authority.issue(&[(DnType::CommonName, "web")]);
    let mut client = world.authority.client(Some(&known));
    client.alpn_protocols = vec![b"mqtt".to_vec()];
    let mut socket = TcpStream::connect(world.traffic.addr).await.unwrap();
    // What a proxy in front claims of the TLS that it cannot have seen does not count.
    let tlvs = [
        0x01, 0, 1, b'x', 0x02, 0, 1, b'x', 0x20, 0, 5, 7, 0, 0, 0, 0, 0xea, 0, 1, 9,
    ];
    let ends = [192, 0, 2, 1, 198, 51, 100, 7, 0xc8, 0x22, 1, 0xbb];
    let length = [0, (ends.len() + tlvs.len()) as u8];
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11"[..], &length, &ends, &tlvs].concat();
    socket.write_all(&header).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut stream = soon(connector.connect(name, socket)).await.unwrap();
    stream.write_all(b"payload").await.unwrap();
    stream.shutdown().await.unwrap();
    let (mut upstream, _) = soon(world.endpoint.accept()).await.unwrap();
    let (bytes, _) = rest(&mut upstream).await;
    let Ok(Parsed::Whole { header, length }) = parse(&bytes) else {
        panic!("{bytes:?}");
    };
    assert_eq!(&bytes[length..], b"payload");
    assert_eq!(
        header.addresses.unwrap().source,
        "192.0.2.1:51234".parse().unwrap()
    );
    let kinds: Vec<u8> = header.tlvs.iter().map(|(kind, _)| kind.0).collect();
    assert_eq!(kinds, [0x02, 0x01, 0x20, 0xea]);
    assert_eq!(
        header.tlvs.find(TlvKind::AUTHORITY),
        Some(&b"localhost"[..])
    );
    assert_eq!(header.tlvs.find(TlvKind::ALPN), Some(&b"mqtt"[..]));
    let ssl = header.tlvs.find(TlvKind::SSL).unwrap();
    assert_eq!(
        &ssl[..5],
        [0b111, 0, 0, 0, 0],
        "over TLS, with a certificate that is valid"
    );
    let text = String::from_utf8_lossy(&ssl[5..]).into_owned();
    for part in ["TLSv1.3", "web", "TLS_"] {
        assert!(text.contains(part), "{part}: {text:?}");
    }
}

#[tokio::test]
async fn names_lead_to_services_where_tls_ends_too() {
    let world = World::new(|authority, tls| {
        tls.certificates
            .push(install(authority, "shop", &["shop.example"]));
    })
    .await;
    let addr = world.endpoint.local_addr().unwrap();
    world
        .traffic
        .use_names(&[(Some("shop.example"), "shop", addr)]);
    let client = || world.authority.client(None);
    let stream = soon(connect_to("shop.example", world.traffic.addr, client())).await;
    soon(world.endpoint.accept()).await.unwrap();
    drop(stream);
    let mut stream = world.connect(client()).await.unwrap();
    assert!(rest(&mut stream).await.1.is_some(), "reset");
    eventually("the count", || world.traffic.closed("no-route") == 1.0).await;
}

/// The whole answer to one request over TLS.
async fn asked(authority: &Authority, addr: SocketAddr) -> String {
    let mut client = authority.client(None);
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut stream = soon(connect_to("localhost", addr, client)).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let (bytes, end) = rest(&mut stream).await;
    assert_eq!(end, None, "with a close_notify");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn requests_over_tls_are_forwarded_as_such() {
    let origin = Origin::http(mirror).await;
    let authority = Authority::new();
    let tls = ended(&authority, |tls| tls.alpn = vec!["http/1.1".into()]);
    let setup = Setup::new(Protocol::Http, &[origin.addr]);
    let traffic = setup.listener(|listener| listener.tls = Some(tls)).start();
    for _ in 0..2 {
        let answer = asked(&authority, traffic.addr).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("x-forwarded-proto: https\n"), "{answer}");
    }
    assert_eq!(origin.connections(), 1, "kept for the next client");
}

#[tokio::test]
async fn a_listener_begins_and_ceases_to_end_tls_while_it_serves() {
    let mut world = World::new(|_, _| {}).await;
    let listener = |tls: Option<ListenerTls>| {
        let bind = "127.0.0.1:0".parse().unwrap();
        let mut config = zoogate::config::ListenerConfig::new("front", bind, Protocol::Tcp);
        config.tls = tls;
        config
    };
    let (mut client, mut upstream) = world.pair().await;
    world.traffic.reload(&[listener(None)]).await.unwrap();
    assert!(world.traffic.certificates().is_empty());
    let mut plain = TcpStream::connect(world.traffic.addr).await.unwrap();
    plain.write_all(b"plain").await.unwrap();
    plain.shutdown().await.unwrap();
    let (mut from_plain, _) = soon(world.endpoint.accept()).await.unwrap();
    assert_eq!(rest(&mut from_plain).await, (b"plain".to_vec(), None));
    // The connection that was there has not noticed.
    client.write_all(b"secret").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut upstream).await, (b"secret".to_vec(), None));

    let other = ended(&world.authority, |tls| {
        tls.certificates = vec![install(&world.authority, "other", &["localhost"])];
    });
    let broken = ended(&world.authority, |tls| {
        tls.certificates[0].key = world.authority.path("absent.key");
    });
    let refused = world.traffic.reload(&[listener(Some(broken))]).await;
    let refused = refused.err().expect("refused").to_string();
    assert_eq!(refused, "tls of listener front cannot be set up");
    world
        .traffic
        .reload(&[listener(Some(other))])
        .await
        .unwrap();
    let (client, _upstream) = world.pair().await;
    let expected = std::fs::read(world.authority.path("other.pem")).unwrap();
    assert_eq!(shown_by(&client).as_ref(), pem_to_der(&expected));
}
