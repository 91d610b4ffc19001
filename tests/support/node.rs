//! A whole node in this process: an ensemble of one, with the traffic that its configuration asks for.
#![allow(clippy::unwrap_used)] // a node that cannot start has failed its test

use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use zoogate::config::Config;
use zoogate::node::{Bound, Node};

/// A node and its directory.
pub struct Whole {
    pub node: Node,
    dir: TempDir,
    protocol: &'static str,
}

impl Whole {
    /// A node with a `tcp` listener `front` that leads to the service `web`; `service` are the keys of
    /// `[service.web]`.
    pub async fn start(service: &str) -> Whole {
        Whole::speaking("tcp", service).await
    }

    /// As [`Whole::start`], with a listener of that protocol.
    pub async fn speaking(protocol: &'static str, service: &str) -> Whole {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir, protocol, service);
        let bound = Bound::bind(&config).await.unwrap();
        let node = Node::start(config, bound).await.unwrap();
        Whole {
            node,
            dir,
            protocol,
        }
    }

    /// Goes by other keys of `[service.web]`.
    pub async fn reload(&mut self, service: &str) {
        let config = config(&self.dir, self.protocol, service);
        self.node.reload(config).await;
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.node.addrs().listeners["front"]
    }

    /// What the admin port says at `path`.
    pub async fn page(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.node.addrs().admin)
            .await
            .unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The value of the metric whose line starts with `series`; zero if there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.page("/metrics").await;
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next())
            .map_or(0.0, |value| value.parse().unwrap())
    }

    /// The condition of the endpoint at `address`, by its word.
    pub async fn condition(&self, address: &str) -> String {
        let page = self.page("/v1/services").await;
        let json = &page[page.find("\r\n\r\n").unwrap()..];
        let json = &json[json.find('{').unwrap()..=json.rfind('}').unwrap()];
        let table: serde_json::Value = serde_json::from_str(json).unwrap();
        let services = table["services"].as_array().unwrap();
        let endpoints = services
            .iter()
            .flat_map(|service| service["endpoints"].as_array().unwrap());
        let mut found = endpoints.filter(|endpoint| endpoint["address"] == address);
        let state = found.next().map(|endpoint| endpoint["state"].clone());
        state.map_or("absent".into(), |state| state.as_str().unwrap().into())
    }

    pub async fn stop(self) {
        self.node.stop(Duration::ZERO).await;
    }
}

fn config(dir: &TempDir, protocol: &str, service: &str) -> Config {
    let data_dir = dir.path().display();
    let text = format!(
        "node = {{ name = 'n1', data_dir = '{data_dir}', workers = 1 }}
         zookeeper.listen = '127.0.0.1:0'
         admin.listen = '127.0.0.1:0'
         [[listener]]
         name = 'front'
         bind = '127.0.0.1:0'
         protocol = '{protocol}'
         service = 'web'
         [service.web]
         {service}"
    );
    Config::parse(&text, "zoogate.toml").unwrap_or_else(|errors| panic!("{errors}"))
}
