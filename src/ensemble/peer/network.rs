//! openraft's network over our connections.

use super::append::AppendLink;
use super::hello::Me;
use super::link::{Link, LinkError};
use super::message::{Answer, Ask};
use super::reach::Reach;
use super::snapshot::send_snapshot;
use crate::ensemble::census::Census;
use crate::ensemble::contact::Contact;
use crate::ensemble::limits::{ASK_TIMEOUT, BACKOFF_MAX, BACKOFF_MIN};
use crate::ensemble::snapshot::SnapshotFile;
use crate::ensemble::transfers::Transfers;
use crate::ensemble::types::{Member, Types};
use futures_util::{Stream, StreamExt};
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, OptionalSend};
use std::future::Future;
use std::sync::Arc;

/// Makes a [`Peer`] for each member openraft wants to talk to.
#[derive(Clone)]
pub(in crate::ensemble) struct Peers {
    me: Me,
    contact: Arc<Contact>,
    reach: Reach,
    census: Arc<Census>,
    transfers: Arc<Transfers>,
}

impl Peers {
    /// The peers of member `me`, to whom it speaks unless its `contact` is silenced or `census` objects to them;
    /// snapshots sent to them count in `transfers`.
    pub(in crate::ensemble) fn new(
        me: Me,
        contact: Arc<Contact>,
        census: Arc<Census>,
        transfers: Arc<Transfers>,
    ) -> Peers {
        Peers {
            me,
            census,
            contact,
            transfers,
            reach: Reach::default(),
        }
    }
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, id: u64, member: &Member) -> Peer {
        let (me, to, address) = (&self.me, id, member.address.clone());
        me.transport.hear(id, &member.name);
        Peer {
            control: Link::new(me, Some(to), &address).judged(self.census.clone()),
            append: AppendLink::new(
                me,
                to,
                &address,
                self.contact.clone(),
                self.reach.clone(),
                self.census.clone(),
            ),
            contact: self.contact.clone(),
            me: me.clone(),
            to,
            address,
            transfers: self.transfers.clone(),
        }
    }
}

/// One of openraft's ways to one member. openraft makes several, for replication, heartbeats and votes, so
/// each has its own connections.
pub(in crate::ensemble) struct Peer {
    me: Me,
    to: u64,
    address: String,
    contact: Arc<Contact>,
    control: Link,
    append: AppendLink,
    transfers: Arc<Transfers>,
}

impl Peer {
    async fn vote_with(
        &mut self,
        ask: Ask,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        if self.contact.is_silenced() {
            return Err(unreachable(&Silenced));
        }
        match self
            .control
            .ask(&ask, option.soft_ttl().min(ASK_TIMEOUT))
            .await
        {
            Ok(Answer::Vote(Ok(response))) => Ok(response),
            Ok(Answer::Vote(Err(error))) => Err(unreachable(&error)),
            Ok(_) => Err(out_of_step()),
            Err(error) => Err(unreachable(&error)),
        }
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let input = Box::pin(futures_util::stream::once(async { request }));
        let mut results = self.stream_append(input, option).await?;
        match results.next().await {
            Some(result) => Ok(result?.into()),
            None => Err(out_of_step()),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let results = self
                .append
                .stream(input)
                .await
                .map_err(|e| unreachable(&e))?;
            Ok(Box::pin(results.map(|r| r.map_err(|e| unreachable(&e)))) as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.vote_with(Ask::Vote(request), option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.vote_with(Ask::PreVote(request), option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let mut transfer = self.transfers.begin();
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            () = self.contact.silenced() => {
                Err(StreamingError::Unreachable(Unreachable::new(&Silenced)))
            }
            sent = send_snapshot(&self.address, &self.me, self.to, vote, &snapshot) => {
                if sent.is_ok() {
                    transfer.arrived();
                }
                sent.map_err(|e| StreamingError::Unreachable(Unreachable::new(&e)))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self
            .control
            .ask(
                &Ask::TransferLeader(request),
                option.soft_ttl().max(ASK_TIMEOUT),
            )
            .await
        {
            Ok(Answer::TransferLeader(response)) => Ok(response),
            Ok(_) => Err(out_of_step()),
            Err(error) => Err(unreachable(&error)),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        let steps =
            std::iter::successors(Some(BACKOFF_MIN), |step| Some((*step * 2).min(BACKOFF_MAX)));
        Some(Backoff::new(steps))
    }
}

/// This member has a fault that forbids it to speak to others.
#[derive(Debug, thiserror::Error)]
#[error("this member has a fault and keeps silent")]
struct Silenced;

fn unreachable(error: &(impl std::error::Error + 'static)) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

fn out_of_step() -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&AnyError::error(
        "the answer does not belong to the request",
    )))
}

impl From<LinkError> for RPCError<Types> {
    fn from(error: LinkError) -> RPCError<Types> {
        unreachable(&error)
    }
}
