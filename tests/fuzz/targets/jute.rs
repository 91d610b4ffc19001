//! Bytes as records: decoding never panics, and what decodes encodes to what decodes to the same.
//!
//! The first byte of an input names the record, the rest is decoded. All of it also passes through the framing,
//! in pieces as a socket might deliver them.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use std::fmt::Debug;
use zoogate::zk::wire::*;

/// Tries one record; decoding may not allocate beyond the input, which the engine's memory limit watches.
fn probe<T: Wire + PartialEq + Debug>(input: &Bytes) {
    let mut left = input.clone();
    let Ok(record) = T::decode(&mut left) else {
        return;
    };
    let mut encoded = BytesMut::new();
    record.encode(&mut encoded);
    let mut again = encoded.freeze();
    assert_eq!(
        T::decode(&mut again).expect("what was encoded decodes"),
        record
    );
    assert!(
        again.is_empty(),
        "a record encodes to itself and nothing more"
    );
}

/// Cuts the input into frames, fed in pieces whose lengths the input tells.
fn frames(input: &[u8]) {
    let mut buffer = BytesMut::new();
    let mut fed = 0;
    while fed < input.len() {
        let piece = usize::from(input[fed]).min(input.len() - fed).max(1);
        buffer.extend_from_slice(&input[fed..fed + piece]);
        fed += piece;
        loop {
            match take_frame(&mut buffer, MAX_FRAME) {
                Ok(Some(frame)) => assert!(frame.len() <= MAX_FRAME),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(buffer.capacity() <= 2 * MAX_FRAME + input.len() + 64);
    }
}

const PROBES: &[fn(&Bytes)] = &[
    probe::<ConnectRequest>,
    probe::<ConnectResponse>,
    probe::<RequestHeader>,
    probe::<ReplyHeader>,
    probe::<CreateRequest>,
    probe::<Create2Response>,
    probe::<VersionRequest>,
    probe::<ReadRequest>,
    probe::<DataResponse>,
    probe::<SetDataRequest>,
    probe::<PathRequest>,
    probe::<AclResponse>,
    probe::<SetAclRequest>,
    probe::<ChildrenResponse>,
    probe::<SetWatchesRequest>,
    probe::<SetWatches2Request>,
    probe::<AuthRequest>,
    probe::<WatcherEvent>,
    probe::<CreateTtlRequest>,
    probe::<ReconfigRequest>,
    probe::<ClientIdentity>,
    probe::<AddWatchRequest>,
    probe::<WatchesRequest>,
    probe::<ErrorResponse>,
    probe::<MultiReadRequest>,
    probe::<MultiHeader>,
    probe::<MultiRequest>,
    probe::<MultiResponse>,
];

fuzz_target!(|input: &[u8]| {
    frames(input);
    if let Some((record, bytes)) = input.split_first() {
        PROBES[usize::from(*record) % PROBES.len()](&Bytes::copy_from_slice(bytes));
    }
});
