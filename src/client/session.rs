//! Keeps one session alive over connections that come and go.
//!
//! ```text
//!            +------------------ reattached with id and password ---------------+
//!            v                                                                  |
//!  (open) Connected -- silence, error, end of stream --> Disconnected -- tries hosts in turn
//!            |                                               |
//!            | reply to closeSession                         | a server says "gone", or one
//!            v                                               v session timeout without contact
//!          Closed                                         Expired
//! ```
//!
//! Invariants: replies match requests in order, or the connection is dropped; every request of a lost
//! connection is failed before the next connection is tried; between connections requests wait in the
//! bounded queue to this task.
//!
//! Source: ZooKeeper programmer's guide, "ZooKeeper Sessions"; `ClientCnxn` for pinging at a third of the
//! timeout and giving a silent server up at two thirds.

use super::backoff::Backoff;
use super::connection::{Connection, Grant};
use super::event::{EventSink, WatchEvent};
use super::{AttemptError, ConnectError, Hosts, Login};
use crate::tree::SessionId;
use crate::zk::wire::{
    ConnectFields, EventType, OpCode, ReplyHeader, RequestHeader, WatcherEvent, Wire, WireError,
    XID_EVENT, XID_PING,
};
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// How a session is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Attached to this server (`host:port`).
    Connected {
        /// As the list of hosts names it.
        server: String,
    },
    /// Between servers; the ensemble still holds the session.
    Disconnected,
    /// Over: the ensemble has dropped it, or may have by now.
    Expired,
    /// Over: closed by the client.
    Closed,
}

/// A request on its way from the caller to the session.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) opcode: OpCode,
    pub(super) body: Encoded,
    pub(super) reply: oneshot::Sender<Result<Answer, CallLost>>,
}

/// What a server answered: an error code, or 0 and a record.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) error: i32,
    pub(super) body: Bytes,
}

/// The connection went before the answer came.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallLost;

/// A record that is bytes already.
#[derive(Debug)]
pub(super) struct Encoded(pub(super) Bytes);

impl Wire for Encoded {
    const MIN_LEN: usize = 0;

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }

    fn decode(input: &mut Bytes) -> Result<Encoded, WireError> {
        Ok(Encoded(input.split_off(0)))
    }
}

/// The task behind a client.
pub(super) struct Session {
    hosts: Hosts,
    wanted_timeout: Duration,
    login: Option<Login>,
    grant: Grant,
    newest_zxid: i64,
    heard: Instant,
    next_xid: i32,
    calls: mpsc::Receiver<Call>,
    events: EventSink,
    state: watch::Sender<SessionState>,
}

/// The caller's ends of a session's channels.
pub(super) struct Ends {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) state: watch::Receiver<SessionState>,
}

/// How a connection ended.
enum End {
    Lost(AttemptError),
    Closed,
}

/// Requests sent and not yet answered, oldest first.
type Pending = VecDeque<(i32, Call)>;

impl Session {
    /// Opens a session on the first server that grants one; one round over the hosts.
    ///
    /// # Errors
    /// [`ConnectError`] with what each server answered.
    pub(super) async fn open(
        hosts: &Hosts,
        wanted_timeout: Duration,
        login: Option<&Login>,
        events: EventSink,
    ) -> Result<(Session, Connection, Ends), ConnectError> {
        let mut attempts = Vec::new();
        for server in hosts.shuffled() {
            let limit = attempt_limit(hosts, wanted_timeout);
            let request = request(None, wanted_timeout, 0);
            match Connection::open(&server, request, login, limit).await {
                Ok((connection, grant)) => {
                    let (calls_tx, calls) = mpsc::channel(CALLS);
                    let connected = SessionState::Connected { server };
                    let (state, state_rx) = watch::channel(connected);
                    let session = Session {
                        hosts: hosts.clone(),
                        wanted_timeout,
                        login: login.cloned(),
                        grant,
                        newest_zxid: 0,
                        heard: Instant::now(),
                        next_xid: 1,
                        calls,
                        events,
                        state,
                    };
                    let ends = Ends {
                        calls: calls_tx,
                        state: state_rx,
                    };
                    return Ok((session, connection, ends));
                }
                Err(error) => attempts.push((server, error)),
            }
        }
        Err(ConnectError { attempts })
    }

    /// The session's id; it stays the same over all connections.
    pub(super) fn id(&self) -> SessionId {
        self.grant.id
    }

    /// The timeout granted first; a later server may grant another.
    pub(super) fn timeout(&self) -> Duration {
        self.grant.timeout
    }

    /// Lives until the session is over.
    pub(super) async fn run(mut self, mut connection: Connection) {
        let last = loop {
            let server = connection.server.clone();
            match self.serve(connection).await {
                End::Closed => break SessionState::Closed,
                End::Lost(error) => {
                    tracing::debug!(session = %self.grant.id, %server, %error, "connection lost");
                    self.state.send_replace(SessionState::Disconnected);
                }
            }
            connection = match self.reattach().await {
                Some(connection) => connection,
                None => break SessionState::Expired,
            };
            let server = connection.server.clone();
            self.state.send_replace(SessionState::Connected { server });
            self.events.send_lost();
        };
        // Told before the queue goes, so that whoever finds the queue gone finds the reason.
        self.state.send_replace(last);
    }

    /// Works one connection until it ends; what is still unanswered then is failed.
    async fn serve(&mut self, connection: Connection) -> End {
        let Connection {
            mut reader,
            mut writer,
            ..
        } = connection;
        let mut pending = Pending::new();
        let ping_every = self.grant.timeout / 3;
        let mut ping = tokio::time::interval_at(Instant::now() + ping_every, ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let silent_at = self.heard + self.grant.timeout * 2 / 3;
            let takes_calls = pending.len() < PIPELINED && writer.pending() < UNSENT;
            let done = tokio::select! {
                frame = reader.frame() => match frame {
                    Ok(frame) => self.receive(frame, &mut pending),
                    Err(error) => Err(End::Lost(error)),
                },
                sent = writer.flush(), if writer.pending() > 0 => sent.map_err(End::Lost),
                Some(call) = self.calls.recv(), if takes_calls => {
                    let xid = self.take_xid();
                    let opcode = call.opcode.to_wire();
                    writer.put(&RequestHeader { xid, opcode }, &call.body);
                    pending.push_back((xid, call));
                    Ok(())
                }
                _ = ping.tick() => {
                    let opcode = OpCode::Ping.to_wire();
                    writer.put(&RequestHeader { xid: XID_PING, opcode }, &());
                    Ok(())
                }
                () = tokio::time::sleep_until(silent_at) => {
                    Err(End::Lost(AttemptError::Silent(self.grant.timeout * 2 / 3)))
                }
                () = self.events.settle(), if self.events.owes() => Ok(()),
            };
            if let Err(end) = done {
                break end;
            }
        };
        for (_, call) in pending {
            // Who no longer waits for the answer does not mind its loss.
            let _ = call.reply.send(Err(CallLost));
        }
        end
    }

    /// Takes in one frame: an event, a pong, or the answer to the oldest request.
    fn receive(&mut self, mut frame: Bytes, pending: &mut Pending) -> Result<(), End> {
        self.heard = Instant::now();
        let header = ReplyHeader::decode(&mut frame).map_err(lost)?;
        // Some servers put -1 into the headers of events.
        self.newest_zxid = self.newest_zxid.max(header.zxid);
        match header.xid {
            XID_EVENT => {
                let event = WatcherEvent::decode(&mut frame).map_err(lost)?;
                self.deliver(event);
                return Ok(());
            }
            XID_PING => return Ok(()),
            _ => {}
        }
        let expected = pending.front().map_or(0, |(xid, _)| *xid);
        let call = match pending.pop_front() {
            Some((xid, call)) if xid == header.xid => call,
            unmatched => {
                if let Some(back) = unmatched {
                    pending.push_front(back);
                }
                let got = header.xid;
                return Err(End::Lost(AttemptError::OutOfOrder { got, expected }));
            }
        };
        let closed = call.opcode == OpCode::CloseSession && header.error == 0;
        let answer = Answer {
            error: header.error,
            body: frame,
        };
        let _ = call.reply.send(Ok(answer)); // as above: nobody may be waiting any more
        if closed { Err(End::Closed) } else { Ok(()) }
    }

    fn deliver(&mut self, event: WatcherEvent) {
        let path = event.path.to_string();
        let event = match EventType::from_wire(event.kind) {
            Some(EventType::Created) => WatchEvent::Created(path),
            Some(EventType::Deleted) => WatchEvent::Deleted(path),
            Some(EventType::DataChanged) => WatchEvent::DataChanged(path),
            Some(EventType::ChildrenChanged) => WatchEvent::ChildrenChanged(path),
            None => return, // a kind of event that we never ask for
        };
        self.events.send(event);
    }

    /// Tries the hosts in turn until one takes the session; `None` when it is gone, or so long without
    /// contact that it may be.
    async fn reattach(&mut self) -> Option<Connection> {
        let over = self.heard + self.grant.timeout;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT.min(self.grant.timeout / 4));
        loop {
            let left = time_left(over, Instant::now())?;
            tokio::time::sleep(backoff.wait().min(left)).await;
            for server in self.hosts.shuffled() {
                let left = time_left(over, Instant::now())?;
                let limit = attempt_limit(&self.hosts, self.grant.timeout).min(left);
                let request = request(Some(&self.grant), self.wanted_timeout, self.newest_zxid);
                let login = self.login.as_ref();
                match Connection::open(&server, request, login, limit).await {
                    Ok((connection, grant)) => {
                        self.grant = grant;
                        self.heard = Instant::now();
                        return Some(connection);
                    }
                    Err(AttemptError::SessionGone) => return None,
                    Err(error) => tracing::debug!(%server, %error, "cannot reattach here"),
                }
            }
        }
    }

    /// The next request's number: positive, because the others have meanings of their own.
    fn take_xid(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        xid
    }
}

fn lost(error: WireError) -> End {
    End::Lost(error.into())
}

fn request(grant: Option<&Grant>, wanted_timeout: Duration, newest_zxid: i64) -> ConnectFields {
    ConnectFields {
        protocol_version: 0,
        last_zxid_seen: newest_zxid,
        timeout_ms: i32::try_from(wanted_timeout.as_millis()).unwrap_or(i32::MAX),
        session: grant.map_or(SessionId::NONE, |grant| grant.id),
        password: Some(match grant {
            Some(grant) => grant.password.clone(),
            None => Bytes::from_static(&[0; 16]),
        }),
    }
}

/// The time until `over`; `None` when there is none, not even at that very moment: an attempt needs some.
fn time_left(over: Instant, now: Instant) -> Option<Duration> {
    let left = over.checked_duration_since(now)?;
    (!left.is_zero()).then_some(left)
}

/// A fair share of the session timeout, so that a round over all hosts fits into it.
fn attempt_limit(hosts: &Hosts, timeout: Duration) -> Duration {
    let share = timeout / hosts.iter().count().max(1) as u32;
    share.clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT)
}

/// Requests waiting for the session task. Beyond it callers wait; raising it only hides that longer.
const CALLS: usize = 256;

/// Requests sent and not yet answered. ZooKeeper servers throttle at 1,000 requests of all clients together
/// (`globalOutstandingLimit`): more would only move the queue there.
const PIPELINED: usize = 1000;

/// Bytes waiting to be sent before more requests are taken: one request of the greatest size.
const UNSENT: usize = 1 << 20;

/// The wait before the first attempt to reattach: long enough for a server that closes all its
/// connections to do so, too short to notice.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The longest wait between two rounds over the hosts; an election takes about that long.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Less than this would give up servers that are merely a continent away.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(250);

/// A server that does not answer for this long has no quorum or is not there.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the loop over the hosts turns without a pause for as long as the clock stands at that moment.
    #[test]
    fn no_time_is_left_at_the_moment_the_session_is_over() {
        let now = Instant::now();
        let moment = Duration::from_millis(5);
        assert_eq!(time_left(now + moment, now), Some(moment));
        assert_eq!(time_left(now, now), None);
        assert_eq!(time_left(now, now + moment), None);
    }
}
