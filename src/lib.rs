//! Zoogate.
pub mod admin;
pub mod balance;
pub mod cli;
pub mod client;
pub mod config;
pub mod ensemble;
pub mod net;
pub mod node;
pub mod proxy;
pub mod registry;
pub mod routing;
pub mod telemetry;
pub mod tree;
pub mod upstream;
pub mod zk;
