//! An asynchronous ZooKeeper client: one session, kept alive over whatever servers can be reached.
//!
//! Speaks to any ZooKeeper-compatible ensemble through the records of `zk::wire`; the command line and
//! `zoogate register` are its users.
//!
//! ```text
//!  Client (typed operations)          Session (one task)                Connection (one TCP connection)
//!  create, get_data, ..  --- Call --> numbers and pipelines requests -> FrameWriter ---> server
//!       <---- reply ----------------- matches replies in order      <-- FrameReader <---
//!  Events  <-- WatchEvent ----------- pings at a third of the timeout
//!  state() <-- SessionState --------- reattaches elsewhere when the connection is lost
//! ```
//!
//! What a caller can rely on:
//! * Requests are answered in the order made; a session reads its own writes.
//! * A request under way when the connection is lost ends with [`ClientError::ConnectionLoss`]: it may or
//!   may not have happened. Nothing is repeated behind the caller's back.
//! * A session that could not be reattached within its timeout is given up as [`SessionState::Expired`],
//!   like one the ensemble declared so: nobody may count on its ephemerals any more.
//! * Watches are one-shot, but for that of [`Client::watch_below`], and end with the connection; [`WatchEvent::Lost`] says so.
mod backoff;
mod connection;
mod error;
mod event;
mod handle;
mod hosts;
mod login;
#[cfg(test)]
pub(crate) mod scripted;
mod session;
#[cfg(test)]
mod tests;
mod whole;

pub use backoff::Backoff;
pub use error::{AttemptError, ClientError, ConnectError, Refusal};
pub use event::{Events, WatchEvent};
pub use handle::{Client, Watch};
pub use hosts::{Hosts, HostsError};
pub use login::{Login, LoginError};
pub use session::SessionState;
