//! The codec: how one value is laid out, both ways.
//!
//! Jute has no tags and no self-description: a record is its fields one after another, so a type's layout
//! is the order in which its [`Wire`] implementation writes. Decoding takes from the front of a [`Bytes`];
//! buffers are slices of the frame, not copies. Nothing here allocates by a length that the sender claims
//! before checking it against the bytes that are really there, and nothing panics on any input.
//!
//! Source: Apache ZooKeeper, `org.apache.jute.BinaryInputArchive`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// A value with a fixed place in ZooKeeper's binary records.
pub trait Wire: Sized {
    /// Fewest bytes any value of this type takes. Bounds how many elements a vector can claim to hold.
    const MIN_LEN: usize;

    /// Appends the value.
    fn encode(&self, out: &mut BytesMut);

    /// Takes a value from the front of `input`. Bytes behind it stay.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are no such value; `input` is then in an unspecified state.
    fn decode(input: &mut Bytes) -> Result<Self, WireError>;
}

/// Why bytes are not the record they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The record ends before its last field.
    #[error("the record needs {needed} more bytes where only {left} are left")]
    Short {
        /// Bytes the next field takes.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length or count below -1.
    #[error("{0} is no length")]
    Length(i32),
    /// Null where the operation cannot do without a value.
    #[error("a string or buffer is null that must not be")]
    Null,
    /// A number that stands for nothing in its place.
    #[error("{0} stands for nothing here")]
    Number(i32),
    /// An operation that cannot be part of a `multi`, by its opcode.
    #[error("operation {0} cannot be part of a multi")]
    ForeignOp(i32),
}

/// Declares a record: its struct and, from the order of the fields, its layout.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::zk::wire::Wire for $name {
            const MIN_LEN: usize = 0 $(+ <$type as $crate::zk::wire::Wire>::MIN_LEN)*;

            fn encode(&self, out: &mut ::bytes::BytesMut) {
                $($crate::zk::wire::Wire::encode(&self.$field, out);)*
            }

            fn decode(input: &mut ::bytes::Bytes) -> Result<$name, $crate::zk::wire::WireError> {
                Ok($name { $($field: $crate::zk::wire::Wire::decode(input)?,)* })
            }
        }
    };
}
pub(super) use record;

/// Fails unless `needed` bytes are left.
fn need(input: &Bytes, needed: usize) -> Result<(), WireError> {
    let left = input.len();
    if left < needed {
        return Err(WireError::Short { needed, left });
    }
    Ok(())
}

/// A length or count: `None` for null, which is -1.
fn take_length(input: &mut Bytes) -> Result<Option<usize>, WireError> {
    match i32::decode(input)? {
        -1 => Ok(None),
        n => usize::try_from(n)
            .map(Some)
            .map_err(|_| WireError::Length(n)),
    }
}

/// Lengths are signed 32-bit. Nothing longer can come from a frame, and what the server composes itself is
/// bounded far below by what the tree can hold in memory.
fn put_length(length: usize, out: &mut BytesMut) {
    debug_assert!(length <= i32::MAX as usize);
    out.put_i32(length as i32);
}

/// No field: the body of a ping, a delete's reply.
impl Wire for () {
    const MIN_LEN: usize = 0;

    fn encode(&self, _: &mut BytesMut) {}

    fn decode(_: &mut Bytes) -> Result<(), WireError> {
        Ok(())
    }
}

/// One byte; anything but zero is true.
impl Wire for bool {
    const MIN_LEN: usize = 1;

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }

    fn decode(input: &mut Bytes) -> Result<bool, WireError> {
        need(input, 1)?;
        Ok(input.get_u8() != 0)
    }
}

/// Four bytes, big-endian.
impl Wire for i32 {
    const MIN_LEN: usize = 4;

    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(*self);
    }

    fn decode(input: &mut Bytes) -> Result<i32, WireError> {
        need(input, 4)?;
        Ok(input.get_i32())
    }
}

/// Eight bytes, big-endian.
impl Wire for i64 {
    const MIN_LEN: usize = 8;

    fn encode(&self, out: &mut BytesMut) {
        out.put_i64(*self);
    }

    fn decode(input: &mut Bytes) -> Result<i64, WireError> {
        need(input, 8)?;
        Ok(input.get_i64())
    }
}

/// A buffer: length and bytes, -1 for null.
impl Wire for Option<Bytes> {
    const MIN_LEN: usize = 4;

    fn encode(&self, out: &mut BytesMut) {
        match self {
            None => out.put_i32(-1),
            Some(bytes) => {
                put_length(bytes.len(), out);
                out.put_slice(bytes);
            }
        }
    }

    fn decode(input: &mut Bytes) -> Result<Option<Bytes>, WireError> {
        let Some(length) = take_length(input)? else {
            return Ok(None);
        };
        need(input, length)?;
        Ok(Some(input.split_to(length)))
    }
}

/// A string: length and UTF-8, -1 for null. What is not UTF-8 reads as U+FFFD, as it does in Java: no valid
/// path has that character, so such a path is a bad argument to a write and finds nothing in a read.
impl Wire for Option<Arc<str>> {
    const MIN_LEN: usize = 4;

    fn encode(&self, out: &mut BytesMut) {
        match self {
            None => out.put_i32(-1),
            Some(text) => text.encode(out),
        }
    }

    fn decode(input: &mut Bytes) -> Result<Option<Arc<str>>, WireError> {
        take_text(input, |text| Arc::from(text))
    }
}

/// A string that must be there.
impl Wire for Arc<str> {
    const MIN_LEN: usize = 4;

    fn encode(&self, out: &mut BytesMut) {
        put_length(self.len(), out);
        out.put_slice(self.as_bytes());
    }

    fn decode(input: &mut Bytes) -> Result<Arc<str>, WireError> {
        Option::<Arc<str>>::decode(input)?.ok_or(WireError::Null)
    }
}

/// A string of an ACL. Null is taken as empty: some clients, kazoo among them, have no empty strings, and the
/// identity of the scheme `auth` is one.
impl Wire for String {
    const MIN_LEN: usize = 4;

    fn encode(&self, out: &mut BytesMut) {
        put_length(self.len(), out);
        out.put_slice(self.as_bytes());
    }

    fn decode(input: &mut Bytes) -> Result<String, WireError> {
        Ok(take_text(input, str::to_owned)?.unwrap_or_default())
    }
}

/// Appends a vector of strings that are not at hand as a `Vec`.
pub fn put_strings<'a>(strings: impl Iterator<Item = &'a str>, out: &mut BytesMut) {
    let start = out.len();
    out.put_i32(0);
    let mut count = 0usize;
    for text in strings {
        put_length(text.len(), out);
        out.put_slice(text.as_bytes());
        count += 1;
    }
    debug_assert!(count <= i32::MAX as usize);
    out[start..start + 4].copy_from_slice(&(count as i32).to_be_bytes());
}

fn take_text<T>(input: &mut Bytes, own: impl FnOnce(&str) -> T) -> Result<Option<T>, WireError> {
    let Some(bytes) = Option::<Bytes>::decode(input)? else {
        return Ok(None);
    };
    Ok(Some(own(&String::from_utf8_lossy(&bytes))))
}

/// A count and the elements. No operation tells a null vector from an empty one, so null reads as empty.
impl<T: Wire> Wire for Vec<T> {
    const MIN_LEN: usize = 4;

    fn encode(&self, out: &mut BytesMut) {
        put_length(self.len(), out);
        for element in self {
            element.encode(out);
        }
    }

    fn decode(input: &mut Bytes) -> Result<Vec<T>, WireError> {
        let count = take_length(input)?.unwrap_or(0);
        need(input, count.saturating_mul(T::MIN_LEN.max(1)))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(input)?);
        }
        Ok(elements)
    }
}
