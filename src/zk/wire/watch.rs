//! The requests that set, check and remove watches by themselves, rather than along with a read.
//!
//! Source: `zookeeper.jute`; `ZooDefs.AddWatchModes` and `Watcher.WatcherType` for the numbers.

use super::codec::record;
use super::{Wire, WireError};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// Implements [`Wire`] for an enum that is sent as an int.
macro_rules! number {
    ($name:ident { $($variant:ident,)* }) => {
        impl Wire for $name {
            const MIN_LEN: usize = i32::MIN_LEN;

            fn encode(&self, out: &mut BytesMut) {
                (*self as i32).encode(out);
            }

            fn decode(input: &mut Bytes) -> Result<$name, WireError> {
                let number = i32::decode(input)?;
                [$($name::$variant),*]
                    .into_iter()
                    .find(|variant| *variant as i32 == number)
                    .ok_or(WireError::Number(number))
            }
        }
    };
}

/// How a watch that `addWatch` sets works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum AddWatchMode {
    /// Stays; hears of the znode and its children.
    Persistent = 0,
    /// Stays; hears of the znode and all below it.
    Recursive = 1,
}

number!(AddWatchMode {
    Persistent,
    Recursive,
});

/// Which watches to check or to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum WatcherType {
    /// Those that `getChildren` sets.
    Children = 1,
    /// Those that `getData` and `exists` set.
    Data = 2,
    /// All.
    Any = 3,
    /// Those that `addWatch` sets, but for recursive ones.
    Persistent = 4,
    /// Recursive ones.
    Recursive = 5,
}

number!(WatcherType {
    Children,
    Data,
    Any,
    Persistent,
    Recursive,
});

record! {
    /// `addWatch`.
    pub struct AddWatchRequest {
        /// The znode, there or not.
        pub path: Arc<str>,
        /// How it works.
        pub mode: AddWatchMode,
    }
}

record! {
    /// `checkWatches` and `removeWatches`.
    pub struct WatchesRequest {
        /// The znode that is watched.
        pub path: Arc<str>,
        /// Which of the watches on it.
        pub kind: WatcherType,
    }
}

record! {
    /// Answer to `addWatch`; inside the answer to a multi, a failed operation.
    pub struct ErrorResponse {
        /// 0, or the error.
        pub error: i32,
    }
}
