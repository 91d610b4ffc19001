//! Requests as they arrive.

use super::end::End;
use super::incoming::Incoming;
use super::pings::Pings;
use crate::ensemble::Barrier;
use crate::tree::SessionId;
use crate::zk::dispatch::Request;
use crate::zk::port::Port;
use crate::zk::tally::{Connected, Outstanding};
use crate::zk::wire::{MAX_FRAME, RequestHeader, Wire};
use bytes::Bytes;
use std::future::pending;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Bytes of requests that one connection may have outstanding; beyond, nothing more is read from it. Two
/// of the largest requests fit, or 2,048 small ones, far more than clients pipeline in one round trip.
const MAX_OUTSTANDING_BYTES: usize = 2 << 20;

/// What a request counts at least, bytes: its share of buffers and bookkeeping.
const MIN_REQUEST_COST: usize = 1 << 10;

const _: () = assert!(MAX_FRAME <= MAX_OUTSTANDING_BYTES);

/// A request on its way to be served.
pub(super) struct Received<'a> {
    /// Chosen by the client.
    pub(super) xid: i32,
    /// What it asks for.
    pub(super) request: Request,
    /// What a `sync` waits for, begun when it arrived: those that a client pipelines share a round to the leader.
    pub(super) barrier: Option<Barrier>,
    /// Held until the reply is queued.
    pub(super) outstanding: Outstanding<'a>,
}

/// The loop that receives.
pub(super) struct Receiver<'a> {
    /// What connections share.
    pub(super) port: &'a Port,
    /// What counts the requests.
    pub(super) connected: &'a Connected<'a>,
    /// Who is told of pings.
    pub(super) pings: &'a Pings<'a>,
    /// The client's session.
    pub(super) session: SessionId,
    /// The silence after which the connection ends; `None` when a leader watches over the session.
    pub(super) silence: Option<Duration>,
    /// See [`budget`].
    pub(super) budget: &'a Semaphore,
}

/// What bounds the requests outstanding on one connection, in bytes.
pub(super) fn budget() -> Semaphore {
    Semaphore::new(MAX_OUTSTANDING_BYTES)
}

/// The requests between receiving and serving. The budget bounds them too.
pub(super) fn queue<'a>() -> (mpsc::Sender<Received<'a>>, mpsc::Receiver<Received<'a>>) {
    mpsc::channel(MAX_OUTSTANDING_BYTES / MIN_REQUEST_COST)
}

impl<'a> Receiver<'a> {
    /// Takes requests until the socket fails or what arrives is no request. When the client closes, its
    /// last requests are still served: then this waits for the serving loop to end the connection.
    pub(super) async fn run<R: AsyncRead + Unpin>(
        &self,
        incoming: &mut Incoming<R>,
        requests: mpsc::Sender<Received<'a>>,
    ) -> End {
        loop {
            let frame = match self.next(incoming).await {
                Err(end) => return end,
                Ok(None) => break,
                Ok(Some(frame)) => frame,
            };
            // What no leader watches over, nobody asks after.
            if self.silence.is_none() && !self.port.ensemble.touch(self.session) {
                return End::NotServing;
            }
            let received = match self.take(frame).await {
                Err(end) => return end,
                Ok(received) => received,
            };
            if requests.send(received).await.is_err() {
                break;
            }
        }
        drop(requests);
        pending().await
    }

    async fn next<R: AsyncRead + Unpin>(
        &self,
        incoming: &mut Incoming<R>,
    ) -> Result<Option<Bytes>, End> {
        let frame = match self.silence {
            None => incoming.frame().await,
            Some(limit) => match timeout(limit, incoming.frame()).await {
                Ok(frame) => frame,
                Err(_) => return Err(End::Silent),
            },
        };
        Ok(frame?)
    }

    /// Understands one frame, once the budget has room for it.
    async fn take(&self, mut frame: Bytes) -> Result<Received<'a>, End> {
        let cost = frame.len().max(MIN_REQUEST_COST) as u32;
        let header = RequestHeader::decode(&mut frame).map_err(|_| End::Malformed)?;
        let request = Request::parse(header.opcode, frame, self.session);
        if request == Request::Ping {
            self.pings.wait();
        }
        // The budget is never closed.
        let room = self.budget.acquire_many(cost).await;
        let room = room.map_err(|_| End::Stopping)?;
        let barrier = match &request {
            Request::Sync(_) => Some(self.port.ensemble.begin_barrier().await?),
            _ => None,
        };
        Ok(Received {
            xid: header.xid,
            request,
            barrier,
            outstanding: self.connected.received(header.opcode, header.xid, room),
        })
    }
}
