//! Every page of a node that is an ensemble of one, as a client gets it.

use super::fixture::{Answer, DEADLINE, Node};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn readiness_follows_leader_table_and_shutdown() {
    let node = Node::start().await;
    node.led().await;
    node.ask("GET", "/readyz")
        .await
        .is(503, "routing table not built\n");
    node.state.metrics.coordination.table_swaps.inc();
    node.ask("GET", "/readyz").await.is(200, "ready\n");
    node.state.health.stop();
    node.ask("GET", "/readyz").await.is(503, "stopping\n");
    node.ask("GET", "/healthz").await.is(200, "ok\n");
    node.stopped().await;
}

#[tokio::test]
async fn failure_makes_the_node_unhealthy_and_unready() {
    let node = Node::start().await;
    node.led().await;
    node.state.metrics.coordination.table_swaps.inc();
    node.ask("GET", "/healthz").await.is(200, "ok\n");
    node.state.health.fail("log: disk full");
    node.ask("GET", "/healthz")
        .await
        .is(503, "failed: log: disk full\n");
    node.ask("GET", "/readyz")
        .await
        .is(503, "failed: log: disk full\n");
    node.stopped().await;
}

#[tokio::test]
async fn metrics_are_current_and_in_the_exposition_format() {
    let node = Node::start().await;
    node.led().await;
    let answer = node.ask("GET", "/metrics").await;
    assert_eq!(answer.status, 200);
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(
        answer.head.lines().any(|line| line == kind),
        "{}",
        answer.head
    );
    let shown = |line: &str| answer.body.lines().any(|l| l == line);
    for line in [
        "zoogate_serving 1",
        "zoogate_raft_role 3",
        "zoogate_raft_voters 1",
        "zoogate_znodes 5",
    ] {
        assert!(shown(line), "{line:?} not in:\n{}", answer.body);
    }
    assert!(!shown("zoogate_raft_term 0"), "{}", answer.body);
    node.stopped().await;
}

#[tokio::test]
async fn services_are_json() {
    let node = Node::start().await;
    let answer = node.ask("GET", "/v1/services?pretty").await;
    answer.is(200, "{\"zxid\":0,\"services\":[]}\n");
    assert!(
        answer.head.contains("content-type: application/json"),
        "{}",
        answer.head
    );
    assert!(
        answer.head.contains("cache-control: no-store"),
        "{}",
        answer.head
    );
    node.stopped().await;
}

#[tokio::test]
async fn index_names_every_page() {
    let node = Node::start().await;
    let index = node.ask("GET", "/").await;
    assert_eq!(index.status, 200);
    let pages = index.body.lines().filter_map(|line| line.split(' ').next());
    let pages: Vec<&str> = pages.filter(|word| word.starts_with('/')).collect();
    let expected = [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/services",
        "/v1/cluster",
        "/v1/snapshot",
        "/commands",
    ];
    assert_eq!(pages, expected);
    for page in pages.into_iter().filter(|page| *page != "/v1/snapshot") {
        assert_ne!(node.ask("GET", page).await.status, 404, "{page}");
        let head = node.ask("HEAD", page).await;
        assert_eq!(head.body, "", "{page}");
    }
    node.stopped().await;
}

#[tokio::test]
async fn unknown_path_and_wrong_method_are_refused() {
    let node = Node::start().await;
    for path in ["/healthz/", "/metrics/x", "/v1", "/../etc/passwd", "/%2e"] {
        assert_eq!(node.ask("GET", path).await.status, 404, "{path}");
        assert_eq!(node.ask("POST", path).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = node.ask(method, "/healthz").await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    node.stopped().await;
}

#[tokio::test]
async fn commands_are_listed_and_answered_as_json() {
    let node = Node::start().await;
    let read = |answer: &Answer| -> Value { serde_json::from_str(&answer.body).expect("JSON") };
    let list = node.ask("GET", "/commands").await;
    let listed = json!({ "commands": ["/commands/dirs", "/commands/ruok"] });
    assert_eq!((list.status, read(&list)), (200, listed));
    assert!(list.head.contains("content-type: application/json"));
    for (path, status, expected) in [
        ("ruok", 200, json!({ "command": "ruok", "error": null })),
        (
            "dirs",
            200,
            json!({ "command": "dirs", "error": null, "datadir_size": 7 }),
        ),
        (
            "nosuch",
            404,
            json!({ "command": "nosuch", "error": "Unknown command: nosuch" }),
        ),
        (
            "restore",
            501,
            json!({ "command": "restore", "error": "not here" }),
        ),
        (
            "leader",
            503,
            json!({ "command": "leader", "error": "no leader" }),
        ),
    ] {
        let answer = node.ask("GET", &format!("/commands/{path}?x=1")).await;
        assert_eq!((answer.status, read(&answer)), (status, expected), "{path}");
    }
    assert_eq!(node.ask("GET", "/commandsx").await.status, 404);
    assert_eq!(node.ask("POST", "/commands/ruok").await.status, 405);
    node.stopped().await;
}

#[tokio::test]
async fn a_snapshot_is_sent_whole_one_at_a_time_and_never_for_head() {
    let node = Node::start().await;
    node.led().await;
    assert_eq!(node.ask("HEAD", "/v1/snapshot").await.status, 405);
    assert_eq!(node.ask("POST", "/v1/snapshot").await.status, 405);
    let held = node.state.ensemble.backup().await.expect("a backup");
    let refused = node.ask("GET", "/v1/snapshot").await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.head.contains("\r\nretry-after: 5\r\n"),
        "{}",
        refused.head
    );
    drop(held);
    let mut stream = TcpStream::connect(node.address).await.expect("connect");
    let request = "GET /v1/snapshot HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    timeout(DEADLINE, read)
        .await
        .expect("in time")
        .expect("read");
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head")
        + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    assert!(head.contains("zoogate-current: yes"), "{head}");
    let mut check = crate::ensemble::offline::Check::new(false);
    check.push(&answer[end..]).expect("whole so far");
    let checked = check.finish().expect("whole");
    let digest = node.state.ensemble.read(|tree| tree.digest());
    assert_eq!(checked.contents.digest, digest);
    node.stopped().await;
}
