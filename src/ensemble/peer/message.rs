//! The messages members exchange.

use crate::ensemble::reconfig::{ReconfigError, Reconfiguration};
use crate::ensemble::types::{Member, Proposal, Types};
use crate::tree::{SessionId, Zxid};
use openraft::alias::{LogIdOf, SnapshotMetaOf, VoteOf};
use openraft::errors::RaftError;
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

/// A request on a control connection.
#[derive(Serialize, Deserialize)]
pub(in crate::ensemble) enum Ask {
    /// Raft: a candidate asks for a vote.
    Vote(VoteRequest<Types>),
    /// Raft: would a vote be granted? Changes nothing.
    PreVote(VoteRequest<Types>),
    /// Raft: take over the leadership.
    TransferLeader(TransferLeaderRequest<Types>),
    /// To the leader: up to which index must a linearizable read wait?
    ReadIndex,
    /// To the leader: these sessions gave signs of life.
    Touch(Vec<Touch>),
    /// To the leader: add this observer.
    Join(u64, Member),
    /// To the leader of this vote: do you still lead?
    Leads(VoteOf<Types>),
    /// To a voter: do you have proof that the leader of this vote is gone?
    IsOver(VoteOf<Types>),
    /// To the leader: change the members.
    Reconfigure(Reconfiguration),
}

/// What a voter knows about a leader that seems gone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::ensemble) struct Witness {
    /// It has proof of its own.
    pub(in crate::ensemble) is_over: bool,
    /// The end of its log.
    pub(in crate::ensemble) last_log: Option<LogIdOf<Types>>,
}

/// A session's last sign of life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::ensemble) struct Touch {
    /// The session.
    pub(in crate::ensemble) session: SessionId,
    /// How long ago, milliseconds. Ages travel instead of times because members share no clock.
    pub(in crate::ensemble) age_ms: u32,
}

/// The answer to an [`Ask`] of the same name.
#[derive(Serialize, Deserialize)]
pub(in crate::ensemble) enum Answer {
    /// To [`Ask::Vote`] and [`Ask::PreVote`].
    Vote(Result<VoteResponse<Types>, RaftError<Types>>),
    /// To [`Ask::TransferLeader`].
    TransferLeader(TransferLeaderResponse<Types>),
    /// To [`Ask::ReadIndex`].
    ReadIndex(u64),
    /// To [`Ask::Touch`] and [`Ask::Join`].
    Done,
    /// This member cannot do it now: it is not the leader, or has lost its quorum.
    NotNow,
    /// To [`Ask::Leads`].
    Leads(bool),
    /// To [`Ask::IsOver`].
    IsOver(Witness),
    /// To [`Ask::Reconfigure`].
    Reconfigured(Result<Zxid, ReconfigError>),
}

/// What the dialling side sends on an append connection.
#[derive(Serialize, Deserialize)]
pub(super) enum AppendFrame {
    /// One request of the current stream.
    Request(AppendEntriesRequest<Types>),
    /// The stream has no more requests; another may follow on this connection.
    End,
}

/// What the listening side answers on an append connection.
#[derive(Serialize, Deserialize)]
pub(super) enum AppendReply {
    /// The result of one request, in order.
    Result(StreamAppendResult<Types>),
    /// All requests of the stream are answered.
    End,
}

/// A batch of proposals on a forward connection, in order.
#[derive(Serialize, Deserialize)]
pub(super) struct Forwarded(pub(super) Vec<Proposal>);

/// The leader's only answer on a forward connection: it did not take the last batch, and closes.
#[derive(Serialize, Deserialize)]
pub(super) struct Refused;

/// Opens the transfer of a snapshot file of `bytes` bytes, which follow as raw frames.
#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotOffer {
    /// The sending leader's vote.
    pub(super) vote: VoteOf<Types>,
    /// What the snapshot covers.
    pub(super) meta: SnapshotMetaOf<Types>,
    /// Length of the file.
    pub(super) bytes: u64,
}

/// The end of a snapshot transfer.
#[derive(Serialize, Deserialize)]
pub(super) enum SnapshotReply {
    /// What openraft makes of it.
    Taken(SnapshotResponse<Types>),
    /// The file is damaged or could not be stored.
    Refused(String),
}
