//! The listening side: hears other members and passes what they say to Raft.

use super::frame::{FrameWriter, Framed};
use super::hello::{Caller, Greeted, Me, Purpose, accept};
use super::message::{
    Answer, AppendFrame, AppendReply, Ask, ForwardReply, Forwarded, SnapshotReply,
};
use super::snapshot::receive_snapshot;
use super::strangers::Strangers;
use crate::ensemble::admission::{AdmissionRefusal, pass_on};
use crate::ensemble::contact::Contact;
use crate::ensemble::duties::{Duties, Proposed, UnderWay};
use crate::ensemble::handle::Ensemble;
use crate::ensemble::limits::{OLD_RESULT_DELAY, PEER_CONNECTIONS, PEER_GREETINGS};
use crate::ensemble::machine::Machine;
use crate::ensemble::reconfig::change;
use crate::ensemble::snapshot::SnapshotStore;
use crate::ensemble::takeover::witness;
use crate::ensemble::types::Types;
use crate::net::{TcpListener, TcpStream, TlsFailure};
use crate::telemetry::contained;
use futures_util::{Stream, StreamExt};
use openraft::Raft;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What the peers' requests need.
pub(in crate::ensemble) struct PeerServer {
    /// Who this member is.
    pub(in crate::ensemble) me: Me,
    /// Raft, in this process.
    pub(in crate::ensemble) raft: Raft<Types, Machine>,
    /// Where received snapshots go.
    pub(in crate::ensemble) snapshots: SnapshotStore,
    /// Hears of every word from a leader.
    pub(in crate::ensemble) contact: Arc<Contact>,
    /// Changes its members, when this one leads.
    pub(in crate::ensemble) ensemble: Ensemble,
    /// What only the leader can do for its peers.
    pub(in crate::ensemble) duties: Arc<Duties>,
    /// Who was refused of late.
    pub(in crate::ensemble) strangers: Strangers,
}

/// Serves peers on `listener` until `stop`.
pub(in crate::ensemble) async fn serve(
    listener: TcpListener,
    server: Arc<PeerServer>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(PEER_CONNECTIONS));
    let greetings = Arc::new(Semaphore::new(PEER_GREETINGS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let permits = (
            room.clone().try_acquire_owned(),
            greetings.clone().try_acquire_owned(),
        );
        match (accepted, permits) {
            // As good as dead: the others must not wait for what it says.
            (Ok(_), (Ok(_), Ok(_))) if server.contact.is_silenced() => {}
            (Ok((stream, peer)), (Ok(permit), Ok(greeting))) => {
                let server = server.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = server.contact.silenced() => {}
                        () = contained(server.converse(stream, peer, greeting)) => {}
                    }
                    drop(permit);
                });
            }
            (Ok((_, peer)), _) => {
                server.me.transport.failed(TlsFailure::Crowded);
                tracing::warn!(%peer, "too many connections from members; refused one")
            }
            (Err(error), _) => {
                // Out of descriptors: the connection stays in the backlog; do not spin on it.
                tracing::warn!(%error, "cannot accept a member's connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    connections.shutdown().await;
}

impl PeerServer {
    async fn converse(&self, stream: TcpStream, peer: SocketAddr, greeting: OwnedSemaphorePermit) {
        let census = &self.ensemble.inner().census;
        let judge = |caller: &Caller| census.judge(caller);
        let last = self
            .raft
            .with_raft_state(|state| state.log_ids.last().copied());
        let Ok(last) = last.await else { return };
        let accepted = accept(stream, &self.me, last.map(|id| id.index()), judge).await;
        drop(greeting);
        let greeted = match accepted {
            Ok(Some(greeted)) => greeted,
            Ok(None) => return,
            Err(error) => {
                self.strangers.tell(peer, &error);
                return;
            }
        };
        let conversed = match greeted.purpose {
            Purpose::Control => self.control(greeted).await,
            Purpose::Inquiry => self.inquiry(greeted).await,
            Purpose::Append => self.append(greeted.framed, greeted.from).await,
            Purpose::Forward => self.forward(greeted.framed).await,
            Purpose::Snapshot => self.snapshot(greeted.framed).await,
            Purpose::Supply => self.supply(greeted.framed).await,
        };
        if let Err(error) = conversed {
            tracing::debug!(%peer, %error, "conversation with a member ended");
        }
    }

    /// Answers a node that is no member.
    async fn inquiry(&self, greeted: Greeted) -> io::Result<()> {
        let Greeted {
            mut framed, name, ..
        } = greeted;
        while let Some(frame) = framed.reader.raw().await? {
            let answer = match super::frame::decode(&frame)? {
                Ask::Standing => Answer::Standing(self.ensemble.presence()),
                Ask::Admit(application) => match &name {
                    // Whoever has a certificate asks for nobody else.
                    Some(name) if *name != application.name => {
                        Answer::Admission(Err(AdmissionRefusal::Certificate(name.clone())))
                    }
                    _ => Answer::Admission(Box::pin(pass_on(&self.ensemble, &application)).await),
                },
                _ => Answer::NotNow,
            };
            framed.writer.send(&answer).await?;
        }
        Ok(())
    }

    async fn control(&self, greeted: Greeted) -> io::Result<()> {
        let Greeted {
            mut framed, from, ..
        } = greeted;
        while let Some(frame) = framed.reader.raw().await? {
            let answer = match super::frame::decode(&frame)? {
                Ask::Vote(request) => Answer::Vote(self.raft.vote(request).await),
                Ask::PreVote(request) => Answer::Vote(self.raft.pre_vote(request).await),
                Ask::TransferLeader(_) if self.contact.is_unfit() => Answer::NotNow,
                Ask::TransferLeader(request) => {
                    match self.raft.handle_transfer_leader(request).await {
                        Ok(response) => Answer::TransferLeader(response),
                        Err(_) => Answer::NotNow,
                    }
                }
                Ask::ReadIndex => self
                    .duties
                    .read_index()
                    .await
                    .map_or(Answer::NotNow, Answer::ReadIndex),
                Ask::Touch(touches) => done(self.duties.touch(from, &touches)),
                Ask::Signs(asked) => Answer::Signs(self.ensemble.inner().sessions.signs(&asked)),
                Ask::Move(address) => done(self.duties.relocate(from, address).await),
                Ask::Survey => Answer::Survey(self.ensemble.own_survey()),
                Ask::MayTakePart(last) => {
                    Answer::MayTakePart(!self.ensemble.inner().census.is_reverted(from, last))
                }
                Ask::Standing => Answer::Standing(self.ensemble.presence()),
                Ask::Admit(application) => {
                    Answer::Admission(Box::pin(pass_on(&self.ensemble, &application)).await)
                }
                Ask::Leads(vote) => Answer::Leads(self.duties.leads(vote).await),
                Ask::Alter(wanted) => {
                    Answer::Altered(Box::pin(change(&self.ensemble, &wanted)).await)
                }
                Ask::HasRoom => done(self.ensemble.inner().space.has_room()),
                Ask::Question(asked) => Answer::Question(self.ensemble.own_answer(&asked)),
                Ask::Digest(point) => Answer::Digest(self.ensemble.inner().shared.testify(point)),
                Ask::IsOver(vote) => witness(&self.raft, &self.contact, vote)
                    .await
                    .map_or(Answer::NotNow, Answer::IsOver),
            };
            framed.writer.send(&answer).await?;
        }
        Ok(())
    }

    /// Passes streams of append requests to Raft, one after the other.
    async fn append(&self, framed: Framed, from: u64) -> io::Result<()> {
        let _connection = self.contact.connected(from);
        let Framed { reader, mut writer } = framed;
        let reader = Arc::new(Mutex::new(reader));
        let (mut acknowledged, mut is_old) = (None, false);
        loop {
            let failed = Arc::new(Mutex::new(None));
            let space = self.ensemble.inner().space.clone();
            let source = (reader.clone(), failed.clone(), self.contact.clone(), space);
            let requests = futures_util::stream::unfold(
                source,
                |(reader, failed, contact, space)| async move {
                    match reader.lock().await.message().await {
                        Ok(AppendFrame::Request(request)) => {
                            contact.heard(request.vote);
                            if !request.entries.is_empty() && !space.append().await {
                                // The leader pauses and tries again; its heartbeats have their own way.
                                *failed.lock().await = Some(io::ErrorKind::StorageFull.into());
                                return None;
                            }
                            Some((request, (reader.clone(), failed, contact, space)))
                        }
                        Ok(AppendFrame::End) => None,
                        Err(error) => {
                            *failed.lock().await = Some(error);
                            None
                        }
                    }
                },
            );
            let mut results = Box::pin(self.raft.stream_append(requests));
            while let Some(result) = next_result(&mut writer, &mut results, is_old).await? {
                let result = result.map_err(io::Error::other)?;
                let over = result.is_err();
                is_old = result.as_ref().ok() == acknowledged.as_ref();
                acknowledged = result.as_ref().ok().copied();
                writer.queue(&AppendReply::Result(result))?;
                if over {
                    return writer.flush().await;
                }
            }
            if let Some(error) = failed.lock().await.take() {
                return if error.kind() == io::ErrorKind::UnexpectedEof {
                    Ok(())
                } else {
                    Err(error)
                };
            }
            writer.send(&AppendReply::End).await?;
        }
    }

    async fn forward(&self, mut framed: Framed) -> io::Result<()> {
        let mut under_way = UnderWay::default();
        loop {
            let frame = tokio::select! {
                () = under_way.refused() => return framed.writer.send(&ForwardReply::Refused).await,
                frame = framed.reader.raw() => frame?,
            };
            let Some(frame) = frame else { return Ok(()) };
            let Forwarded(batch) = super::frame::decode(&frame)?;
            match self.duties.propose(batch).await {
                Some(Proposed { batch, refused }) => {
                    under_way.push(batch);
                    if !refused.is_empty() {
                        framed.writer.send(&ForwardReply::Full(refused)).await?;
                    }
                }
                None => return framed.writer.send(&ForwardReply::Refused).await,
            }
        }
    }

    async fn snapshot(&self, mut framed: Framed) -> io::Result<()> {
        let reply = match receive_snapshot(&mut framed, &self.snapshots).await {
            Ok((vote, snapshot)) => match self.raft.install_full_snapshot(vote, snapshot).await {
                Ok(response) => SnapshotReply::Taken(response),
                Err(fatal) => SnapshotReply::Refused(fatal.to_string()),
            },
            Err(error) => {
                tracing::warn!(%error, "receiving a snapshot failed");
                SnapshotReply::Refused(error.to_string())
            }
        };
        framed.writer.send(&reply).await
    }
}

/// The next result, before which whatever is queued leaves if it has to wait. If that is no news (`is_old`), it
/// may wait for company: the leader learns nothing from the answer to a request that only told how far the log is
/// committed, and each write is followed by one.
async fn next_result<S: Stream + Unpin>(
    writer: &mut FrameWriter,
    results: &mut S,
    is_old: bool,
) -> io::Result<Option<S::Item>> {
    if is_old && let Ok(next) = timeout(OLD_RESULT_DELAY, results.next()).await {
        return Ok(next);
    }
    writer.next_of(results).await
}

fn done(taken: bool) -> Answer {
    if taken { Answer::Done } else { Answer::NotNow }
}
