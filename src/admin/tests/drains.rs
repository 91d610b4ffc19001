//! Orders of operators, as requests bring them: what they write, and who may.

use super::fixture::{Answer, Node};
use crate::balance::{Lease, PickInput, UNLIMITED};
use crate::config::ServiceSettings;
use crate::registry::FileLayer;
use crate::tree::{Acl, Actor, Command, CreateMode, Op};
use serde_json::{Value, json};
use std::sync::Arc;

const HOST: &str = "Host: 127.0.0.1";

/// A file with a service `web` of two static endpoints, one of which it drains.
fn file() -> FileLayer {
    let settings = "endpoints = [\"10.0.0.1:80\", \"10.0.0.2:80\"]\ndrain = [\"10.0.0.2:80\"]";
    let settings = ServiceSettings::parse(settings, "zoogate.toml").expect("valid");
    FileLayer {
        services: [(
            crate::config::ServiceName::new("web").expect("valid"),
            settings,
        )]
        .into(),
        listeners: Vec::new(),
    }
}

impl Node {
    async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask_with("POST", path, &[HOST], body).await
    }

    async fn written(&self, op: Op) {
        let written = self
            .state
            .ensemble
            .propose(Actor::Ensemble, Command::One(op));
        let applied = written.await.expect("led").await.expect("known");
        applied.result.expect("done");
    }

    fn order(&self, path: &str) -> Option<String> {
        let data = |tree: &crate::tree::Tree| {
            let znode = tree.get(path)?;
            let data = znode.data().cloned().unwrap_or_default();
            Some(String::from_utf8(data.to_vec()).expect("text"))
        };
        self.state.ensemble.read(data)
    }

    fn picked(&self) -> Vec<String> {
        let table = self.state.table.load();
        let web = table.service("web").expect("there");
        let names = web.balancer.endpoints().iter();
        names
            .map(|endpoint| endpoint.instance.to_string())
            .collect()
    }
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

#[tokio::test]
async fn an_order_is_written_followed_and_taken_back() {
    let node = Node::following(file(), None).await;
    let path = "/v1/services/web/endpoints/10.0.0.1%3A80/drain";
    let done = node.post(path, r#"{"deadline":"90s","by":"ann"}"#).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(json_of(&done)["drained_by"], json!(["operator"]));
    assert!(node.picked().is_empty(), "answered when it is in force");

    let written = node.order("/zoogate/admin/web/10.0.0.1:80").expect("there");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["state"], "drain");
    assert_eq!(written["deadline"], "1m 30s");
    assert_eq!(written["by"], "ann at 127.0.0.1");
    assert!(written["since"].as_str().expect("a time").ends_with('Z'));

    let again = node.post(path, "").await;
    assert_eq!(again.status, 200, "{}", again.body);
    let undone = node
        .post("/v1/services/web/endpoints/10.0.0.1:80/undrain", "")
        .await;
    assert_eq!(json_of(&undone)["drained_by"], json!([]));
    assert_eq!(node.order("/zoogate/admin/web/10.0.0.1:80"), None);
    assert_eq!(node.picked(), ["10.0.0.1:80"]);
    let nothing = node
        .post("/v1/services/web/endpoints/10.0.0.1:80/undrain", "")
        .await;
    assert_eq!(nothing.status, 200, "{}", nothing.body);

    let other = node
        .post("/v1/services/web/endpoints/10.0.0.2:80/undrain", "")
        .await;
    assert_eq!(json_of(&other)["drained_by"], json!(["settings"]));
    node.stopped().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_says_what_there_is() {
    let node = Node::following(file(), None).await;
    for (path, body, status, reason) in [
        (
            "/v1/services/wbe/endpoints/a/drain",
            "",
            404,
            r#"there is no service called "wbe"; did you mean "web"?"#,
        ),
        (
            "/v1/services/web/endpoints/10.0.0.1:81/drain",
            "",
            404,
            r#"there is no instance of "web" called "10.0.0.1:81"; did you mean "10.0.0.1:80"?"#,
        ),
        (
            "/v1/services/web/endpoints/zzz/undrain",
            "",
            404,
            r#"there is no instance of "web" called "zzz"; there are "10.0.0.1:80", "10.0.0.2:80""#,
        ),
        (
            "/v1/services/web/endpoints/10.0.0.1:80/drain",
            r#"{"deadline":"soon"}"#,
            400,
            r#"found "deadline": "soon"; expected a duration like "30s", at most one day"#,
        ),
        (
            "/v1/services/web/endpoints/10.0.0.1:80/drain",
            "{\"by\":\"\\u0007\"}",
            400,
            r#"found "by" with a control character or more than 255 bytes"#,
        ),
        (
            "/v1/services/web/endpoints/10.0.0.1:80/undrain",
            r#"{"deadline":"1s"}"#,
            400,
            "the body is not what is expected here: unknown field `deadline`, there are no fields at line 1 column 11",
        ),
        (
            "/v1/services/web/fly/high",
            "",
            404,
            r#"no page "/v1/services/web/fly/high""#,
        ),
        ("/v1/services", "", 405, "only GET, HEAD here"),
    ] {
        let answer = node.post(path, body).await;
        assert_eq!(json_of(&answer)["reason"], reason, "{path}");
        assert_eq!(answer.status, status, "{path}");
    }
    let get = "/v1/services/web/endpoints/10.0.0.1:80/drain";
    let get = node.ask_with("GET", get, &[HOST], "").await;
    assert_eq!(get.status, 405);
    assert_eq!(node.picked(), ["10.0.0.1:80"]);
    node.stopped().await;
}

#[tokio::test]
async fn an_order_wants_the_token_and_no_foreign_page() {
    let node = Node::following(file(), Some("0123456789abcdef")).await;
    let path = "/v1/services/web/endpoints/10.0.0.1:80/drain";
    for (headers, status) in [
        (&[HOST][..], 401),
        (&[HOST, "Authorization: Bearer wrong-wrong-wrong"], 403),
        (&[HOST, "Origin: http://evil.example"], 403),
        (&["Host: evil.example"], 403),
    ] {
        let answer = node.ask_with("POST", path, headers, "").await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
    assert_eq!(node.picked(), ["10.0.0.1:80"]);
    let exchanges = "/v1/services/web/endpoints/10.0.0.1:80/exchanges";
    let refused = node.ask_with("GET", exchanges, &[HOST], "").await;
    assert_eq!(refused.status, 401, "it makes other nodes work");
    let token = "Authorization: Bearer 0123456789abcdef";
    let answer = node.ask_with("POST", path, &[HOST, token], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(node.picked().is_empty());
    node.stopped().await;
}

#[tokio::test]
async fn every_node_tells_its_exchanges() {
    let node = Node::following(file(), None).await;
    let input = PickInput {
        key: 0,
        random: 0,
        now_ms: 0,
        tried: &[],
        limit: UNLIMITED,
    };
    let table = node.state.table.load_full();
    let picked = table.service("web").expect("there").balancer.pick(&input);
    let lease: Lease = picked.expect("one");
    let instance = Arc::clone(&lease.endpoint().instance);
    let drained = node
        .post(&format!("/v1/services/web/endpoints/{instance}/drain"), "")
        .await;
    let zxid = json_of(&drained)["zxid"].clone();
    assert_eq!(json_of(&drained)["active"], 1);
    let ask = |instance: &str| {
        let path = format!("/v1/services/web/endpoints/{instance}/exchanges");
        let node = &node;
        async move { json_of(&node.ask_with("GET", &path, &[HOST], "").await)["nodes"].clone() }
    };
    let node_of = |active: u32, state: Value| json!([{"number":1,"name":"n1","zxid":zxid,"active":active,"state":state}]);
    assert_eq!(ask(&instance).await, node_of(1, json!("draining")));
    drop(lease);
    assert_eq!(ask(&instance).await, node_of(0, json!("draining")));
    assert_eq!(ask("nobody").await, node_of(0, Value::Null));
    node.stopped().await;
}

#[tokio::test]
async fn an_order_is_as_open_as_the_tree() {
    let node = Node::following(file(), None).await;
    let acl = vec![Acl {
        perms: 1,
        ..Acl::open().swap_remove(0)
    }];
    node.written(Op::Create {
        path: "/zoogate".into(),
        data: None,
        acl: acl.clone(),
        mode: CreateMode::PERSISTENT,
    })
    .await;
    let path = "/v1/services/web/endpoints/10.0.0.1:80/drain";
    assert_eq!(node.post(path, "").await.status, 200);
    let of = |path: &str| {
        let look = |tree: &crate::tree::Tree| tree.get(path).map(|znode| znode.acl().to_vec());
        node.state.ensemble.read(look)
    };
    for path in ["/zoogate/admin/web", "/zoogate/admin/web/10.0.0.1:80"] {
        assert_eq!(of(path), Some(acl.clone()), "{path}");
    }
    node.stopped().await;
}
