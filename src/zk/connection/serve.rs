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
use crate::ensemble::{Applied, OutcomeUnknown, Pending, ReconfigError};
use crate::tree::{Actor, CONFIG_PATH, Command, ErrorCode, Identity, SessionId, Tree};
use crate::zk::dispatch::{Answer, Read, Request};
use crate::zk::identity::Identities;
use crate::zk::outbox::Outbox;
use crate::zk::port::Port;
use crate::zk::read::{Found, ephemerals, multi_read, watch_of, who_am_i};
use crate::zk::reconfig::wanted;
use crate::zk::tally::Outstanding;
use crate::zk::watches::WatchRequest;
use crate::zk::wire::{AuthRequest, DataResponse, ReconfigRequest, ReplyHeader, Wire};
use crate::zk::write::Written;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use tokio::sync::mpsc;

/// In the answer to what is no request at all: it has not come as far as the tree.
const NO_ZXID: i64 = -1;

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
        opened.attached.identify(&identities);
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
            barrier,
            outstanding,
        } = received;
        match request {
            request if self.opened.read_only && request.needs_leader() => {
                self.refuse_write(xid, &request)
            }
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
            Request::Reconfig(request) => {
                self.settle_all().await?;
                self.reconfigure(xid, &request).await
            }
            other => {
                self.settle_all().await?;
                if let Some(barrier) = barrier {
                    barrier.wait().await?;
                }
                self.answer(xid, other)
            }
        }
    }

    /// Answers what cannot be done without a leader. Only the end of a session that nobody else knows is nothing
    /// to ask a leader about.
    fn refuse_write(&self, xid: i32, request: &Request) -> Result<(), End> {
        match request {
            Request::Write {
                answer: Answer::Closed,
                ..
            } if self.opened.id.is_local() => {
                self.reply(xid, |_| ());
                Err(End::SessionClosed)
            }
            _ => {
                self.refuse(xid, ErrorCode::NotReadOnly);
                Ok(())
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
            Ok(reply) => Written::of(answer, reply),
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
    fn answer(&mut self, xid: i32, request: Request) -> Result<(), End> {
        match request {
            Request::Read(read) => self.read(xid, &read)?,
            Request::MultiRead(reads) => self.multi_read(xid, &reads),
            Request::Ephemerals(prefix) => self.ephemerals(xid, prefix.as_deref()),
            Request::WhoAmI => {
                let identities = who_am_i(self.identities());
                self.reply(xid, |out| identities.encode(out));
            }
            // Its barrier is behind us.
            Request::Sync(path) => self.reply(xid, |out| path.encode(out)),
            Request::Watches(request) => self.watch(xid, &request)?,
            Request::Auth(auth) => self.authenticate(xid, &auth)?,
            Request::Ping => self.pings.turn(),
            Request::Sasl => self.answer_sasl(xid),
            Request::Refused { code, close: false } => self.refuse(xid, code),
            Request::Refused { code, close: true } => {
                let error = code.to_wire();
                let zxid = NO_ZXID;
                self.outbox.reply(ReplyHeader { xid, zxid, error }, |_| ());
                return Err(End::Refused);
            }
            // These go through the log instead.
            Request::Write { .. } | Request::Reconfig(_) => {}
        }
        Ok(())
    }

    fn identities(&self) -> &[Identity] {
        self.identities.all()
    }

    /// Answers the configuration as it is afterwards, also to clients that may not read it otherwise.
    async fn reconfigure(&self, xid: i32, request: &ReconfigRequest) -> Result<(), End> {
        let changed = match wanted(self.port, self.identities(), request) {
            // Boxed: large and rare, it would take its room in every connection.
            Ok(wanted) => Box::pin(self.port.ensemble.reconfigure(wanted)).await,
            Err(code) => {
                self.refuse(xid, code);
                return Ok(());
            }
        };
        match changed {
            Ok(_) => self.reply_config(xid),
            // As for any write: the client is told nothing, finds another member, and looks.
            Err(ReconfigError::OutcomeUnknown) => return Err(OutcomeUnknown.into()),
            Err(ReconfigError::NoLeader) => return Err(End::NotServing),
            Err(error) => {
                tracing::info!(%error, "a client's change of the members was refused");
                self.refuse(xid, error.code());
            }
        }
        Ok(())
    }

    fn reply_config(&self, xid: i32) {
        self.port.ensemble.read(|tree| {
            let config = tree.get(CONFIG_PATH).ok_or(ErrorCode::NoNode);
            let result = config.map(|_| ());
            self.outbox.reply(header(xid, tree, result), |out| {
                if let Ok(config) = config {
                    let (data, stat) = (config.data().cloned(), config.stat());
                    DataResponse { data, stat }.encode(out);
                }
            });
        });
    }

    fn read(&self, xid: i32, read: &Read) -> Result<(), End> {
        self.port.ensemble.read(|tree| {
            let found = Found::of(read, tree, self.identities());
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

    fn multi_read(&self, xid: i32, reads: &[Read]) {
        self.port.ensemble.read(|tree| {
            let body = multi_read(reads, tree, self.identities());
            let result = body.as_ref().map(|_| ()).map_err(|code| *code);
            self.outbox.reply(header(xid, tree, result), |out| {
                if let Ok(body) = &body {
                    out.extend_from_slice(body);
                }
            });
        });
    }

    fn ephemerals(&self, xid: i32, prefix: Option<&str>) {
        self.port.ensemble.read(|tree| {
            let paths = ephemerals(tree, self.opened.id, prefix);
            let header = header(xid, tree, Ok(()));
            self.outbox.reply(header, |out| paths.encode(out));
        });
    }

    fn watch(&self, xid: i32, request: &WatchRequest) -> Result<(), End> {
        self.port.ensemble.read(|tree| {
            let answer = self.opened.attached.carry_out(request, tree)?;
            let header = header(xid, tree, answer.result());
            self.outbox.reply(header, |out| answer.encode(out));
            Ok(())
        })
    }

    /// Replies to auth requests carry no zxid.
    fn authenticate(&mut self, xid: i32, auth: &AuthRequest) -> Result<(), End> {
        let super_digest = self.port.settings.super_digest.as_deref();
        let refused = self.identities.add(auth, super_digest).is_err();
        self.opened.attached.identify(&self.identities);
        let error = match refused {
            true => ErrorCode::AuthFailed.to_wire(),
            false => 0,
        };
        let zxid = 0;
        self.outbox.reply(ReplyHeader { xid, zxid, error }, |_| ());
        if refused { Err(End::Refused) } else { Ok(()) }
    }

    /// As a ZooKeeper in which SASL is not configured: no error, no token, and the client gives up.
    fn answer_sasl(&self, xid: i32) {
        let (zxid, error) = (0, 0);
        let token: Option<Bytes> = None;
        self.outbox
            .reply(ReplyHeader { xid, zxid, error }, |out| token.encode(out));
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
