//! What one connection still has to send, in the order in which its client must see it.
//!
//! Replies come from the connection's own task, events from the thread that applies transactions. Both
//! append whole frames under a short lock; one writer takes everything there is at once, so a burst costs
//! one system call.
//!
//! While a write of this connection is under way, events wait in `parked`: an event of a later transaction
//! must not be seen before the reply of an earlier write, and that reply is only composed once the
//! connection's task hears of it. Settling the write of transaction `z` sends the events up to `z`, its
//! reply, and, when no other write is under way, the rest.
//!
//! ```text
//! events --- parking? --no-----------------------> ready --> writer --> socket
//!              \--yes--> parked --settle(z)--------^
//! replies -----------------------------------------^
//! ```
//! Invariant: the zxids of the headers in `ready` never decrease. A ping's reply, which may overtake
//! outstanding requests, therefore carries the last one shown while events are parked: a client takes the
//! zxid as "I have seen everything up to here" when it re-arms its watches elsewhere.

use super::wire::{ReplyHeader, Wire, XID_PING, put_frame, put_frame_with};
#[cfg(feature = "simulation")]
use crate::simulation::{Mutant, one_in};
use crate::tree::Zxid;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Bytes queued beyond which no further request of the connection is carried out until some have left.
/// A client that pipelines faster than it reads is slowed down by this. One reply may exceed it.
const HIGH_WATER: usize = 1 << 20;

/// Bytes queued beyond which the connection is given up. Only events get here, since they cannot wait: the
/// client has stopped reading. A dead client costs twice as much at most, besides one reply: the queue, and the
/// batch that was taken from it and does not leave.
const MAX_QUEUED: usize = 8 << 20;

/// A buffer that grew beyond this many bytes is not kept for the next batch: most connections are idle
/// most of the time, and a megabyte each would add up.
const KEPT_BUFFER: usize = 64 << 10;

/// The outbound queue of one connection.
#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// There is something to send, or nothing will ever be.
    filled: Notify,
    /// The queue became shorter.
    drained: Notify,
    /// The connection is to end at once.
    ended: Notify,
}

#[derive(Default)]
struct Queue {
    ready: BytesMut,
    parked: VecDeque<(Zxid, Bytes)>,
    parked_bytes: usize,
    parking: bool,
    shown: i64,
    state: State,
    /// A reply that changes its place with the next one.
    #[cfg(feature = "simulation")]
    held: BytesMut,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Frames are taken and sent.
    #[default]
    Open,
    /// Nothing more is taken; what is queued is sent.
    Finishing,
    /// Nothing more is taken or sent.
    HungUp,
}

impl Outbox {
    /// Queues a frame that has no header: the answer to a handshake.
    pub(super) fn greet(&self, response: &impl Wire) {
        self.put(|queue| put_frame(&mut queue.ready, &(), response));
    }

    /// Queues a reply that does not wait for a write. Its place in the order is that of the call.
    pub(super) fn reply(&self, header: ReplyHeader, body: impl FnOnce(&mut BytesMut)) {
        self.put(|queue| queue.send(&header, body));
    }

    /// Queues the reply to a ping, when `applied` is the last transaction applied here.
    pub(super) fn pong(&self, applied: Zxid) {
        self.put(|queue| {
            let zxid = match queue.parking {
                true => queue.shown,
                false => applied.to_wire(),
            };
            let header = ReplyHeader {
                xid: XID_PING,
                zxid,
                error: 0,
            };
            queue.send(&header, |_| ());
        });
    }

    /// Queues an event that transaction `zxid` caused; behind the replies of earlier writes.
    pub(super) fn event(&self, zxid: Zxid, frame: &Bytes) {
        #[cfg(feature = "simulation")]
        if one_in(5, Mutant::DropEvent) {
            return;
        }
        self.put(|queue| {
            if queue.parking {
                queue.parked_bytes += frame.len();
                queue.parked.push_back((zxid, frame.clone()));
            } else {
                queue.send_event(zxid, frame);
            }
        });
    }

    /// Says that a write is about to be proposed: events wait from now on.
    pub(super) fn begin_write(&self) {
        self.queue.lock().parking = true;
    }

    /// Queues the reply to the write whose transaction `header` names, behind the events up to it. `last`
    /// says that no other write is under way.
    pub(super) fn settle(&self, last: bool, header: ReplyHeader, body: impl FnOnce(&mut BytesMut)) {
        self.put(|queue| {
            queue.unpark(Zxid(header.zxid as u64));
            queue.send(&header, body);
            if last {
                queue.unpark(Zxid(u64::MAX));
                queue.parking = false;
            }
        });
    }

    /// Takes nothing more, but still sends what is queued.
    pub(super) fn finish(&self) {
        let mut queue = self.queue.lock();
        if queue.state == State::Open {
            queue.state = State::Finishing;
        }
        self.filled.notify_one();
    }

    /// Ends the connection at once: the session belongs to another connection now, or is gone.
    pub(super) fn hang_up(&self) {
        self.queue.lock().hang_up();
        self.ended.notify_one();
    }

    /// Waits until the connection is to end at once. The writer cannot tell: it may be stuck in a socket
    /// that nobody reads.
    pub(super) async fn hung_up(&self) {
        while self.queue.lock().state != State::HungUp {
            self.ended.notified().await;
        }
    }

    /// Waits until the queue is short enough for another request to be carried out. Parked events do not
    /// count: they leave when a write is settled, and whoever waits here is the one to settle it.
    pub(super) async fn room(&self) {
        while self.queue.lock().ready.len() > HIGH_WATER {
            self.drained.notified().await;
        }
    }

    /// Everything there is to send, as one batch; waits for it. `None` when there will never be more.
    /// `sent` is the batch before, whose memory is used again.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing but the memory of `sent`.
    pub(super) async fn batch(&self, mut sent: BytesMut) -> Option<BytesMut> {
        loop {
            {
                let mut queue = self.queue.lock();
                if !queue.ready.is_empty() {
                    sent.clear();
                    if sent.capacity() > KEPT_BUFFER {
                        sent = BytesMut::new();
                    }
                    self.drained.notify_one();
                    return Some(std::mem::replace(&mut queue.ready, sent));
                }
                if queue.state != State::Open {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    fn put(&self, append: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue.lock();
        if queue.state != State::Open {
            return;
        }
        if queue.length() > MAX_QUEUED {
            queue.hang_up();
            self.ended.notify_one();
        } else {
            append(&mut queue);
            self.filled.notify_one();
        }
    }
}

impl Queue {
    fn length(&self) -> usize {
        self.ready.len() + self.parked_bytes
    }

    fn send(&mut self, header: &ReplyHeader, body: impl FnOnce(&mut BytesMut)) {
        #[cfg(feature = "simulation")]
        if one_in(10, Mutant::SwapReplies) && self.held.is_empty() {
            return put_frame_with(&mut self.held, header, body);
        }
        #[cfg(feature = "simulation")]
        let header = &match one_in(10, Mutant::OldZxid) {
            true => ReplyHeader {
                zxid: header.zxid - 2,
                ..header.clone()
            },
            false => header.clone(),
        };
        self.shown = self.shown.max(header.zxid);
        put_frame_with(&mut self.ready, header, body);
        #[cfg(feature = "simulation")]
        self.ready.extend_from_slice(&self.held.split());
    }

    fn send_event(&mut self, zxid: Zxid, frame: &Bytes) {
        self.shown = self.shown.max(zxid.to_wire());
        self.ready.extend_from_slice(frame);
        #[cfg(feature = "simulation")]
        if one_in(5, Mutant::RepeatEvent) {
            self.ready.extend_from_slice(frame);
        }
    }

    /// Sends the parked events up to transaction `last`.
    fn unpark(&mut self, last: Zxid) {
        while let Some((zxid, frame)) = self.parked.pop_front_if(|(zxid, _)| *zxid <= last) {
            self.parked_bytes -= frame.len();
            self.send_event(zxid, &frame);
        }
    }

    fn hang_up(&mut self) {
        self.state = State::HungUp;
        self.ready = BytesMut::new();
        self.parked = VecDeque::new();
        self.parked_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    fn header(xid: i32, zxid: u64) -> ReplyHeader {
        ReplyHeader {
            xid,
            zxid: Zxid(zxid).to_wire(),
            error: 0,
        }
    }

    fn event(outbox: &Outbox, zxid: u64) {
        let mut frame = BytesMut::new();
        put_frame(&mut frame, &header(-1, zxid), &());
        outbox.event(Zxid(zxid), &frame.freeze());
    }

    /// The xid and zxid of each frame queued, in order.
    async fn sent(outbox: &Outbox) -> Vec<(i32, i64)> {
        let mut batch = outbox.batch(BytesMut::new()).await.expect("open");
        let mut frames = Vec::new();
        while !batch.is_empty() {
            assert_eq!(batch.get_i32(), 16);
            frames.push((batch.get_i32(), batch.get_i64()));
            batch.advance(4);
        }
        frames
    }

    #[tokio::test]
    async fn events_stay_behind_the_replies_of_earlier_writes_and_before_their_own() {
        let outbox = Outbox::default();
        event(&outbox, 3);
        outbox.begin_write();
        outbox.begin_write();
        for zxid in [4, 5, 6, 7, 8] {
            event(&outbox, zxid);
        }
        outbox.settle(false, header(1, 5), |_| ());
        outbox.settle(true, header(2, 7), |_| ());
        event(&outbox, 9);
        let expected = [
            (-1, 3),
            (-1, 4),
            (-1, 5),
            (1, 5),
            (-1, 6),
            (-1, 7),
            (2, 7),
            (-1, 8),
            (-1, 9),
        ];
        assert_eq!(sent(&outbox).await, expected);
    }

    #[tokio::test]
    async fn a_ping_does_not_claim_what_parked_events_have_yet_to_tell() {
        let outbox = Outbox::default();
        outbox.reply(header(1, 4), |_| ());
        outbox.begin_write();
        event(&outbox, 6);
        outbox.pong(Zxid(6));
        outbox.settle(true, header(2, 7), |_| ());
        outbox.pong(Zxid(8));
        let expected = [(1, 4), (-2, 4), (-1, 6), (2, 7), (-2, 8)];
        assert_eq!(sent(&outbox).await, expected);
    }

    #[tokio::test]
    async fn a_client_that_stops_reading_is_given_up() {
        let outbox = Outbox::default();
        let frame = Bytes::from(vec![0; 1 << 20]);
        for zxid in 0..20 {
            outbox.event(Zxid(zxid), &frame);
        }
        outbox.hung_up().await;
        assert!(outbox.batch(BytesMut::new()).await.is_none());
    }

    #[tokio::test]
    async fn room_comes_back_when_the_queue_is_taken() {
        let outbox = Outbox::default();
        outbox.event(Zxid(1), &Bytes::from(vec![0; HIGH_WATER + 1]));
        let (_, batch) = tokio::join!(outbox.room(), outbox.batch(BytesMut::new()));
        assert_eq!(batch.map(|b| b.len()), Some(HIGH_WATER + 1));
    }

    #[tokio::test]
    async fn parked_events_take_no_room() {
        let outbox = Outbox::default();
        outbox.begin_write();
        outbox.event(Zxid(1), &Bytes::from(vec![0; HIGH_WATER + 1]));
        outbox.room().await;
    }

    #[tokio::test]
    async fn finishing_sends_what_is_queued_and_hanging_up_does_not() {
        let outbox = Outbox::default();
        outbox.reply(header(1, 1), |_| ());
        outbox.finish();
        outbox.reply(header(2, 2), |_| ());
        assert_eq!(sent(&outbox).await, [(1, 1)]);
        assert!(outbox.batch(BytesMut::new()).await.is_none());

        let outbox = Outbox::default();
        outbox.reply(header(1, 1), |_| ());
        outbox.hang_up();
        assert!(outbox.batch(BytesMut::new()).await.is_none());
    }
}
