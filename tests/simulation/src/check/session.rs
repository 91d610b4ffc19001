//! Per session: replies come in the order of requests, each write behind the one before it, and no header's zxid is
//! lower than one that was seen before, on whatever member.

use std::collections::VecDeque;

/// What one session has seen.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Requests of the connection that are not answered, in order.
    outstanding: VecDeque<i32>,
    seen: u64,
    last_write: u64,
}

impl Order {
    /// A request is sent.
    pub fn sent(&mut self, xid: i32) {
        self.outstanding.push_back(xid);
    }

    /// A connection is over.
    pub fn lost(&mut self) {
        self.outstanding.clear();
    }

    /// The zxid of a header.
    pub fn header(&mut self, what: &str, zxid: u64) -> Result<(), String> {
        match zxid >= self.seen {
            true => {
                self.seen = zxid;
                Ok(())
            }
            false => Err(format!(
                "{what} has zxid {zxid}, {} was seen before",
                self.seen
            )),
        }
    }

    /// A reply to a request.
    pub fn reply(&mut self, xid: i32) -> Result<(), String> {
        match self.outstanding.pop_front() {
            Some(expected) if expected == xid => Ok(()),
            expected => Err(format!(
                "a reply to {xid}, when {expected:?} was the oldest request"
            )),
        }
    }

    /// A write of the session was done.
    pub fn wrote(&mut self, zxid: u64) -> Result<(), String> {
        let before = std::mem::replace(&mut self.last_write, zxid);
        match zxid > before {
            true => Ok(()),
            false => Err(format!(
                "a write at {zxid} was sent after the one at {before}"
            )),
        }
    }
}
