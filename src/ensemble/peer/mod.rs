//! Member to member: one TCP connection per purpose, length-prefixed frames, postcard inside.
//!
//! ```text
//!   dialling member                                   listening member
//!   Hello { protocol, ensemble, from, to, purpose } ->
//!                                                   <- Welcome, or Refusal and the end
//!   purpose Control:   request -> reply, one at a time        votes, read index, heartbeats of sessions
//!           Append:    requests -> results, pipelined         log replication, Raft heartbeats
//!           Forward:   batches of proposals ->                writes of a follower's clients
//!                                                   <- Refused, once, when not the leader (any more)
//!           Snapshot:  header, raw chunks, end -> reply       a snapshot file, as it is on disk
//! ```
//! Purposes have connections of their own so that a long snapshot or a burst of appends cannot delay a vote
//! or a heartbeat. Every wait has a deadline here: openraft leaves that to the network.

mod append;
mod forward;
mod frame;
mod hello;
mod link;
mod message;
mod network;
mod reach;
mod server;
mod snapshot;

pub(super) use forward::ForwardLink;
pub(super) use hello::Me;
pub(super) use link::{Link, LinkError};
pub(super) use message::{Answer, Ask, Touch, Witness};
pub(super) use network::Peers;
pub(super) use server::{PeerServer, serve};
