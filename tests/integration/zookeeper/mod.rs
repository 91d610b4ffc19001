//! The ZooKeeper port, by raw sockets: what client libraries never show.

mod connections;
mod requests;
mod sessions;
mod watches;
