//! The ZooKeeper port, by raw sockets: what client libraries never show.

mod access;
mod connections;
mod fan_out;
mod handshakes;
mod limits;
mod opcodes;
mod permissions;
mod readonly;
mod regressions;
mod requests;
mod rust_client;
mod session_races;
mod sessions;
mod tls;
mod watches;
mod words;
