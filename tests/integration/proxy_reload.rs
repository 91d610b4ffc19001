//! Listeners that come, change and go under load: nobody who connects is refused or reset.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::http::{Origin, request, text};
use crate::support::traffic::{Setup, Traffic};
use crate::support::{eventually, soon};
use futures_util::future::join_all;
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use zoogate::config::{ListenerConfig, Protocol};

const ANY: &str = "127.0.0.1:0";

async fn echo() -> SocketAddr {
    let echo = Origin::raw(|mut stream| async move {
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    echo.await.addr
}

fn listener(name: &str, bind: &str) -> ListenerConfig {
    ListenerConfig::new(name, bind.parse().unwrap(), Protocol::Tcp)
}

/// A data plane with two workers and the listener `front`, before an endpoint that echoes.
async fn data_plane() -> (Traffic, ListenerConfig) {
    let setup = Setup {
        workers: 2,
        ..Setup::new(Protocol::Tcp, &[echo().await])
    };
    let front = setup.listener.clone();
    (setup.start(), front)
}

/// One byte there and back.
async fn echoes(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await.map(drop)
}

async fn served(addr: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    echoes(&mut stream).await
}

/// A stream of new connections to `addr` until `stop`; how many were served, or the first that was not.
async fn stream_of_connections(
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU32>,
) -> std::io::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        timeout(Duration::from_secs(10), served(addr)).await??;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[tokio::test]
async fn ten_reloads_under_a_stream_of_connections_lose_none() {
    let (mut traffic, mut front) = data_plane().await;
    let names: Vec<String> = (0..10).map(|number| format!("extra-{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).chain(["front"]).collect();
    traffic.use_listeners(&all);
    let (stop, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
    let streams: Vec<_> = (0..8)
        .map(|_| stream_of_connections(traffic.addr, stop.clone(), count.clone()))
        .map(tokio::spawn)
        .collect();
    let mut kept = Vec::new();
    for (round, name) in names.iter().enumerate() {
        front.max_connections = 100 + round;
        front.max_connections_per_source = (round % 2 == 0).then_some(1000);
        front.accept_rate = (round % 3 == 0).then_some(100_000);
        front.socket.backlog = 1000 + round as u32;
        let extra = listener(name, ANY);
        let leaving = traffic.reload(&[front.clone(), extra]).await.unwrap();
        assert_eq!(leaving.len(), usize::from(round > 0));
        let addr = traffic.addrs()[name];
        // Through the listener that goes with the next reload: one that stays, and some that have just arrived.
        let mut long = TcpStream::connect(addr).await.unwrap();
        echoes(&mut long).await.unwrap();
        let connected = join_all((0..20).map(|_| TcpStream::connect(addr))).await;
        kept.push((long, connected));
        let before = count.load(Ordering::Relaxed);
        eventually("more connections", || {
            count.load(Ordering::Relaxed) > before + 50
        })
        .await;
    }
    traffic.reload(&[front]).await.unwrap();
    for (mut long, connected) in kept {
        soon(echoes(&mut long)).await.unwrap();
        for stream in connected {
            soon(echoes(&mut stream.unwrap())).await.unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for stream in streams {
        soon(stream).await.unwrap().unwrap();
    }
    assert!(count.load(Ordering::Relaxed) > 500);
    assert_eq!(traffic.closed("client-reset"), 0.0);
}

#[tokio::test]
async fn who_waits_in_the_kernel_for_a_listener_that_goes_is_served() {
    let (mut traffic, front) = data_plane().await;
    traffic.use_listeners(&["front", "narrow"]);
    let narrow = ListenerConfig {
        max_connections: 1,
        ..listener("narrow", ANY)
    };
    traffic.reload(&[front.clone(), narrow]).await.unwrap();
    let addr = traffic.addrs()["narrow"];
    let waiting = join_all((0..50).map(|_| TcpStream::connect(addr))).await;
    let leaving = traffic.reload(&[front]).await.unwrap();
    assert_eq!(leaving.len(), 1);
    let exchanges = waiting.into_iter().map(|stream| async {
        let mut stream = stream.unwrap();
        echoes(&mut stream).await
    });
    for exchange in soon(join_all(exchanges)).await {
        exchange.unwrap();
    }
    soon(leaving.into_iter().next().unwrap().drained()).await;
    let gone = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_listener_that_goes_is_drained_when_its_last_connection_ends() {
    let (mut traffic, front) = data_plane().await;
    traffic.use_listeners(&["front", "extra"]);
    traffic
        .reload(&[front.clone(), listener("extra", ANY)])
        .await
        .unwrap();
    let mut stream = TcpStream::connect(traffic.addrs()["extra"]).await.unwrap();
    echoes(&mut stream).await.unwrap();
    let mut leaving = traffic.reload(&[front]).await.unwrap();
    let drained = leaving.remove(0).drained();
    tokio::pin!(drained);
    let early = timeout(Duration::from_millis(600), drained.as_mut()).await;
    assert!(early.is_err(), "a connection is left");
    echoes(&mut stream).await.unwrap();
    drop(stream);
    assert_eq!(soon(drained).await.name, "extra");
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_changes_nothing_and_is_named() {
    let (mut traffic, mut front) = data_plane().await;
    let strange = TcpListener::bind(ANY).await.unwrap();
    let taken = strange.local_addr().unwrap();
    let free = {
        let probe = TcpListener::bind(ANY).await.unwrap();
        probe.local_addr().unwrap()
    };
    front.max_connections = 1;
    let wanted = [
        front,
        listener("good", &free.to_string()),
        listener("bad", &taken.to_string()),
    ];
    let Err(refused) = traffic.reload(&wanted).await else {
        panic!("a stranger's address was bound");
    };
    assert_eq!(
        refused.to_string(),
        format!("listener bad: cannot bind {taken}")
    );
    let reason = refused.source().unwrap().to_string();
    assert!(reason.contains("in use"), "{reason}");
    let nobody = TcpStream::connect(free).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(traffic.addrs().len(), 1);
    // The old limit: two at once.
    let mut both = [
        TcpStream::connect(traffic.addr).await.unwrap(),
        TcpStream::connect(traffic.addr).await.unwrap(),
    ];
    for stream in &mut both {
        soon(echoes(stream)).await.unwrap();
    }
}

#[tokio::test]
async fn a_listener_moves_and_takes_its_connections_along() {
    let (mut traffic, front) = data_plane().await;
    let mut old = TcpStream::connect(traffic.addr).await.unwrap();
    echoes(&mut old).await.unwrap();
    let free = {
        let probe = TcpListener::bind(ANY).await.unwrap();
        probe.local_addr().unwrap()
    };
    let moved = ListenerConfig {
        bind: free,
        ..front
    };
    let leaving = traffic.reload(&[moved]).await.unwrap();
    assert!(leaving.is_empty(), "it is the same listener");
    assert_eq!(traffic.addrs()["front"], free);
    served(free).await.unwrap();
    echoes(&mut old).await.unwrap();
    eventually("the old address is closed", || {
        std::net::TcpStream::connect(traffic.addr)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
    .await;
    let series = "zoogate_connections_active{listener=\"front\"}";
    eventually("only the old one is left", || traffic.metric(series) == 1.0).await;
}

#[tokio::test]
async fn an_address_keeps_its_sockets_whatever_listens_there() {
    let (mut traffic, front) = data_plane().await;
    let free = {
        let probe = TcpListener::bind(ANY).await.unwrap();
        probe.local_addr().unwrap().to_string()
    };
    traffic.use_listeners(&["front", "a", "b"]);
    traffic
        .reload(&[front.clone(), listener("a", &free)])
        .await
        .unwrap();
    let addr = traffic.addrs()["a"];
    let stop = Arc::<AtomicBool>::default();
    let count = Arc::<AtomicU32>::default();
    let stream = tokio::spawn(stream_of_connections(addr, stop.clone(), count.clone()));
    for name in ["b", "a", "b"] {
        let leaving = traffic
            .reload(&[front.clone(), listener(name, &free)])
            .await
            .unwrap();
        assert_eq!(leaving.len(), 1);
        let before = count.load(Ordering::Relaxed);
        eventually("connections", || {
            count.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    soon(stream).await.unwrap().unwrap();
    for name in ["a", "b"] {
        let series = format!("zoogate_connections_total{{listener=\"{name}\"}}");
        assert!(traffic.metric(&series) > 0.0, "{name}");
    }
}

#[tokio::test]
async fn a_listener_changes_its_protocol() {
    let origin = Origin::http(|_| async { text("ok") }).await;
    let setup = Setup::new(Protocol::Tcp, &[origin.addr]);
    let front = setup.listener.clone();
    let mut traffic = setup.start();
    let http = ListenerConfig {
        protocol: Protocol::Http,
        ..front
    };
    traffic.reload(&[http]).await.unwrap();
    let reply = request(traffic.addr, "BREW / HTTP/9", "").await;
    assert_eq!(reply.status(), 400, "it is read as HTTP now");
}

#[tokio::test]
async fn a_kept_http_connection_of_a_listener_that_goes_ends_in_order() {
    let origin = Origin::http(|_| async { text("ok") }).await;
    let setup = Setup::new(Protocol::Http, &[origin.addr]);
    let mut traffic = setup.start();
    let mut client = TcpStream::connect(traffic.addr).await.unwrap();
    let ask = b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n";
    client.write_all(ask).await.unwrap();
    let mut answer = [0; 1024];
    assert!(soon(client.read(&mut answer)).await.unwrap() > 0);
    let leaving = traffic.reload(&[]).await.unwrap();
    assert_eq!(soon(client.read(&mut answer)).await.unwrap(), 0);
    soon(leaving.into_iter().next().unwrap().drained()).await;
}
