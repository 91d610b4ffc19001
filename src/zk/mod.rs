//! The ZooKeeper port: clients of any language that speak ZooKeeper's protocol.
//!
//! ```text
//! server      accepts, within a limit, with and without TLS
//! connection  one client: handshake, requests in order, the end
//!    |-- dispatch   record --> read, command or refusal
//!    |-- read       what the tree says          write   what applying a command gave
//!    |-- identity   what the client has proved   reconfig   who may change the ensemble
//!    |-- local      sessions for reading while there is no leader
//!    '-- outbox     everything that leaves, in order
//! watches     follows the ensemble; tells connections what changed and when they are over
//! monitor     what the port tells about itself      words   the same as text, over the port: srvr, mntr, …
//! wire        the bytes, and nothing else; our own client uses them too
//! ```
//! Invariants: replies leave in the order of requests; no reply shows a change before the event of a watch
//! on it; the zxid in headers never goes back on a connection; nothing from the network panics, and
//! everything it can fill has a bound.
//!
//! Source: Apache ZooKeeper 3.9, client protocol.

mod connection;
mod dispatch;
mod identity;
mod local;
mod monitor;
mod outbox;
mod port;
mod read;
mod reconfig;
mod server;
mod tally;
mod watches;
pub mod wire;
mod words;
mod write;

pub use monitor::{Command, CommandFailure, Monitor};
pub use server::{Listeners, serve};
pub use watches::Watches;
