//! Zoogate.
pub mod config;
pub mod net;
pub mod telemetry;
pub mod tree;
