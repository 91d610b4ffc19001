//! A client that hides nothing: one session after the other, each moved from member to member, and every frame judged.

use crate::check::acknowledged::{Effect, Outcome};
use crate::check::session::Order;
use crate::check::sync;
use crate::check::watch::{Kind, Watches};
use crate::history::{History, Record};
use crate::member::{CLIENTS, address};
use crate::plan::Plan;
use crate::workload::{Op, PARENTS, REGISTERS, Workload};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zoogate::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use zoogate::simulation as world;
use zoogate::tree::SessionId;
use zoogate::zk::wire::{
    ChildrenResponse, ConnectFields, ConnectRequest, ConnectResponse, DataResponse, EventType,
    MAX_REPLY_FRAME, MultiResponse, MultiResult, OpCode, ReplyHeader, RequestHeader,
    SetWatchesRequest, WatcherEvent, Wire, XID_EVENT, XID_PING, XID_SET_WATCHES, put_frame,
    put_frame_with, take_frame,
};

/// Requests of one connection that may wait for their replies.
const PIPELINE: usize = 8;

/// One client.
pub struct Client {
    pub number: usize,
    pub plan: Plan,
    pub history: History,
}

/// A session, as its client remembers it.
struct Session {
    id: SessionId,
    password: Option<Bytes>,
    timeout: Duration,
    /// From the last reply: what a server must have to go on with this session.
    seen: i64,
    order: Order,
    watches: Watches,
    xid: i32,
}

/// A request whose reply has not come.
struct Pending {
    op: Op,
    request: Option<usize>,
    /// What had been acknowledged to anybody when the sync before it was sent.
    floor: Option<u64>,
    at: Duration,
}

/// A connection with a session on it.
struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    buffer: BytesMut,
    pending: VecDeque<Pending>,
    heard: Instant,
}

impl Client {
    /// Works for ever.
    pub async fn run(self) {
        let mut workload = Workload::new(self.plan.seed, self.number);
        let mut is_first = true;
        loop {
            let mut session = Session::new(self.plan.session_timeout);
            while self.connect(&mut session, &mut workload, is_first).await {
                session.order.lost();
                sleep(Duration::from_millis(workload.below(60))).await;
            }
            is_first = false;
            world::count("sessions over");
        }
    }

    /// Puts the session on some member and uses it until the connection ends; false if the session is over.
    async fn connect(&self, session: &mut Session, workload: &mut Workload, setup: bool) -> bool {
        let member = workload.below(self.plan.members as u64) as usize;
        let opened = timeout(Duration::from_millis(400), session.open(member)).await;
        let Ok(Ok(opened)) = opened else {
            return true;
        };
        let Some(mut connection) = opened else {
            return session.id == SessionId::NONE;
        };
        world::count("connections of clients");
        if setup {
            let paths = REGISTERS.iter().chain(&PARENTS);
            for path in paths {
                let op = workload.create(path, 0);
                if self.send(session, &mut connection, op).await.is_err() {
                    return true;
                }
            }
        }
        let ended = self.converse(session, &mut connection, workload).await;
        !matches!(ended, Ok(Closed))
    }

    async fn converse(
        &self,
        session: &mut Session,
        connection: &mut Connection,
        workload: &mut Workload,
    ) -> io::Result<Closed> {
        let ping_every = session.timeout / 3;
        let mut next_ping = Instant::now() + ping_every;
        let mut next_op = Instant::now();
        loop {
            let is_quiet = self.history.with(|record| record.is_quiet);
            let has_room = connection.pending.len() < PIPELINE && !is_quiet;
            let dead = connection.heard + session.timeout * 2 / 3;
            tokio::select! {
                frame = connection.frame() => {
                    let frame = frame?;
                    if self.take(session, connection, workload, frame) {
                        return Ok(Closed);
                    }
                }
                () = sleep_until(next_op), if has_room => {
                    next_op = Instant::now() + Duration::from_millis(workload.pause_ms());
                    if workload.below(150) == 0 {
                        self.close(session, connection).await?;
                    } else if workload.below(150) == 0 {
                        // Moves to another member.
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    } else {
                        for op in workload.next() {
                            self.send(session, connection, op).await?;
                        }
                    }
                }
                () = sleep_until(next_ping) => {
                    next_ping = Instant::now() + ping_every;
                    let header = RequestHeader { xid: XID_PING, opcode: OpCode::Ping.to_wire() };
                    connection.put(&header, &[]).await?;
                }
                () = sleep_until(dead) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    async fn close(&self, session: &mut Session, connection: &mut Connection) -> io::Result<()> {
        let effects = Vec::new();
        let op = Op::Write {
            opcode: OpCode::CloseSession,
            body: Bytes::new(),
            effects,
        };
        self.send(session, connection, op).await
    }

    async fn send(
        &self,
        session: &mut Session,
        connection: &mut Connection,
        op: Op,
    ) -> io::Result<()> {
        session.xid += 1;
        let xid = session.xid;
        let (opcode, body) = op.request();
        let previous = connection.pending.back();
        let floor = previous.filter(|p| matches!(p.op, Op::Sync { .. }));
        let floor = floor.and_then(|sync| sync.floor);
        let (request, now) = self.history.with(|record| {
            let request = match &op {
                Op::Write { effects, .. } => {
                    for effect in effects {
                        if let Effect::Delete(path) = effect {
                            record.checks.ephemeral.asked_to_delete(path);
                        }
                    }
                    Some(record.checks.acknowledged.asked(effects.clone()))
                }
                _ => None,
            };
            (request, record.acknowledged)
        });
        let floor = match op {
            Op::Sync { .. } => Some(now),
            _ => floor,
        };
        session.order.sent(xid);
        connection.pending.push_back(Pending {
            op,
            request,
            floor,
            at: world::now(),
        });
        let header = RequestHeader {
            xid,
            opcode: opcode.to_wire(),
        };
        connection.put(&header, &body).await
    }

    /// Judges a frame; true if the session is closed.
    fn take(
        &self,
        session: &mut Session,
        connection: &mut Connection,
        workload: &mut Workload,
        mut frame: Bytes,
    ) -> bool {
        connection.heard = Instant::now();
        world::trace(&frame);
        self.history.with(|record| {
            let Ok(header) = ReplyHeader::decode(&mut frame) else {
                record.violated("session", "a frame without a header".into());
                return false;
            };
            if header.xid == XID_EVENT {
                let verdict = session.event(record, header.zxid, &mut frame);
                record.judge("watch", verdict);
                return false;
            }
            let zxid = header.zxid.max(0) as u64;
            // Nothing has happened and nothing was read, so it carries no zxid; clients take no notice of 0.
            let is_throttled = header.error == THROTTLED && header.zxid == 0;
            if is_throttled {
                world::count("requests throttled");
            } else {
                let what = format!("client {}: a reply to {}", self.number, header.xid);
                let verdict = session.order.header(&what, zxid);
                record.judge("session", verdict);
                let is_moving = header.xid == XID_SET_WATCHES;
                let verdict = session.watches.reply(&record.truth, zxid, is_moving);
                record.judge("watch", verdict);
            }
            session.seen = session.seen.max(header.zxid);
            if header.xid == XID_PING || header.xid == XID_SET_WATCHES {
                return false;
            }
            let verdict = session.order.reply(header.xid);
            record.judge("session", verdict);
            let Some(pending) = connection.pending.pop_front() else {
                return false;
            };
            self.answered(session, record, workload, &pending, (&header, frame))
        })
    }

    fn answered(
        &self,
        session: &mut Session,
        record: &mut Record,
        workload: &mut Workload,
        pending: &Pending,
        (header, body): (&ReplyHeader, Bytes),
    ) -> bool {
        let zxid = header.zxid.max(0) as u64;
        if let (Op::Write { opcode, .. }, Some(request)) = (&pending.op, pending.request) {
            let is_done = header.error == 0 && !is_failed_multi(*opcode, body);
            let outcome = match is_done {
                true => Outcome::Done(zxid),
                false => Outcome::Refused,
            };
            record.checks.acknowledged.answered(request, outcome);
            if is_done {
                record.acknowledged = record.acknowledged.max(zxid);
                record.progress(self.number, pending.at);
                record.judge("session", session.order.wrote(zxid));
            }
            return *opcode == OpCode::CloseSession && header.error == 0;
        }
        if header.error == THROTTLED {
            return false;
        }
        record.reads += 1;
        if !matches!(pending.op, Op::Sync { .. })
            && let Some(floor) = pending.floor
        {
            record.judge("sync", sync::behind(zxid, floor));
        }
        let verdict = judge_read(record, workload, &pending.op, header, body);
        record.judge("sync", verdict);
        if let Some((kind, path)) = pending.op.watches() {
            let is_absence = matches!(pending.op, Op::Exists { .. });
            if header.error == 0 || (header.error == NO_NODE && is_absence) {
                world::count("watches set");
                session.watches.set(kind, path, zxid, header.error == 0);
            }
        }
        false
    }
}

/// The session is over, by its client's wish.
struct Closed;

/// The error of a request that a member has no room for.
const THROTTLED: i32 = -127;

/// The error of a read of a znode that is not there.
const NO_NODE: i32 = -101;

fn is_failed_multi(opcode: OpCode, mut body: Bytes) -> bool {
    opcode == OpCode::Multi
        && MultiResponse::decode(&mut body)
            .is_ok_and(|r| r.0.iter().any(|r| matches!(r, MultiResult::Error(_))))
}

fn judge_read(
    record: &Record,
    workload: &mut Workload,
    op: &Op,
    header: &ReplyHeader,
    mut body: Bytes,
) -> Result<(), String> {
    let zxid = header.zxid.max(0) as u64;
    if header.error != 0 && header.error != NO_NODE {
        return Ok(());
    }
    let is_there = header.error == 0;
    let malformed = |e| format!("a reply to {op:?} cannot be read: {e:?}");
    match op {
        Op::Get { path, .. } => {
            let response = is_there
                .then(|| DataResponse::decode(&mut body))
                .transpose();
            let response = response.map_err(malformed)?;
            if let Some(response) = &response
                && let Some(at) = REGISTERS.iter().position(|r| *r == &**path)
            {
                workload.versions[at] = response.stat.version;
            }
            let data = response.map(|response| response.data.unwrap_or_default());
            sync::value(&record.truth, path, zxid, data.as_ref())
        }
        Op::Exists { path, .. } => {
            let known = record.truth.data(path, zxid).is_some();
            match known == is_there {
                true => Ok(()),
                false => Err(format!(
                    "{path} at {zxid}: is it there? read {is_there}, was {known}"
                )),
            }
        }
        Op::Children { path, .. } if is_there => {
            let response = ChildrenResponse::decode(&mut body).map_err(malformed)?;
            let names = response.children.iter().map(|name| name.to_string());
            sync::children(&record.truth, path, zxid, &names.collect())
        }
        _ => Ok(()),
    }
}

impl Session {
    fn new(timeout: Duration) -> Session {
        Session {
            id: SessionId::NONE,
            password: None,
            timeout,
            seen: 0,
            order: Order::default(),
            watches: Watches::default(),
            xid: 0,
        }
    }

    /// Opens the session on a member, or moves it there; `None` if the ensemble says that it is over.
    async fn open(&mut self, member: usize) -> io::Result<Option<Connection>> {
        let stream = TcpStream::connect(&address(member, CLIENTS)).await?;
        let (reader, writer) = stream.into_split();
        let mut connection = Connection {
            reader,
            writer,
            buffer: BytesMut::new(),
            pending: VecDeque::new(),
            heard: Instant::now(),
        };
        let request = ConnectRequest {
            fields: ConnectFields {
                protocol_version: 0,
                last_zxid_seen: self.seen,
                timeout_ms: self.timeout.as_millis() as i32,
                session: self.id,
                password: self.password.clone(),
            },
            read_only: Some(false),
        };
        let mut frame = BytesMut::new();
        put_frame(&mut frame, &(), &request);
        connection.writer.write_all(&frame).await?;
        let mut answer = connection.frame().await?;
        let fields = ConnectResponse::decode(&mut answer)
            .map_err(io::Error::other)?
            .fields;
        if fields.session == SessionId::NONE || fields.timeout_ms <= 0 {
            return Ok(None);
        }
        if self.id != SessionId::NONE {
            world::count("sessions moved");
        }
        self.id = fields.session;
        self.password = fields.password;
        self.timeout = Duration::from_millis(fields.timeout_ms as u64);
        if !self.watches.is_empty() {
            self.set_watches(&mut connection).await?;
        }
        Ok(Some(connection))
    }

    /// Sets the watches again, for changes since the last reply.
    async fn set_watches(&mut self, connection: &mut Connection) -> io::Result<()> {
        self.watches.moved();
        let data: Vec<Arc<str>> = self.watches.paths(Kind::Data).collect();
        let present = |path: &Arc<str>| self.watches.was_present(path);
        let (data, exist) = data.into_iter().partition(present);
        let request = SetWatchesRequest {
            relative_zxid: self.seen,
            data,
            exist,
            child: self.watches.paths(Kind::Children).collect(),
        };
        world::count("watches moved");
        let header = RequestHeader {
            xid: XID_SET_WATCHES,
            opcode: OpCode::SetWatches.to_wire(),
        };
        let mut body = BytesMut::new();
        request.encode(&mut body);
        connection.put(&header, &body).await
    }

    fn event(&mut self, record: &Record, zxid: i64, frame: &mut Bytes) -> Result<(), String> {
        world::count("watch events");
        let event = WatcherEvent::decode(frame).map_err(|e| format!("no event: {e:?}"))?;
        let kind = EventType::from_wire(event.kind);
        let kind = kind.ok_or_else(|| format!("an event of no kind: {event:?}"))?;
        if let Ok(zxid) = u64::try_from(zxid) {
            self.order.header("an event", zxid)?;
        }
        self.watches.event(&record.truth, kind, &event.path, zxid)
    }
}

impl Connection {
    /// The next frame.
    async fn frame(&mut self) -> io::Result<Bytes> {
        loop {
            let frame = take_frame(&mut self.buffer, MAX_REPLY_FRAME).map_err(io::Error::other)?;
            if let Some(frame) = frame {
                return Ok(frame);
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn put(&mut self, header: &RequestHeader, body: &[u8]) -> io::Result<()> {
        let mut frame = BytesMut::new();
        put_frame_with(&mut frame, header, |out| out.extend_from_slice(body));
        self.writer.write_all(&frame).await
    }
}
