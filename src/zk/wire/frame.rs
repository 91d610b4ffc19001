//! Frames: a record behind its length.
//!
//! ```text
//! offset 0  int32  length of what follows, 0 to the limit
//!        4         the record
//! ```

use super::Wire;
use bytes::{BufMut, Bytes, BytesMut};

/// Longest frame a server takes, bytes: ZooKeeper's default `jute.maxbuffer`. It bounds what one
/// connection can make a member buffer and what one log entry can hold; clients ship with this number.
pub const MAX_FRAME: usize = 0xf_ffff;

/// Longest frame a client takes, bytes. Replies may be longer than requests: the names of a million
/// children are some 24 MB. Raising it costs a client that much memory for one reply.
pub const MAX_REPLY_FRAME: usize = 64 << 20;

/// Bytes before the record.
const PREFIX: usize = 4;

/// The length in front of a frame is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes, where 0 to {limit} are allowed")]
pub struct FrameError {
    /// The length claimed.
    pub length: i32,
    /// The longest allowed.
    pub limit: usize,
}

/// Takes one whole frame from the front of `buffer`, without its length; `None` when more bytes are
/// needed, for which there is then room. Memory is reserved only for a length within `limit`.
///
/// # Errors
/// [`FrameError`] as soon as the first four bytes are there; the connection is beyond repair.
pub fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let claimed = i32::from_be_bytes(*prefix);
    let length = usize::try_from(claimed)
        .ok()
        .filter(|&length| length <= limit)
        .ok_or(FrameError {
            length: claimed,
            limit,
        })?;
    let whole = PREFIX + length;
    if buffer.len() < whole {
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    Ok(Some(buffer.split_to(whole).freeze().slice(PREFIX..)))
}

/// Appends a frame whose record is `head` followed by `body`.
pub fn put_frame(out: &mut BytesMut, head: &impl Wire, body: &impl Wire) {
    put_frame_with(out, head, |out| body.encode(out));
}

/// Appends a frame whose record is `head` followed by what `body` appends.
pub fn put_frame_with(out: &mut BytesMut, head: &impl Wire, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    head.encode(out);
    body(out);
    let length = out.len() - start - PREFIX;
    debug_assert!(length <= i32::MAX as usize);
    out[start..start + PREFIX].copy_from_slice(&(length as i32).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_one_by_one() {
        let mut buffer = BytesMut::new();
        put_frame(&mut buffer, &7i32, &());
        put_frame(&mut buffer, &8i32, &9i32);
        buffer.put_slice(&[0, 0]);
        assert_eq!(
            take_frame(&mut buffer, MAX_FRAME),
            Ok(Some(Bytes::from_static(&[0, 0, 0, 7])))
        );
        assert_eq!(
            take_frame(&mut buffer, MAX_FRAME),
            Ok(Some(Bytes::from_static(&[0, 0, 0, 8, 0, 0, 0, 9])))
        );
        assert_eq!(take_frame(&mut buffer, MAX_FRAME), Ok(None));
        assert_eq!(&buffer[..], [0, 0]);
    }

    #[test]
    fn lengths_outside_the_limit_are_refused_before_any_memory_is_reserved() {
        for (claimed, fits) in [
            (-1, false),
            (i32::MIN, false),
            (i32::MAX, false),
            (MAX_FRAME as i32 + 1, false),
            (MAX_FRAME as i32, true),
            (0, true),
        ] {
            let mut buffer = BytesMut::from(&claimed.to_be_bytes()[..]);
            let taken = take_frame(&mut buffer, MAX_FRAME);
            assert_eq!(taken.is_ok(), fits, "{claimed}");
            if !fits {
                assert!(buffer.capacity() < 64, "{claimed}");
            }
        }
    }
}
