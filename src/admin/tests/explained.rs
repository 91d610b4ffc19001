//! The pages of one service and of one instance: what they say of each kind of instance.

use super::fixture::{Answer, Node};
use crate::config::{ServiceName, ServiceSettings};
use crate::registry::FileLayer;
use crate::tree::{Acl, Actor, Command, CreateMode, Op};
use serde_json::{Value, json};

const HOST: &str = "Host: 127.0.0.1";

impl Node {
    async fn get(&self, path: &str) -> Answer {
        self.ask_with("GET", path, &[HOST], "").await
    }

    async fn endpoint(&self, instance: &str) -> Value {
        let answer = self.get(&format!("/v1/services/web/{instance}")).await;
        let page: Value = serde_json::from_str(&answer.body).expect("JSON");
        page["endpoint"].clone()
    }

    /// Writes, and waits until the table follows. The transaction.
    async fn write(&self, op: Op) -> u64 {
        let command = Command::One(op);
        let pending = self.state.ensemble.propose(Actor::Ensemble, command).await;
        let applied = pending.expect("led").await.expect("known");
        applied.result.expect("done");
        while self.state.table.load().version < applied.zxid.0 {
            tokio::task::yield_now().await;
        }
        applied.zxid.0
    }

    async fn create(&self, path: &str, data: &str) -> u64 {
        self.write(Op::Create {
            path: path.into(),
            data: Some(data.to_owned().into()),
            acl: Acl::open(),
            mode: CreateMode::PERSISTENT,
        })
        .await
    }

    /// Creates empty znodes, which concern no service.
    async fn create_unfollowed(&self, paths: &[&str]) {
        let create = |path: &&str| Op::Create {
            path: (*path).into(),
            data: None,
            acl: Acl::open(),
            mode: CreateMode::PERSISTENT,
        };
        let command = Command::Multi(paths.iter().map(create).collect());
        let pending = self.state.ensemble.propose(Actor::Ensemble, command).await;
        pending.expect("led").await.expect("known");
    }

    async fn delete(&self, path: &str) -> u64 {
        let (path, version) = (path.into(), -1);
        self.write(Op::Delete { path, version }).await
    }
}

/// A node whose file has a service `web` with a static endpoint, and whose tree has some registrations of it.
async fn node() -> Node {
    let settings = ServiceSettings::parse(
        "endpoints = [\"10.0.0.9:80\"]\nstrategy = \"random\"",
        "file",
    );
    let web = ServiceName::new("web").expect("valid");
    let file = FileLayer {
        services: [(web, settings.expect("valid"))].into(),
        listeners: Vec::new(),
    };
    let node = Node::following(file, None).await;
    node.create_unfollowed(&["/services", "/services/web"])
        .await;
    node
}

#[tokio::test]
async fn an_endpoint_says_where_it_comes_from_and_why_it_is_in() {
    let node = node().await;
    let zxid = node.create("/services/web/a", "10.0.0.1:80 weight=3").await;
    let a = node.endpoint("a").await;
    assert_eq!(a["why"], "in: nothing speaks against it");
    assert_eq!(
        (&a["state"], &a["in"], &a["weight"], &a["zxid"]),
        (&json!("up"), &json!(true), &json!(3), &json!(zxid))
    );
    assert_eq!(
        (&a["effective_weight"], &a["tier"]),
        (&json!(3.0), &json!(0))
    );
    let registration = &a["registration"];
    assert_eq!(registration["path"], "/services/web/a");
    assert_eq!(registration["czxid"], zxid);
    assert_eq!(registration["session"], Value::Null, "it is persistent");
    assert_eq!(node.endpoint("endpoints/a").await["address"], "10.0.0.1:80");
    let fixed = node.endpoint("10.0.0.9:80").await;
    assert_eq!(fixed["registration"], Value::Null);
    assert_eq!(fixed["in"], true);
    node.stopped().await;
}

#[tokio::test]
async fn a_drain_says_who_asked_for_it_and_by_which_transaction() {
    let node = node().await;
    node.create("/services/web/a", "10.0.0.1:80").await;
    let path = "/v1/services/web/endpoints/a/drain";
    let done = node
        .ask_with("POST", path, &[HOST], r#"{"by":"ann"}"#)
        .await;
    let done: Value = serde_json::from_str(&done.body).expect("JSON");
    let zxid = done["zxid"].as_u64().expect("a zxid");
    let a = node.endpoint("a").await;
    let why = a["why"].as_str().expect("text");
    let expected = format!(
        "out: an operator (ann at 127.0.0.1) at {zxid:#x} wants it drained; what is under way may go on for "
    );
    assert!(why.starts_with(&expected), "{why}");
    assert_eq!(
        (&a["state"], &a["zxid"]),
        (&json!("draining"), &json!(zxid))
    );
    assert_eq!(a["drained_by"], json!(["operator"]));
    assert_eq!(a["effective_weight"], 0.0);
    assert!((20_000..=30_000).contains(&a["left_ms"].as_u64().expect("a time")));
    node.stopped().await;
}

#[tokio::test]
async fn what_is_no_endpoint_is_explained_too() {
    let node = node().await;
    let starting = r#"{"status":"STARTING","serviceEndpoint":{"host":"10.0.0.3","port":80}}"#;
    node.create("/services/web/s", starting).await;
    node.create("/services/web/u", "nonsense").await;
    node.create("/services/web/g", "10.0.0.4:80").await;
    let gone = node.delete("/services/web/g").await;
    node.create_unfollowed(&["/zoogate", "/zoogate/admin"])
        .await;
    node.create("/zoogate/admin/web", "").await;
    node.create("/zoogate/admin/web/n", "drain").await;
    node.create("/zoogate/admin/web/m", "dran").await;

    for (instance, state, why) in [
        (
            "s",
            "starting",
            "out: its registration says that it does not serve yet",
        ),
        (
            "u",
            "unparsed",
            r#"cannot be read: found "nonsense" without a port; expected host:port"#,
        ),
        (
            "n",
            "absent",
            "not registered; it would be drained, as an operator at ",
        ),
    ] {
        let found = node.endpoint(instance).await;
        assert_eq!(found["state"], state);
        assert!(
            found["why"].as_str().expect("text").starts_with(why),
            "{found}"
        );
        assert_eq!(found["in"], false);
    }
    let left = node.endpoint("g").await;
    assert_eq!(
        (&left["state"], &left["zxid"]),
        (&json!("gone"), &json!(gone))
    );
    let why = left["why"].as_str().expect("text");
    assert!(
        why.ends_with(&format!(": its znode was deleted at {gone:#x}")),
        "{why}"
    );

    let page = node.get("/v1/services/web").await;
    let page: Value = serde_json::from_str(&page.body).expect("JSON");
    assert_eq!(page["why"], "1 of 1 endpoints are in");
    assert_eq!(
        (&page["strategy"], &page["strategy_from"]),
        (&json!("random"), &json!("file"))
    );
    for (list, instance) in [
        ("endpoints", "10.0.0.9:80"),
        ("aside", "s"),
        ("unparsed", "u"),
        ("misread_orders", "m"),
        ("gone", "g"),
    ] {
        assert_eq!(page[list].as_array().expect("a list").len(), 1, "{list}");
        assert_eq!(page[list][0]["instance"], instance);
    }
    node.stopped().await;
}

#[tokio::test]
async fn unknown_names_say_what_there_is() {
    let node = node().await;
    for (path, reason) in [
        (
            "/v1/services/wbe",
            r#"there is no service called "wbe"; did you mean "web"?"#,
        ),
        (
            "/v1/services/web/10.0.0.8:80",
            r#"there is no instance of "web" called "10.0.0.8:80"; did you mean "10.0.0.9:80"?"#,
        ),
    ] {
        let answer = node.get(path).await;
        let page: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, &page["reason"]), (404, &json!(reason)));
    }
    let foreign = node
        .ask_with("GET", "/v1/services/web", &["Host: evil.example"], "")
        .await;
    assert_eq!(foreign.status, 403);
    assert_eq!(
        node.ask_with("POST", "/v1/services/web", &[HOST], "")
            .await
            .status,
        405
    );
    node.stopped().await;
}
