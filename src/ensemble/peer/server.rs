//! The listening side: hears other members and passes what they say to Raft.

use super::frame::Framed;
use super::hello::{Me, Purpose, accept};
use super::message::{Answer, AppendFrame, AppendReply, Ask, Forwarded, Refused, SnapshotReply};
use super::snapshot::receive_snapshot;
use crate::ensemble::contact::Contact;
use crate::ensemble::duties::{Duties, UnderWay};
use crate::ensemble::limits::PEER_CONNECTIONS;
use crate::ensemble::machine::Machine;
use crate::ensemble::snapshot::SnapshotStore;
use crate::ensemble::types::Types;
use futures_util::StreamExt;
use openraft::Raft;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
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
            Purpose::Append => self.append(framed).await,
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
            };
            framed.writer.send(&answer).await?;
        }
        Ok(())
    }

    /// Passes streams of append requests to Raft, one after the other.
    async fn append(&self, framed: Framed) -> io::Result<()> {
        let Framed { reader, mut writer } = framed;
        let reader = Arc::new(Mutex::new(reader));
        loop {
            let failed = Arc::new(Mutex::new(None));
            let source = (reader.clone(), failed.clone(), self.contact.clone());
            let requests =
                futures_util::stream::unfold(source, |(reader, failed, contact)| async move {
                    match reader.lock().await.message().await {
                        Ok(AppendFrame::Request(request)) => {
                            contact.heard();
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
            while let Some(result) = results.next().await {
                let result = result.map_err(io::Error::other)?;
                let over = result.is_err();
                writer.send(&AppendReply::Result(result)).await?;
                if over {
                    return Ok(());
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

fn done(taken: bool) -> Answer {
    if taken { Answer::Done } else { Answer::NotNow }
}
