//! What a batch of outgoing frames tells about itself.

use crate::zk::wire::XID_EVENT;

/// What all frames begin with, bytes: their length.
const LENGTH: usize = 4;

/// Frames on their way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// How many.
    pub(super) frames: u64,
    /// The greatest zxid in the header of a reply; -1 without one.
    pub(super) zxid: i64,
    /// Bytes of the last, smallest and largest reply; `None` without one.
    pub(super) replies: Option<[u64; 3]>,
}

impl Batch {
    /// Looks at whole frames. The first one on a connection is the answer to its handshake, which has no header:
    /// `is_first` says that it is in here.
    pub(super) fn of(mut bytes: &[u8], is_first: bool) -> Batch {
        let mut batch = Batch {
            zxid: -1,
            ..Batch::default()
        };
        while let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (frame, rest) = rest.split_at(length.min(rest.len()));
            let is_greeting = is_first && batch.frames == 0;
            if !is_greeting {
                batch.reply(frame);
            }
            batch.frames += 1;
            bytes = rest;
        }
        batch
    }

    fn reply(&mut self, frame: &[u8]) {
        let Some((xid, rest)) = frame.split_first_chunk() else {
            return;
        };
        if i32::from_be_bytes(*xid) == XID_EVENT {
            return;
        }
        if let Some(zxid) = rest.first_chunk() {
            self.zxid = self.zxid.max(i64::from_be_bytes(*zxid));
        }
        let size = frame.len() as u64;
        let [_, min, max] = self.replies.unwrap_or([size; 3]);
        self.replies = Some([size, min.min(size), max.max(size)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::wire::{ReplyHeader, Wire, put_frame};
    use bytes::BytesMut;

    fn put(out: &mut BytesMut, xid: i32, zxid: i64, body: &impl Wire) {
        let error = 0;
        put_frame(out, &ReplyHeader { xid, zxid, error }, body);
    }

    #[test]
    fn replies_are_told_from_events_and_from_the_greeting() {
        let mut out = BytesMut::new();
        // Looks like a reply with an enormous zxid.
        put(&mut out, 0, i64::MAX, &());
        put(&mut out, 1, 5, &7);
        put(&mut out, XID_EVENT, 9, &());
        put(&mut out, 2, 4, &());
        let batch = Batch::of(&out, true);
        assert_eq!(
            batch,
            Batch {
                frames: 4,
                zxid: 5,
                replies: Some([16, 16, 20])
            }
        );
        assert_eq!(Batch::of(&out, false).zxid, i64::MAX);
    }

    #[test]
    fn nothing_sent_tells_nothing() {
        let batch = Batch::of(&[], true);
        assert_eq!((batch.frames, batch.zxid, batch.replies), (0, -1, None));
    }
}
