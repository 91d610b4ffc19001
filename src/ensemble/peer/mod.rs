//! Member to member: one connection per purpose, TCP or TLS over it, length-prefixed frames, postcard inside.
//!
//! ```text
//!   dialling member                                   listening member
//!   Hello { versions, ensemble, from, to, purpose, .. } ->
//!                                                   <- Welcome, or Refusal and the end
//!   purpose Control:   request -> reply, one at a time        votes, read index, heartbeats of sessions
//!           Append:    requests -> results, pipelined         log replication, Raft heartbeats
//!           Forward:   batches of proposals ->                writes of a follower's clients
//!                                                   <- Refused, once, when not the leader (any more)
//!           Inquiry:   as Control, of a node that is no member  who are you? admit me
//!           Snapshot:  header, raw chunks, end -> reply       a snapshot file, as it is on disk
//!           Supply:    request -> header, raw chunks          the same, for a member that asks for it
//! ```
//! Purposes have connections of their own so that a long snapshot or a burst of appends cannot delay a vote
//! or a heartbeat. Every wait has a deadline here: openraft leaves that to the network.

mod append;
mod forward;
mod frame;
mod hello;
mod link;
mod lobby;
mod message;
mod network;
mod reach;
mod server;
mod snapshot;
mod strangers;
mod supply;
#[cfg(test)]
mod tests;
mod transport;

pub(super) use forward::ForwardLink;
pub(super) use hello::{Caller, Me, Refusal};
pub(super) use link::{Link, LinkError};
pub(super) use lobby::attend;
pub(super) use message::{Answer, Ask, Presence, Touch, Witness};
pub(super) use network::Peers;
pub(super) use server::{PeerServer, serve};
pub(super) use strangers::Strangers;
pub(super) use supply::fetch_snapshot;
pub(super) use transport::Transport;
