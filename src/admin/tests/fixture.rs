//! What the tests of pages share: a node that is an ensemble of one, and its answers.

use super::super::{AdminState, CommandAnswer, Commands, Health, Refusal, serve};
use crate::ensemble::{Ensemble, Running, Start};
use crate::net::Secret;
use crate::registry::{FileLayer, Registry};
use crate::routing::RoutingTable;
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use serde_json::{Map, json};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A node's coordination side and its admin door.
pub(super) struct Node {
    pub(super) address: SocketAddr,
    pub(super) state: AdminState,
    member: Running,
    stop: CancellationToken,
    door: JoinHandle<()>,
    following: Option<JoinHandle<()>>,
    _data: TempDir,
}

impl Node {
    /// One whose table nobody fills.
    pub(super) async fn start() -> Node {
        Node::start_with(None, None).await
    }

    /// One whose table follows the tree, and whose operators show `token`.
    pub(super) async fn following(file: FileLayer, token: Option<&str>) -> Node {
        let node = Node::start_with(Some(file), token).await;
        node.led().await;
        node
    }

    async fn start_with(file: Option<FileLayer>, token: Option<&str>) -> Node {
        let data = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new("n1");
        let table = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
        let follows = file.is_some();
        let file = file.unwrap_or_default();
        let registry = Arc::new(Registry::new(
            file,
            Arc::clone(&table),
            Arc::clone(&metrics),
        ));
        let start = Start {
            snapshot_entries: crate::ensemble::SNAPSHOT_ENTRIES,
            fresh_acl: crate::config::FreshAcl::Open,
            client: None,
            reap_interval: std::time::Duration::from_secs(60),
            name: "n1".into(),
            data_dir: data.path().into(),
            config: None,
            listener: None,
            tls: None,
            followers: vec![registry.clone()],
            metrics: Arc::clone(&metrics),
        };
        let (ensemble, member) = Ensemble::start(start).await.expect("starts");
        let state = AdminState {
            metrics,
            table,
            registry: Arc::clone(&registry),
            ensemble,
            health: Arc::new(Health::default()),
            commands: commands(),
            token: token.map(|token| Arc::new(Secret::new(token.as_bytes()))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let stop = CancellationToken::new();
        let following = follows.then(|| {
            let (ensemble, stop) = (state.ensemble.clone(), stop.clone());
            tokio::spawn(async move { registry.follow(&ensemble, &stop).await })
        });
        Node {
            address: listener.local_addr().expect("bound"),
            door: tokio::spawn(serve(listener.into(), state.clone(), stop.clone())),
            state,
            member,
            stop,
            following,
            _data: data,
        }
    }

    /// Status line, headers in lower case, and body of the answer.
    pub(super) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.ask_with(method, path, &["Host: h"], "").await
    }

    /// The same, with these headers and a body.
    pub(super) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let (headers, length) = (headers.join("\r\n"), body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{headers}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut text = String::new();
        let read = timeout(DEADLINE, stream.read_to_string(&mut text)).await;
        read.expect("in time").expect("readable");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        Answer {
            status: head
                .split(' ')
                .nth(1)
                .expect("a status")
                .parse()
                .expect("a number"),
            head: head.to_ascii_lowercase(),
            body: body.into(),
        }
    }

    pub(super) async fn led(&self) {
        let mut serving = self.state.ensemble.serving();
        let led = timeout(DEADLINE, serving.wait_for(|serving| *serving)).await;
        led.expect("led in time").expect("still running");
    }

    pub(super) async fn stopped(self) {
        self.stop.cancel();
        self.door.await.expect("does not panic");
        if let Some(following) = self.following {
            following.await.expect("does not panic");
        }
        self.member.stop().await;
    }
}

/// Two commands, and refusals of every kind.
fn commands() -> Commands {
    let run = |name: &str| {
        let result = match name {
            "ruok" => Ok(Map::new()),
            "dirs" => Ok(Map::from_iter([("datadir_size".to_owned(), json!(7))])),
            "restore" => Err(Refusal::Unserved("not here".into())),
            "leader" => Err(Refusal::NotNow("no leader".into())),
            _ => Err(Refusal::Unknown(format!("Unknown command: {name}"))),
        };
        let name = name.to_owned();
        let answer = CommandAnswer { name, result };
        Box::pin(async move { answer }) as Pin<Box<dyn Future<Output = CommandAnswer> + Send>>
    };
    Commands {
        names: vec!["dirs", "ruok"],
        run: Arc::new(run),
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body));
    }
}
