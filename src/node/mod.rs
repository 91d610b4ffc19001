//! A node: everything assembled, started, watched and stopped in order.
//!
//! ```text
//!   bind     every socket, all or none            a port in use is found before anything has begun
//!   start    ensemble -> registry -> proxy -> zk, admin
//!   run      until a signal, or until a critical part dies
//!   stop     not ready -> zk closes, clients go elsewhere -> traffic drains -> leadership handed over -> ensemble -> admin
//! ```
//! A critical part that dies, or stands still for 4.5 s, ends the process with an error: a node that cannot log or
//! apply must not look alive. See `end` for what happens if the threads do not let it end.

mod bind;
mod certificates;
mod commands;
mod dev;
mod end;
mod error;
#[cfg(feature = "failpoints")]
mod failpoints;
mod means;
mod reload;
mod running;
mod sample;
mod serve;

pub use bind::Bound;
pub use dev::{DevOptions, dev};
pub use error::NodeError;
pub use running::{Addrs, Node};
pub use serve::serve;
