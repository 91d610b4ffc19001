//! Requests of one session, answered in order.
//!
//! Writes are proposed as they come, without waiting for one another: the log keeps their order. Anything
//! else must show every write of this session before it and none behind it, so it waits until the writes
//! before it are applied here, and the writes behind it wait for it.
//!
//! ```text
//! request --write--> propose --> under way --(applied here)--> settle: events so far, reply
//!         --else---> [nothing under way] --> look at the tree: watch and reply in one go
//! ```
//! Invariants: replies leave in the order of the requests; the tree is looked at only while nothing is
//! under way; a write whose outcome is unknown ends the connection, because the client must not be told a
//! guess.

use super::end::End;
use super::handshake::Opened;
use super::pings::Pings;
use super::receive::Received;
use crate::ensemble::{Applied, OutcomeUnknown, Pending};
use crate::tree::{Actor, Command, ErrorCode, MultiFailure, SessionId, Tree};
use crate::zk::dispatch::{Answer, Read, Request};
use crate::zk::identity::Identities;
use crate::zk::outbox::Outbox;
use crate::zk::port::Port;
use crate::zk::read::{Found, watch_of};
use crate::zk::tally::Outstanding;
use crate::zk::wire::{AuthRequest, ReplyHeader, SetWatchesRequest, Wire};
use crate::zk::write::{Written, failed_multi};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::mpsc;

/// A client's session, as this connection serves it.
pub(super) struct Session<'a> {
    port: &'a Port,
    outbox: &'a Outbox,
    pings: &'a Pings<'a>,
    opened: Opened,
    identities: Identities,
    /// Writes without reply yet, oldest first. Bounded by the budget of the receiving loop.
    under_way: VecDeque<UnderWay<'a>>,
}

/// A write that was proposed.
struct UnderWay<'a> {
    xid: i32,
    answer: Answer,
    pending: Pending,
    _outstanding: Outstanding<'a>,
}

impl<'a> Session<'a> {
    /// The session that a handshake opened.
    pub(super) fn new(
        port: &'a Port,
        outbox: &'a Outbox,
        pings: &'a Pings<'a>,
        opened: Opened,
        identities: Identities,
    ) -> Session<'a> {
        Session {
            port,
            outbox,
            pings,
            opened,
            identities,
            under_way: VecDeque::new(),
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> SessionId {
        self.opened.id
    }

    /// Serves requests until one of them, or the ensemble, ends the connection.
    pub(super) async fn run(&mut self, mut requests: mpsc::Receiver<Received<'a>>) -> End {
        match self.serve(&mut requests).await {
            Ok(()) => End::Client,
            Err(end) => end,
        }
    }

    async fn serve(&mut self, requests: &mut mpsc::Receiver<Received<'a>>) -> Result<(), End> {
        loop {
            tokio::select! {
                biased;
                applied = oldest(&mut self.under_way), if !self.under_way.is_empty() => {
                    self.settle(applied)?;
                }
                received = requests.recv() => match received {
                    Some(received) => self.take(received).await?,
                    None => break,
                },
            }
        }
        self.settle_all().await
    }

    async fn take(&mut self, received: Received<'a>) -> Result<(), End> {
        self.outbox.room().await;
        let Received {
            xid,
            request,
            outstanding,
        } = received;
        match request {
            Request::Write { command, answer } => {
                let pending = self.propose(command, &answer).await?;
                self.under_way.push_back(UnderWay {
                    xid,
                    answer,
                    pending,
                    _outstanding: outstanding,
                });
                Ok(())
            }
            other => {
                self.settle_all().await?;
                self.answer(xid, other).await
            }
        }
    }

    async fn propose(&self, command: Command, answer: &Answer) -> Result<Pending, End> {
        if *answer == Answer::Closed {
            self.opened.attached.leave();
        }
        let actor = Actor::Session {
            id: self.opened.id,
            attachment: self.opened.attachment,
            identities: self.identities.all().clone(),
        };
        // Before the proposal, so that no event of a later transaction slips past its reply.
        self.outbox.begin_write();
        Ok(self.port.ensemble.propose(actor, command).await?)
    }

    async fn settle_all(&mut self) -> Result<(), End> {
        while !self.under_way.is_empty() {
            let applied = oldest(&mut self.under_way).await;
            self.settle(applied)?;
        }
        Ok(())
    }

    /// Answers the oldest write under way.
    fn settle(&mut self, applied: Result<Applied, OutcomeUnknown>) -> Result<(), End> {
        match self.under_way.pop_front() {
            Some(oldest) => self.answer_write(oldest.xid, &oldest.answer, applied?),
            None => Ok(()),
        }
    }

    fn answer_write(&self, xid: i32, answer: &Answer, applied: Applied) -> Result<(), End> {
        let written = match applied.result {
            Ok(reply) => Written::of(answer, reply).ok_or(ErrorCode::RuntimeInconsistency),
            // Another connection holds the session: this one just ends, as ZooKeeper has it.
            Err(ErrorCode::SessionMoved) => return Err(End::HungUp),
            Err(code) => Err(code),
        };
        let error = written.as_ref().err().map_or(0, |code| code.to_wire());
        let zxid = applied.zxid.to_wire();
        let is_last = self.under_way.is_empty();
        self.outbox
            .settle(is_last, ReplyHeader { xid, zxid, error }, |out| {
                if let Ok(written) = &written {
                    written.encode(out);
                }
            });
        match answer {
            Answer::Closed => Err(End::SessionClosed),
            _ => Ok(()),
        }
    }

    /// Answers what is no write. Nothing is under way.
    async fn answer(&mut self, xid: i32, request: Request) -> Result<(), End> {
        match request {
            Request::Read(read) => self.read(xid, &read)?,
            Request::Sync(path) => self.sync(xid, &path).await?,
            Request::SetWatches(watches) => self.set_watches(xid, &watches)?,
            Request::Auth(auth) => self.authenticate(xid, &auth)?,
            Request::Ping => self.pings.turn(),
            Request::FailedMulti { failure, count } => self.fail_multi(xid, failure, count),
            Request::Refused { code, close } => {
                self.refuse(xid, code);
                if close {
                    return Err(End::Refused);
                }
            }
            // Goes through the log instead.
            Request::Write { .. } => {}
        }
        Ok(())
    }

    async fn sync(&self, xid: i32, path: &Arc<str>) -> Result<(), End> {
        self.port.ensemble.barrier().await?;
        self.reply(xid, |out| path.encode(out));
        Ok(())
    }

    fn read(&self, xid: i32, read: &Read) -> Result<(), End> {
        self.port.ensemble.read(|tree| {
            let found = Found::of(read, tree);
            let result = found.as_ref().map(|_| ()).map_err(|code| *code);
            if let Some(kind) = watch_of(read, result) {
                self.opened.attached.watch(kind, &read.path, tree)?;
            }
            let header = header(xid, tree, result);
            self.outbox.reply(header, |out| {
                if let Ok(found) = &found {
                    found.encode(out);
                }
            });
            Ok(())
        })
    }

    fn set_watches(&self, xid: i32, watches: &SetWatchesRequest) -> Result<(), End> {
        self.port.ensemble.read(|tree| {
            self.opened.attached.restore(watches, tree)?;
            self.outbox.reply(header(xid, tree, Ok(())), |_| ());
            Ok(())
        })
    }

    /// Replies to auth requests carry no zxid.
    fn authenticate(&mut self, xid: i32, auth: &AuthRequest) -> Result<(), End> {
        let refused = self.identities.add(auth).is_err();
        let error = match refused {
            true => ErrorCode::AuthFailed.to_wire(),
            false => 0,
        };
        let zxid = 0;
        self.outbox.reply(ReplyHeader { xid, zxid, error }, |_| ());
        if refused { Err(End::Refused) } else { Ok(()) }
    }

    fn fail_multi(&self, xid: i32, failure: MultiFailure, count: usize) {
        let results = failed_multi(failure, count);
        self.reply(xid, |out| results.encode(out));
    }

    fn refuse(&self, xid: i32, code: ErrorCode) {
        self.port.ensemble.read(|tree| {
            self.outbox.reply(header(xid, tree, Err(code)), |_| ());
        });
    }

    fn reply(&self, xid: i32, body: impl FnOnce(&mut BytesMut)) {
        self.port.ensemble.read(|tree| {
            self.outbox.reply(header(xid, tree, Ok(())), body);
        });
    }
}

fn header(xid: i32, tree: &Tree, result: Result<(), ErrorCode>) -> ReplyHeader {
    ReplyHeader {
        xid,
        zxid: tree.last_zxid().to_wire(),
        error: result.err().map_or(0, ErrorCode::to_wire),
    }
}

/// Waits for the oldest write under way. Cancelling loses nothing: it stays in the queue.
async fn oldest(under_way: &mut VecDeque<UnderWay<'_>>) -> Result<Applied, OutcomeUnknown> {
    poll_fn(|cx| match under_way.front_mut() {
        Some(oldest) => Pin::new(&mut oldest.pending).poll(cx),
        None => Poll::Pending,
    })
    .await
}
