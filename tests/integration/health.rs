//! Endpoints that are not well: what probes find out, and what that means for traffic. Whole nodes, real sockets.
#![allow(clippy::unwrap_used)] // a client or endpoint that cannot do its part has failed its test

use crate::support::node::Whole;
use crate::support::{PATIENCE, soon};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// A check that decides soon.
const CHECK: &str =
    "check = { type = 'http', interval = '100ms', timeout = '100ms', rise = 2, fall = 2 }";

/// What an endpoint does with whatever it is asked: answers with this status, or, with 0, accepts and says nothing.
struct Served {
    addr: SocketAddr,
    status: Arc<AtomicU32>,
    accepted: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    async fn start(status: u32) -> Served {
        Served::at("127.0.0.1:0".parse().unwrap(), status).await
    }

    async fn at(addr: SocketAddr, status: u32) -> Served {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (status, accepted) = (Arc::new(AtomicU32::new(status)), Arc::default());
        let task = tokio::spawn(serve(listener, Arc::clone(&status), Arc::clone(&accepted)));
        Served {
            addr,
            status,
            accepted,
            task,
        }
    }

    fn answers(&self, status: u32) {
        self.status.store(status, Relaxed);
    }
}

async fn serve(listener: TcpListener, status: Arc<AtomicU32>, accepted: Arc<AtomicU64>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Relaxed);
        let status = Arc::clone(&status);
        connections.spawn(async move {
            let mut request = [0; 4096];
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                let status = status.load(Relaxed);
                if status != 0 {
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
    }
}

fn endpoints(all: &[&Served]) -> String {
    let quoted = all.iter().map(|served| format!("'{}'", served.addr));
    format!("endpoints = [{}]", quoted.collect::<Vec<_>>().join(", "))
}

/// Waits until the endpoint is in that condition.
async fn becomes(whole: &Whole, addr: SocketAddr, condition: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = whole.condition(&addr.to_string()).await;
        if found == condition {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{addr} stays {found}, not {condition}"
        );
        sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Waits until the table goes by it: the endpoint gets new connections, or none.
async fn gets_traffic(whole: &Whole, addr: SocketAddr, does: bool) {
    let up = format!("zoogate_endpoint_up{{endpoint=\"{addr}\",service=\"web\"}}");
    let deadline = Instant::now() + PATIENCE;
    while (whole.metric(&up).await == 1.0) != does {
        assert!(Instant::now() < deadline, "{addr} in use: not {does}");
        sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// The statuses that so many new connections get.
async fn statuses(whole: &Whole, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        let mut client = TcpStream::connect(whole.addr()).await.unwrap();
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        soon(client.read_exact(&mut answer)).await.unwrap();
        let status = std::str::from_utf8(&answer[9..]).unwrap();
        statuses.push(status.parse().unwrap());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_whose_check_fails_gets_no_traffic_until_it_passes() {
    let (good, bad) = (Served::start(200).await, Served::start(200).await);
    let whole = Whole::start(&format!("{CHECK}\n{}", endpoints(&[&good, &bad]))).await;
    // Both were probed, so that no first result decides alone.
    let passed = "zoogate_probes_total{reason=\"ok\",service=\"web\"}";
    while whole.metric(passed).await < 6.0 {
        sleep(std::time::Duration::from_millis(10)).await;
    }
    becomes(&whole, bad.addr, "up").await;
    // It says that it does not serve; then it says nothing at all.
    for status in [503, 0] {
        bad.answers(status);
        becomes(&whole, bad.addr, "unhealthy").await;
        gets_traffic(&whole, bad.addr, false).await;
        assert_eq!(statuses(&whole, 10).await, [200; 10]);
        bad.answers(201);
        becomes(&whole, bad.addr, "up").await;
        gets_traffic(&whole, bad.addr, true).await;
        let mut both = statuses(&whole, 2).await;
        both.sort_unstable();
        assert_eq!(both, [200, 201]);
        bad.answers(200);
    }
    let failed = |reason| format!("zoogate_probes_total{{reason=\"{reason}\",service=\"web\"}}");
    assert!(whole.metric(&failed("status")).await >= 2.0);
    assert!(whole.metric(&failed("timeout")).await >= 2.0);
    assert!(whole.metric(&failed("ok")).await >= 4.0);
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_refuses_is_unhealthy_from_its_first_probe() {
    let good = Served::start(200).await;
    let gone = Served::start(200).await;
    let addr = gone.addr;
    drop(gone);
    let whole = Whole::start(&format!(
        "check = {{ type = 'tcp', interval = '1h' }}\nendpoints = ['{}', '{addr}']",
        good.addr
    ))
    .await;
    becomes(&whole, addr, "unhealthy").await;
    becomes(&whole, good.addr, "up").await;
    gets_traffic(&whole, addr, false).await;
    assert_eq!(statuses(&whole, 4).await, [200; 4]);
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_failures_do_not_make_an_endpoint_unhealthy() {
    let (good, flaps) = (Served::start(200).await, Served::start(200).await);
    let check = CHECK.replace("fall = 2", "fall = 3");
    let whole = Whole::start(&format!("{check}\n{}", endpoints(&[&good, &flaps]))).await;
    becomes(&whole, flaps.addr, "up").await;
    let ok = "zoogate_probes_total{reason=\"ok\",service=\"web\"}";
    let failed = "zoogate_probes_total{reason=\"status\",service=\"web\"}";
    for round in 1..=4 {
        flaps.answers(503);
        let deadline = Instant::now() + PATIENCE;
        while whole.metric(failed).await < f64::from(round) {
            assert!(Instant::now() < deadline, "not probed");
            sleep(std::time::Duration::from_millis(2)).await;
        }
        flaps.answers(200);
        let passed = whole.metric(ok).await;
        while whole.metric(ok).await < passed + 4.0 {
            assert!(Instant::now() < deadline, "not probed");
            sleep(std::time::Duration::from_millis(2)).await;
        }
        assert_eq!(whole.condition(&flaps.addr.to_string()).await, "up");
    }
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_settings_of_a_check_take_effect_and_probes_end_with_their_endpoint() {
    let (good, other) = (Served::start(200).await, Served::start(503).await);
    let both = endpoints(&[&good, &other]);
    let mut whole = Whole::start(&format!("{CHECK}\n{both}")).await;
    becomes(&whole, other.addr, "unhealthy").await;
    // Now 503 is what it is to answer.
    whole
        .reload(&format!(
            "{}\n{both}",
            CHECK.replace("rise", "status = '503', rise")
        ))
        .await;
    becomes(&whole, other.addr, "up").await;
    becomes(&whole, good.addr, "unhealthy").await;
    // Without a check nothing is known.
    whole.reload(&both).await;
    becomes(&whole, good.addr, "up").await;
    let probed = other.accepted.load(Relaxed);
    whole
        .reload(&format!("{CHECK}\n{}", endpoints(&[&good])))
        .await;
    becomes(&whole, other.addr, "absent").await;
    let before = good.accepted.load(Relaxed);
    let deadline = Instant::now() + PATIENCE;
    while good.accepted.load(Relaxed) < before + 5 {
        assert!(Instant::now() < deadline, "not probed");
        sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(other.accepted.load(Relaxed), probed, "probed after it left");
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_every_check_fails_traffic_goes_on() {
    let (a, b) = (Served::start(503).await, Served::start(503).await);
    let whole = Whole::start(&format!("{CHECK}\n{}", endpoints(&[&a, &b]))).await;
    becomes(&whole, a.addr, "unhealthy").await;
    becomes(&whole, b.addr, "unhealthy").await;
    assert_eq!(statuses(&whole, 4).await, [503; 4], "from the endpoints");
    whole.stop().await;
}

/// Ejects soon, and not for long.
const OUTLIER: &str = "outlier = { consecutive = 3, eject = '1s', max_ejected = 0.5 }";

/// Makes connections until the endpoint is ejected.
async fn until_ejected(whole: &Whole, addr: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while whole.condition(&addr.to_string()).await != "ejected" {
        assert!(Instant::now() < deadline, "{addr} is not ejected");
        let _ = TcpStream::connect(whole.addr()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_refuses_is_ejected_and_comes_back() {
    let (good, gone) = (Served::start(200).await, Served::start(200).await);
    let addr = gone.addr;
    drop(gone);
    let all = format!("endpoints = ['{}', '{addr}']", good.addr);
    let whole = Whole::start(&format!("{OUTLIER}\n{all}")).await;
    until_ejected(&whole, addr).await;
    gets_traffic(&whole, addr, false).await;
    let retries = whole.metric("zoogate_retries_total{service=\"web\"}").await;
    assert_eq!(statuses(&whole, 10).await, [200; 10]);
    let after = whole.metric("zoogate_retries_total{service=\"web\"}").await;
    assert_eq!(after, retries, "it is not even tried");
    let by = "zoogate_ejections_total{reason=\"consecutive-failures\",service=\"web\"}";
    assert_eq!(whole.metric(by).await, 1.0);
    let _back = Served::at(addr, 201).await;
    becomes(&whole, addr, "up").await;
    gets_traffic(&whole, addr, true).await;
    let mut both = statuses(&whole, 2).await;
    both.sort_unstable();
    assert_eq!(both, [200, 201]);
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_resets_before_its_first_byte_is_ejected() {
    let good = Served::start(200).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let resets = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            zoogate::net::reset_on_close(&stream);
        }
    });
    let all = format!("endpoints = ['{}', '{addr}']", good.addr);
    let whole = Whole::start(&format!("{OUTLIER}\n{all}")).await;
    until_ejected(&whole, addr).await;
    gets_traffic(&whole, addr, false).await;
    assert_eq!(statuses(&whole, 4).await, [200; 4]);
    resets.abort();
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_a_share_is_ejected() {
    let good = Served::start(200).await;
    let mut dead = Vec::new();
    for _ in 0..3 {
        let gone = Served::start(200).await;
        dead.push(gone.addr);
    }
    let quoted: Vec<String> = dead.iter().map(|addr| format!("'{addr}'")).collect();
    let all = format!("endpoints = ['{}', {}]", good.addr, quoted.join(", "));
    let long = OUTLIER
        .replace("1s", "1h")
        .replace("0.5", "0.5, max_eject = '1h'");
    let whole = Whole::start(&format!("{long}\n{all}")).await;
    let ejections = "zoogate_ejections_total{reason=\"consecutive-failures\",service=\"web\"}";
    let failures = "zoogate_endpoint_connect_failures_total";
    let deadline = Instant::now() + PATIENCE;
    while whole.metric(ejections).await < 2.0 {
        assert!(Instant::now() < deadline, "not ejected");
        let _ = TcpStream::connect(whole.addr()).await;
    }
    // The third goes on to fail, and stays: half of four are out.
    let before = whole.metric(failures).await;
    for _ in 0..60 {
        let mut client = TcpStream::connect(whole.addr()).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        soon(client.read_exact(&mut answer)).await.unwrap();
    }
    assert_eq!(whole.metric(ejections).await, 2.0, "{before}");
    whole.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_5xx_count_as_failures_with_http() {
    let (good, bad) = (Served::start(200).await, Served::start(503).await);
    let whole = Whole::speaking("http", &format!("{OUTLIER}\n{}", endpoints(&[&good, &bad]))).await;
    let deadline = Instant::now() + PATIENCE;
    while whole.condition(&bad.addr.to_string()).await != "ejected" {
        assert!(Instant::now() < deadline, "not ejected");
        statuses(&whole, 2).await;
    }
    gets_traffic(&whole, bad.addr, false).await;
    assert_eq!(statuses(&whole, 4).await, [200; 4]);
    bad.answers(200);
    becomes(&whole, bad.addr, "up").await;
    whole.stop().await;
}
