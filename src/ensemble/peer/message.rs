//! The messages members exchange.

use crate::ensemble::admission::{AdmissionRefusal, Application};
use crate::ensemble::digest::DigestPoint;
use crate::ensemble::papers::Number;
use crate::ensemble::reconfig::{Alteration, Altered, ReconfigError};
use crate::ensemble::roll::Roll;
use crate::ensemble::survey::Survey;
use crate::ensemble::types::{Origin, Proposal, Types};
use crate::tree::SessionId;
use bytes::Bytes;
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
    /// To the leader: this member is reached at another address now.
    Move(String),
    /// To the leader of this vote: do you still lead?
    Leads(VoteOf<Types>),
    /// To a voter: do you have proof that the leader of this vote is gone?
    IsOver(VoteOf<Types>),
    /// To the leader: change the members.
    Alter(Alteration),
    /// To a voter: is there room for more on your disk?
    HasRoom,
    /// To any member: this is my digest, what is yours there?
    Digest(DigestPoint),
    /// To anybody: are you a member, and of what?
    Standing,
    /// To a member: admit this node.
    Admit(Application),
    /// To the leader: how are the members?
    Survey,
    /// To a member: may I take part, my log ending there?
    MayTakePart(Option<u64>),
    /// To a member: have the clients of these sessions given signs of life there?
    Signs(Vec<SessionId>),
    /// To any member: something that the rooms above want to know.
    Question(Bytes),
}

/// What a node says of itself to one that is no member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ensemble) enum Presence {
    /// It waits for the others to found an ensemble with.
    Waiting {
        /// Its name.
        name: String,
        /// What its list of founders comes to.
        list: u64,
        /// What it drew.
        nonce: u64,
    },
    /// It is to be admitted to an ensemble that is there.
    Joining,
    /// It is a member.
    Member {
        /// Which one, of what.
        number: Number,
        /// Who founded that, if it was there.
        roll: Option<Roll>,
    },
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
    /// To [`Ask::Touch`], [`Ask::Move`] and [`Ask::HasRoom`].
    Done,
    /// This member cannot do it now: it is not the leader, or has lost its quorum.
    NotNow,
    /// To [`Ask::Leads`].
    Leads(bool),
    /// To [`Ask::IsOver`].
    IsOver(Witness),
    /// To [`Ask::Alter`].
    Altered(Result<Altered, ReconfigError>),
    /// To [`Ask::Digest`]; `None` if it is not known there, or not to be trusted.
    Digest(Option<u64>),
    /// To [`Ask::Standing`].
    Standing(Presence),
    /// To [`Ask::Survey`].
    Survey(Survey),
    /// To [`Ask::MayTakePart`].
    MayTakePart(bool),
    /// To [`Ask::Admit`].
    Admission(Result<Number, AdmissionRefusal>),
    /// To [`Ask::Signs`]: the last of each.
    Signs(Vec<Touch>),
    /// To [`Ask::Question`]; `None` if it makes no sense there.
    Question(Option<Bytes>),
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

/// What the leader answers on a forward connection; to a batch that it took, nothing.
#[derive(Serialize, Deserialize)]
pub(super) enum ForwardReply {
    /// It did not take the last batch, and closes.
    Refused,
    /// It did not take these proposals, for which there is no room on disk.
    Full(Vec<Origin>),
}

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

/// Asks for the leader's tree, to rebuild a wrong one.
#[derive(Serialize, Deserialize)]
pub(super) struct SnapshotWanted {
    /// What it must cover at least.
    pub(super) at_least: u64,
}

/// The answer to [`SnapshotWanted`].
#[derive(Serialize, Deserialize)]
pub(super) enum SnapshotSupply {
    /// A file of so many bytes follows as raw frames.
    Follows(u64),
    /// There is none to be had, and why.
    Refused(String),
}

/// The end of a snapshot transfer.
#[derive(Serialize, Deserialize)]
pub(super) enum SnapshotReply {
    /// What openraft makes of it.
    Taken(SnapshotResponse<Types>),
    /// The file is damaged or could not be stored.
    Refused(String),
}
