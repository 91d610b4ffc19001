//! Zoogate.

/// A place where a test can have the process abort, panic or stall; nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
macro_rules! failpoint {
    ($place:literal) => {
        if fail::eval($place, |_| ()).is_some() {
            std::process::abort();
        }
    };
}
#[cfg(not(feature = "failpoints"))]
macro_rules! failpoint {
    ($place:literal) => {};
}

#[cfg(not(feature = "simulation"))]
pub mod admin;
#[cfg(not(feature = "simulation"))]
pub mod balance;
#[cfg(not(feature = "simulation"))]
pub mod cli;
pub mod client;
pub mod config;
pub mod ensemble;
pub mod net;
#[cfg(not(feature = "simulation"))]
pub mod node;
#[cfg(not(feature = "simulation"))]
pub mod proxy;
#[cfg(not(feature = "simulation"))]
pub mod registry;
#[cfg(not(feature = "simulation"))]
pub mod routing;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod telemetry;
pub mod tree;
#[cfg(not(feature = "simulation"))]
pub mod upstream;
pub mod zk;
