//! The listening side: hears other members and passes what they say to Raft.

use super::frame::{FrameWriter, Framed};
use super::hello::{Me, Purpose, accept};
use super::message::{Answer, AppendFrame, AppendReply, Ask, Forwarded, Refused, SnapshotReply};
use super::snapshot::receive_snapshot;
use crate::ensemble::contact::Contact;
use crate::ensemble::duties::{Duties, UnderWay};
use crate::ensemble::handle::Ensemble;
use crate::ensemble::limits::{OLD_RESULT_DELAY, PEER_CONNECTIONS};
use crate::ensemble::machine::Machine;
use crate::ensemble::reconfig::change;
use crate::ensemble::snapshot::SnapshotStore;
use crate::ensemble::takeover::witness;
use crate::ensemble::types::Types;
use futures_util::{Stream, StreamExt};
use openraft::Raft;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
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
}

/// Serves peers on `listener` until `stop`.
pub(in crate::ensemble) async fn serve(
    listener: TcpListener,
    server: Arc<PeerServer>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let room = Arc::new(Semaphore::new(PEER_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match (accepted, room.clone().try_acquire_owned()) {
            (Ok((stream, peer)), Ok(permit)) => {
                let server = server.clone();
                connections.spawn(async move {
                    if let Err(error) = server.converse(stream).await {
                        tracing::debug!(%peer, %error, "conversation with a member ended");
                    }
                    drop(permit);
                });
            }
            (Ok((_, peer)), Err(_)) => {
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
    async fn converse(&self, stream: TcpStream) -> io::Result<()> {
        let Some((framed, purpose, from)) = accept(stream, self.me).await? else {
            return Ok(());
        };
        match purpose {
            Purpose::Control => self.control(framed, from).await,
            Purpose::Append => self.append(framed, from).await,
            Purpose::Forward => self.forward(framed).await,
            Purpose::Snapshot => self.snapshot(framed).await,
        }
    }

    async fn control(&self, mut framed: Framed, from: u64) -> io::Result<()> {
        while let Some(frame) = framed.reader.raw().await? {
            let answer = match super::frame::decode(&frame)? {
                Ask::Vote(request) => Answer::Vote(self.raft.vote(request).await),
                Ask::PreVote(request) => Answer::Vote(self.raft.pre_vote(request).await),
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
                Ask::Touch(touches) => done(self.duties.touch(&touches)),
                Ask::Join(id, member) if id == from => done(self.duties.join(id, member).await),
                Ask::Join(..) => Answer::NotNow,
                Ask::Leads(vote) => Answer::Leads(self.duties.leads(vote).await),
                Ask::Reconfigure(wanted) => {
                    Answer::Reconfigured(Box::pin(change(&self.ensemble, &wanted)).await)
                }
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
            let source = (reader.clone(), failed.clone(), self.contact.clone());
            let requests =
                futures_util::stream::unfold(source, |(reader, failed, contact)| async move {
                    match reader.lock().await.message().await {
                        Ok(AppendFrame::Request(request)) => {
                            contact.heard(request.vote);
                            Some((request, (reader.clone(), failed, contact)))
                        }
                        Ok(AppendFrame::End) => None,
                        Err(error) => {
                            *failed.lock().await = Some(error);
                            None
                        }
                    }
                });
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
                () = under_way.refused() => return framed.writer.send(&Refused).await,
                frame = framed.reader.raw() => frame?,
            };
            let Some(frame) = frame else { return Ok(()) };
            let Forwarded(batch) = super::frame::decode(&frame)?;
            match self.duties.propose(batch).await {
                Some(batch) => under_way.push(batch),
                None => return framed.writer.send(&Refused).await,
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
