//! Tests of the room as a whole.

mod defaults;
mod errors;
mod examples;
mod exposure;
mod front;
mod health;
mod reload;
mod robustness;
mod settings;
mod sockets;
mod zookeeper;

use super::*;

/// A file whose sections are all valid; tests change one thing of it.
const VALID: &str = r#"
[node]
name = "n1"
zone = "a"
data_dir = "data"
workers = 2
source_addresses = ["10.0.0.1", "2001:db8::1"]
reserved_descriptors = 100
access_log = "tcplog"
[ensemble]
listen = "127.0.0.1:2888"
members = { n1 = "127.0.0.1:2888", n2 = "10.0.0.2:2888", n3 = "n3.example:2888" }
heartbeat = "100ms"
[zookeeper]
listen = "127.0.0.1:2181"
tick_time = "1s"
session_timeout = { min = "4s", max = "40s" }
[admin]
listen = "127.0.0.1:9180"
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "http"
rules = [{ host = "Shop.Example", path = "/api/", service = "api" }, { service = "web" }]
keepalive = "off"
[[listener]]
name = "db"
bind = "127.0.0.1:5432"
protocol = "tcp"
service = "db"
max_connections = 10
accept_proxy = ["10.0.0.0/8", "fd00::1"]
handshake_timeout = "3s"
backlog = 100
keepalive = { idle = "30s", probes = 3 }
user_timeout = "1s 500ms"
receive_buffer = 65_536
send_buffer = 131_072
[service.web]
strategy = "weighted"
"#;

fn parsed(text: &str) -> Config {
    Config::parse(text, "zoogate.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

/// The headlines of all errors, without the source's name.
fn headlines(errors: &ConfigErrors) -> Vec<String> {
    let headlines = errors.iter().map(ConfigError::headline);
    headlines
        .map(|line| {
            line.strip_prefix("f:")
                .unwrap_or(&line)
                .trim_start()
                .to_owned()
        })
        .collect()
}

fn refused(text: &str) -> Vec<String> {
    match Config::parse(text, "f") {
        Ok(config) => panic!("{text:?} is valid: {config:?}"),
        Err(errors) => headlines(&errors),
    }
}

fn refused_settings(text: &str) -> Vec<String> {
    match ServiceSettings::parse(text, "f") {
        Ok(settings) => panic!("{text:?} is valid: {settings:?}"),
        Err(errors) => headlines(&errors),
    }
}
